"""The axes of a study's grid in words: "8 heads", "10% of the data", "position=rotary"."""

from typing import Any

from minitx.drawing.formatting import is_number, listed, percent, setting
from minitx.study.results.results import Results

# The noun of a key that grids often vary, in singular and plural.
NOUNS = {
    "model.heads": ("head", "heads"),
    "model.layers": ("layer", "layers"),
    "model.context": ("token of context", "tokens of context"),
    "model.dim": ("feature", "features"),
    "task.pairs": ("pair", "pairs"),
    "data.batch_size": ("sequence", "sequences"),
    "trainer.threads": ("thread", "threads"),
}
TRAIN_FRACTION = "data.train_fraction"


def last_part(key: str) -> str:
    """Return the "heads" of "model.heads"."""
    return key.rpartition(".")[2]


def axis_name(axis: str) -> str:
    """Return the label of an axis: "heads", "fraction of the training data"."""
    if axis == TRAIN_FRACTION:
        return "fraction of the training data"
    return NOUNS[axis][1] if axis in NOUNS else last_part(axis).replace("_", " ")


def spell(axis: str, value: Any) -> str:
    """Format a value at a tick of an axis."""
    return percent(value) if axis == TRAIN_FRACTION else setting(value)


def at(axis: str, *values: Any) -> str:
    """Format one or several points on an axis: "8 heads", "2, 4 and 8 heads"."""
    spelt = listed(spell(axis, value) for value in values)
    if axis == TRAIN_FRACTION:
        return f"{spelt} of the data"
    if axis in NOUNS:
        return f"{spelt} {NOUNS[axis][list(values) != [1]]}"
    return f"{last_part(axis)}={spelt}"


def numeric_axis(results: Results, least: int = 2) -> str | None:
    """Return the first key of the grid that has at least `least` values, all of them numbers."""
    for axis, values in results.study.grid.items():
        if len(values) >= least and all(map(is_number, values)):
            return str(axis)
    return None
