"""Test a run's folder: its name, and that its files are complete or missing."""

import json
import os
import pickle
import re

import pytest
import yaml

from minitx.config.schema import Config, TransformerConfig
from minitx.errors import UserError, WriteError
from minitx.runs.atomic_write import write_atomically, write_json, write_yaml
from minitx.runs.paths import FOLDER_VARIABLE, create_run_folder


@pytest.fixture(autouse=True)
def _somewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(FOLDER_VARIABLE, "")  # so that what the code sets is undone


def make_config(folder=None, seed=3):
    config = Config(model=TransformerConfig(name="transformer"), seed=seed)
    config.run.dir = None if folder is None else str(folder)
    return config


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "file"
    for text in ("one\n", "zwei äöü 漢字 \u2028 🎭\n", ""):
        write_atomically(path, text)
        assert path.read_bytes() == text.encode()
    assert os.listdir(tmp_path) == ["file"]


def test_when_writing_fails_the_old_file_stays_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, 100_000 * "new" + "\ud800")  # UTF-8 cannot write the last one
    assert path.read_text() == "old"
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_atomically(tmp_path / "folder", "new")
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_files_have_the_usual_permissions(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        write_atomically(tmp_path / "file", "text")
        assert os.umask(mask) == mask  # as it was
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == mode


def test_yaml_and_json_read_back_equal_and_in_order(tmp_path):
    value = {"z": 1, "a": [1.5, None, True, "ä: 'x'\n"], "m": {"k": 1e-300, "empty": {}}}
    write_yaml(tmp_path / "y", value)
    write_json(tmp_path / "j", value)
    for found in (
        yaml.safe_load((tmp_path / "y").read_text(encoding="utf-8")),
        json.loads((tmp_path / "j").read_text(encoding="utf-8")),
    ):
        assert found == value
        assert list(found) == ["z", "a", "m"]


def test_the_name_has_the_date_and_the_task(tmp_path):
    folder = create_run_folder(make_config())
    pattern = r"runs/\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_shakespeare_transformer_3"
    assert re.fullmatch(pattern, str(folder.relative_to(tmp_path)))
    assert folder.is_dir()
    assert os.environ[FOLDER_VARIABLE] == str(folder)


def test_runs_of_the_same_second_get_folders_of_their_own():
    folders = {create_run_folder(make_config()) for _ in range(12)}
    assert len(folders) == 12
    assert all(folder.is_dir() for folder in folders)


def test_run_dir_is_made_with_its_parents(tmp_path):
    assert create_run_folder(make_config("a/b c/d")) == (tmp_path / "a/b c/d").relative_to(tmp_path)
    assert (tmp_path / "a/b c/d").is_dir()


def test_an_empty_folder_is_taken(tmp_path):
    assert create_run_folder(make_config(tmp_path)) == tmp_path


@pytest.mark.parametrize("name", ["full", "full/file", "full/.hidden/file"])
def test_existing_files_are_never_overwritten(tmp_path, name):
    (tmp_path / "full/.hidden").mkdir(parents=True)
    (tmp_path / "full/file").write_text("mine")
    (tmp_path / "full/.hidden/file").write_text("mine")
    with pytest.raises(UserError, match=f"run.dir={name} already exists .* resume={name}"):
        create_run_folder(make_config(name))
    assert (tmp_path / "full/file").read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_explained(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"run.dir=file/run cannot be created: Not a directory"):
        create_run_folder(make_config("file/run"))
    (tmp_path / "runs").write_text("")
    with pytest.raises(UserError, match=r"run.dir="):
        create_run_folder(make_config())


def test_a_process_that_lightning_starts_joins_the_folder(tmp_path, monkeypatch):
    first = create_run_folder(make_config())
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert create_run_folder(make_config()) == tmp_path / first
    monkeypatch.setenv("LOCAL_RANK", "0")
    assert create_run_folder(make_config()) != first


def test_an_error_in_another_process_keeps_its_line():
    """As in a study whose runs have processes of their own."""
    error = WriteError(28, "No space left on device", "runs/x").advising("go on: this")
    assert str(error) == "runs/x cannot be written: No space left on device; go on: this"
    sent = pickle.loads(pickle.dumps(error))
    assert (str(sent), sent.errno, sent.filename) == (str(error), 28, "runs/x")
    assert str(error.advising("do that")).endswith("on device; do that")
