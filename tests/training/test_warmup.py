"""Test that a warm-up longer than the run is shortened, with a message."""

import pytest

from minitx.config.schema import Config, ModelConfig, OptimizerConfig, TrainerConfig
from minitx.training.warmup import within_the_run


def config(warmup, max_steps, resume=None, **limits):
    return Config(
        model=ModelConfig(),
        optimizer=OptimizerConfig(warmup_steps=warmup),
        trainer=TrainerConfig(max_steps=max_steps, **limits),
        resume=resume,
    )


@pytest.mark.parametrize(
    ("warmup", "max_steps", "shorter"),
    [(100, 100, 10), (100, 60, 6), (100, 10, 1), (100, 9, 0), (1, 1, 0), (3000, 2999, 299)],
)
def test_it_becomes_a_tenth_of_the_run(warmup, max_steps, shorter, capsys):
    asked = config(warmup, max_steps)
    assert within_the_run(asked).warmup_steps == shorter
    assert asked.optimizer.warmup_steps == warmup  # what was asked for is left alone
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    for part in (f"warmup_steps={warmup} ", f"max_steps={max_steps},", f"it is {shorter} in"):
        assert part in err


@pytest.mark.parametrize(
    "kept",
    [
        config(99, 100),
        config(0, 1),
        config(100, None, max_minutes=1),  # no number of steps to compare with
        config(100, 50, resume="runs/a"),
    ],
    ids=["shorter", "none", "minutes", "resumed"],
)
def test_it_is_kept_where_it_is_shorter_or_cannot_be_compared(kept, capsys):
    assert within_the_run(kept) == kept.optimizer
    assert capsys.readouterr().err == ""


def test_only_the_first_process_prints_it(monkeypatch, capsys):
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert within_the_run(config(100, 60)).warmup_steps == 6
    assert capsys.readouterr().err == ""
