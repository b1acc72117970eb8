"""Gradient x input: which tokens of the input a prediction is due to, in any model.

    r(s) = sum over features of  dz/de(s) * e(s)      z a logit, e(s) the embedding of token s

To first order, r(s) is what z would lose if e(s) were zero; where z is linear in the embeddings,
all r(s) add up to z. Their sizes |r(s)|, as shares of their sum, are the influence of the tokens.
It sees no further than the gradient does: a saturated gate hides what it lets through.

Sources: gradients as saliency, Simonyan et al. 2014 (of pixels) and Denil et al. 2014 (of words and
sentences); gradient times input, Shrikumar et al. 2016 (arXiv 1605.01713).
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from minitx.models.classifier import Classifier
from minitx.models.language_model import LanguageModel
from minitx.models.seq2seq import Seq2Seq


def gradient_times_input(logits: Tensor, embedded: Tensor) -> Tensor:
    """What each token adds to each logit, by the formula above: signed, (N, T).

    logits (N,) must have been computed from embedded (1, T, C), and still have their graph.
    """
    rows = []
    for logit in logits:
        (gradient,) = torch.autograd.grad(logit, embedded, retain_graph=True)  # (1, T, C)
        rows.append((gradient * embedded).sum(dim=-1)[0])
    return torch.stack(rows).detach()


def shares(signed: Tensor) -> Tensor:
    """Sizes as shares of their row's sum: (N, T) -> (N, T). A row of nothing stays zero."""
    sizes = signed.abs()
    return sizes / sizes.sum(dim=-1, keepdim=True).clamp(min=torch.finfo(sizes.dtype).tiny)


def token_influence(
    model: LanguageModel | Seq2Seq | Classifier,
    tokens: Tensor,
    targets: Tensor,
    target_in: Tensor | None = None,
) -> Tensor:
    """The influence of every token on every target's logit: float32 (N, T), on the CPU.

    tokens int64 (1, T) is what a language model or a classifier reads, or a source. targets int64
    (N,) are what follows each of the tokens, the label asked for, or what follows each token of
    target_in, int64 (1, N), which is what the decoder reads. Rows sum to one.
    """
    # Somebody may look inside while gradients are off, as they are in a validation; tensors made in
    # inference mode must then be copied. And cuDNN's recurrences have no gradients in eval mode.
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.backends.cudnn.flags(enabled=False),
    ):
        target_in = None if target_in is None else target_in.clone()
        logits, embedded = _target_logits(model, tokens.clone(), targets.clone(), target_in)
        return shares(gradient_times_input(logits, embedded)).to("cpu", torch.float32)


def _target_logits(
    model: LanguageModel | Seq2Seq | Classifier,
    tokens: Tensor,
    targets: Tensor,
    target_in: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """The targets' logits (N,), and the tokens' embeddings (1, T, C) that they were made from.

    Only the logits that are asked for: going back through those of a whole vocabulary each time
    would take longer than all the rest.
    """
    if isinstance(model, Classifier):
        with _leaves(model.embedding.table) as leaves:
            return model(tokens)[0, targets], leaves[0]
    if isinstance(model, LanguageModel):
        with _leaves(model.embedding.table) as leaves:
            features, _ = model.backbone(model.embedding(tokens))
    else:
        with _leaves(model.source_embedding.table) as leaves:
            features = model(tokens, None, target_in, logits=False)
    # Where source and target share a table there are two leaves, and the source's was the first.
    return (features[0] * model.to_logits.weight[targets]).sum(dim=-1), leaves[0]


@contextmanager
def _leaves(table: nn.Embedding) -> Iterator[list[Tensor]]:
    """Within it, what is looked up in the table is kept, and gradients end there.

    Positions are added, and scales applied, behind it: they are no part of a token.
    """
    found: list[Tensor] = []

    def cut(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> Tensor:
        found.append(output.detach().requires_grad_())
        return found[-1]

    with table.register_forward_hook(cut):
        yield found
