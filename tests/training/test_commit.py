"""Test which commit the code of a run is of."""

import subprocess

import pytest

from minitx.training import environment
from minitx.training.environment import CHANGED, git_commit


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout of its own, in which the code of minitx seems to be."""
    module = tmp_path / "minitx" / "training" / "environment.py"
    module.parent.mkdir(parents=True)
    module.write_text("before\n")
    monkeypatch.setattr(environment, "__file__", str(module))
    return tmp_path


def git(checkout, *words):
    who = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org")
    command = ["git", *who, *words]
    return subprocess.run(command, cwd=checkout, check=True, capture_output=True, text=True).stdout


def test_code_without_a_checkout_has_no_commit(checkout):
    assert git_commit() is None


def test_uncommitted_changes_are_reported(checkout):
    git(checkout, "init", "--quiet")
    assert git_commit() is None
    git(checkout, "add", ".")
    git(checkout, "commit", "--quiet", "--message", "first")
    head = git(checkout, "rev-parse", "HEAD").strip()
    assert git_commit() == head
    (checkout / "notes.txt").write_text("no code")
    assert git_commit() == head
    new = checkout / "minitx" / "new.py"
    new.write_text("new")
    assert git_commit() == head + CHANGED
    new.unlink()
    (checkout / "minitx" / "training" / "environment.py").write_text("after\n")
    assert git_commit() == head + CHANGED


def test_python_without_git_has_no_commit(checkout, monkeypatch):
    git(checkout, "init", "--quiet")
    monkeypatch.setenv("PATH", "")
    assert git_commit() is None
