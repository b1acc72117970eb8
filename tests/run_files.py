"""Reading what a run left in its folder."""

import csv
import json

import torch

# A run on 110 tokens: its loss on val falls for 20 steps and then rises. At a rate that is far too
# high it would rise too, but rounding, which differs from machine to machine, would decide when.
OVERFITTING = [
    *[
        "data.train_fraction=0.003",
        "optimizer=adamw",
        "optimizer.lr=0.03",
        "optimizer.warmup_steps=0",
    ],
    "optimizer.schedule=constant",
]
TIMES = {"train_seconds", "cpu_seconds", "tokens_per_second", "peak_memory_mb"}


def files(folder):
    """Every file below a folder, as relative names."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def columns(folder):
    with (folder / "metrics.csv").open(newline="", encoding="utf-8") as file:
        return next(csv.reader(file))


def rows(folder, *, timed=False):
    """metrics.csv as {step: {metric: value}} without empty cells; times only if `timed`."""
    with (folder / "metrics.csv").open(newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    found = {
        int(row.pop("step")): {
            name: float(value)
            for name, value in row.items()
            if value and (timed or name not in TIMES)
        }
        for row in table
    }
    assert len(found) == len(table), "two rows of one step"
    return found


def series(folder, name):
    """One metric as {step: value}, where it was measured."""
    return {step: row[name] for step, row in rows(folder, timed=True).items() if name in row}


def summary(folder, *, timed=True):
    found = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    found.pop("crc32", None)  # of all other values
    return found if timed else {name: v for name, v in found.items() if name not in TIMES}


def checkpoint(folder, name):
    return torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)


def assert_same(one, other, path=""):
    """Equal, bit for bit, through all the dicts and lists of two checkpoints."""
    assert type(one) is type(other), path
    if isinstance(one, dict):
        assert one.keys() == other.keys(), path
        for key in one:
            assert_same(one[key], other[key], f"{path}/{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), path
        for index, pair in enumerate(zip(one, other, strict=True)):
            assert_same(*pair, f"{path}/{index}")
    elif isinstance(one, torch.Tensor):
        assert one.dtype == other.dtype, path
        assert torch.equal(one, other), path
    else:
        assert one == other, path
