"""What stands beside the numbers of attention: its formulas, and single numbers worked out.

    x, m       what attention reads, and the memory it looks things up in
    W, b       weights and biases
    q, k, v    queries, keys, values
    s, w, y    scores, weights, outputs

They are written in plain letters, for every terminal shows those.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from minitx.inspection.capture import Attention
from minitx.inspection.steps import Steps
from minitx.nn.attention import MultiHeadAttention, SelfAttention
from minitx.nn.positions import ALiBi, Rotary
from minitx.nn.recurrent_attention import AdditiveAttention, RecurrentAttention

MOST_TERMS = 4  # of a sum that is written out


@dataclass(frozen=True)
class Formulas:
    """How a head comes to its numbers, and what there is to know of it."""

    projections: tuple[str, ...]
    scores: str
    notes: tuple[str, ...]


def formulas_of(attention: Attention, head: int) -> Formulas:
    """The formulas, with what this attention has of biases, norms, positions and masks."""
    if isinstance(attention, RecurrentAttention):
        return _recurrent(attention)
    memory = "x" if isinstance(attention, SelfAttention) else "m"
    bias = "" if attention.query.bias is None else " + b"
    q, k, v = (
        f"{source} W{name}{bias and bias + name}"
        for source, name in (("x", "q"), (memory, "k"), (memory, "v"))
    )
    slope = _slope(attention, head)
    distance = "" if slope is None else f" - {brief(slope)} |i - j|"
    return Formulas(
        (f"q = {_prepared(attention, q)}", f"k = {_prepared(attention, k)}", f"v = {v}"),
        f"s = q k^T{divisor(attention)}{distance}",
        tuple(_notes(attention, head)),
    )


def divisor(attention: Attention) -> str:
    """What the products of queries and keys are divided by; nothing where they are left as is."""
    if isinstance(attention, MultiHeadAttention):
        return f" / sqrt({attention.head_dim})" if attention.scaled else ""
    additive = isinstance(attention, AdditiveAttention)  # which multiplies no queries and keys
    return "" if additive else f" / sqrt({attention.key.out_features})"


def _recurrent(attention: RecurrentAttention) -> Formulas:
    states = "h: a state of the decoder's recurrence; m: the encoder's outputs, a row a token."
    if isinstance(attention, AdditiveAttention):
        learned = "u: a learned vector (Bahdanau et al. 2015)."
        projections = ("q = h Wq", "k = m Wk + bk", "v = m")
        return Formulas(projections, "s = u . tanh(q + k)", (states, learned))
    scores = f"s = q k^T{divisor(attention)}"
    return Formulas(("q = h", "k = m Wk + bk", "v = m"), scores, (states,))


def _prepared(attention: MultiHeadAttention, projected: str) -> str:
    """A query or a key as it enters the product: normalised, then turned."""
    norm, turn = _has_norm(attention), _is_rotary(attention)
    if norm or (turn and "+" in projected):
        projected = f"({projected})"
    return f"{'R ' * turn}{'rmsnorm' * norm}{projected}"


def _notes(attention: MultiHeadAttention, head: int) -> Iterator[str]:
    if isinstance(attention, SelfAttention):
        yield "x: what this attention reads, a row a token."
    else:
        yield "x: what this attention reads, a row a token of the output; m: the encoder's output."
    if _has_norm(attention):
        yield "rmsnorm: queries and keys are normalised before the product, and shown so."
    if not attention.scaled:
        yield "The scores of this model are not scaled: no product is divided by sqrt(D)."
    if _is_rotary(attention):
        yield (
            "R: rotary positions turn pairs of features by an angle that grows with the position; "
            "queries and keys are shown turned, as they enter the product."
        )
    if _slope(attention, head) is not None:
        yield "ALiBi: a score falls with the distance |i - j| between its query and its key."
    if isinstance(attention, SelfAttention) and attention.causal:
        yield "A causal mask hides the tokens that come later."
    if isinstance(attention, SelfAttention) and attention.window is not None:
        yield f"A window hides the tokens that are {attention.window} or more away."
    group = attention.heads // attention.kv_heads
    if group > 1:
        first = head - head % group
        yield f"Heads {first} to {first + group - 1} share their keys and values."


def _has_norm(attention: MultiHeadAttention) -> bool:
    return isinstance(attention.query_norm, nn.RMSNorm)


def _is_rotary(attention: MultiHeadAttention) -> bool:
    return isinstance(getattr(attention, "position", None), Rotary)


def _slope(attention: Attention, head: int) -> float | None:
    """How much a score loses for each token of distance, where ALiBi makes it."""
    position = getattr(attention, "position", None)
    return float(position.slopes[head]) if isinstance(position, ALiBi) else None


def worked_out(
    attention: Attention, steps: Steps, head: int, queries: Sequence[str], keys: Sequence[str]
) -> tuple[str, str, str]:
    """A score, a weight and a feature of the output, each with the numbers that it comes from.

    They are the last query's, with the key that it attends to most. `queries` and `keys` are the
    labels. Of long sums a few terms are written out, the weightiest where they have weights.
    """
    query = len(queries) - 1
    q, scores, weights = (
        part[head, query] for part in (steps.queries, steps.scores, steps.weights)
    )
    key = int(weights.argmax())
    attended = [int(i) for i in steps.allowed[head, query].nonzero()]
    if len(attended) > MOST_TERMS:
        attended.sort(key=lambda i: -float(weights[i]))
    row = _told_apart(queries, query)
    at = f"[{row}, {_told_apart(keys, key)}]"

    score = ""
    if not isinstance(attention, AdditiveAttention):  # whose score is no product of q and k
        product = _sum_of_products(q, steps.keys[head, key])
        slope = _slope(attention, head)
        distance = "" if slope is None else f" - {brief(slope)}*{abs(query - key)}"
        score = f"s{at} = ({product}){divisor(attention)}{distance} = {brief(scores[key])}"
    powers = _sum([f"e^{_factor(scores[i])}" for i in attended])
    weight = f"w{at} = e^{_factor(scores[key])} / ({powers}) = {brief(weights[key])}"
    values, outputs = steps.values[head, :, 0], steps.outputs[head, query]
    mixed = _sum_of_products(weights[attended], values[attended])
    feature = head * len(outputs) + 1
    return score, weight, f"y[{row}, {feature}] = {mixed} = {brief(outputs[0])}"


def _told_apart(labels: Sequence[str], index: int) -> str:
    """A label, with its place where there are others like it."""
    return labels[index] + (f" ({index + 1})" if labels.count(labels[index]) > 1 else "")


def brief(value: float | Tensor) -> str:
    """A number with four decimals at most: 2, 0.787, -1.4142."""
    return f"{round(float(value), 4) + 0.0:g}"


def _factor(value: float | Tensor) -> str:
    return brief(value) if brief(value)[0] != "-" else f"({brief(value)})"


def _sum_of_products(left: Tensor, right: Tensor) -> str:
    pairs = zip(left, right, strict=True)
    return _sum([f"{_factor(one)}*{_factor(other)}" for one, other in pairs])


def _sum(terms: Sequence[str]) -> str:
    if len(terms) > MOST_TERMS:
        terms = [*terms[: MOST_TERMS - 1], f"... {len(terms) - MOST_TERMS + 1} more"]
    return " + ".join(terms)
