"""Switch heads off, to see what a model does without them.

Source: Michel et al. 2019, "Are Sixteen Heads Really Better than One?", section 2.3: the output
of a head is multiplied by zero.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from minitx.errors import UserError
from minitx.inspection.capture import Attention, check_numbers, find_attention, head_count
from minitx.nn.attention import MultiHeadAttention


@contextmanager
def without_heads(model: nn.Module, heads: Mapping[str, Sequence[int]]) -> Iterator[None]:
    """Switch heads off within a `with` block: {"encoder.layers.0.self": [1, 3]}.

    Names are those of `find_attention`. The output of such a head is zero before the output
    projection. The attention of a recurrent decoder has one head, 0, whose output is the context.
    Blocks can be nested.

    Raises UserError for attention or heads that the model does not have.
    """
    found = find_attention(model)
    with ExitStack() as hooks:
        for name, numbers in heads.items():
            if name not in found:
                raise UserError(
                    f"the model has no attention {name!r}; it has {', '.join(found) or 'none'}"
                )
            attention = found[name]
            off = check_numbers("heads", numbers, range(head_count(attention)), name)
            reader, mask = _features(attention, off)
            hooks.enter_context(reader.register_forward_pre_hook(_zeroing(mask)))
        yield


def _features(attention: Attention, heads: list[int]) -> tuple[nn.Linear, Tensor]:
    """Return the layer that reads the joined heads, and the mask of its inputs from `heads`."""
    if isinstance(attention, MultiHeadAttention):
        reader, width = attention.output, attention.head_dim
    else:
        reader, width = attention.combine, attention.key.out_features  # [context; decoder state]
    mask = torch.zeros(reader.in_features, dtype=torch.bool, device=reader.weight.device)
    mask.unflatten(0, (-1, width))[heads] = True
    return reader, mask


def _zeroing(mask: Tensor) -> Any:
    def zero(module: nn.Module, inputs: tuple[Tensor]) -> Tensor:
        return inputs[0].masked_fill(mask, 0.0)

    return zero
