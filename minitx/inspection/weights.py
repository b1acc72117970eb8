"""The attention weights of one text, with its tokens: what is drawn, measured and saved."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor

from minitx.config.tasks import OBJECTIVES
from minitx.inspection.capture import kind_of, layer_number
from minitx.inspection.token_labels import visible

MeasuredHead = dict[str, str | float]  # the "name" of a head, and the measures that have a value


class Kind(NamedTuple):
    """The words for a kind of map: a title, a heading, a caption, and names of rows and columns."""

    title: str
    heading: str
    caption: str
    rows: str
    columns: str


CAPTION = "A row for each token: the tokens it attends to."
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
             "decoder.cross" in a recurrent decoder
    weights  float32 (heads, queries, keys), on the CPU: rows sum to one over what the mask allows,
             and are zero elsewhere
    queries  a label for each row: in self-attention the token at that position, in
             cross-attention the output token that the row predicts
    keys     a label for each column: the token at that position
    heads    the numbers of the heads
    """

    name: str
    weights: Tensor
    queries: tuple[str, ...]
    keys: tuple[str, ...]
    heads: tuple[int, ...]

    @property
    def kind(self) -> str:
        """The kind of attention: "encoder" or "decoder" self-attention, or "cross"."""
        return kind_of(self.name)

    @property
    def layer(self) -> int | None:
        """The number of the layer; None if the name has none, as in a recurrent decoder."""
        return layer_number(self.name)


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
