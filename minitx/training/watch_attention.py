"""Attention as it forms: the same text looked at again at every validation."""

from collections.abc import Callable
from pathlib import Path

import lightning as L
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.trainer.states import TrainerFn

from minitx.config.schema import Config
from minitx.errors import UserError
from minitx.inspection.capture import find_attention
from minitx.inspection.reading import attention
from minitx.objectives.base import Objective
from minitx.runs.atomic_write import write_bytes_atomically
from minitx.runs.paths import LAST
from minitx.runs.run import Run
from minitx.runs.vocabulary import Vocabulary

FOLDER = "attention"  # within the run's


class WatchAttention(L.Callback):
    """Draws what the model attends to in a fixed text: attention/step_<step>.png, and to W&B.

    `text()` is what it reads, `config` and `vocabulary` are those of the run. Of a model without
    attention nothing is drawn, and nothing of a text that cannot be looked at. Looking draws no
    random number, so it changes no training.
    """

    def __init__(
        self, folder: Path, config: Config, vocabulary: Vocabulary, text: Callable[[], str]
    ) -> None:
        self.folder, self.config, self.vocabulary, self.text = folder, config, vocabulary, text

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not trainer.is_global_zero or trainer.state.fn != TrainerFn.FITTING:
            return
        assert isinstance(pl_module, Objective)
        if not find_attention(pl_module.model):
            return
        # Drawing is not needed by who trains without watching, and takes its time to import.
        from minitx.drawing.figures import png
        from minitx.inspection.grid import attention_grid

        run = Run(
            pl_module.model,  # type: ignore[arg-type]
            self.vocabulary,
            self.config,
            self.folder / LAST,
            trainer.global_step,
            pl_module.archive["data_fingerprint"],
            pl_module.device,
        )
        try:
            maps = attention(run, self.text())
        except UserError:
            # The corpus chose the text, and it may be all blanks, or longer than the context. A
            # picture is no reason to end a training.
            return
        picture = self.folder / FOLDER / f"step_{trainer.global_step}.png"
        write_bytes_atomically(picture, png(attention_grid(maps)))
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.log_image("attention", [str(picture)])
