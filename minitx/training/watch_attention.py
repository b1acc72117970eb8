"""Draw attention as it forms: one text, at every validation."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.trainer.states import TrainerFn

from minitx.config.schema import Config
from minitx.errors import UserError
from minitx.inspection.capture import find_attention
from minitx.inspection.findings import model_induction
from minitx.inspection.history import HISTORY, add_frame
from minitx.inspection.reading import maps_alone
from minitx.runs.atomic_write import write_bytes_atomically
from minitx.runs.paths import LAST
from minitx.runs.run import StoredRun
from minitx.runs.vocabulary import Vocabulary
from minitx.training.outputs import Output
from minitx.training.trackers import log_image

FOLDER = "attention"  # within the run's
SAMPLES = 4  # texts of random tokens to measure induction on


class WatchAttention(Output):
    """Draw the attention maps of a fixed text: to attention/step_<step>.png, and to W&B.

    attention/history.json keeps small copies of all these maps, for the slider of the page.
    `text()` returns the text; `config` and `vocabulary` belong to the run. Nothing is drawn for a
    model without attention, or for a text that the model cannot read. No random number is drawn,
    so the training does not change.
    """

    def __init__(
        self, folder: Path, config: Config, vocabulary: Vocabulary, text: Callable[[], str]
    ) -> None:
        self.folder, self.config, self.vocabulary, self.text = folder, config, vocabulary, text

    def on_validation_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        if not trainer.is_global_zero or trainer.state.fn != TrainerFn.FITTING:
            return
        if not find_attention(pl_module.model):
            return
        # Importing matplotlib takes a while, and other runs do not need it.
        from minitx.drawing.figures import png
        from minitx.inspection.grid import attention_grid

        run = StoredRun(
            pl_module.model,
            self.vocabulary,
            self.config,
            self.folder / LAST,
            trainer.global_step,
            pl_module.archive["data_fingerprint"],
            pl_module.device,
        )
        # A model that is compiled would be compiled again for the switch and the new shapes.
        with torch.compiler.set_stance("force_eager"):
            try:
                maps = maps_alone(run, self.text())
            except UserError:
                # A text of the corpus may be blank or longer than the context. A missing picture
                # is no reason to end the run.
                return
            induction = model_induction(run, SAMPLES)
        with self.writing_output():
            add_frame(self.folder / HISTORY, maps, trainer.global_step, induction)
        picture = self.folder / FOLDER / f"step_{trainer.global_step}.png"
        with self.writing_output():
            write_bytes_atomically(picture, png(attention_grid(maps)))
            log_image(trainer, "attention", picture)
