"""Implicit attention: the weights with which a recurrence adds up the values of tokens.

The mixing step of a minGRU, a gated DeltaNet and others is linear in its values, so that it is
y_t = sum over s of w_ts v_s, as in attention. The weights can be written out, although the model
never does: `minitx.nn.mixers.Mixer.implicit_map`. They may be negative, and a row need not sum to
one. The gate, the norm and the projection after the sum are not in them.

Sources: Katharopoulos et al. 2020, arXiv 2006.16236, for linear attention; Ali et al. 2024, "The
hidden attention of Mamba models", arXiv 2403.01590.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from minitx.errors import UserError
from minitx.inspection.capture import check_numbers, map_name
from minitx.nn.mixers import Mixer


class ImplicitMap(NamedTuple):
    """The weights of one mixer and one text: float32 (heads, T, T), on the CPU.

    `heads`, `unit` and `mean_of` are those of `minitx.inspection.weights.AttentionMap`.
    """

    weights: Tensor
    heads: tuple[int, ...]
    unit: str
    mean_of: int | None


def find_implicit(model: nn.Module) -> dict[str, Mixer]:
    """Return every mixer with implicit attention by the name of its map, in the order of the model.

    Names are "encoder.layers.N.implicit" and "decoder.layers.N.implicit".
    """
    return {
        map_name(path, "implicit"): module
        for path, module in model.named_modules()
        if isinstance(module, Mixer) and type(module).implicit_map is not Mixer.implicit_map
    }


@contextmanager
def capture_implicit(
    mixers: dict[str, Mixer], heads: Sequence[int] | None = None
) -> Iterator[dict[str, ImplicitMap]]:
    """Capture the maps of mixers, by their names, while a model reads one text in a `with` block.

    `heads` are the heads to keep, or the channels of a mixer that has a map per channel. Without
    `heads`, such a mixer has one map, the mean over its channels.

    Raises UserError for heads that a mixer does not have, and if a map does not fit into memory.
    """
    captured: dict[str, ImplicitMap] = {}
    with ExitStack() as hooks:
        for name, mixer in mixers.items():
            keep = _keeper(name, heads, captured)
            hooks.enter_context(mixer.register_forward_pre_hook(keep))
        yield captured


def _keeper(
    name: str, heads: Sequence[int] | None, captured: dict[str, ImplicitMap]
) -> Callable[[Mixer, tuple[Any, ...]], None]:
    """Return a hook that keeps the map of what a mixer is about to read."""

    @torch.no_grad()
    def keep(mixer: Mixer, inputs: tuple[Any, ...]) -> None:
        x, padding, *_ = (*inputs, None)
        try:
            weights = mixer.implicit_map(x, padding)[0][0]  # (H, T, T)
        except ValueError as error:
            raise UserError(f"{name}: {error}") from error
        unit = "channel" if mixer.per_channel else "head"
        if heads is None and mixer.per_channel:
            mean = weights.mean(dim=0, keepdim=True)
            captured[name] = ImplicitMap(_kept(mean), (0,), unit, len(weights))
            return
        known = range(len(weights))
        kept = list(known) if heads is None else check_numbers("heads", heads, known, name)
        captured[name] = ImplicitMap(_kept(weights[kept]), tuple(kept), unit, None)

    return keep


def _kept(weights: Tensor) -> Tensor:
    with torch.inference_mode(False):  # a tensor of inference mode cannot be used in autograd
        return weights.to("cpu", torch.float32, copy=True)
