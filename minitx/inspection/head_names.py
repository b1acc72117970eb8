"""Names for what a head does, from its measures.

A name is a threshold on a number that was measured, not a proof of what the head is for. In this
order, a head is called

    induction       if its induction score is at least `INDUCTION`, many times that of chance
    previous token, next token, first token, itself
                    after the place that gets more than half of its weight
    aligned         if its queries attend to keys in the same order, with a concordance of at least
                    `ALIGNED` (cross-attention)
    broad           if its breadth is at least `BROAD`: its weights are nearly equal
    focused         if its breadth is at most `FOCUSED`: nearly all weight is on one token
    mixed           otherwise
"""

from collections.abc import Mapping
from dataclasses import fields

from torch import Tensor

from minitx.inspection.measures import HeadMeasures, measure_heads
from minitx.inspection.weights import AttentionMap, MeasuredHead

MEASURES = [field.name for field in fields(HeadMeasures) if field.name not in ("name", "head")]

INDUCTION = 0.3
ALIGNED = 0.8
BROAD = 0.8
FOCUSED = 0.2
FEWEST_KEYS = 4  # in a shorter text the first token and the previous one are nearly the same

DIGITS = 5  # of measures, after the point

_PLACES = {
    "previous": "previous token",
    "next": "next token",
    "first": "first token",
    "same": "itself",
}


def head_name(head: HeadMeasures, keys: int) -> str:
    """Return the name of a head that was measured in a text of `keys` tokens; "" if it has none."""
    if keys < FEWEST_KEYS or head.entropy is None:
        return ""
    if head.induction is not None and head.induction >= INDUCTION:
        return "induction"
    for measure, name in _PLACES.items():
        value = getattr(head, measure)
        if value is not None and value > 0.5:
            return name
    if head.aligned is not None and head.aligned >= ALIGNED:
        return "aligned"
    if head.breadth is not None and head.breadth >= BROAD:
        return "broad"
    return "focused" if head.breadth is not None and head.breadth <= FOCUSED else "mixed"


def measured_heads(
    each: AttentionMap,
    induction: Mapping[str, Tensor] | None = None,
    costs: Mapping[tuple[str, int], float] | None = None,
) -> list[MeasuredHead]:
    """Return the names and the measures of the heads of a map.

    `induction` is that of `measure_heads`; `costs` holds the importance of heads, by the name of
    the map and the number of the head.
    """
    heads = []
    for row in measure_heads([each], induction):
        importance = None if costs is None else costs.get((row.name, row.head))
        values = {name: getattr(row, name) for name in MEASURES} | {"importance": importance}
        known = {key: round(value, DIGITS) for key, value in values.items() if value is not None}
        heads.append({"name": head_name(row, len(each.keys)), **known})
    return heads
