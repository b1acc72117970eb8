"""The threads and kernels that torch computes with."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

from minitx.config.schema import TrainerConfig


@contextmanager
def computing(settings: TrainerConfig) -> Iterator[None]:
    """Compute with the threads and kernels in the settings, and restore the former ones.

    With `fused=False`, a recurrence is computed step by step. With `fused=True`, oneDNN computes
    an LSTM on a CPU, and cuDNN computes an LSTM, GRU or RNN on a GPU, in one call.
    """
    threads = torch.get_num_threads()
    with ExitStack() as restored:
        if settings.threads is not None:
            restored.callback(torch.set_num_threads, threads)
            torch.set_num_threads(settings.threads)
        if not settings.fused:
            restored.enter_context(torch.backends.mkldnn.flags(enabled=False, allow_tf32=None))
            restored.enter_context(torch.backends.cudnn.flags(enabled=False))
        yield
