"""Test metrics.csv: one row for each step, new columns, and continuing the file of an old run."""

import csv
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minitx.training.loggers import MetricsFile

few_examples = settings(deadline=None, max_examples=25)


def rows(folder):
    """What the file holds: {step: {name: value}}; each step occurs once."""
    with (folder / "metrics.csv").open(newline="", encoding="utf-8") as file:
        found = [
            {name: float(value) for name, value in row.items() if value != ""}
            for row in csv.DictReader(file, strict=True)
        ]
    steps = [row.pop("step") for row in found]
    assert steps == sorted(set(steps))
    return dict(zip(steps, found, strict=True))


def test_what_is_logged_in_parts_is_one_row(tmp_path):
    metrics = MetricsFile(tmp_path)
    metrics.log_metrics({"train/loss": 3.0, "lr": 0.1}, step=1)
    metrics.log_metrics({"val/loss": 2.5}, step=1)
    metrics.log_metrics({"train/loss": 2.0}, step=2)
    metrics.finalize("success")
    assert rows(tmp_path) == {
        1: {"train/loss": 3.0, "lr": 0.1, "val/loss": 2.5},
        2: {"train/loss": 2.0},
    }


@few_examples
@given(
    logged=st.lists(
        st.dictionaries(
            st.sampled_from(["train/loss", "val/loss", "lr", "a,b", 'quo"te', "ä"]),
            st.floats(allow_nan=False),
            min_size=1,
        ),
        min_size=1,
        max_size=8,
    ),
    reopened=st.sets(st.integers(0, 7)),
)
def test_values_read_back_equal_whatever_columns_come(tmp_path_factory, logged, reopened):
    folder = tmp_path_factory.mktemp("run")
    metrics = MetricsFile(folder)
    for step, values in enumerate(logged):
        metrics.log_metrics(values, step)
        if step in reopened:
            metrics.finalize("aborted")
            metrics = MetricsFile(folder)
    metrics.save()
    assert rows(folder) == dict(enumerate(logged))


def test_a_row_is_in_the_file_once_the_next_begins(tmp_path):
    metrics = MetricsFile(tmp_path)
    metrics.log_metrics({"lr": 1.0}, step=1)
    metrics.log_metrics({"lr": 2.0}, step=2)
    assert rows(tmp_path) == {1: {"lr": 1.0}}


def test_a_loss_that_is_no_number_is_kept_as_such(tmp_path):
    metrics = MetricsFile(tmp_path)
    metrics.log_metrics({"train/loss": math.nan}, step=1)
    metrics.save()
    assert math.isnan(rows(tmp_path)[1]["train/loss"])


def test_saving_twice_writes_once(tmp_path):
    metrics = MetricsFile(tmp_path)
    metrics.log_metrics({"lr": 1.0}, step=0)
    metrics.save()
    metrics.save()
    assert rows(tmp_path) == {0: {"lr": 1.0}}


def test_a_resumed_run_writes_its_rows_again(tmp_path):
    metrics = MetricsFile(tmp_path)
    for step in range(1, 8):
        metrics.log_metrics({"lr": float(step)}, step)
    metrics.save()
    again = MetricsFile(tmp_path)
    again.keep_until(5)
    assert list(rows(tmp_path)) == [1, 2, 3, 4, 5]
    again.log_metrics({"lr": 60.0, "new": 1.0}, step=6)
    again.save()
    assert rows(tmp_path)[6] == {"lr": 60.0, "new": 1.0}
    assert rows(tmp_path)[5] == {"lr": 5.0}


@pytest.mark.parametrize("step", [-1, 0, 100])
def test_there_may_be_nothing_to_drop(tmp_path, step):
    MetricsFile(tmp_path).keep_until(step)
    assert not (tmp_path / "metrics.csv").exists()


def test_a_row_that_was_written_in_part_is_dropped_and_written_again(tmp_path):
    metrics = MetricsFile(tmp_path)
    for step in (9, 10):
        metrics.log_metrics({"lr": step / 4}, step)
    metrics.save()
    with (tmp_path / "metrics.csv").open("ab") as file:
        file.write(b"11,2")  # of "11,2.75": it looks complete
    metrics = MetricsFile(tmp_path)
    metrics.keep_until(10)
    metrics.log_metrics({"lr": 2.75}, step=11)
    metrics.save()
    assert rows(tmp_path) == {9: {"lr": 2.25}, 10: {"lr": 2.5}, 11: {"lr": 2.75}}


def test_a_row_that_another_process_began_is_continued(tmp_path):
    metrics = MetricsFile(tmp_path)
    metrics.log_metrics({"val/loss": 2.0}, step=10)
    metrics.save()
    metrics = MetricsFile(tmp_path)
    metrics.log_metrics({"test/loss": 3.0}, step=10)
    metrics.save()
    assert rows(tmp_path) == {10: {"val/loss": 2.0, "test/loss": 3.0}}


def test_the_step_after_a_dropped_row_is_a_row_of_its_own(tmp_path):
    metrics = MetricsFile(tmp_path)
    for step in (1, 2, 3):
        metrics.log_metrics({"lr": float(step)}, step)
    metrics.save()
    metrics = MetricsFile(tmp_path)
    metrics.keep_until(2)
    metrics.log_metrics({"lr": 3.5}, step=3)
    metrics.save()
    assert rows(tmp_path) == {1: {"lr": 1.0}, 2: {"lr": 2.0}, 3: {"lr": 3.5}}
