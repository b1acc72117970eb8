"""Damage the files that minitx reads again: it never takes them for other numbers.

A damaged file is refused in one line, or made again, or the damage changed nothing that is read.
Every test cuts files at 20 offsets and flips 200 single bits, each in a fresh copy.
"""

import json
import random
import re
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from minitx.config.checksums import file_checksum
from minitx.config.compose import read_config, to_plain
from minitx.config.schema import ExportConfig
from minitx.data.batching.pair_store import open_pairs
from minitx.data.batching.token_store import open_tokens
from minitx.data.corpora.pairs import pair_file
from minitx.data.corpora.text import text_file
from minitx.errors import UserError
from minitx.interop.export import export_run
from minitx.interop.load import load
from minitx.runs.atomic_write import write_checked_json, write_yaml
from minitx.runs.growing_file import write_whole
from minitx.runs.run import read_checkpoint
from minitx.study.plan.manifest import EVIDENCE
from minitx.study.results.collecting import open_study
from minitx.study.results.evidence import write_evidence
from minitx.training.checkpoints import CheckpointFiles
from minitx.training.loggers import MetricsFile

OLD = Path(__file__).resolve().parents[1] / "old_runs"
EXPECTED = "rejected in one line, rebuilt, or read as before"


@pytest.fixture
def damages(trials):
    """Returns a function that yields damaged copies of one of several files, and puts it back.

    It yields the name of each trial. Bits are flipped where `near` says, else anywhere.
    """

    def damages(files, near=lambda content, draw: draw.randrange(len(content))):
        files = sorted(path for path in files if path.stat().st_size)
        draw = random.Random(0)
        for kind, number in (("cut", trials(fast=2, full=20)), ("bit", trials(fast=6, full=200))):
            for trial in number:
                path = files[trial % len(files)]
                whole = path.read_bytes()
                if kind == "cut":
                    offset = draw.randrange(len(whole))
                    damaged = whole[:offset]
                else:
                    offset, bit = near(whole, draw), draw.randrange(8)
                    damaged = bytearray(whole)
                    damaged[offset] ^= 1 << bit
                path.write_bytes(damaged)
                yield f"{path.name}, {kind} {offset}"
                path.write_bytes(whole)

    return damages


def unless_refused(read):
    """What `read` returns, or None if it refuses in one line."""
    try:
        return read()
    except UserError as error:
        if "\n" in str(error):
            raise ValueError("more than one line") from error
        return None


def same(one, other):
    """Whether two values are equal, whatever arrays and containers they consist of."""
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    if isinstance(one, pd.DataFrame):
        return one.equals(other)
    return one == other


def at_an_end(content, draw):
    """A place among the names and sizes of an archive, half of the time."""
    places = [range(1500), range(len(content) - 3000, len(content)), range(len(content))]
    return draw.choice(draw.choice([*places, places[-1]]))


@pytest.mark.parametrize("objective", ["language_modeling", "sequence_to_sequence"])
def test_checkpoints(objective, tmp_path, damages, tally):
    row = tally("checkpoint damaged", EXPECTED)
    file = Path(shutil.copy(OLD / objective / "checkpoints/last.ckpt", tmp_path))
    whole = read_checkpoint(file)
    noticed = 0
    for name in damages([file], at_an_end):
        with row.trial(name):
            found = unless_refused(lambda: read_checkpoint(file))
            noticed += found is None
            assert found is None or same(found, whole)
    assert noticed >= row.tried / 2  # the others were in padding between the tensors
    assert same(read_checkpoint(file), whole)


def test_a_flipped_bit_of_a_weight_is_noticed_whoever_reads_it(tmp_path):
    """torch itself reads another number."""
    file = Path(shutil.copy(OLD / "language_modeling/checkpoints/last.ckpt", tmp_path))
    weights = read_checkpoint(file)["state_dict"]
    content = bytearray(file.read_bytes())
    largest = max(weights.values(), key=torch.numel)
    place = content.find(largest.numpy().tobytes())
    content[place + 3] ^= 0x40
    file.write_bytes(content)
    read = torch.load(file, weights_only=True)["state_dict"]
    assert not same(read, weights)
    for reader in (read_checkpoint, CheckpointFiles().load_checkpoint):
        with pytest.raises(UserError, match=r"last.ckpt is damaged"):
            reader(file)


@pytest.mark.parametrize("kind", ["tokens", "examples"])
def test_caches(kind, tmp_path, damages, tally):
    row = tally("cache damaged", EXPECTED)

    def read():
        if kind == "tokens":
            store = open_tokens(text_file(OLD / "play.txt", 0.1), "char", 300, tmp_path)
            found = {name: store.split(name).copy() for name in store.splits}
        else:
            corpus = pair_file(OLD / "pairs.tsv", 0.1)
            store = open_pairs(corpus, "word", "char", 300, False, tmp_path)
            found = {
                name: [split.pairs, split.source.ids.copy(), split.target.ids.copy()]
                for name, split in ((name, store.split(name)) for name in store.splits)
            }
        return store.folder, store.fingerprint, found

    whole = read()
    for name in damages([path for path in whole[0].iterdir() if path.is_file()]):
        with row.trial(name):
            assert same(read(), whole)  # rebuilt: the corpus is still there


