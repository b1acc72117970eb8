"""Test the gated DeltaNet against plain loops in float64, written from the paper's formulas."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from references import randomise, real_tokens

from minitx.nn.gated_deltanet import (
    CHUNK,
    NORM_EPS,
    DeltaNetState,
    GatedDeltaNet,
    Steps,
    delta_rule_weights,
    gated_delta_rule,
)
from minitx.nn.init import initialise

few_examples = settings(deadline=None, max_examples=12)


def delta_rule_by_loop(steps, memory):
    """S (B, H, V, K) as in equation 10: S <- S (a (I - beta k k^T)) + beta v k^T, and o = S q."""
    q, k, v, log_decay, beta = steps
    s, identity, outputs = memory.mT, torch.eye(k.size(-1), dtype=k.dtype), []
    for t in range(q.size(2)):
        key, strength = k[:, :, t, :, None], beta[:, :, t, None, None]
        decay = log_decay[:, :, t, None, None].exp()
        s = s @ (decay * (identity - strength * key @ key.mT))
        s = s + strength * v[:, :, t, :, None] @ key.mT
        outputs.append((s @ q[:, :, t, :, None])[..., 0])
    return torch.stack(outputs, dim=2), s.mT


def by_loop(mixer, x, state=None):
    """The outputs of a causal mixer, and its state, from its formulas."""
    weight = mixer.convolution.weight  # (tokens, features)
    past = len(weight) - 1
    before = x.new_zeros(len(x), past, weight.size(1)) if state is None else state.inputs
    inputs = torch.cat([before, x @ mixer.to_qkv.weight.T], dim=1)
    read = [(inputs[:, t : t + past + 1] * weight).sum(dim=1) for t in range(x.size(1))]
    heads = torch.stack(read, dim=1).unflatten(-1, (mixer.heads, -1)).transpose(1, 2)
    q, k, v = (heads * heads.sigmoid()).split(mixer.widths, dim=-1)
    q, k = (part / part.norm(dim=-1, keepdim=True) for part in (q, k))
    wa, wb = (x @ part.T for part in mixer.to_steps.weight.chunk(2))
    log_decay = -mixer.log_rate.exp() * (1 + (wa + mixer.step_bias).exp()).log()
    beta = mixer.max_beta / (1 + (-wb).exp())
    size = len(x), mixer.heads, k.size(-1), v.size(-1)
    memory = x.new_zeros(size) if state is None else state.values
    o, memory = delta_rule_by_loop(Steps(q, k, v, log_decay.mT, beta.mT), memory)
    o = o / (o.square().mean(dim=-1, keepdim=True) + NORM_EPS).sqrt() * mixer.norm.weight
    gate = x @ mixer.gate.weight.T
    y = (o.transpose(1, 2).flatten(2) * gate * gate.sigmoid()) @ mixer.output.weight.T
    return y, DeltaNetState(memory, inputs[:, x.size(1) :])


def assert_equal_with_gradients(found, expected, inputs):
    """Outputs and states agree to 1e-10, and the gradients of both by the inputs."""
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)
    wanted = [torch.randn_like(each) for each in found]
    gradients = (torch.autograd.grad(each, inputs, wanted) for each in (found, expected))
    for one, other in zip(*gradients, strict=True):
        atol = 1e-10 * (other.abs().max().item() + 1)
        torch.testing.assert_close(one, other, rtol=1e-10, atol=atol)


def random_steps(time, decay, strength, same_keys=False, key=3, value=5):
    """Steps of two texts and two heads. A decay is exp(-decay) or more, beta below `strength`."""
    like = {"dtype": torch.float64}
    q, k = (torch.randn(2, 2, time, key, **like) for _ in range(2))
    k = k[:, :, :1].expand_as(k) if same_keys else k
    parts = [
        *(torch.nn.functional.normalize(part, dim=-1) for part in (q, k)),
        torch.randn(2, 2, time, value, **like),
        -decay * torch.rand(2, 2, time, **like),
        strength * torch.rand(2, 2, time, **like),
    ]
    return Steps(*(part.requires_grad_() for part in parts))


@few_examples
@given(
    time=st.integers(1, 40),
    chunk=st.integers(1, 50),
    decay=st.sampled_from([0.0, 0.5, 200.0]),
    strength=st.sampled_from([1.0, 2.0]),
    same_keys=st.booleans(),
    continued=st.booleans(),
)
def test_the_rule_in_chunks_is_the_loop(time, chunk, decay, strength, same_keys, continued):
    steps = random_steps(time, decay, strength, same_keys)
    memory = torch.randn(2, 2, 3, 5, dtype=torch.float64, requires_grad=True)
    expected = delta_rule_by_loop(steps, memory if continued else 0 * memory)
    found = gated_delta_rule(steps, memory if continued else None, chunk)
    inputs = [*steps, memory] if continued else steps
    assert_equal_with_gradients(found, expected, inputs)
    if not continued:
        torch.testing.assert_close(delta_rule_weights(steps) @ steps.v, found[0])


@few_examples
@given(
    heads=st.sampled_from([1, 2, 6]),
    expansion=st.integers(1, 2),
    convolution=st.integers(1, 5),
    time=st.sampled_from([1, 2, 7, CHUNK, 2 * CHUNK + 3]),
    negative=st.booleans(),
    continued=st.booleans(),
)
def test_the_mixer_is_the_loop(heads, expansion, convolution, time, negative, continued):
    mixer = randomise(
        GatedDeltaNet(6, heads, expansion, convolution, negative_eigenvalues=negative)
    )
    mixer = mixer.double()
    x = torch.randn(2, time, 6, dtype=torch.float64, requires_grad=True)
    state = None
    if continued:
        state = mixer(torch.randn(2, 5, 6, dtype=torch.float64))[1]
        state = DeltaNetState(*(part.detach() for part in state))
    (y, state_after), (expected, expected_state) = mixer(x, state=state), by_loop(mixer, x, state)
    inputs = [x, *mixer.parameters()]
    assert_equal_with_gradients([y, *state_after], [expected, *expected_state], inputs)


@pytest.mark.parametrize("negative", [False, True])
def test_float32_is_near_float64(negative):
    mixer = GatedDeltaNet(16, 2, negative_eigenvalues=negative)
    initialise(mixer, layers=1)
    x = torch.randn(2, 600, 16, requires_grad=True)
    single, double = x, x.detach().double().requires_grad_()
    y, _ = mixer(single)
    wanted = torch.randn_like(y)
    (gradient,) = torch.autograd.grad(y, single, wanted)
    expected, _ = by_loop(mixer.double(), double)
    (expected_gradient,) = torch.autograd.grad(expected, double, wanted.double())
    for one, other in ((y, expected), (gradient, expected_gradient)):
        torch.testing.assert_close(
            one.double(), other, rtol=1e-4, atol=1e-4 * other.abs().max().item()
        )


def test_reflections_in_half_precision_add_up_no_errors():
    """With beta near 2 and decays near 1, nothing that is wrong in the memory fades."""
    torch.manual_seed(0)
    mixer = GatedDeltaNet(64, 4, negative_eigenvalues=True)
    with torch.no_grad():
        for part in (mixer.to_qkv, mixer.to_steps, mixer.gate, mixer.output):
            part.weight.normal_(std=0.3)
        mixer.to_steps.weight[4:] *= 9
        mixer.initialise(residual_std=None)
        mixer.log_rate.fill_(-6)
        x = (1 + torch.randn(2, 512, 64)) / 2
        expected, _ = mixer(x)
        with torch.autocast("cpu", torch.bfloat16):
            y, _ = mixer(x)
    assert (y - expected).norm() < 0.025 * expected.norm()  # in bfloat16 throughout, 0.04


def test_the_state_is_that_at_the_last_real_token():
    mixer = randomise(GatedDeltaNet(6, 2))
    x, lengths = torch.randn(3, 9, 6), [9, 1, 4]
    _, state = mixer(x, real_tokens(lengths, 9))
    for row, length in enumerate(lengths):
        _, alone = mixer(x[row : row + 1, :length])
        for part, expected in zip(state, alone, strict=True):
            torch.testing.assert_close(part[row], expected[0], rtol=0, atol=1e-5)


def test_half_of_the_heads_read_backwards():
    torch.manual_seed(0)
    mixer = randomise(GatedDeltaNet(8, 4, causal=False)).double()
    one_way = GatedDeltaNet(8, 4).double()
    one_way.load_state_dict(mixer.state_dict())
    x = torch.randn(2, 11, 8, dtype=torch.float64)
    halves = []
    for half in range(2):
        with torch.no_grad():  # the gate of the other heads is closed
            one_way.gate.weight.copy_(mixer.gate.weight).view(2, 4, 8)[1 - half] = 0
        y, _ = by_loop(one_way, x.flip(1) if half else x)
        halves.append(y.flip(1) if half else y)
    torch.testing.assert_close(mixer(x)[0], sum(halves), rtol=1e-10, atol=1e-10)


def test_negative_eigenvalues_can_keep_a_parity():
    """With beta = 2 and one key, each token turns the sign of what the memory holds."""
    time = 3 * CHUNK
    ones = torch.zeros(1, 1, time, 1), torch.ones(1, 1, time, 1)
    bits = torch.randint(2, (1, 1, time)).float()
    steps = Steps(ones[1], ones[1], ones[0], torch.zeros(1, 1, time), 2 * bits)
    o, _ = gated_delta_rule(steps, torch.ones(1, 1, 1, 1))
    assert torch.equal(o[..., 0], 1 - 2 * (bits.cumsum(dim=-1) % 2))


def test_it_starts_as_the_paper_says():
    torch.manual_seed(0)
    mixer = GatedDeltaNet(256, 256)
    initialise(mixer, layers=2)
    rate, step = mixer.log_rate.exp(), torch.nn.functional.softplus(mixer.step_bias)
    assert 0 < rate.min() < 0.5
    assert 15.5 < rate.max() <= 16
    assert rate.mean().item() == pytest.approx(8, rel=0.1)
    assert 0.00099 < step.min() < 0.0012
    assert 0.08 < step.max() < 0.101
    assert step.log().mean().item() == pytest.approx(math.log(0.01), rel=0.05)
    for linear, std in ((mixer.to_qkv, 0.02), (mixer.gate, 0.02), (mixer.output, 0.01)):
        assert linear.weight.std().item() == pytest.approx(std, rel=0.03)
        assert linear.bias is None


def test_operations_are_constant_per_token_beyond_a_chunk():
    mixer = GatedDeltaNet(8, 2, 2)
    assert mixer.flops_per_token(8000) == mixer.flops_per_token(CHUNK)
    matrices = 2 * 8 * (16 + 16 + 4 + 16 + 16) + 2 * 4 * (16 + 16)  # and the convolution
    # k k^T, the solution and (q k^T) U for half of a chunk, then three products with the memory.
    before = (CHUNK - 1) / 2
    in_chunk = before * 2 * (4 + (4 + 8)) + (before + 1) * 2 * (4 + 8)
    assert mixer.flops_per_token(8000) == matrices + 2 * (in_chunk + 3 * 2 * 4 * 8)
