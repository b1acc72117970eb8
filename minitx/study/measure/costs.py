"""What a model's answer costs: its operations, counted, and its latency, measured."""

from collections.abc import Callable
from statistics import median

import torch
from torch import nn

from minitx.models.classifier import Classifier
from minitx.models.language_model import LanguageModel
from minitx.models.seq2seq import Seq2Seq
from minitx.nn.attention import MultiHeadAttention, SelfAttention
from minitx.nn.recurrent_attention import RecurrentAttention
from minitx.study.measure.timing import repeated, timed

Model = LanguageModel | Seq2Seq | Classifier


def operations_per_token(model: nn.Module, length: int) -> float:
    """Floating-point operations of a forward pass over `length` tokens, for each of the tokens.

    A multiplication and an addition are two operations. Counted are the products with matrices:

    - 2 for each weight of a linear map or a recurrence, the output matrix included, be it tied or
      not: each meets every token once (a classifier's labels only the whole text)
    - attention's two products, 2 dim each for every key that a query may attend to: all `length`
      of them, on average (length + 1) / 2 if it is causal, fewer with a window. A kernel that
      computes what is then masked does more.

    Of a `Seq2Seq` source and target are `length` long each, and the operations of both are shared
    out among the tokens of the target. Left out are embeddings (they are looked up), biases, norms,
    activations, the softmax, the cumulative sums of `Average`, and the additions and tanh of
    additive attention. Compare Kaplan et al. 2020, table 1.
    """
    operations = 0.0
    for name, part in model.named_modules():
        if isinstance(part, nn.Linear):
            operations += 2 * part.weight.numel() / (length if name == "to_labels" else 1)
        elif isinstance(part, nn.RNNBase):
            matrices = (weight for weight in part.parameters() if weight.ndim == 2)
            operations += sum(2 * matrix.numel() for matrix in matrices)
        elif isinstance(part, MultiHeadAttention):
            operations += 4 * part.heads * part.head_dim * _mean_keys(part, length)
        elif isinstance(part, RecurrentAttention):
            operations += 4 * part.key.out_features * length
    return operations


def _mean_keys(attention: MultiHeadAttention, length: int) -> float:
    """How many keys a query may attend to, on average over `length` queries and as many keys."""
    if not isinstance(attention, SelfAttention):
        return length
    reach = attention.window or length
    before = sum(min(position, reach - 1) for position in range(length)) / length
    return 1 + before if attention.causal else 1 + 2 * before  # as many after as before


@torch.inference_mode()
def latency_ms(model: Model, length: int, seconds: float = 1.0) -> float:
    """Milliseconds for one answer to a batch of one: the median over so many seconds.

    The answer of a `LanguageModel` is the token at position `length` of a text whose earlier tokens
    its state holds; of a `Seq2Seq` the same of a target, the encoded source being `length` long as
    well; of a `Classifier` the class of a text of `length` tokens. The likeliest is taken. Tokens
    are random, since no cost depends on them. The model is left in eval mode.

    Raises ValueError where `length` is beyond the positions of the model.
    """
    model.eval()
    answer = _answer(model, length)
    return 1000 * median(repeated(lambda: timed(answer), seconds))


def _answer(model: Model, length: int) -> Callable[[], int]:
    """Return a function that gives one answer; what comes before it is read already."""
    generator = torch.Generator().manual_seed(0)
    device = next(model.parameters()).device

    def text(vocabulary: nn.Embedding) -> torch.Tensor:
        ids = torch.randint(vocabulary.num_embeddings, (1, length), generator=generator)
        return ids.to(device)

    answer = model.answer(*map(text, model.tables))
    return lambda: int(answer())  # a number of Python's: this waits for the device