def test_a_cache_of_an_earlier_version_is_not_built_again(tmp_path):
    corpus = text_file(OLD / "play.txt", 0.1)
    store = open_tokens(corpus, "char", 0, tmp_path)
    before = store.folder.stat().st_ino
    (store.folder / "checksums.json").unlink()
    assert open_tokens(corpus, "char", 0, tmp_path).folder.stat().st_ino == before


def sealed(folder):
    """A copy of the old study, whose files have the checksums of those that are written now."""
    shutil.copytree(OLD / "study", folder)
    for path in folder.rglob("*.json"):
        values = json.loads(path.read_text(encoding="utf-8"))
        if path.name == "test.json":
            others = [each for each in path.parent.iterdir() if each != path]
            values["files"] = {each.name: file_checksum(each) for each in others}
        write_checked_json(path, values)
    for path in folder.rglob("config.yaml"):
        write_yaml(path, yaml.safe_load(path.read_text(encoding="utf-8")))
    for path in folder.rglob("metrics.csv"):
        write_whole(path, path.read_text(encoding="utf-8"))
    return folder


def results_of(study):
    found = vars(open_study(study, study / "store")).copy()
    return found | {"runs": found["runs"].sort_index(axis=1)}


def test_studies(tmp_path, damages, tally):
    """A wrong number in any file of the run store would change a figure of the report."""
    row = tally("summary, run store and study damaged", EXPECTED)
    study = sealed(tmp_path / "study")
    whole = results_of(study)
    assert set(whole["runs"]["status"]) == {"finished"}
    assert not whole["curves"].empty
    read = [
        *study.rglob("*.json"),
        *study.rglob("metrics.*"),
        *study.rglob("config.yaml"),
        *study.rglob("items.npz"),
    ]
    for name in damages(read):
        with row.trial(name):
            found = unless_refused(lambda: results_of(study))
            assert found is None or same(found, whole)


def test_evidence(tmp_path, damages, tally):
    row = tally("evidence of a report damaged", EXPECTED)
    study = sealed(tmp_path / "study")
    write_evidence(study, study / "store")
    alone = tmp_path / "alone"
    alone.mkdir()
    file = Path(shutil.copy(study / EVIDENCE, alone))
    whole = vars(open_study(alone))
    for name in damages([file], at_an_end):
        with row.trial(name):
            found = unless_refused(lambda: vars(open_study(alone)))
            assert found is None or same(found, whole)


def test_exports(tmp_path, damages, tally):
    """The loader of an export has no errors of its own: any error is a refusal."""
    row = tally("weights of an export for torch damaged", EXPECTED)
    run, folder = str(OLD / "language_modeling"), tmp_path / "out"
    export_run(ExportConfig(run=run, to=str(folder), format="torch"))
    whole = dict(load(folder).state_dict())
    for name in damages([folder / "model.safetensors"], at_an_end):
        with row.trial(name):
            found = None
            with suppress(Exception):
                found = dict(load(folder).state_dict())
            assert found is None or same(found, whole)


@pytest.mark.parametrize("name", ["summary.json", "metrics.csv", "measured/test.json"])
def test_a_changed_digit_does_not_enter_a_report(name, tmp_path):
    study = sealed(tmp_path / "study")
    path = next(study.glob(f"store/*/{name}"))
    text = path.read_text(encoding="utf-8")
    number = re.search(r"\d\.(\d)\d\d", text)
    other = (int(number[1]) + 1) % 10
    path.write_text(f"{text[: number.start(1)]}{other}{text[number.end(1) :]}", "utf-8")
    with pytest.raises(UserError, match=f"{path}.* damaged, or was changed"):
        open_study(study, study / "store")


def test_a_changed_table_does_not_enter_a_report(tmp_path):
    study = sealed(tmp_path / "study")
    items = next(study.glob("store/*/measured/items.npz"))
    others = next(path for path in study.glob("store/*/measured/items.npz") if path != items)
    shutil.copy(others, items)
    with pytest.raises(UserError, match=f"{items} cannot be read .it is damaged.: delete"):
        open_study(study, study / "store")


def test_configs(tmp_path, damages, tally):
    row = tally("config of a run damaged", EXPECTED)
    path = tmp_path / "config.yaml"
    whole = read_config(OLD / "language_modeling/config.yaml")
    write_yaml(path, to_plain(whole))
    for name in damages([path]):
        with row.trial(name):
            assert unless_refused(lambda: read_config(path)) in (None, whole)


def test_metrics(tmp_path, damages, tally):
    row = tally("metrics.csv damaged", EXPECTED)
    path = Path(shutil.copy(OLD / "language_modeling/metrics.csv", tmp_path))
    write_whole(path, path.read_text(encoding="utf-8"))
    metrics = MetricsFile(tmp_path)
    whole = metrics._rows()
    for name in damages([path, tmp_path / "metrics.crc32"]):
        with row.trial(name):
            assert unless_refused(metrics._rows) in (None, whole)
