"""What sequence to sequence makes small, without the logits of a whole batch in memory."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from minitx.data.batching.windows import IGNORE

CHUNK = 512  # rows whose logits are in memory at a time
IN_TORCH = hasattr(nn, "LinearCrossEntropyOptions")  # since 2.13, torch has the loss in chunks


def summed_cross_entropy(
    features: Tensor, to_logits: nn.Linear, targets: Tensor, label_smoothing: float = 0.0
) -> Tensor:
    """Sum of -log p(target) over the targets that are not IGNORE, in nats: a scalar.

    features (B, T, C), to_logits from C to the vocabulary without a bias, targets int64 (B, T).

    With a smoothing e, a target has the probability 1 - e, and every token e / vocabulary beside
    (Szegedy et al. 2016, section 7). Because the mean of the logits is the logit of the mean row,
    that adds e * (logit of the target - mean logit) to the loss, for which no logits are needed.
    """
    x, t, weight = features.flatten(0, 1), targets.flatten(), to_logits.weight
    # In chunks, large logits never go through memory, which on a CPU is a third of their cost.
    large = weight.size(0) > weight.size(1)
    nats = _in_chunks(x, weight, t) if large else _of_logits(x, weight, t)
    if not label_smoothing:
        return nats
    rows = F.embedding(t.clamp(min=0), weight) - weight.mean(dim=0)  # (B * T, C)
    return nats + label_smoothing * ((x * rows).sum(dim=-1) * (t != IGNORE)).sum()


def _of_logits(x: Tensor, weight: Tensor, t: Tensor) -> Tensor:
    """x (N, C), weight (vocabulary, C), t int64 (N,) -> the sum over all rows, in nats."""
    return F.cross_entropy(F.linear(x, weight), t, ignore_index=IGNORE, reduction="sum")


def _in_chunks(x: Tensor, weight: Tensor, t: Tensor) -> Tensor:
    """The same as `_of_logits`, a chunk of rows at a time.

    torch's own computes the gradients in the forward pass, while it has a chunk's logits at hand.
    Without it, the backward pass computes the logits again.
    """
    if IN_TORCH:
        options = nn.LinearCrossEntropyOptions(batch_chunk_size=CHUNK)
        return F.linear_cross_entropy(
            x, weight, t, reduction="sum", ignore_index=IGNORE, options=options
        )
    nats = [
        # Nothing here is random, and to keep the generators' state the host waits for the device.
        checkpoint(_of_logits, xs, weight, ts, use_reentrant=False, preserve_rng_state=False)
        for xs, ts in zip(x.split(CHUNK), t.split(CHUNK), strict=True)
    ]
    return torch.stack(nats).sum()
