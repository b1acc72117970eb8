"""Compare a mixer with a plain loop over the time steps, written from the formulas of its paper."""

import torch


def assert_is_the_loop(mixer, by_loop, time, state=None):
    """Outputs, states and gradients of the parallel form are those of the loop, in float64."""
    x = torch.randn(2, time, mixer.output.out_features, dtype=torch.float64, requires_grad=True)
    found, expected = mixer(x, state=state), by_loop(mixer, x, state)
    assert_near(found, expected, 1e-10)
    inputs = [x, *mixer.parameters()]
    upstream = [torch.randn_like(part) for part in flat(expected)]
    gradients = (torch.autograd.grad(flat(each), inputs, upstream) for each in (found, expected))
    assert_near(*gradients, 1e-10)


def assert_float32_is_near(mixer, by_loop, time):
    """Outputs and gradients in float32 are those of the loop in float64, to 1e-4 of the largest."""
    x = torch.randn(2, time, mixer.output.out_features)
    upstream = torch.randn_like(x)
    results = []
    for run, dtype in (mixer, torch.float32), (lambda x: by_loop(mixer, x), torch.float64):
        inputs = [x.to(dtype).requires_grad_(), *mixer.to(dtype).parameters()]
        y, _ = run(inputs[0])
        results.append([y, *torch.autograd.grad(y, inputs, upstream.to(dtype))])
    assert_near([each.double() for each in results[0]], results[1], 1e-4)


def one_at_a_time(mixer, x):
    """The outputs and the final state, with one call for each token."""
    state, outputs = None, []
    for token in x.split(1, dim=1):
        y, state = mixer(token, state=state)
        outputs.append(y)
    return flat((torch.cat(outputs, dim=1), state))


def assert_near(actual, expected, tolerance):
    """To the tolerance, or if numbers are larger than one, to this part of the largest."""
    for one, other in zip(flat(actual), flat(expected), strict=True):
        largest = torch.linalg.vector_norm(other, float("inf")).item() if other.numel() else 0.0
        atol = tolerance * max(1.0, largest)
        torch.testing.assert_close(one, other, rtol=0, atol=atol)


def flat(tree):
    """The tensors of a tree of tuples."""
    if isinstance(tree, torch.Tensor):
        return [tree]
    return [tensor for part in tree if part is not None for tensor in flat(part)]
