"""The attention weights of one text, with its tokens: what is drawn, measured and saved."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor

from minitx.config.tasks import OBJECTIVES
from minitx.inspection.capture import kind_of, layer_number
from minitx.inspection.influence import shares
from minitx.inspection.token_labels import visible

MeasuredHead = dict[str, str | float]  # the "name" of a head, and the measures that have a value


class Kind(NamedTuple):
    """The words for a kind of map: a title, a heading, a caption, and names of rows and columns.

    `side` is the kind that takes its place in other models; "" if it is the kind itself.
    """

    title: str
    heading: str
    caption: str
    rows: str
    columns: str
    side: str = ""


CAPTION = "A row for each token: the tokens it attends to."
SUMMED = "A row for each token: the weights of the values that its mixer adds up."
KINDS = {
    "encoder": Kind("Encoder", "Encoder self-attention", CAPTION, "token", "attends to"),
    "decoder": Kind("Decoder", "Decoder self-attention", CAPTION, "token", "attends to"),
    "cross": Kind(
        title="Cross",
        heading="Cross-attention",
        caption="A row for each output token: the source tokens it attends to.",
        rows="output",
        columns="source",
    ),
    "implicit encoder": Kind(
        "Encoder, implicit", "Implicit encoder attention", SUMMED, "token", "adds up", "encoder"
    ),
    "implicit decoder": Kind(
        "Decoder, implicit", "Implicit decoder attention", SUMMED, "token", "adds up", "decoder"
    ),
    "influence": Kind(
        title="Influence",
        heading="Influence (gradient × input)",
        caption="A row for each prediction: the input tokens it depends on.",
        rows="prediction",
        columns="depends on",
    ),
}


def words_for(kind: str) -> Kind:
    """Return the words for a kind of map; other modules than the models of minitx have others."""
    name = visible(kind)
    return KINDS.get(kind, Kind(name, name, CAPTION, "token", "attends to"))


@dataclass(frozen=True)
class AttentionMap:
    """The weights of one attention, one row for each query, with labels.

    name     "encoder.layers.N.self", "decoder.layers.N.self", "decoder.layers.N.cross", or
             "decoder.cross" in a recurrent decoder; with "implicit" for "self" if it is the map of
             a recurrence (see `minitx.inspection.implicit`)
    weights  float32 (heads, queries, keys), on the CPU: rows sum to one over what the mask allows,
             and are zero elsewhere; implicit ones may be negative, and have any sum
    queries  a label for each row: in self-attention the token at that position, in
             cross-attention the output token that the row predicts
    keys     a label for each column: the token at that position
    heads    the numbers of the heads, or of the channels if each of them has a map
    unit     what has a map: a "head" or a "channel"
    mean_of  the number of channels whose mean is the only map; None if it is not a mean
    """

    name: str
    weights: Tensor
    queries: tuple[str, ...]
    keys: tuple[str, ...]
    heads: tuple[int, ...]
    unit: str = "head"
    mean_of: int | None = None

    @property
    def kind(self) -> str:
        """The kind of map: a key of `KINDS`, except "influence"."""
        return kind_of(self.name)

    @property
    def implicit(self) -> bool:
        """Whether it is the map of a recurrence."""
        return self.kind.startswith("implicit")

    @property
    def shares(self) -> Tensor:
        """The weights, or the absolute values of implicit ones as fractions of their row."""
        return shares(self.weights) if self.implicit else self.weights

    @property
    def layer(self) -> int | None:
        """The number of the layer; None if the name has none, as in a recurrent decoder."""
        return layer_number(self.name)


def scales_of(maps: Sequence[AttentionMap]) -> dict[str, float]:
    """Return the largest absolute weight of each kind that has weights below 0 or above 1.

    The colours of such a kind run from minus this weight to this weight, not from 0 to 1.
    """
    ends: dict[str, list[float]] = {}
    for each in maps:
        if each.implicit:
            ends.setdefault(each.kind, []).extend(map(float, each.weights.aminmax()))
    beyond = {kind: found for kind, found in ends.items() if min(found) < 0 or max(found) > 1}
    return {kind: max(map(abs, found)) for kind, found in beyond.items()}


@dataclass(frozen=True)
class Influence:
    """How much each prediction depends on each input token: see `minitx.inspection.influence`.

    weights  float32 (targets, sources), on the CPU: rows sum to one
    targets  a label for each row: the token or the label that is predicted
    sources  a label for each column: the input token
    """

    weights: Tensor
    targets: tuple[str, ...]
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Prediction:
    """What a language model expects after one position of a text.

    token       the label of the token at the position
    candidates  the most probable tokens with their probabilities, the most probable first
    actual      the probability of the token that follows, and how many tokens are more probable;
                None at the last position
    """

    token: str
    candidates: tuple[tuple[str, float], ...]
    actual: tuple[float, int] | None


@dataclass(frozen=True)
class HeadCosts:
    """How much worse `metric` on `split` is without each head, as a fraction: above 0 is worse."""

    metric: str
    split: str
    without: Mapping[tuple[str, int], float]


@dataclass(frozen=True)
class Frame:
    """What the heads of one step attend to.

    plain     the plain values of the file: step, text, tokens, labels, maps
    maps      their maps; the weights are within 0.004 of those of the model
    measured  the heads of each map, measured in the whole text with the weights of the model
    """

    plain: Mapping[str, Any]
    maps: tuple[AttentionMap, ...]
    measured: tuple[list[MeasuredHead], ...]


@dataclass(frozen=True)
class Findings:
    """What was found out about a run and a text.

    induction    the scores (heads,) of `induction_score` by the names of the attentions
    predictions  one for each position of the text
    costs        the importance of heads
    history      what the heads attended to at the validations of the training, in another text
    notes        what readers should know
    """

    induction: Mapping[str, Tensor] | None = None
    predictions: tuple[Prediction, ...] = ()
    costs: HeadCosts | None = None
    history: tuple[Frame, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class AttentionWeights(Mapping[str, Tensor]):
    """All attention weights of one text: a mapping from names to weights, in the model's order.

    title      the run: "transformer on cmudict, step 9,000"
    about      plain values: run, checkpoint, step, task, model, text, output, settings, notes
    influence  None unless it was asked for
    findings   what else was found out about the run and the text; None unless it was asked for
    """

    maps: tuple[AttentionMap, ...]
    title: str
    about: dict[str, Any]
    influence: Influence | None = None
    findings: Findings | None = None

    def __getitem__(self, name: str) -> Tensor:
        for each in self.maps:
            if each.name == name:
                return each.weights
        raise KeyError(f"no map {name!r}; there are {', '.join(self) or 'none'}")

    def __iter__(self) -> Iterator[str]:
        return (each.name for each in self.maps)

    def __len__(self) -> int:
        return len(self.maps)

    @property
    def output_name(self) -> str:
        """The name of the model's output: "label", "next token", or "output"."""
        objective = OBJECTIVES.get(self.about.get("objective", ""))
        return objective.output if objective else "output"
