"""The weights of attention in one text, with its tokens: what is drawn, measured and saved."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from minitx.config.tasks import OBJECTIVES


@dataclass(frozen=True)
class AttentionMap:
    """The weights of one attention, a row a query, and whose they are.

    name     "encoder.layers.N.self", "decoder.layers.N.self", "decoder.layers.N.cross", or
             "decoder.cross" for a recurrent decoder's
    weights  float32 (heads, queries, keys), on the CPU: rows sum to one over what the mask allows,
             and are zero elsewhere
    queries  a label for each row: in self-attention the token at that position, in
             cross-attention the output token that the row predicts
    keys     a label for each column: the token at that position
    heads    which heads these are
    """

    name: str
    weights: Tensor
    queries: tuple[str, ...]
    keys: tuple[str, ...]
    heads: tuple[int, ...]

    @property
    def kind(self) -> str:
        """Whether it is "encoder" or "decoder" self-attention, or "cross"."""
        return "cross" if self.name.endswith("cross") else self.name.split(".")[0]


@dataclass(frozen=True)
class Influence:
    """How much of each prediction is due to each token of the input.

    See `minitx.inspection.influence`.

    weights  float32 (targets, sources), on the CPU: rows sum to one
    targets  a label for each row: the token or the label that is predicted
    sources  a label for each column: the token of the input
    """

    weights: Tensor
    targets: tuple[str, ...]
    sources: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class AttentionWeights(Mapping[str, Tensor]):
    """All that was looked at in one text: a mapping from names to weights, in the model's order.

    title      which run: "transformer on cmudict, step 9,000"
    about      plain values: run, checkpoint, step, task, model, text, output, settings, notes
    influence  where it was asked for
    """

    maps: tuple[AttentionMap, ...]
    title: str
    about: dict[str, Any]
    influence: Influence | None = None

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
        """What the model's output is: "label", "next token", or plainly "output"."""
        objective = OBJECTIVES.get(self.about.get("objective", ""))
        return objective.output if objective else "output"
