"""What a model attends to in one text: `AttentionMaps`, which can be drawn, shown and saved."""

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors.torch import save as to_safetensors

from minitx.errors import UserError
from minitx.inspection.weights import AttentionWeights
from minitx.runs.atomic_write import write_bytes_atomically, write_json

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
