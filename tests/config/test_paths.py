"""Test how the paths that users give are completed."""

import os
import typing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitx.commands.table import COMMANDS
from minitx.config.keys import keys
from minitx.config.paths import check_readable, full_path, full_paths, is_path, paths_of
from minitx.config.schema import Config, EvaluateConfig, ModelConfig
from minitx.errors import UserError


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A working folder with a file, a home folder, and links of every kind."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("home", "here", "real"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    Path("../real/t.txt").write_text("to be\n", encoding="utf-8")
    links = {"folder": "../real", "t.txt": "../real/t.txt", "other.tsv": "../real/t.txt"}
    for name, target in (links | {"broken": "gone", "loop": "loop"}).items():
        Path(name).symlink_to(target)
    return tmp_path


@pytest.mark.parametrize(
    ("path", "found"),
    {
        "new": "here/new",
        "./a//b/../c/": "here/a/c",
        "~": "home",
        "~/a": "home/a",
        "~nobody-of-this-name/a": "here/~nobody-of-this-name/a",  # as shells do
        "folder": "real",
        "folder/": "real",
        "folder/new/x": "real/new/x",
        "folder/../x": "x",  # the parent of the folder, not of its link
        "t.txt": "real/t.txt",
        "other.tsv": "here/other.tsv",  # the link says what is in the file
        "broken": "here/broken",
        "loop": "here/loop",
        "loop/x": "here/loop/x",
        "my, [odd]=${x}\n'file'": "here/my, [odd]=${x}\n'file'",
        "caf\udce9.txt": "here/caf\udce9.txt",  # a name that is not UTF-8
    }.items(),
)
def test_a_path_begins_at_the_root_and_has_no_links(path, found, here):
    assert full_path(path, "key") == str(here / found)
    assert full_path(Path(path), "key") == str(here / Path(found))
    assert full_path(full_path(path, "key"), "key") == full_path(path, "key")


@pytest.mark.parametrize(
    "path", ["/dev/stdin", "/dev/stdout", "/dev/fd/63", "/dev/null", "/proc/self/fd/0"]
)
def test_what_a_process_opens_by_number_stays_as_it_is(path):
    """Their links lead to names such as pipe:[1234]."""
    assert full_path(path, "key") == path


def test_a_folder_named_like_the_home_folder_can_be_given(here):
    assert full_path("./~/a", "key") == str(here / "here/~/a")


def test_a_link_to_a_pipe_can_be_opened(here):
    os.mkfifo("pipe.txt")
    Path("link.txt").symlink_to("pipe.txt")
    Path("input.txt").symlink_to("/dev/stdin")
    assert full_path("link.txt", "key") == str(here / "here/link.txt")
    assert full_path("input.txt", "key") == str(here / "here/input.txt")
    check_readable("link.txt", "key")  # which does not wait for a writer


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=60))
def test_completing_a_path_twice_changes_nothing(name):
    once = full_path(name, "key")
    assert os.path.isabs(once)
    assert full_path(once, "key") == once
    if "/" not in name and name not in ("~", "", ".", "..") and not os.path.islink(name):
        assert once == os.path.join(os.getcwd(), name)


@pytest.mark.parametrize(
    ("path", "said"),
    {
        "a\0b": r"data.path='a\x00b': no file can have this name",
        "\ud83d": r"data.path='\ud83d': no file can have this name",
        300 * "a": "File name too long",
        3000 * "a/": "File name too long",
    }.items(),
)
def test_a_path_that_no_file_can_have(path, said):
    with pytest.raises(UserError) as caught:
        full_path(path, "data.path")
    assert str(caught.value).startswith("data.path=")
    assert said in str(caught.value)


def test_without_a_home_folder_a_tilde_is_refused(monkeypatch, here):
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)  # no user has an entry
    with pytest.raises(UserError, match=r"^run.dir=~/x: ~ is unknown, as HOME is not set: write"):
        full_path("~/x", "run.dir")
    assert full_path("x", "run.dir") == str(here / "here/x")


def test_without_a_working_folder_only_full_paths_are_known(here, monkeypatch):
    def gone():
        raise FileNotFoundError

    monkeypatch.setattr("os.getcwd", gone)
    with pytest.raises(UserError, match=r"^the current folder no longer exists: go to another"):
        full_path("x", "run.dir")
    assert full_path(here / "x", "run.dir") == str(here / "x")


@pytest.mark.parametrize(
    ("path", "said"),
    {
        "no.txt": "No such file or directory",
        "folder": "Is a directory, give a file",
        "broken": "No such file or directory (it is a link to gone)",
        "loop": "Too many levels of symbolic links (it is a link to loop)",
        "t.txt/x": "Not a directory",
    }.items(),
)
def test_a_file_that_cannot_be_read(path, said):
    whole = full_path(path, "data.path")
    with pytest.raises(UserError) as caught:
        check_readable(whole, "data.path")
    assert str(caught.value) == f"data.path={whole} cannot be read: {said}"


def test_a_file_that_the_user_may_not_read(monkeypatch):
    check_readable("t.txt", "data.path")
    monkeypatch.setattr("os.access", lambda path, mode: mode != os.R_OK)  # root may read all
    with pytest.raises(UserError, match=r"^input=/.*/t.txt cannot be read: Permission denied"):
        check_readable("t.txt", "input")


def test_every_path_of_a_config_is_completed_by_its_name(here):
    config = Config(model=ModelConfig(), resume="runs/a")
    config.data.path, config.data.dir, config.run.dir = Path("t.txt"), "", "~/run"
    assert full_paths(config) is config
    assert paths_of(config) == {
        "data.dir": None,  # an empty path is none
        "data.path": str(here / "real/t.txt"),
        "data.target_path": None,
        "data.cache_dir": None,
        "run.dir": str(here / "home/run"),
        "resume": str(here / "here/runs/a"),
    }
    evaluation = EvaluateConfig(run=300 * "a")
    with pytest.raises(UserError, match=r"^run=a+\.\.\.: File name too long"):
        full_paths(evaluation)


@pytest.mark.parametrize("name", [name for name, each in COMMANDS.items() if each.schema])
def test_no_key_that_names_a_file_or_folder_is_forgotten(name):
    """A key whose meaning speaks of a file or folder is a path, and all paths are text."""
    for key, field in keys(COMMANDS[name].schema):
        said = field.metadata["help"].partition("[")[0]
        if str in (typing.get_args(field.type) or (field.type,)):
            assert is_path(field) == ("file" in said or "folder" in said or "run," in said), key
        else:
            assert not is_path(field), key
