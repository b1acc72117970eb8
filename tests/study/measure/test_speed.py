"""Test that speeds are numbers, memory is that of the measurement alone, and errors are one line.

No time is compared with another: machines differ, and are busy.
"""

import math
import os
import signal

import numpy as np
import pytest

from minitx.commands.quoting import quoted
from minitx.config.compose import compose
from minitx.errors import UserError
from minitx.study.measure import speed
from minitx.study.measure.speed import measure_speed
from minitx.study.measure.stopwatch import measure
from minitx.study.measure.timing import repeated, timed

VOCAB = 30
FOUND = {
    *("step_seconds", "step_seconds_low", "step_seconds_high", "forward_backward_seconds"),
    *("tokens_per_second", "latency_ms", "peak_memory_mb", "imports_memory_mb", "threads"),
    *("cpu_share", "steps", "parameters", "parameters_non_embedding", "operations_per_token"),
}


@pytest.fixture
def config(tiny):
    """The config of a tiny model, with words of the command line put on it."""
    return lambda *words: compose(*map(quoted, [*tiny, *words]))


@pytest.mark.parametrize("model", ["transformer", "lstm"])
def test_all_figures_are_there(config, model):
    found = measure(config(f"model={model}", "optimizer=muon"), VOCAB, seconds=0.0)
    assert set(found) == FOUND
    assert all(math.isfinite(value) and value >= 0 for value in found.values())
    assert found["steps"] == 3
    assert found["step_seconds_low"] <= found["step_seconds"] <= found["step_seconds_high"]
    assert 0 < found["forward_backward_seconds"] < found["step_seconds_high"]
    assert found["tokens_per_second"] == pytest.approx(8 * 16 / found["step_seconds"])


def test_threads_kernels_and_precision_are_those_of_the_config(config):
    words = ("model=lstm", "trainer.threads=1", "trainer.fused=false")
    found = measure(config(*words, "trainer.precision=bf16-mixed"), VOCAB, seconds=0.0)
    assert found["threads"] == 1
    assert set(found) == FOUND


def test_the_width_is_solved_where_a_budget_is_given(config):
    asked = config("budget.parameters=20000")
    found = measure(asked, VOCAB, seconds=0.0)
    assert found["parameters"] == pytest.approx(20000, rel=0.02)
    assert asked.model.dim == 16


def test_memory_is_that_of_the_measurement(config):
    """Whatever the process that asks has held before. The embeddings alone are 8 MB in float32."""
    held = np.ones(100_000_000)  # 800 MB
    del held
    small, large = (
        measure_speed(config(f"data.batch_size={size}", "model.dim=64"), seconds=0.0)
        for size in (1, 2_000)
    )
    assert set(small) == FOUND
    assert 0 <= small["peak_memory_mb"] < 200
    assert large["peak_memory_mb"] > small["peak_memory_mb"] + 2_000 * 16 * 64 * 4 / 1e6
    for found in (small, large):
        assert 50 < found["imports_memory_mb"] < 800


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["task=cmudict"], "speed is measured on language models"),
        (["trainer.precision=16-mixed"], "with trainer.precision=32-true or .*=bf16-mixed only"),
        (["trainer.compile=true"], "speed is measured with trainer.compile=False only"),
        (["trainer.accelerator=mps"], "accelerator=cpu or trainer.accelerator=gpu only"),
        (["model.heads=3"], r"model=transformer at model.context=16: heads=3 does not divide"),
    ],
)
def test_what_cannot_be_measured_is_one_line(config, words, message):
    with pytest.raises(UserError, match=message) as refused:
        measure_speed(config(*words), seconds=0.0)
    assert "\n" not in str(refused.value)


def test_a_killed_process_is_reported_in_one_line(config, monkeypatch):
    monkeypatch.setattr(speed, "answer", kill_this_process)
    with pytest.raises(UserError, match="was ended by SIGKILL, which happens if memory runs out"):
        measure_speed(config())


def kill_this_process(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)


def test_calls_that_warm_up_do_not_count():
    calls = iter(range(100))
    assert repeated(lambda: next(calls), seconds=0.0, least=3) == [1, 2, 3]


def test_there_are_calls_as_long_as_there_is_time():
    assert len(repeated(lambda: timed(lambda: None), seconds=0.05)) > 2
