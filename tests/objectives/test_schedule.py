"""The learning rate's schedule, as a share of its peak."""

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minitx.config.schema import OptimizerConfig
from minitx.objectives.optim import learning_rate_factor

SCHEDULES = ["cosine", "linear", "noam", "constant"]
few_examples = settings(deadline=None, max_examples=25)


def factor(step, schedule, *, of=1000, warmup=100, final=0.1, progress=None):
    config = OptimizerConfig(schedule=schedule, warmup_steps=warmup, min_lr_ratio=final)
    return learning_rate_factor(step, step / of if progress is None else progress, config)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_warm_up_starts_near_zero_and_ends_near_the_peak(schedule):
    assert factor(0, schedule) == pytest.approx(0.01, rel=1e-5)
    assert factor(49, schedule) == pytest.approx(0.5, rel=0.05)
    assert factor(99, schedule) == pytest.approx(1.0, rel=0.1)


# At 300, 500 and 1000 of 1000 steps; the decay counts from the run's first step.
@pytest.mark.parametrize(
    ("schedule", "values"),
    [
        ("cosine", [0.1 + 0.9 * (1 + math.cos(0.3 * math.pi)) / 2, 0.55, 0.1]),
        ("linear", [0.73, 0.55, 0.1]),
        ("constant", [1.0, 1.0, 1.0]),
        ("noam", [math.sqrt(100 / 301), math.sqrt(100 / 501), math.sqrt(100 / 1001)]),
    ],
)
def test_values_after_warm_up(schedule, values):
    assert [factor(step, schedule) for step in (300, 500, 1000)] == pytest.approx(values)


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
@pytest.mark.parametrize("final", [0.0, 0.3, 1.0])
def test_it_ends_at_its_final_share_and_stays_there(schedule, final):
    assert factor(1000, schedule, final=final) == pytest.approx(final)
    assert factor(1500, schedule, final=final) == pytest.approx(final)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_without_warm_up_it_starts_at_the_peak(schedule):
    assert factor(0, schedule, warmup=0) == 1.0


@pytest.mark.parametrize("schedule", SCHEDULES)
@few_examples
@given(warmup=st.integers(0, 200), extra=st.integers(20, 500), final=st.floats(0, 1))
def test_it_rises_to_one_peak_and_falls_without_a_jump(schedule, warmup, extra, final):
    of = warmup + extra
    values = [factor(step, schedule, of=of, warmup=warmup, final=final) for step in range(of)]
    assert all(0 < value <= 1 for value in values)
    peak = values.index(max(values))
    assert peak <= max(warmup - 1, 0)
    tail = values[max(warmup - 1, 0) :]
    assert all(later <= earlier for earlier, later in pairwise(tail))
    if warmup:
        # No step after warm-up is longer than its own, or than the steepest of the decay.
        steepest = max(1 / warmup, math.pi / 2 / of)
        assert all(abs(later - earlier) <= steepest * 1.001 for earlier, later in pairwise(values))


def test_minutes_can_drive_it_as_well_as_steps():
    assert factor(500, "linear", progress=1.0) == pytest.approx(0.1)
    assert factor(500, "linear", progress=0.2) == pytest.approx(0.82)
