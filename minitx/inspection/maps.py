"""What a model attends to in one text: `AttentionMaps`, which can be drawn, shown and saved."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors.torch import save as to_safetensors
from torch import Tensor

from minitx.errors import UserError
from minitx.inspection.capture import kind_of
from minitx.inspection.tensors import labelled_map, named_tensors
from minitx.inspection.weights import AttentionWeights
from minitx.runs.atomic_write import write_atomically, write_bytes_atomically, write_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WEIGHTS = "attention.safetensors"
DESCRIPTION = "attention.json"
INFLUENCE = "influence"  # its name among the saved tensors


class AttentionMaps(AttentionWeights):
    """The attention weights of one text, with methods that draw, show and save them."""

    def __repr__(self) -> str:
        return f"AttentionMaps({self.title}, {len(self)} {'map' if len(self) == 1 else 'maps'})"

    def _repr_html_(self) -> str:
        """Return the table that a notebook shows. `show()` shows the maps themselves."""
        rows = "".join(
            f"<tr><td>{escape(each.name)}</td><td>{len(each.heads)}</td>"
            f"<td>{len(each.queries)} × {len(each.keys)}</td></tr>"
            for each in self.maps
        )
        head = "<tr><th>attention</th><th>heads</th><th>queries × keys</th></tr>"
        return f"<table><caption>{escape(self.title)}</caption>{head}{rows}</table>"

    def plot(self, kind: str | None = None) -> "Figure":
        """Return a figure of all maps, or of those of one kind: see `grid.attention_grid`."""
        from minitx.inspection.grid import attention_grid  # matplotlib takes its time

        return attention_grid(self, kind)

    def show(self) -> None:
        """Show the page in a notebook; a click on a head enlarges it: see `page.page`.

        Raises UserError if Jupyter is not installed.
        """
        try:
            from IPython.display import display
        except ImportError:
            raise UserError("maps.show() needs Jupyter, which is not installed") from None
        from minitx.inspection.page import frame, page

        display({"text/html": frame(page(self)), "text/plain": self.title}, raw=True)

    @classmethod
    def from_tensors(
        cls,
        maps: Tensor | Sequence[Tensor] | Mapping[str, Tensor],
        tokens: Sequence[str],
        *,
        output: Sequence[str] | None = None,
        title: str = "attention",
    ) -> "AttentionMaps":
        """Return the maps of any model: weights that another program computed, with its tokens.

        `maps` holds the weights of each layer, (heads, queries, keys) or (1, heads, queries, keys):
        a tensor (layers, heads, queries, keys), a sequence, or a mapping from names. Names are as
        in `find_attention`: "encoder.layers.0.self", "decoder.layers.0.self" or
        "decoder.layers.0.cross"; or as in `find_implicit`: "decoder.layers.0.implicit". Without
        names, the maps are those of a decoder if no token attends to a later one, and of an encoder
        otherwise.

        `tokens` are the labels, which are shown as text. `output` are those of a decoder that has
        other tokens: they label its self-attention and the rows of cross-attention.

        Raises UserError for weights of another shape, for values that are not weights, and for maps
        and labels of different lengths.
        """
        for what, given in (("maps", maps), ("tokens", tokens)):
            if not isinstance(given, Iterable):
                raise UserError(f"{what} is a {type(given).__name__}, not a sequence")
        named = named_tensors(maps)
        if not named:
            raise UserError("there are no maps: give the weights of at least one layer")
        rows = tokens if output is None else output
        labelled = [
            labelled_map(
                name,
                weights,
                tokens if name.startswith("encoder") else rows,
                tokens if name.startswith("encoder") or kind_of(name) == "cross" else rows,
            )
            for name, weights in named.items()
        ]
        return cls(tuple(labelled), title, {})

    def write(self, folder: str | Path, *others: "AttentionMaps") -> list[Path]:
        """Write the files of `minitx inspect` into a folder, and return their paths.

        attention.html is the page, with the maps of `others` next to these. attention.png and .svg
        are the pictures, if there are maps. The others are those of `save`. Raises UserError if the
        folder cannot be written.
        """
        from minitx.drawing.figures import png, svg
        from minitx.inspection.grid import attention_grid  # matplotlib takes its time
        from minitx.inspection.page import page

        folder = Path(folder)
        shown, figure = page(self, *others), attention_grid(self) if self else None
        files = [folder / "attention.html"]
        try:
            write_atomically(files[0], shown)
            files += self.save(folder)
            if figure is not None:
                files += [folder / "attention.png", folder / "attention.svg"]
                write_bytes_atomically(files[-2], png(figure))
                write_atomically(files[-1], svg(figure))
        except OSError as error:
            raise UserError(
                f"{folder} cannot be written ({error.strerror}): choose another folder"
            ) from error
        return files

    def save(self, folder: str | Path) -> tuple[Path, Path]:
        """Write the weights by name, and a description of them as JSON; return both paths.

        The folder is created if it is missing. Files of the same name are replaced atomically.
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
                | ({"unit": each.unit, "mean_of": each.mean_of} if each.implicit else {})
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
