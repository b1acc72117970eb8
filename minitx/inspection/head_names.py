"""Names for what a head does, from its measures.

A name is a threshold on a number that was measured, not a proof of what the head is for. In this
order, a head is called

    induction       if its induction score is at least `INDUCTION`, many times that of chance
    previous token, next token, first token, itself
                    after the place that gets more than half of its weight
    broad           if its breadth is at least `BROAD`: its weights are nearly equal
    focused         if its breadth is at most `FOCUSED`: nearly all weight is on one token
    mixed           otherwise
"""

from minitx.inspection.measures import HeadMeasures

INDUCTION = 0.3
BROAD = 0.8
FOCUSED = 0.2
FEWEST_KEYS = 4  # in a shorter text the first token and the previous one are nearly the same

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
    if head.breadth is not None and head.breadth >= BROAD:
        return "broad"
    return "focused" if head.breadth is not None and head.breadth <= FOCUSED else "mixed"
