"""Test the temporary folder that takes the place of a home folder."""

import os
import types
from pathlib import Path

import pytest

from minitx.config.home import VARIABLES, default_cache_dir, replace_home
from minitx.errors import UserError


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A home folder, and temporary folders in a folder of this test."""
    for name in VARIABLES:
        monkeypatch.setenv(name, "")  # so that what the code sets is undone
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    return tmp_path / "home"


def read_only(*folders):
    """An os.access for which these folders are read-only. Root may write everywhere."""
    return lambda path, mode: Path(path) not in folders


def temporary(tmp_path):
    """The temporary folders that were made."""
    return list((tmp_path / "temporary").iterdir())


def test_the_cache_follows_the_environment(home, monkeypatch, capsys, tmp_path):
    assert default_cache_dir() == home / ".cache" / "minitx"
    monkeypatch.setenv("MINITX_CACHE", "~/elsewhere")
    assert default_cache_dir() == home / "elsewhere"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINITX_CACHE", "here")
    assert default_cache_dir() == tmp_path / "here"
    assert not temporary(tmp_path)
    assert capsys.readouterr() == ("", "")


def test_other_programs_are_told_the_home_folder_of_the_user(home, monkeypatch, capsys):
    monkeypatch.delenv("HOME")
    user = types.SimpleNamespace(pw_dir=str(home))
    monkeypatch.setattr("pwd.getpwuid", lambda number: user)
    replace_home()
    assert os.environ["HOME"] == str(home)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("case", ["missing", "unknown", "relative", "a file", "read-only"])
def test_without_a_home_folder_caches_are_temporary_and_a_line_says_so(
    case, home, monkeypatch, capsys, tmp_path
):
    monkeypatch.setenv("WANDB_CONFIG_DIR", "/settings")  # which the user has set
    if case == "unknown":
        monkeypatch.delenv("HOME")
        monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)  # no user has an entry
    elif case == "read-only":
        monkeypatch.setattr("os.access", read_only(home))
    else:
        home.rmdir()
        monkeypatch.setenv("HOME", "home" if case == "relative" else str(home))
        if case == "a file":
            home.touch()
    folder = default_cache_dir()
    (made,) = temporary(tmp_path)
    assert folder == made / "minitx_cache"
    assert os.environ["WANDB_CONFIG_DIR"] == "/settings"
    assert os.environ["XDG_CACHE_HOME"] == str(made / "xdg_cache_home")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert f"no home folder can be written: caches are in {made} until the end" in err
    assert "HOME, or data.cache_dir or MINITX_CACHE" in err
    replace_home()  # once is enough, in this process and in those that it starts
    assert default_cache_dir() == folder
    assert temporary(tmp_path) == [made]
    assert capsys.readouterr().err == ""


def test_a_cache_in_a_read_only_home_is_still_read(home, monkeypatch, tmp_path):
    cache = home / ".cache" / "minitx"
    cache.mkdir(parents=True)
    monkeypatch.setattr("os.access", read_only(home, cache, cache.parent))
    assert default_cache_dir() == cache
    assert not temporary(tmp_path)


def test_a_writable_cache_folder_is_enough(home, monkeypatch, tmp_path):
    (home / ".cache").mkdir()
    monkeypatch.setattr("os.access", read_only(home))
    assert default_cache_dir() == home / ".cache" / "minitx"
    assert not temporary(tmp_path)


def test_nowhere_to_write_is_one_line(home, monkeypatch, tmp_path):
    home.rmdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    with pytest.raises(UserError, match="set HOME or TMPDIR"):
        replace_home()
