"""The sweeps of W&B: each command line that an agent may start composes."""

from itertools import product
from pathlib import Path

import pytest
import yaml
from tiny_runs import compose
from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

from minitx.training.wandb_runs import best_values

SWEEPS = sorted((Path(__file__).parents[2] / "sweeps").glob("*.yaml"))


def command_lines(sweep):
    """What an agent starts, for each value of a list and both ends of each range."""
    ends = [
        each.get("values") or [each["min"], each["max"]] for each in sweep["parameters"].values()
    ]
    for values in product(*ends):
        chosen = dict(zip(sweep["parameters"], values, strict=True))
        filled = create_sweep_command_args({"args": {k: {"value": v} for k, v in chosen.items()}})
        words = []
        for word in create_sweep_command(list(sweep["command"])):
            words += filled["args_no_hyphens"] if word == "${args_no_hyphens}" else [word]
        yield words, chosen


@pytest.mark.parametrize("file", SWEEPS, ids=lambda file: file.stem)
def test_every_command_line_of_a_sweep_composes(file):
    sweep = yaml.safe_load(file.read_text(encoding="utf-8"))
    lines = list(command_lines(sweep))
    for words, chosen in [lines[0], lines[len(lines) // 2], lines[-1]]:
        assert words[:3] == ["${env}", "minitx", "train"]
        config = compose(*words[3:])
        assert (config.task.name, config.logger.mode) == (file.stem, "online")
        for name, value in chosen.items():
            found = config
            for part in name.split("."):
                found = getattr(found, part)
            assert (found.name if name == "model" else found) == value
        goal = {"minimize": "min", "maximize": "max"}[sweep["metric"]["goal"]]
        assert best_values(config)[sweep["metric"]["name"]] == goal


def test_there_are_sweeps_for_two_tasks():
    assert {file.stem for file in SWEEPS} >= {"shakespeare", "cmudict"}
