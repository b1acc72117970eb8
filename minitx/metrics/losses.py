"""The loss of sequence to sequence, without the logits of a whole batch in memory."""

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
    """Return the sum of -log p(target) over the targets that are not IGNORE, in nats: a scalar.

    features (B, T, C), to_logits from C to the vocabulary without a bias, targets int64 (B, T).

    With a smoothing e, the target has the probability 1 - e, and e is divided equally among all
    tokens (Szegedy et al. 2016, section 7). This adds e * (logit of the target - mean logit) to the
    loss. No logits are needed for it, because the mean logit is the logit of the mean row.
    """
    x, t, weight = features.flatten(0, 1), targets.flatten(), to_logits.weight
    # In chunks, large logits stay in the cache. On a CPU, memory is a third of their cost.
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
    """Return the same as `_of_logits`, computed in chunks of rows.

    torch's own function computes the gradients in the forward pass, from the logits of each chunk.
    Without it, the backward pass computes the logits again.
    """
    if IN_TORCH:
        options = nn.LinearCrossEntropyOptions(batch_chunk_size=CHUNK)
        return F.linear_cross_entropy(
            x, weight, t, reduction="sum", ignore_index=IGNORE, options=options
        )
    nats = [
        # Nothing here is random. To save the generators' state, the host would wait for the device.
        checkpoint(_of_logits, xs, weight, ts, use_reentrant=False, preserve_rng_state=False)
        for xs, ts in zip(x.split(CHUNK), t.split(CHUNK), strict=True)
    ]
    return torch.stack(nats).sum()
