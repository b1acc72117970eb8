"""The four steps of attention as tables, with their formulas and a few numbers worked out."""

from collections.abc import Sequence

from torch import Tensor

from minitx.inspection.capture import Attention
from minitx.inspection.formulas import divisor, formulas_of, worked_out
from minitx.inspection.steps import Steps
from minitx.inspection.tables import Step, Table
from minitx.nn.attention import MultiHeadAttention


def four_steps(
    attention: Attention,
    steps: Steps,
    heads: Sequence[int],
    queries: Sequence[str],
    keys: Sequence[str],
) -> list[Step]:
    """The four steps of some heads side by side, rows and columns labelled with tokens."""
    formulas = formulas_of(attention, heads[0])
    worked = [worked_out(attention, steps, head, queries, keys) for head in heads]
    whose = {head: f"head {head}: " if len(heads) > 1 else "" for head in heads}
    scores, weights, outputs = (
        [whose[head] + line for head, line in zip(heads, lines, strict=True) if line]
        for lines in zip(*worked, strict=True)
    )
    width = steps.values.size(-1)
    of_head = {head: f" of head {head}" if len(heads) > 1 else "" for head in heads}

    group = 1  # so many heads share keys and values
    if isinstance(attention, MultiHeadAttention):
        group = attention.heads // attention.kv_heads
    parts = [
        f"head {head} has features {head * width + 1} to {(head + 1) * width}" for head in heads
    ]
    split = [", ".join(parts)] if len(heads) > 1 else []

    def features(
        name: str, rows: Sequence[str], numbers: Tensor, head: int, shared_by: int = 1
    ) -> Table:
        first = head // shared_by * width + 1
        return Table(name + of_head[head], rows, numbers[head], first=first)

    def between(name: str, numbers: Tensor, head: int) -> Table:
        return Table(
            name + of_head[head],
            queries,
            numbers[head],
            columns=keys,
            allowed=steps.allowed[head],
            weights=numbers is steps.weights,
        )

    projected = [
        table
        for head in heads
        for table in (
            features("q", queries, steps.queries, head),
            features("k", keys, steps.keys, head, group),
            features("v", keys, steps.values, head, group),
        )
    ]
    return [
        Step(
            f"1. Queries, keys, values{', split' if split else ''}",
            (*formulas.projections, *split),
            projected,
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
            [between("w", steps.weights, head) for head in heads],
            weights,
        ),
        Step(
            "4. Outputs: values in proportion to weights",
            ["y = w v"],
            [features("y", queries, steps.outputs, head) for head in heads],
            outputs,
        ),
    ]
