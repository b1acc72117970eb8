"""References for the blocks: torch's own layers, and masks written as loops."""

from collections.abc import Sequence

import torch
from hypothesis import settings
from torch import Tensor, nn

examples = settings(deadline=None, max_examples=20)

# Under each of torch's names our parameters that lie there, one after the other.
Pairs = dict[str, list[Tensor]]


def assert_close(actual: Tensor | Sequence, expected: Tensor | Sequence) -> None:
    """To 1e-5, or where numbers are larger than one to 1e-5 of the largest."""
    if isinstance(expected, Tensor):
        atol = 1e-5 * max(1.0, expected.double().abs().max().item())
        torch.testing.assert_close(actual, expected, rtol=0, atol=atol)
    else:
        for pair in zip(actual, expected, strict=True):
            assert_close(*pair)


def randomise(module: nn.Module) -> nn.Module:
    """Every parameter counts: no bias at zero, no norm at one."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.4)
    return module


def capture(attention: nn.Module) -> list[Tensor]:
    """Switches to the explicit path; the list fills up with the weights of every call."""
    captured: list[Tensor] = []
    attention.on_attention = lambda record: captured.append(record.weights)
    return captured


def attention_pairs(attention: nn.Module) -> Pairs:
    """Our attention as an `nn.MultiheadAttention`."""
    inwards = attention.query, attention.key, attention.value
    return {
        "in_proj_weight": [linear.weight for linear in inwards],
        "in_proj_bias": [linear.bias for linear in inwards],
        **_pairs("out_proj", attention.output),
    }


def block_pairs(block: nn.Module) -> Pairs:
    """Our block as an `nn.TransformerEncoderLayer`, or with cross-attention a decoder layer."""
    attentions = {"self_attn": block.mixer, "multihead_attn": block.cross}
    residuals = [block.mixer_residual, block.cross_residual, block.feed_forward_residual]
    pairs = _pairs("linear1", block.feed_forward.up) | _pairs("linear2", block.feed_forward.down)
    for prefix, attention in attentions.items():
        if attention is not None:
            pairs |= {f"{prefix}.{name}": ours for name, ours in attention_pairs(attention).items()}
    for number, residual in enumerate(filter(None, residuals), start=1):
        pairs |= _pairs(f"norm{number}", residual.norm)
    return pairs


def stack_pairs(stack: nn.Module) -> Pairs:
    """Our stack as an `nn.TransformerEncoder`."""
    pairs = _pairs("norm", stack.final_norm)
    for index, block in enumerate(stack.layers):
        pairs |= {f"layers.{index}.{name}": ours for name, ours in block_pairs(block).items()}
    return pairs


def recurrent_pairs(stack: nn.Module) -> Pairs:
    """Our stack of recurrences as one of torch's with as many layers."""
    return {
        name.replace("l0", f"l{index}"): [parameter]
        for index, layer in enumerate(stack.layers)
        for name, parameter in layer.cell.named_parameters()
    }


def copy_weights(pairs: Pairs, theirs: nn.Module) -> None:
    theirs.load_state_dict({name: torch.cat(ours) for name, ours in pairs.items()})


def assert_same(
    y: Tensor, expected: Tensor, inputs: tuple[Tensor, ...], pairs: Pairs, theirs: nn.Module
) -> None:
    """Outputs agree, and their gradients with respect to every input and every weight."""
    assert_close(y, expected)
    upstream = torch.randn_like(y)
    gradients, expected_gradients = (
        torch.autograd.grad(outputs, inputs, upstream, retain_graph=True)
        for outputs in (y, expected)
    )
    assert_close(gradients, expected_gradients)
    y.backward(upstream)
    expected.backward(upstream)
    for name, parameter in theirs.named_parameters():
        assert_close(torch.cat([ours.grad for ours in pairs[name]]), parameter.grad)


def may_attend(
    queries: int,
    keys: int,
    causal: bool = False,
    window: int | None = None,
    padding: Tensor | None = None,
) -> Tensor:
    """bool (B, queries, keys), B = 1 without padding; the queries are the last positions."""

    def allowed(query: int, key: int, real: bool) -> bool:
        too_late = causal and key > query
        too_far = window is not None and abs(query - key) >= window
        return real and not too_late and not too_far

    rows = [[True] * keys] if padding is None else padding.tolist()
    return torch.tensor(
        [
            [[allowed(query, key, row[key]) for key in range(keys)] for query in positions]
            for row in rows
            for positions in [range(keys - queries, keys)]
        ]
    )


def real_tokens(lengths: list[int], time: int) -> Tensor:
    """Padding bool (B, time), True = a real token: `lengths` of them, then padding."""
    return torch.arange(time) < torch.tensor(lengths)[:, None]


def _pairs(prefix: str, module: nn.Module) -> Pairs:
    return {f"{prefix}.{name}": [parameter] for name, parameter in module.named_parameters()}
