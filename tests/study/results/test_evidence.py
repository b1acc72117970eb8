"""Test that a report's evidence is enough to write it again, and that damage is found."""

import io
import json
import shlex
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from minitx.errors import UserError
from minitx.study.plan.manifest import EVIDENCE, MANIFEST, read_manifest, write_manifest
from minitx.study.report.files import write_report
from minitx.study.results import evidence
from minitx.study.results.collecting import open_study
from minitx.study.results.evidence import write_evidence

OLD = Path(__file__).parents[2] / "old_runs"


@pytest.fixture
def folder(tmp_path, briefly):
    """A study with its runs, its report and its evidence."""
    folder = shutil.copytree(OLD / "study", tmp_path / "here" / "study")
    shutil.move(folder / "store", folder.parent / "store")
    write_report(open_study(folder, folder.parent / "store"), folder)
    write_evidence(folder, folder.parent / "store")
    return folder


@pytest.fixture
def alone(folder, tmp_path):
    """A folder with the evidence alone."""
    alone = tmp_path / "there" / "study"
    alone.mkdir(parents=True)
    return Path(shutil.copy(folder / EVIDENCE, alone)).parent


def parts(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {part.filename: archive.read(part) for part in archive.infolist()}


def rewrite(path, changed):
    """Replace files in an archive."""
    files = parts(path.read_bytes()) | changed
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def test_the_evidence_alone_gives_every_file_again(folder, alone):
    before = (alone / EVIDENCE).read_bytes()
    write_report(open_study(alone), alone)
    write_evidence(alone, None)
    files = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    assert len(files) > 8
    for file in files - {Path(MANIFEST)}:
        assert (alone / file).read_bytes() == (folder / file).read_bytes(), file
    assert (alone / EVIDENCE).read_bytes() == before


def test_a_report_is_written_again_from_the_command_line(alone, folder, script, tmp_path):
    shutil.rmtree(folder.parent)
    words = ("--config-dir", OLD / "configs", "study=small", "task=text", f"study.dir={alone}")
    answer = script("compare", *words, f"data.path={tmp_path / 'missing'}", "report_only=true")
    assert answer.status == 0, answer.err
    assert "against 4.877 bits per byte" in (alone / "report.md").read_text(encoding="utf-8")
    assert not (alone / MANIFEST).exists()


def test_equal_results_give_equal_bytes_without_weights_and_paths(folder, tmp_path):
    before = (folder / EVIDENCE).read_bytes()
    write_evidence(folder, folder.parent / "store")
    assert (folder / EVIDENCE).read_bytes() == before
    files = parts(before)
    assert {Path(name).suffix for name in files} <= {".json", ".yaml", ".csv", ".crc32", ".npz"}
    for name, content in files.items():
        assert str(tmp_path).encode() not in content, name
        assert b"/work" not in content, name
    for name in files:
        if name.endswith("items.npz"):
            with np.load(io.BytesIO(files[name])) as arrays:
                assert list(arrays) == ["bits_per_byte"]
    values = json.loads(files[MANIFEST])
    assert values["study"]["runs"] == "../store"


def test_overrides_with_whole_paths_are_left_out(folder):
    manifest = read_manifest(folder)
    words = ['data.dir="/home/me/my data"', "data.path=plays.txt", "model.dim=8"]
    command = ["minitx", "compare", "study=small", "study.dir=/home/me/s", *words]
    study = replace(manifest.study, settings=words)
    write_manifest(folder, replace(manifest, study=study, command=shlex.join(command)))
    write_evidence(folder, folder.parent / "store")
    values = json.loads(parts((folder / EVIDENCE).read_bytes())[MANIFEST])
    assert values["study"]["settings"] == ["data.path=plays.txt", "model.dim=8"]
    assert values["command"] == "minitx compare study=small data.path=plays.txt model.dim=8"


def test_a_study_that_was_run_here_counts_by_its_runs(folder):
    store = folder.parent / "store"
    assert (open_study(folder, store).runs["status"] == "finished").all()
    shutil.rmtree(store)
    assert (open_study(folder, store).runs["status"] == "missing").all()
    (folder / MANIFEST).unlink()
    assert (open_study(folder, store).runs["status"] == "finished").all()


def test_a_copied_report_counts_by_its_evidence_even_if_some_of_its_runs_are_here(folder, alone):
    store = folder.parent / "store"
    for summary in store.glob("*/summary.json"):
        summary.unlink()
    assert (open_study(alone, store).runs["status"] == "finished").all()


def test_a_folder_without_evidence_and_manifest_holds_no_study(tmp_path):
    with pytest.raises(UserError, match=r"holds no study: there is no study\.json"):
        open_study(tmp_path)


@pytest.mark.parametrize("damage", ["cut", "changed", "text", "empty"])
def test_damaged_evidence_is_one_line(alone, damage):
    content = (alone / EVIDENCE).read_bytes()
    middle = len(content) // 2
    flipped = bytes([content[middle] ^ 1])
    damaged = {
        "cut": content[:middle],
        "changed": content[:middle] + flipped + content[middle + 1 :],
        "text": b"no archive",
        "empty": b"",
    }[damage]
    (alone / EVIDENCE).write_bytes(damaged)
    with pytest.raises(UserError, match=r"evidence\.zip is damaged") as raised:
        open_study(alone)
    assert "\n" not in str(raised.value)


def test_evidence_that_was_edited_is_found_by_the_checksums_inside(alone):
    files = parts((alone / EVIDENCE).read_bytes())
    name = next(name for name in files if name.endswith("items.npz"))
    rewrite(alone / EVIDENCE, {name: files[name] + b" "})
    with pytest.raises(UserError, match=rf"evidence\.zip/{name} cannot be read") as raised:
        open_study(alone)
    assert "/tmp" not in str(raised.value).replace(str(alone), "")


def test_arrays_that_would_execute_code_are_refused(alone):
    files = parts((alone / EVIDENCE).read_bytes())
    name = next(name for name in files if name.endswith("items.npz"))
    figures = name.replace("items.npz", "test.json")
    buffer = io.BytesIO()
    np.savez(buffer, bits_per_byte=np.array([{}], dtype=object))
    values = json.loads(files[figures])
    del values["files"], values["crc32"]
    rewrite(alone / EVIDENCE, {name: buffer.getvalue(), figures: json.dumps(values).encode()})
    with pytest.raises(UserError, match="allow_pickle=False"):
        open_study(alone)


def test_evidence_larger_than_the_limit_is_refused(alone, monkeypatch):
    monkeypatch.setattr(evidence, "MOST_BYTES", 1000)
    with pytest.raises(UserError, match="larger than 1 GiB"):
        open_study(alone)


def test_names_with_paths_write_nothing_outside_of_the_folder(alone):
    rewrite(alone / EVIDENCE, {"../../escaped.txt": b"x", "/escaped.txt": b"x"})
    assert (open_study(alone).runs["status"] == "finished").all()
    assert not list(alone.parents[2].rglob("escaped.txt"))
