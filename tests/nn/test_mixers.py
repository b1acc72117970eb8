"""Test every mixer: it reads no future tokens and no padding, and has one state."""

import dataclasses
from importlib import import_module

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from references import assert_close, capture, randomise, real_tokens

from minitx.config.schema import MIXERS as DECLARED
from minitx.nn.attention import SelfAttention
from minitx.nn.blocks import Block, Stack
from minitx.nn.feedforward import FeedForward
from minitx.nn.mixers import Shape, find_builder, register
from minitx.nn.positions import ALiBi, Rotary
from minitx.nn.recurrent import CELLS

DIM, HEADS, CONTEXT = 8, 4, 32

ATTENTIONS = {
    "attention": dict,
    "rotary": lambda: {"position": Rotary(DIM // HEADS, CONTEXT)},
    "alibi": lambda: {"position": ALiBi(HEADS)},
    "window": lambda: {"window": 3},
    "window, alibi": lambda: {"window": 3, "position": ALiBi(HEADS)},
    "kv_heads, rotary": lambda: {"kv_heads": 2, "position": Rotary(DIM // HEADS, CONTEXT)},
    "qk_norm": lambda: {"qk_norm": True},
}
EXPLICIT = [f"{name}, explicit" for name in ATTENTIONS]
OTHERS = [name for name in DECLARED if name != "attention"]
MIXERS = [*ATTENTIONS, *EXPLICIT, *OTHERS]

# Operations for one token that are no products with weights. Attention: one score and one value.
# With keys of K and values of V features, a head has a score and a value, too, and products with
# its state, which is K x V.
PRODUCTS = dict.fromkeys(ATTENTIONS, 2 * 2 * DIM)
PRODUCTS["gated_linear"] = HEADS * (2 * (1 + 2) + 4 * 1 * 2)
PRODUCTS["mamba2"] = 2 * 64 + HEADS * (2 * 2 + 4 * 64 * 2)  # heads share their keys
PRODUCTS["gated_deltanet"] = HEADS * (2 * (2 + 2) + 6 * 2 * 2)

any_mixer = pytest.mark.parametrize("name", MIXERS)
causal_or_not = pytest.mark.parametrize("causal", [True, False], ids=["causal", "bidirectional"])
few_examples = settings(deadline=None, max_examples=12)


def make_mixer(name, causal=True):
    if name in OTHERS:
        import_module(DECLARED[name].module)
        options = dataclasses.asdict(DECLARED[name].options())
        return randomise(find_builder(name)(Shape(DIM, CONTEXT, causal), **options)())
    kind = name.removesuffix(", explicit")
    mixer = randomise(SelfAttention(DIM, HEADS, causal=causal, **ATTENTIONS[kind]()))
    if name != kind:
        capture(mixer)
    return mixer


def make_stack(name):
    blocks = [Block(DIM, make_mixer(name), FeedForward(DIM, 16, "gelu")) for _ in range(2)]
    return randomise(Stack(blocks, torch.nn.LayerNorm(DIM)))


def tensors(state):
    """The tensors a state consists of."""
    if isinstance(state, torch.Tensor):
        return [state]
    return [part for part in state or () if part is not None]


@any_mixer
def test_no_gradient_comes_from_a_later_input(name):
    time = 5
    x = torch.randn(2, time, DIM, requires_grad=True)
    y, _ = make_stack(name)(x)
    for t in range(time):
        outputs = y[:, t]
        (gradient,) = torch.autograd.grad(outputs, x, torch.randn_like(outputs), retain_graph=True)
        assert (gradient[:, t + 1 :] == 0).all()
        assert (gradient[:, t] != 0).all()
    assert (gradient[:, 0] != 0).any() == (name != "none")  # the past does reach the last output


@any_mixer
def test_a_later_input_changes_no_output(name):
    time = 6
    stack = make_stack(name)
    x = torch.randn(2, time, DIM)
    y, _ = stack(x)
    for t in range(1, time):
        other = torch.cat([x[:, :t], torch.randn(2, time - t, DIM)], dim=1)
        other_y, _ = stack(other)
        assert torch.equal(other_y[:, :t], y[:, :t])
        assert not torch.allclose(other_y[:, t:], y[:, t:])


@causal_or_not
@any_mixer
@few_examples
@given(lengths=st.lists(st.integers(0, 6), min_size=1, max_size=4), extra=st.integers(0, 2))
def test_padding_changes_nothing(name, causal, lengths, extra):
    time = max(lengths) + extra or 1
    mixer = make_mixer(name, causal)
    x = torch.randn(len(lengths), time, DIM)
    y, state = mixer(x, real_tokens(lengths, time))
    assert y.isfinite().all()
    for row, length in enumerate(lengths):
        if length:
            alone, state_alone = mixer(x[row : row + 1, :length])
            assert_close(y[row : row + 1, :length], alone)
            if name in CELLS:
                at_row = [part[row : row + 1] for part in tensors(state)]
                assert_close(at_row, tensors(state_alone))


@causal_or_not
@any_mixer
def test_a_row_of_padding_gives_zeros_and_finite_gradients(name, causal):
    mixer = make_mixer(name, causal)
    x = torch.randn(2, 4, DIM, requires_grad=True)
    y, _ = mixer(x, real_tokens([3, 0], 4))
    bias = getattr(getattr(mixer, "output", None), "bias", None)
    projected_zero = torch.zeros(DIM) if bias is None else bias
    assert torch.equal(y[1], projected_zero.expand(4, DIM))

    y.backward(torch.randn_like(y))
    for tensor in x, *mixer.parameters():
        assert tensor.grad.isfinite().all()
    assert (x.grad[1] == 0).all()


@any_mixer
@few_examples
@given(
    pieces=st.lists(st.integers(1, 4), min_size=1, max_size=5),
    lengths=st.none() | st.lists(st.integers(0, 12), min_size=2, max_size=2),
)
def test_in_pieces_as_in_one_go(name, pieces, lengths):
    time = sum(pieces)
    mixer = make_mixer(name)
    x = torch.randn(2, time, DIM)
    padding = None if lengths is None else real_tokens(lengths, time)
    whole, final = mixer(x, padding)

    state, outputs, start = None, [], 0
    for length in pieces:
        piece = slice(start, start + length)
        y, state = mixer(x[:, piece], None if padding is None else padding[:, piece], state)
        outputs.append(y)
        start += length
    assert_close(torch.cat(outputs, dim=1), whole)
    assert_close(tensors(state), tensors(final))


@any_mixer
@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad, torch.enable_grad])
@few_examples
@given(pieces=st.lists(st.integers(1, 3), min_size=1, max_size=4), repeats=st.integers(2, 3))
def test_a_state_can_be_continued_more_than_once(name, mode, pieces, repeats):
    mixer, x = make_mixer(name), torch.randn(2, sum(pieces), DIM)
    others = torch.randn(repeats, 2, 2, DIM)  # a different continuation each time
    with mode():
        state = None
        for piece in x.split(pieces, dim=1):
            _, state = mixer(piece, state=state)
        before = [part.clone() for part in tensors(state)]
        continued = []
        for other in others:
            first, after = mixer(other[:, :1], state=state)
            continued.append((first, after))
        # Only now each goes on: what was made in between must not have reached it.
        for other, (first, after) in zip(others, continued, strict=True):
            second, _ = mixer(other[:, 1:], state=after)
            whole, _ = mixer(torch.cat([x, other], dim=1))
            assert_close(torch.cat([first, second], dim=1), whole[:, -2:])
        for part, then in zip(tensors(state), before, strict=True):
            assert torch.equal(part, then)


@any_mixer
def test_padding_may_begin_after_a_state_without_any(name):
    mixer = make_mixer(name)
    x, padding = torch.randn(2, 5, DIM), real_tokens([5, 3], 5)
    whole, _ = mixer(x, padding)
    start, state = mixer(x[:, :3])
    rest, _ = mixer(x[:, 3:], padding[:, 3:], state)
    assert_close(torch.cat([start, rest], dim=1), whole)


@any_mixer
@pytest.mark.parametrize("length", [1, 5])
def test_the_state_is_as_large_as_it_says(name, length):
    mixer = make_mixer(name)
    _, state = mixer(torch.randn(2, length, DIM))
    assert mixer.state_size(length) == sum(part[0].numel() for part in tensors(state))


@any_mixer
def test_every_weight_of_a_matrix_meets_every_token(name):
    mixer = make_mixer(name)
    weights = sum(part.numel() for part in mixer.parameters() if part.ndim == 2)
    products = mixer.flops_per_token(1) - 2 * weights
    assert products == PRODUCTS.get(name.removesuffix(", explicit"), 0)


@pytest.mark.parametrize("name", DECLARED)
def test_half_precision_is_near(name):
    """In long sequences, too: sums of logarithms in bfloat16 would be wrong by several percent."""
    torch.manual_seed(0)
    mixer, x = make_mixer(name), torch.randn(2, 300, DIM)
    expected, _ = mixer(x)
    with torch.autocast("cpu", torch.bfloat16):
        mixed, state = mixer(x)
        continued, _ = mixer(x[:, :1], state=state)
    half, _ = mixer.bfloat16()(x.bfloat16())
    assert half.dtype is torch.bfloat16
    for y in (mixed, half):
        assert (y.float() - expected).norm() <= 0.03 * expected.norm()
    assert continued.isfinite().all()


@pytest.mark.parametrize("name", [name for name in DECLARED if name != "none"])
def test_a_mixer_in_two_directions_takes_no_state(name):
    _, state = make_mixer(name)(torch.randn(2, 3, DIM))
    with pytest.raises(ValueError, match="only a causal mixer can continue from a state"):
        make_mixer(name, causal=False)(torch.randn(2, 1, DIM), state=state)


@pytest.mark.parametrize("name", ["gated_linear", "mamba2", "gated_deltanet"])
@pytest.mark.parametrize(
    ("dim", "heads", "causal", "message"),
    [
        (12, 5, True, r"heads=5 does not divide dim=12; heads may be one of \[1, 2, 3, 4, 6, 12\]"),
        (12, 3, False, r"heads=3: half of the heads read backwards, so heads may be one of \[2, 4"),
        (8, 1, False, r"heads=1: half of the heads read backwards, .* may be one of \[2, 4, 8\]"),
        (5, 1, False, r"heads=1: half of the heads read backwards, so dim=5 must be even"),
    ],
)
def test_heads_that_do_not_fit_are_refused(name, dim, heads, causal, message):
    import_module(DECLARED[name].module)
    make = find_builder(name)(Shape(dim, CONTEXT, causal), heads=heads)
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("name", DECLARED)
def test_a_name_is_registered_once(name):
    import_module(DECLARED[name].module)
    with pytest.raises(ValueError, match=f"mixer {name} is registered twice"):
        register(name, find_builder(name))


def test_an_unknown_mixer_is_named():
    with pytest.raises(ValueError, match=r"no mixer lstn is registered; there are .*lstm"):
        find_builder("lstn")
