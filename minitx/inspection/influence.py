"""Gradient x input: which input tokens a prediction depends on, in any model.

    r(s) = sum over features of  dz/de(s) * e(s)      z a logit, e(s) the embedding of token s

To first order, r(s) is what z would lose if e(s) were zero. If z is linear in the embeddings, all
r(s) add up to z. The influence of a token is its |r(s)| as a fraction of their sum. The method sees
no further than the gradient: a saturated gate hides what it lets through.

Sources: gradients as saliency, Simonyan et al. 2014 (of pixels) and Denil et al. 2014 (of words and
sentences); gradient times input, Shrikumar et al. 2016 (arXiv 1605.01713).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import singledispatch

import torch
from torch import Tensor, nn

from minitx.models.classifier import Classifier
from minitx.models.language_model import LanguageModel
from minitx.models.model import Model
from minitx.models.seq2seq import Seq2Seq


def gradient_times_input(logits: Tensor, embedded: Tensor) -> Tensor:
    """Return what each token adds to each logit, by the formula above: signed, (N, T).

    logits (N,) must have been computed from embedded (1, T, C), and still have their graph.
    """
    rows = []
    for logit in logits:
        (gradient,) = torch.autograd.grad(logit, embedded, retain_graph=True)  # (1, T, C)
        rows.append((gradient * embedded).sum(dim=-1)[0])
    return torch.stack(rows).detach()


def shares(signed: Tensor) -> Tensor:
    """Return absolute values as fractions of the sum of their row: (N, T) -> (N, T).

    A row of zeros stays zero.
    """
    sizes = signed.abs()
    return sizes / sizes.sum(dim=-1, keepdim=True).clamp(min=torch.finfo(sizes.dtype).tiny)


def token_influence(
    model: Model,
    tokens: Tensor,
    targets: Tensor,
    target_in: Tensor | None = None,
) -> Tensor:
    """Return the influence of every token on the logit of every target: float32 (N, T), on the CPU.

    tokens int64 (1, T) is the input of a language model or a classifier, or the source of a
    sequence-to-sequence model. targets int64 (N,) are the tokens that follow each input token, one
    label, or the tokens that follow each token of target_in, int64 (1, N), which the decoder reads.
    Rows sum to one.
    """
    # Gradients may be off here, as during validation. Tensors made in inference mode must be
    # copied. cuDNN's recurrences have no gradients in eval mode.
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.backends.cudnn.flags(enabled=False),
    ):
        target_in = None if target_in is None else target_in.clone()
        logits, embedded = _target_logits(model, tokens.clone(), targets.clone(), target_in)
        return shares(gradient_times_input(logits, embedded)).to("cpu", torch.float32)


@singledispatch
def _target_logits(
    model: nn.Module, tokens: Tensor, targets: Tensor, target_in: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Return the logits of the targets (N,), and the embeddings of the tokens (1, T, C).

    Other logits are not computed: a backward pass through those of a whole vocabulary would take
    longer than everything else.
    """
    raise TypeError(f"influence is not defined for a {type(model).__name__}")


@_target_logits.register
def _(model: Classifier, tokens: Tensor, targets: Tensor, _: None) -> tuple[Tensor, Tensor]:
    with _leaves(model.embedding.table) as leaves:
        return model(tokens)[0, targets], leaves[0]


@_target_logits.register
def _(model: LanguageModel, tokens: Tensor, targets: Tensor, _: None) -> tuple[Tensor, Tensor]:
    with _leaves(model.embedding.table) as leaves:
        features, _ = model(tokens, logits=False)
    return _logits_of(targets, features, model.to_logits), leaves[0]


@_target_logits.register
def _(model: Seq2Seq, tokens: Tensor, targets: Tensor, target_in: Tensor) -> tuple[Tensor, Tensor]:
    with _leaves(model.source_embedding.table) as leaves:
        features = model(tokens, None, target_in, logits=False)
    # If source and target share a table there are two leaves. The first is that of the source.
    return _logits_of(targets, features, model.to_logits), leaves[0]


def _logits_of(targets: Tensor, features: Tensor, to_logits: nn.Linear) -> Tensor:
    """targets (N,), features (1, N, C) -> (N,)."""
    return (features[0] * to_logits.weight[targets]).sum(dim=-1)


@contextmanager
def _leaves(table: nn.Embedding) -> Iterator[list[Tensor]]:
    """Collect what is looked up in the table within a `with` block, and end gradients there.

    Positions and scales are applied after it: they are not part of a token.
    """
    found: list[Tensor] = []

    def cut(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> Tensor:
        found.append(output.detach().requires_grad_())
        return found[-1]

    with table.register_forward_hook(cut):
        yield found
