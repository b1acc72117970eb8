"""Test that threads and kernels are those of the settings, and only for as long as asked."""

import pytest
import torch
from torch import nn

from minitx.config.schema import TrainerConfig
from minitx.training.kernels import computing


def state():
    return (
        torch.get_num_threads(),
        torch._C._get_mkldnn_enabled(),
        torch._C._get_cudnn_enabled(),
        torch.backends.cudnn.benchmark,
        torch.backends.cudnn.deterministic,
    )


def test_threads_and_kernels_are_restored():
    before = state()
    with computing(TrainerConfig(threads=1, fused=False)):
        assert state()[:3] == (1, False, False)
    assert state() == before


def test_they_are_restored_after_an_error():
    before = state()
    with pytest.raises(RuntimeError, match="stop"), computing(TrainerConfig(threads=1)):
        raise RuntimeError("stop")
    assert state() == before


def test_nothing_changes_without_settings():
    before = state()
    with computing(TrainerConfig()):
        assert state() == before


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_a_recurrence_has_the_same_outputs_and_gradients_step_by_step(kind):
    torch.manual_seed(0)
    model, x = kind(8, 16, num_layers=2, batch_first=True), torch.randn(3, 20, 8)
    found = []
    for fused in (True, False):
        model.zero_grad()
        with computing(TrainerConfig(fused=fused)):
            y, _ = model(x)
            y.square().sum().backward()
        found.append([y.detach(), *(weight.grad.clone() for weight in model.parameters())])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
