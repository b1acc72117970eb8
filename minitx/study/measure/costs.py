"""The cost of a model's answer: operations and state are counted, latency is measured."""

from collections.abc import Callable
from statistics import median

import torch
from torch import nn

from minitx.models.model import Model
from minitx.nn.mixers import matrix_flops
from minitx.study.measure.timing import repeated, timed


def operations_per_token(model: nn.Module, length: int) -> float:
    """Return the floating-point operations per token of a forward pass over `length` tokens.

    A multiplication and an addition are two operations. Only products with matrices count:

    - 2 for each weight of a linear map or a recurrence, because it meets every token once. The
      output matrix counts whether it is tied or not. The labels of a classifier meet the text once.
    - the two products of attention, 2 dim each for every key that a query may attend to. These are
      `length` keys, or (length + 1) / 2 on average if attention is causal, or fewer with a window.
      A kernel that computes masked scores does more.

    A module that knows its operations says so by `flops_per_token`, as every mixer does. The source
    and the target of a `Seq2Seq` are `length` long each, and the operations of both are divided by
    the tokens of the target. Embeddings, biases, norms, activations, the softmax, the cumulative
    sums of `Average`, and the additions and tanh of additive attention do not count. Compare Kaplan
    et al. 2020, table 1.
    """
    if own_count := getattr(model, "flops_per_token", None):
        return float(own_count(length))
    if isinstance(model, nn.Linear):
        return float(matrix_flops(model))
    return sum(
        operations_per_token(part, length) / (length if name == "to_labels" else 1)
        for name, part in model.named_children()
    )


def state_size(model: Model, length: int) -> int:
    """Return how many numbers a model keeps of one sequence to continue it after `length` tokens.

    These are the states of its mixers. A `Seq2Seq` also keeps what its decoder reads of a source
    that is `length` long. A `Classifier` continues nothing.
    """
    if model.continued is None:
        return 0
    sizes = (getattr(part, "state_size", None) for part in model.continued.modules())
    return sum(size(length) for size in sizes if size is not None)


@torch.inference_mode()
def latency_ms(model: Model, length: int, seconds: float = 1.0) -> float:
    """Return the milliseconds for one answer in a batch of one, the median of `seconds` of runs.

    The answer of a `LanguageModel` is the token at position `length` of a text whose earlier tokens
    are in its state. The answer of a `Seq2Seq` is the same for a target, with a source of `length`
    tokens that is already encoded. The answer of a `Classifier` is the class of a text of `length`
    tokens. Every answer is the most likely one. The tokens are random, because no cost depends on
    them. The model is left in eval mode.

    Raises ValueError if `length` exceeds the positions of the model.
    """
    model.eval()
    answer = _answer(model, length)
    return 1000 * median(repeated(lambda: timed(answer), seconds))


def _answer(model: Model, length: int) -> Callable[[], int]:
    """Return a function that gives one answer. Everything before the answer is already read."""
    generator = torch.Generator().manual_seed(0)
    device = next(model.parameters()).device

    def text(vocabulary: nn.Embedding) -> torch.Tensor:
        ids = torch.randint(vocabulary.num_embeddings, (1, length), generator=generator)
        return ids.to(device)

    answer = model.answer(*map(text, model.tables))
    return lambda: int(answer())  # a Python number: this waits for a device that works on its own
