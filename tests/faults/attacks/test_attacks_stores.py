"""Open caches, studies and run folders that an attacker made."""

import io
import json
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import torch
import yaml
from hostile import EXPECTED, HUGE, NOWHERE, OLD, Call, deep, hostile_tokenizers

from minitx.config.compose import compose
from minitx.data.batching.cache import CHECKSUMS, _checksums
from minitx.data.batching.pair_store import open_pairs
from minitx.data.batching.token_store import open_tokens
from minitx.data.corpora.pairs import pair_file
from minitx.data.corpora.text import text_file
from minitx.runs.paths import last_checkpoint
from minitx.study.results.collecting import open_study
from minitx.study.run.job import do_run
from minitx.training.checkpoints import checkpoint
from minitx.training.wandb_runs import wandb_id


def test_caches(attack, tally, guard, tmp_path):
    row = tally("cache of an attacker", EXPECTED)
    texts, pairs = text_file(OLD / "play.txt", 0.1), pair_file(OLD / "pairs.tsv", 0.1)

    def of_text():
        store = open_tokens(texts, "char", 0, tmp_path / "cache")
        return store.folder, store.fingerprint, store.split("train").tolist()

    def of_pairs():
        store = open_pairs(pairs, "word", "char", 300, False, tmp_path / "cache")
        return store.folder, store.fingerprint, store.split("train").source.ids.tolist()

    for read in (of_text, of_pairs):
        whole = read()
        folder = whole[0]
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        counts = "lengths" if read is of_text else "counts"
        arrays = {
            "pickled": _npy(np.array([Call(os.mkdir, str(guard.sprung))], object)),
            "huge": _npy_header((HUGE,)),
            "negative": _npy_header((-5,)),
            "no shape": _npy_header(()),
            "empty": b"",
        }
        other = "train.bin" if read is of_text else "train.source.offsets.npy"
        files = {f"{other}, {name}": (other, content) for name, content in arrays.items()}
        for name, values in {
            "huge": meta | {counts: dict.fromkeys(meta[counts], HUGE)},
            "names that lead out": meta | {counts: {"../../elsewhere/precious": 1}},
            "a list": [meta],
            "a text": meta | {counts: "train"},
            "numbers": meta | {counts: 5, "tokenizers": 5, "corpus": 5},
            "deep": deep(900),
        }.items():
            files[f"meta.json, {name}"] = "meta.json", json.dumps(values).encode()
        tokenizer = "tokenizer.json" if read is of_text else "source.json"
        hostile = hostile_tokenizers((folder / tokenizer).read_text(encoding="utf-8"))
        files |= {name: (tokenizer, json.dumps(each).encode()) for name, each in hostile.items()}
        for name, (file, content) in files.items():
            (folder / file).write_bytes(content)
            (folder / CHECKSUMS).write_text(json.dumps(_checksums(folder)))
            attack(row, f"{read.__name__}, {name}", read, harmless=whole.__eq__)
        (folder / CHECKSUMS).write_text('{"../../elsewhere/precious": "00000000"}')
        attack(row, "checksums of others", read, harmless=whole.__eq__)
        for name, target in ((".lock", "precious"), (".building", "")):
            shutil.rmtree(folder)
            link = folder.with_name(folder.name + name)
            link.unlink(missing_ok=True)
            link.symlink_to(guard.elsewhere / target)
            attack(row, f"{read.__name__}, {name} is a link", read)
            link.unlink()
            read()
        shutil.rmtree(folder)
        folder.symlink_to(guard.elsewhere)
        attack(row, f"{read.__name__} is a link", read)


def _npy(array):
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def _npy_header(shape):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": "<i8", "fortran_order": False, "shape": shape}
    )
    return file.getvalue()


def _npz(name, content):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{name}.npy", content)
    return file.getvalue()


