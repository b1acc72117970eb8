"""The four steps of attention as tables, with formulas and a few numbers calculated in full."""

from collections.abc import Sequence
from dataclasses import dataclass

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
    """Return the four steps of some heads, with tokens as the labels of rows and columns."""
    formulas = formulas_of(attention, heads[0])
    tables = _Tables(steps, heads, queries, keys)
    scores, weights, outputs = _calculations(attention, steps, heads, queries, keys)
    width = steps.values.size(-1)
    split = [
        f"head {head} has features {head * width + 1} to {(head + 1) * width}" for head in heads
    ]
    split = [", ".join(split)] if len(heads) > 1 else []
    group = 1  # how many heads share keys and values
    if isinstance(attention, MultiHeadAttention):
        group = attention.heads // attention.kv_heads
    return [
        Step(
            f"1. Queries, keys, values{', split' if split else ''}",
            (*formulas.projections, *split),
            [
                table
                for head in heads
                for table in (
                    tables.features("q", head, queries, steps.queries),
                    tables.features("k", head, keys, steps.keys, group),
                    tables.features("v", head, keys, steps.values, group),
                )
            ],
        ),
        Step(
            "2. Scaled scores" if divisor(attention) else "2. Scores",
            [formulas.scores],
            [tables.between("s", head, steps.scores) for head in heads],
            scores,
        ),
        Step(
            "3. Weights: every row sums to one",
            ["w = softmax(s) = e^s / (the sum of e^s over the row)"],
            [tables.between("w", head, steps.weights, weights=True) for head in heads],
            weights,
        ),
        Step(
            "4. Outputs: values in proportion to weights",
            ["y = w v"],
            [tables.features("y", head, queries, steps.outputs) for head in heads],
            outputs,
        ),
    ]


@dataclass(frozen=True)
class _Tables:
    """Makes the tables of single heads."""

    steps: Steps
    heads: Sequence[int]
    queries: Sequence[str]
    keys: Sequence[str]

    def features(
        self, name: str, head: int, rows: Sequence[str], numbers: Tensor, shared_by: int = 1
    ) -> Table:
        """Return a table of features (H, rows, D), which `shared_by` heads have in common."""
        first = head // shared_by * numbers.size(-1) + 1
        return Table(self._name(name, head), rows, numbers[head], first=first)

    def between(self, name: str, head: int, numbers: Tensor, weights: bool = False) -> Table:
        """Return a table of numbers (H, Q, K) between queries and keys."""
        return Table(
            self._name(name, head),
            self.queries,
            numbers[head],
            columns=self.keys,
            allowed=self.steps.allowed[head],
            weights=weights,
        )

    def _name(self, name: str, head: int) -> str:
        return f"{name} of head {head}" if len(self.heads) > 1 else name


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
