"""The four steps of attention as tables, with formulas and a few numbers calculated in full."""

from collections.abc import Sequence

from torch import Tensor

from minitx.inspection.capture import Attention, shared_by
from minitx.inspection.formulas import divisor, formulas_of, worked_out
from minitx.inspection.steps import Steps
from minitx.inspection.tables import Step, Table


def four_steps(
    attention: Attention,
    steps: Steps,
    heads: Sequence[int],
    queries: Sequence[str],
    keys: Sequence[str],
) -> list[Step]:
    """Return the four steps of some heads, with tokens as the labels of rows and columns."""
    formulas = formulas_of(attention, heads[0])
    scores, weights, outputs = _calculations(attention, steps, heads, queries, keys)
    several, width = len(heads) > 1, steps.values.size(-1)
    of = {head: f" of head {head}" if several else "" for head in heads}
    split = [
        f"head {head} has features {head * width + 1} to {(head + 1) * width}" for head in heads
    ]
    group = shared_by(attention)

    def between(name: str, numbers: Tensor, head: int, weights: bool = False) -> Table:
        allowed = steps.allowed[head]
        return Table(f"{name}{of[head]}", queries, numbers[head], keys, 1, allowed, weights)

    return [
        Step(
            f"1. Queries, keys, values{', split' if several else ''}",
            (*formulas.projections, *([", ".join(split)] if several else [])),
            [
                _features(f"{name}{of[head]}", rows, numbers[head], head // sharing)
                for head in heads
                for name, rows, numbers, sharing in (
                    ("q", queries, steps.queries, 1),
                    ("k", keys, steps.keys, group),
                    ("v", keys, steps.values, group),
                )
            ],
        ),
        Step(
            "2. Scaled scores" if divisor(attention) else "2. Scores",
            [formulas.scores],
            [between("s", steps.scores, head) for head in heads],
            scores,
        ),
        Step(
            "3. Weights: every row sums to one",
            ["w = softmax(s) = e^s / (the sum of e^s over the row)"],
            [between("w", steps.weights, head, weights=True) for head in heads],
            weights,
        ),
        Step(
            "4. Outputs: values in proportion to weights",
            ["y = w v"],
            [_features(f"y{of[head]}", queries, steps.outputs[head], head) for head in heads],
            outputs,
        ),
    ]


def _features(name: str, rows: Sequence[str], numbers: Tensor, head: int) -> Table:
    """Return a table of the features of one head, (rows, D), numbered as in the joined heads."""
    return Table(name, rows, numbers, first=head * numbers.size(-1) + 1)


def _calculations(
    attention: Attention,
    steps: Steps,
    heads: Sequence[int],
    queries: Sequence[str],
    keys: Sequence[str],
) -> list[list[str]]:
    """Return the lines below the scores, below the weights and below the outputs."""
    worked = [worked_out(attention, steps, head, queries, keys) for head in heads]
    prefixes = [f"head {head}: " if len(heads) > 1 else "" for head in heads]
    return [
        [prefix + line for prefix, line in zip(prefixes, lines, strict=True) if line]
        for lines in zip(*worked, strict=True)
    ]
