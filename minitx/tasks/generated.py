"""What the tasks have in common whose sequences are generated, with answers at some positions."""

import torch
from torch import Tensor

from minitx.data.batching.generated import Generated
from minitx.data.batching.windows import IGNORE
from minitx.models.language_model import LanguageModel
from minitx.runs.vocabulary import TextVocabulary
from minitx.tasks.base import Task

SAMPLES = 8  # answers


class GeneratedTask(Task[LanguageModel, TextVocabulary]):
    """Predict the answers at some positions of generated sequences."""

    store: Generated

    def first(self) -> tuple[Tensor, Tensor]:
        """Return inputs and targets of a sequence of val, int64 (T,) each."""
        raise NotImplementedError

    @torch.inference_mode()
    def sample(self, model: LanguageModel, device: torch.device) -> str:
        """Return the model's first answers to a sequence of val, next to the right ones."""
        inputs, targets = self.first()
        logits, _ = model(inputs[None].to(device))
        asked = (targets != IGNORE).nonzero()[:SAMPLES, 0]
        answers = logits[0].argmax(dim=-1).cpu()
        rows = torch.stack([inputs[asked], answers[asked], targets[asked]], dim=1).tolist()
        return "\n".join("{} -> {}    ({})".format(*map(self._word, row)) for row in rows)

    def _word(self, token: int) -> str:
        return self.store.tokenizer.decode([token])
