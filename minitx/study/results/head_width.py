"""Pair models whose heads are equally wide."""

from itertools import pairwise

from minitx.study.results.conditions import Condition, scored_conditions
from minitx.study.results.results import Results

HEADS, WIDTH = "model.heads", "model.dim"


def same_head_width(results: Results) -> dict[float, list[tuple[Condition, Condition]]]:
    """Return pairs of models by the width of their heads, the widest first.

    The second of a pair has the next larger number of heads. Models of one arm have one width, so
    pairs are of different arms.
    """
    by_width: dict[float, list[Condition]] = {}
    for condition in scored_conditions(results):
        width = results.settings.get(condition.arm, {}).get(WIDTH)
        if HEADS in condition.axes and width is not None:
            by_width.setdefault(width / condition.on(HEADS), []).append(condition)
    return {
        width: list(pairwise(sorted(found, key=lambda each: each.on(HEADS))))
        for width, found in sorted(by_width.items(), reverse=True)
        if len(found) > 1
    }
