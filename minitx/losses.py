"""What sequence to sequence makes small, without the logits of a whole batch in memory."""

import torch.nn.functional as F
from torch import Tensor, nn

from minitx.data.windows import IGNORE

CHUNK = 512  # rows whose logits are in memory at a time


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
    options = nn.LinearCrossEntropyOptions(batch_chunk_size=CHUNK) if large else None
    nats = F.linear_cross_entropy(
        x, weight, t, reduction="sum", ignore_index=IGNORE, options=options
    )
    if not label_smoothing:
        return nats
    rows = F.embedding(t.clamp(min=0), weight) - weight.mean(dim=0)  # (B * T, C)
    return nats + label_smoothing * ((x * rows).sum(dim=-1) * (t != IGNORE)).sum()
