"""What the objectives over separate examples share: batches of different sizes."""

import warnings
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from minitx.data.batching.batches import RankBatch
from minitx.nn.lengths import keep_on_host
from minitx.objectives.base import Objective


class ExampleObjective(Objective):
    """Sum losses, and divide by the number of targets of the whole step.

    Batches differ in their numbers of targets. The mean of the batches' means would give a target
    of a small batch more weight.
    """

    def __init__(self, *args: Any, label_smoothing: float = 0.0) -> None:
        super().__init__(*args)
        self.label_smoothing = label_smoothing

    def summed_loss(self, batch: Any) -> Tensor:
        """Return the sum over a batch's targets, in nats: a scalar."""
        raise NotImplementedError

    def loss(self, batch: RankBatch[Any]) -> Tensor:
        # Lightning takes the mean over the batches of a step, and DDP that over the devices.
        shares = self.trainer.accumulate_grad_batches * self.trainer.world_size
        return self.summed_loss(batch.batch) * (shares / batch.targets)

    def tokens(self, batch: RankBatch[Any]) -> int:
        return batch.tokens

    def setup(self, stage: str) -> None:
        # Lightning warns if the module overrides this although there is a data module.
        warnings.filterwarnings("ignore", message="You have overridden `transfer_batch_to_device`")

    def transfer_batch_to_device(
        self, batch: Any, device: torch.device, dataloader_idx: int
    ) -> Any:
        """Move a batch, and keep its masks on the host as well, so that nothing waits for them."""
        moved = super().transfer_batch_to_device(batch, device, dataloader_idx)
        for here, there in zip(_paddings(batch), _paddings(moved), strict=True):
            keep_on_host(there, here)
        return moved


def _paddings(batch: Any) -> list[Tensor]:
    """Return the masks of a batch: its bool tensors."""
    leaves = (leaf for leaf in tree_leaves(batch) if isinstance(leaf, Tensor))
    return [leaf for leaf in leaves if leaf.dtype == torch.bool]
