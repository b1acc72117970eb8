"""Test that tab completion offers what can be typed next, and nothing internal."""

import os
import subprocess
import sys

import pytest

from minitx.commands.completion import complete_line
from minitx.commands.table import COMMANDS
from minitx.config.keys import options
from minitx.config.schema import MODELS, TransformerConfig

MIXERS = TransformerConfig.__dataclass_fields__["mixer"].metadata["choices"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("minitx ", list(COMMANDS)),
        ("minitx tr", ["train", "translate"]),
        ("minitx train mo", ["model.", "model="]),
        ("minitx train model.he", ["model.heads="]),
        ("minitx train model.mixer=", [f"model.mixer={name}" for name in MIXERS]),
        ("minitx train model.norm=r", ["model.norm=rmsnorm"]),
        ("minitx train model.gated=", ["model.gated=true", "model.gated=false"]),
        ("minitx train model=lstm model.bi", ["model.bidirectional="]),
        ("minitx train model=lstm model.bidirectional=t", ["model.bidirectional=true"]),
        ("minitx train model=lstm model.he", []),
        ("minitx train model=", [f"model={name}" for name in sorted(MODELS)]),
        ("minitx compare -m study=h", ["study=head_width", "study=heads"]),
        ("minitx train trainer.max_steps=", ["trainer.max_steps=2000"]),
        ("minitx train optimizer=adamw trainer=gpu trainer.prec", ["trainer.precision="]),
        ("minitx train no.such.key=", []),
        ("minitx train model=none optimizer.lr=", []),
        ("minitx nonsense ", []),
        ("minitx bench ", []),
    ],
)
def test_what_may_come_next(line, expected):
    assert complete_line(line, None) == expected


def test_a_script_completes_as_its_command():
    line = "python scripts/train.py model.mixer=a"
    assert complete_line(line, COMMANDS["train"]) == complete_line(
        "minitx train model.mixer=a", None
    )


def test_no_schema_is_offered():
    for name, command in COMMANDS.items():
        for group in ("", *(f"{group}=" for group in command.groups)):
            assert not [
                each for each in complete_line(f"minitx {name} {group}", None) if "schema" in each
            ]


def test_the_users_own_config_files_are_offered(tmp_path):
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "mine.yaml").touch()
    for flag in (f"--config-dir {tmp_path}", f"--config-dir={tmp_path}"):
        found = complete_line(f"minitx compare {flag} study=", None)
        assert found == [f"study={name}" for name in sorted([*options("study"), "mine"])]


def test_paths_are_completed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "one").mkdir(parents=True)
    (tmp_path / "rest.txt").touch()
    assert complete_line("minitx evaluate run=r", None) == ["run=rest.txt", "run=runs/"]
    assert complete_line("minitx evaluate run=runs/", None) == ["run=runs/one/"]
    assert complete_line("minitx evaluate run=nowhere/", None) == []
    assert complete_line("minitx generate prompt=r", None) == []


def test_bash_completes(tmp_path):
    """With the function that Hydra installs, as bash calls it after `minitx train model.mixer=`."""
    minitx = tmp_path / "minitx"
    minitx.write_text(f"#!{sys.executable}\nfrom minitx.commands.cli import main\nmain()\n")
    minitx.chmod(0o755)
    source = """
eval "$(minitx -sc install=bash)" && complete -p minitx
COMP_LINE="minitx train model.mixer=" COMP_CWORD=2
hydra_bash_completion
printf '%s\\n' "${COMPREPLY[@]}"
"""
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    answer = subprocess.run(
        ["bash", "-c", source],
        env=os.environ | {"PATH": path, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert answer.stdout.split()[-len(MIXERS) :] == [f"model.mixer={name}" for name in MIXERS]