def test_studies(attack, tally, guard, tmp_path, monkeypatch):
    row = tally("study of an attacker", EXPECTED)
    study = shutil.copytree(OLD / "study", tmp_path / "study")
    manifest = json.loads((study / "study.json").read_text(encoding="utf-8"))
    first = manifest["runs"][0]

    def changed(**changes):
        return manifest | {"runs": [first | changes, *manifest["runs"][1:]]}

    def read():
        return open_study(study, study / "store")

    for name, values in {
        "key that leads out": changed(key="../../elsewhere"),
        "absolute key": changed(key=str(guard.elsewhere)),
        "key that is a number": changed(key=5),
        "table that leads out": changed(details=["../../../elsewhere/precious"]),
        "no point": changed(point=None),
        "unknown measure": manifest | {"measure": "__class__"},
        "unknown format": manifest | {"format": [1]},
        "no study": manifest | {"study": None},
        "runs are a text": manifest | {"runs": "abc"},
        "deep": deep(900),
        "deep study": manifest | {"study": deep(900)},
        "a list": [manifest],
    }.items():
        (study / "study.json").write_text(json.dumps(values), encoding="utf-8")
        attack(row, f"study.json, {name}", read)
    secret = "${oc.env:MINITX_SECRET}"
    values = manifest | {"study": manifest["study"] | {"question": secret}}
    (study / "study.json").write_text(json.dumps(values), encoding="utf-8")
    attack(row, "a secret", read, harmless=lambda found: found.study.question == secret)
    (study / "study.json").write_text("[" * 100_000)
    attack(row, "study.json, brackets", read)
    (study / "study.json").write_text(json.dumps(manifest), encoding="utf-8")
    whole = read().runs

    items = next(study.glob("store/*/measured/items.npz"))
    with np.load(items) as arrays:
        (name, *_) = arrays
    content = items.read_bytes()
    for what, array in {
        "pickled": _npy(np.array([Call(os.mkdir, str(guard.sprung))], object)),
        "huge": _npy_header((HUGE,)),
        "no array": b"x",
        "many zeros": None,
    }.items():
        monkeypatch.setattr("minitx.study.results.evidence.MOST_BYTES", 10**7)
        items.write_bytes(_npz(name, array or bytes(2 * 10**7)))
        attack(row, f"items.npz, {what}", read)
    items.write_bytes(content)
    assert read().runs.equals(whole)

    asked = compose(f"data.path={OLD / 'play.txt'}", "task=text")
    asked.study = read().study
    asked.study.runs = str(study / "store")
    key = first["key"]
    for name in (f"{key}.log", f"{key}.lock", key):
        link = study / "store" / name
        shutil.rmtree(link, ignore_errors=True)
        link.unlink(missing_ok=True)
        link.symlink_to(guard.elsewhere / ("" if name == key else "precious"))
        attack(row, f"{name} is a link", do_run, asked, study, key)
        link.unlink()


def test_run_folders(attack, tally, guard, tmp_path, train):
    row = tally("run folder of an attacker", EXPECTED)
    for name in ("metrics.csv", "samples.txt", "checkpoints/best.ckpt", "config.yaml"):
        run = shutil.copytree(OLD / "language_modeling", tmp_path / name.replace("/", "_"))
        (run / name).unlink()
        (run / name).symlink_to(guard.elsewhere / "precious")
        attack(row, f"{name} is a link", last_checkpoint, str(run))
    for name in ("wandb", "attention", "tokenizer", "tensorboard"):
        run = shutil.copytree(OLD / "language_modeling", tmp_path / name)
        (run / name).symlink_to(guard.elsewhere)
        attack(row, f"{name} is a link", last_checkpoint, str(run))

    (tmp_path / "id" / "wandb").mkdir(parents=True)
    for name in ("../../elsewhere/x", "", "a b", "x" * 1000, "$(touch x)"):
        (tmp_path / "id/wandb/id.txt").write_text(name)
        attack(row, f"W&B id {name[:20]!r}", wandb_id, tmp_path / "id")

    # Lightning deletes the files that a callback's state names as the ones before.
    for path in ("../../elsewhere", "..", str(guard.elsewhere / "precious"), "memory://x", NOWHERE):
        callback = checkpoint(tmp_path / "checkpoints" / "best.ckpt", "val/loss")
        state = callback.state_dict() | {"best_k_models": {path: 1.0}, "dirpath": "elsewhere"}
        state |= dict.fromkeys(("best_model_path", "kth_best_model_path", "last_model_path"), path)
        harmless = _in(tmp_path / "checkpoints")
        attack(row, f"path of a checkpoint {path!r}", _paths, callback, state, harmless=harmless)

    run = shutil.copytree(OLD / "language_modeling", tmp_path / "run")
    config = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    config["run"]["dir"] = str(guard.elsewhere / "run")
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    resumed = f"resume={run}", "trainer.max_steps=11", f"data.path={OLD / 'play.txt'}"
    file = run / "checkpoints/last.ckpt"
    whole = torch.load(file, weights_only=True)
    for value in (None, 5, {}, {"Clock": None}, {"Clock": {"elapsed": "long"}}, {"Clock": {}}):
        torch.save(whole | {"callbacks": value}, file)
        attack(row, f"callbacks are {value}", train, *resumed)
    torch.save(whole, file)
    attack(row, "run.dir", train, *resumed, harmless=lambda found: found.folder == run)


def _paths(callback, state):
    """The paths that a callback has after it was restored."""
    callback.load_state_dict(state)
    names = "best_model_path", "kth_best_model_path", "last_model_path"
    return [getattr(callback, name) for name in names] + list(callback.best_k_models)


def _in(folder):
    return lambda paths: all(
        Path(os.path.normpath(path)).parent == folder and path.endswith(".ckpt") for path in paths
    )
