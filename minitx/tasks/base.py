"""All that differs between the objectives, around a training loop and folders that do not."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from minitx.config.compose import to_plain
from minitx.config.schema import Config, DecodingConfig
from minitx.data.batching.label_store import LabelStore
from minitx.data.batching.pair_store import PairStore
from minitx.data.batching.recall import Recall
from minitx.data.batching.token_store import TokenStore, default_cache_dir
from minitx.data.module import StepDataModule
from minitx.objectives.base import Objective
from minitx.runs.vocabulary import Vocabulary

EXAMPLE = 32  # tokens, as many as a picture of what is attended to can name


@dataclass
class Evaluation:
    """A model measured on a split.

    `intervals` are 95% bootstrap intervals of some of the `metrics`, `signatures` say how some were
    computed. `outputs` is a plain dict for each example, as outputs_<split>.jsonl holds them.
    `confusion` is int64 (labels, labels), the true class down. `items` are what each item of the
    split adds to a measure of `minitx.metrics.decomposable`: by its name, float64 (items, k).
    `by_position` is of a language model: the nats, and the number of tokens, at each position:
    float64 (context, 2).
    """

    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    signatures: list[str] = field(default_factory=list)
    outputs: list[dict[str, Any]] = field(default_factory=list)
    confusion: np.ndarray | None = None
    items: dict[str, np.ndarray] = field(default_factory=dict)
    by_position: np.ndarray | None = None


class Task(ABC):
    """A task as its config has it: its corpus, opened, and what is made from that.

    Subclasses open the corpus in __init__, which raises UserError where it cannot be had.
    """

    config: Config
    store: TokenStore | PairStore | LabelStore | Recall
    vocabulary: Vocabulary
    labels: tuple[str, ...] = ()  # the classes, in the order of a classifier's outputs

    def __init__(self, config: Config) -> None:
        self.config = config

    @abstractmethod
    def data(self) -> StepDataModule:
        """The batches. Raises UserError for a split that cannot be trained or evaluated on."""

    @abstractmethod
    def objective(self, model: nn.Module, done: Callable[[], float]) -> Objective:
        """What the model is to learn; `done()` is how far the training is, from 0 to 1."""

    @abstractmethod
    def evaluate(self, model: nn.Module, split: str, decoding: DecodingConfig) -> Evaluation:
        """The model, in eval mode, measured on a whole split."""

    @abstractmethod
    def example(self) -> str:
        """A text of val, not too long to be looked at."""

    def sample(self, model: nn.Module, device: torch.device) -> str | None:
        """A text that shows how well the model writes; None from a model that writes nothing.

        It must leave torch's generators alone, so that looking does not change the training.
        """
        return None

    def archive(self) -> dict[str, Any]:
        """The plain values that make a checkpoint complete by itself."""
        return {
            "config": to_plain(self.config),
            **self.vocabulary.to_plain(),
            "data_fingerprint": self.store.fingerprint,
        }

    @property
    def cache_dir(self) -> Path:
        """Where tokenised corpora are kept."""
        named = self.config.data.cache_dir
        return Path(named) if named else default_cache_dir()

    def loader_options(self) -> dict[str, Any]:
        """What all data modules take from the config."""
        trainer = self.config.trainer
        return {
            "steps_an_epoch": trainer.val_every,
            "accumulate": trainer.accumulate,
            "workers": self.config.data.workers,
            "val_tokens": trainer.val_tokens,
        }
