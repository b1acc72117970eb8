"""Test the `minitx` command: the first word, common guesses, and the next commands it prints."""

import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import minitx
from minitx.commands.cli import main
from minitx.commands.command import Command
from minitx.commands.completion import complete_line
from minitx.commands.table import COMMANDS
from minitx.config.command_line import command_line
from minitx.config.schema import key
from minitx.errors import UserError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def console(monkeypatch, capsys, tmp_path):
    """Runs `minitx` in this process, in an empty folder; gives the status and both outputs."""
    monkeypatch.chdir(tmp_path)

    def console(*words):
        monkeypatch.setattr(sys, "argv", ["/usr/bin/minitx", *map(str, words)])
        monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
        try:
            main()
        except SystemExit as end:
            return (end.code or 0, *capsys.readouterr())
        return (0, *capsys.readouterr())

    return console


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["help"], "write minitx --help"),
        (["trian"], "there is no command trian: did you mean train?"),
        (["head_importance"], "did you mean importance?"),
        (["xyzzy"], "there is no command xyzzy; minitx --help lists the commands"),
        (["model.heads=8"], "write a command first, as in minitx train model.heads=8"),
        (["--epochs", "3"], "as in minitx train; --epochs: keys are written key=value, without"),
        (["train", "help"], "write minitx train --help"),
        (["train", "model=1"], "model may be one of gru, lstm, rnn, transformer"),
        (["train", "task=1.5"], "task=1.5: leave it out, or choose one; task may be one of "),
        (["train", "=1"], "=1: write key=value"),
        (["train", "model.heads=[1"], "in two pairs of quotes, as in 'key=\"a, b\"'"),
        (["compare", "study.arms.lstm=[a=1]"], 'in quotes too, as in \'key=["a=1","b=2"]\''),
        (["train", "--epochs", "3"], "did you mean trainer.max_steps=...?"),
        (["train", "--epochs=3"], "did you mean trainer.max_steps=...?"),
        (["train", "epochs=3"], "did you mean trainer.max_steps?"),
        (["train", "--batch-size", "8"], "did you mean data.batch_size=...?"),
        (["train", "model=lstm", "--seed", "3"], "did you mean seed=...?"),
        (["train", "--xyzzy"], "--help lists the keys"),
        (["train", "model.head=8"], "did you mean model.heads?"),
        (["generate", "--prompt", "x"], "did you mean prompt=...?"),
    ],
)
def test_a_common_guess_gets_one_line(words, said, console, tmp_path):
    status, out, err = console(*words)
    assert (status, out) == (1, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert said in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", [["--version"], ["train", "--version"]])
def test_the_version_is_printed(words, console):
    status, out, err = console(*words)
    assert (status, err) == (0, "")
    assert out.startswith("minitx 0.")


def test_scripts_print_the_version_and_refuse_guesses_too(script):
    assert script("compare", "--version").out.startswith("minitx 0.")
    answer = script("train", "help")
    assert (answer.status, answer.out) == (1, "")
    assert "scripts/train.py --help" in answer.err


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_the_overview_is_printed(words, console):
    status, out, _ = console(*words)
    assert status == 0
    assert all(f"  minitx {name} " in out for name in COMMANDS)


def test_a_commands_help_shows_how_it_was_called(console):
    assert "minitx explain format=html" in console("explain", "--help")[1]


def test_the_commands_that_a_run_prints_next_can_be_typed(console, tiny, tmp_path):
    folder = "a run, [odd] name='x'"
    words = [*tiny, "trainer.max_steps=2", f"run.dir={folder}"]
    status, out, err = console("train", *words)
    assert status == 0, err
    lines = [line for line in out.splitlines() if line.startswith("  minitx ")]
    assert [shlex.split(line)[1] for line in lines] == ["generate", "evaluate", "train"]
    assert all(folder in " ".join(shlex.split(line)) for line in lines)
    status, out, err = console(*shlex.split(lines[1])[1:])
    assert status == 0, err
    assert "bits per byte" in out


@pytest.mark.parametrize(
    "typed", ["scripts/train.py", "../../scripts/train.py", ROOT / "scripts/train.py"]
)
def test_a_script_names_its_neighbours(typed, monkeypatch):
    here = ROOT / "tests" / "commands" if str(typed).startswith("..") else ROOT
    monkeypatch.chdir(here)
    monkeypatch.setattr(sys, "argv", [str(typed)])
    python, file, word = shlex.split(command_line("evaluate", "run=my run"))
    assert (python, word) == ("python", "run=my run")
    assert (here / file).resolve() == ROOT / "scripts" / "evaluate.py"
    assert COMMANDS["inspect"].line().endswith("scripts/inspect_attention.py")


@pytest.mark.parametrize("running", ["/usr/bin/minitx", "-c", "mine/scripts/train.py"])
def test_other_programs_suggest_the_installed_command(running, monkeypatch):
    monkeypatch.setattr(sys, "argv", [running])
    here = Path.cwd()
    assert command_line("train", f"resume={here}/runs/a b") == "minitx train 'resume=runs/a b'"
    assert command_line("train", f"resume={here}-2/a") == f"minitx train resume={here}-2/a"
    home = f"resume={here}/~/a"  # without the folder, ~ would be the home folder
    assert command_line("train", home) == f"minitx train {shlex.quote(home)}"
    assert command_line("train", "resume=runs/a b") == "minitx train 'resume=runs/a b'"


@pytest.mark.parametrize("word", ["model.head=8", "+model.head=8"])
def test_python_gets_the_same_suggestion(word):
    with pytest.raises(
        UserError, match=r"^there is no key model.head: did you mean model.heads\?$"
    ):
        minitx.compose(word)


@pytest.mark.parametrize(
    "words",
    [
        ["train"],
        ["train", "run.dir=deep/run"],
        ["train", "-m", "seed=1,2"],
        ["compare", "study=heads"],
        ["compare", "study=heads", "study.dir=mine"],
    ],
)
def test_a_read_only_folder_is_refused_before_anything_is_loaded(
    words, console, tmp_path, monkeypatch
):
    writable = os.access

    def access(path, mode, **rest):
        return Path(path) != tmp_path and writable(path, mode, **rest)

    def refuse(self, *arguments, **rest):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(os, "access", access)  # a superuser may write everywhere
    monkeypatch.setattr(Path, "mkdir", refuse)
    status, out, err = console(*words)
    assert (status, out) == (1, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1, err
    assert "cannot be written" in err
    assert not list(tmp_path.iterdir())


@dataclass
class ShoutConfig:
    word: str = key("hey", "the word to shout", choices=("hey", "ho"))
    loud: bool = key(False, "in capitals")


def test_a_new_command_needs_only_its_entry(console, monkeypatch):
    def shout(config, overrides):
        print(config.word.upper() if config.loud else config.word)

    examples = (("word=ho loud=true", "a loud one"),)
    command = Command("shout", "Shout a word.", shout, ShoutConfig, examples)
    monkeypatch.setitem(COMMANDS, "shout", command)
    assert console("shout", "loud=true") == (0, "HEY\n", "")
    assert "did you mean ho?" in console("shout", "word=hoo")[2]
    assert "there is no key wrd: did you mean word?" in console("shout", "wrd=ho")[2]
    assert "  minitx shout       Shout a word.\n" in console("--help")[1]
    page = console("shout", "--help")[1]
    assert "  minitx shout word=ho loud=true   a loud one\n" in page
    assert "the word to shout: hey, ho\n" in page
    assert complete_line("minitx shout loud=", None) == ["loud=true", "loud=false"]
    assert complete_line("minitx sh", None) == ["shout"]
