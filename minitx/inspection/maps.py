"""What a model attended to in one text, with its tokens: what is drawn, measured and saved."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors.torch import save as to_safetensors
from torch import Tensor

from minitx.config.schema import CLASSIFICATION, LANGUAGE_MODELING
from minitx.errors import UserError
from minitx.runs.paths import write_bytes_atomically, write_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WEIGHTS = "attention.safetensors"
DESCRIPTION = "attention.json"
INFLUENCE = "influence"  # its name among the saved tensors

OUTPUTS = {CLASSIFICATION: "label", LANGUAGE_MODELING: "next token"}


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
class AttentionMaps(Mapping[str, Tensor]):
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
        return OUTPUTS.get(self.about.get("objective", ""), "output")

    def plot(self, kind: str | None = None) -> "Figure":
        """A matplotlib figure of all maps, or of those of one kind: see `grid.attention_grid`."""
        from minitx.inspection.grid import attention_grid  # which knows of maps

        return attention_grid(self, kind)

    def show(self) -> None:
        """Shows the page in a notebook, where heads are enlarged by a click: see `page.page`.

        Raises UserError where there is no Jupyter.
        """
        try:
            from IPython.display import display
        except ImportError:
            raise UserError("maps.show() shows them in Jupyter, which is not installed") from None
        from minitx.inspection.page import frame, page  # which knows of maps

        display({"text/html": frame(page(self)), "text/plain": self.title}, raw=True)

    def save(self, folder: str | Path) -> tuple[Path, Path]:
        """Writes the weights by name, and what they are of as JSON; gives the paths of both files.

        The folder is made where it is missing. Files of the same name are replaced, each at once.
        """
        tensors = dict(self)
        description: dict[str, Any] = {
            "title": self.title,
            "about": self.about,
            "maps": [
                {
                    "name": each.name,
                    "heads": list(each.heads),
                    "queries": list(each.queries),
                    "keys": list(each.keys),
                }
                for each in self.maps
            ],
        }
        if self.influence is not None:
            tensors[INFLUENCE] = self.influence.weights
            description[INFLUENCE] = {
                "targets": list(self.influence.targets),
                "sources": list(self.influence.sources),
            }
        weights, words = Path(folder, WEIGHTS), Path(folder, DESCRIPTION)
        contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
        write_bytes_atomically(weights, to_safetensors(contiguous))
        write_json(words, description)
        return weights, words
