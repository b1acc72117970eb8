"""The formulas of attention for the tables of its numbers, and single numbers calculated in full.

    x, m       the input of attention, and the memory that keys and values come from
    W, b       weights and biases
    q, k, v    queries, keys, values
    s, w, y    scores, weights, outputs

Formulas are written in plain letters, which every terminal shows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from minitx.inspection.capture import Attention, shared_by
from minitx.inspection.steps import Steps
from minitx.nn.attention import MultiHeadAttention, SelfAttention
from minitx.nn.positions import ALiBi, Rotary
from minitx.nn.recurrent_attention import AdditiveAttention, RecurrentAttention

MOST_TERMS = 4  # of a sum that is written out


@dataclass(frozen=True)
class Formulas:
    """How a head computes its numbers, with notes for readers."""

    projections: tuple[str, ...]
    scores: str
    notes: tuple[str, ...]


def formulas_of(attention: Attention, head: int) -> Formulas:
    """Return the formulas, with the biases, norms, positions and masks of this attention."""
    if isinstance(attention, RecurrentAttention):
        return _recurrent(attention)
    memory = "x" if isinstance(attention, SelfAttention) else "m"
    bias = "" if attention.query.bias is None else " + b"
    q, k, v = (
        f"{source} W{name}{bias and bias + name}"
        for source, name in (("x", "q"), (memory, "k"), (memory, "v"))
    )
    slope = alibi_slope(attention, head)
    distance = "" if slope is None else f" - {brief(slope)} |i - j|"
    return Formulas(
        (f"q = {_prepared(attention, q)}", f"k = {_prepared(attention, k)}", f"v = {v}"),
        f"s = q k^T{divisor(attention)}{distance}",
        tuple(_notes(attention, head)),
    )


def divisor(attention: Attention) -> str:
    """Return the division of the products of queries and keys; "" if they are not divided."""
    if isinstance(attention, MultiHeadAttention):
        return f" / sqrt({attention.head_dim})" if attention.scaled else ""
    additive = isinstance(attention, AdditiveAttention)  # which multiplies no queries and keys
    return "" if additive else f" / sqrt({attention.key.out_features})"


def _recurrent(attention: RecurrentAttention) -> Formulas:
    states = "h: a state of the decoder's recurrence; m: the encoder's output, one row per token."
    if isinstance(attention, AdditiveAttention):
        learned = "u: a learned vector (Bahdanau et al. 2015)."
        projections = ("q = h Wq", "k = m Wk + bk", "v = m")
        return Formulas(projections, "s = u . tanh(q + k)", (states, learned))
    scores = f"s = q k^T{divisor(attention)}"
    return Formulas(("q = h", "k = m Wk + bk", "v = m"), scores, (states,))


def _prepared(attention: MultiHeadAttention, projected: str) -> str:
    """Return a query or a key as it enters the product: normalised, then rotated."""
    norm, rotary = _has_norm(attention), _is_rotary(attention)
    if norm or (rotary and "+" in projected):
        projected = f"({projected})"
    return f"{'R ' * rotary}{'rmsnorm' * norm}{projected}"


def _notes(attention: MultiHeadAttention, head: int) -> Iterator[str]:
    if isinstance(attention, SelfAttention):
        yield "x: the input of this attention, one row per token."
    else:
        yield (
            "x: the input of this attention, one row per output token; m: the output of the "
            "encoder."
        )
    if _has_norm(attention):
        yield "rmsnorm: queries and keys are normalised before the product, and shown normalised."
    if not attention.scaled:
        yield "The scores of this model are not scaled: no product is divided by sqrt(D)."
    if _is_rotary(attention):
        yield (
            "R: rotary positions rotate pairs of features by an angle that grows with the "
            "position; queries and keys are shown rotated, as they enter the product."
        )
    if alibi_slope(attention, head) is not None:
        yield "ALiBi: a score falls with the distance |i - j| between its query and its key."
    if isinstance(attention, SelfAttention) and attention.causal:
        yield "A causal mask hides later tokens."
    if isinstance(attention, SelfAttention) and attention.window is not None:
        yield f"A window hides the tokens that are {attention.window} or more away."
    group = shared_by(attention)
    if group > 1:
        first = head - head % group
        yield f"Heads {first} to {first + group - 1} share their keys and values."


def _has_norm(attention: MultiHeadAttention) -> bool:
    return isinstance(attention.query_norm, nn.RMSNorm)


def _is_rotary(attention: MultiHeadAttention) -> bool:
    return isinstance(getattr(attention, "position", None), Rotary)


def alibi_slope(attention: Attention, head: int) -> float | None:
    """Return how much a score loses per token of distance with ALiBi; None without ALiBi."""
    position = getattr(attention, "position", None)
    return float(position.slopes[head]) if isinstance(position, ALiBi) else None


def worked_out(
    attention: Attention, steps: Steps, head: int, queries: Sequence[str], keys: Sequence[str]
) -> tuple[str, str, str]:
    """Return the calculation of one score, one weight and one feature of the output.

    They are those of the last query, with the key that it attends to most. `queries` and `keys`
    are labels. Long sums are cut to a few terms, those with the largest weights if there are any.
    """
    query = len(queries) - 1
    q, scores, weights = (
        part[head, query] for part in (steps.queries, steps.scores, steps.weights)
    )
    key = int(weights.argmax())
    attended = [int(i) for i in steps.allowed[head, query].nonzero()]
    if len(attended) > MOST_TERMS:
        attended.sort(key=lambda i: -float(weights[i]))
    row = _unique_label(queries, query)
    at = f"[{row}, {_unique_label(keys, key)}]"

    score = ""
    if not isinstance(attention, AdditiveAttention):  # its score is not a product of q and k
        product = _sum_of_products(q, steps.keys[head, key])
        slope = alibi_slope(attention, head)
        distance = "" if slope is None else f" - {brief(slope)}*{abs(query - key)}"
        score = f"s{at} = ({product}){divisor(attention)}{distance} = {brief(scores[key])}"
    powers = _sum([f"e^{_factor(scores[i])}" for i in attended])
    weight = f"w{at} = e^{_factor(scores[key])} / ({powers}) = {brief(weights[key])}"
    values, outputs = steps.values[head, :, 0], steps.outputs[head, query]
    mixed = _sum_of_products(weights[attended], values[attended])
    feature = head * len(outputs) + 1
    return score, weight, f"y[{row}, {feature}] = {mixed} = {brief(outputs[0])}"


def _unique_label(labels: Sequence[str], index: int) -> str:
    """Return a label, with its position if the same label occurs again."""
    return labels[index] + (f" ({index + 1})" if labels.count(labels[index]) > 1 else "")


def brief(value: float | Tensor) -> str:
    """Return a number with at most four decimals: 2, 0.787, -1.4142."""
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
