"""What differs between objectives; the training loop and the run folder are the same for all."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import isnan
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import nn

from minitx.config.compose import to_plain
from minitx.config.home import default_cache_dir
from minitx.config.schema import Config, DecodingConfig, OptimizerConfig
from minitx.data.batching.generated import Generated
from minitx.data.batching.label_store import LabelStore
from minitx.data.batching.pair_store import PairStore
from minitx.data.batching.token_store import TokenStore
from minitx.data.module import StepDataModule
from minitx.metrics.scores import Score
from minitx.objectives.base import Objective
from minitx.runs.vocabulary import Vocabulary

EXAMPLE = 32  # tokens, the most that a picture of attention can label

AnyModel = TypeVar("AnyModel", bound=nn.Module)
AnyVocabulary = TypeVar("AnyVocabulary", bound=Vocabulary)


@dataclass
class Evaluation:
    """A model measured on a split.

    intervals    95% bootstrap intervals of some of the metrics
    signatures   how some of the metrics were computed
    outputs      a plain dict for each example, as outputs_<split>.jsonl holds them
    confusion    int64 (labels, labels), a row for each true class
    items        what each item of the split adds to a measure of `minitx.metrics.decomposable`, by
                 the measure's name: float64 (items, k)
    clusters     the cluster of each item, whose items resemble each other (a scene, a family of
                 words): its number, int64 (items,)
    by_position  of a language model, the nats and the number of tokens at each position: float64
                 (context, 2)
    """

    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    signatures: list[str] = field(default_factory=list)
    outputs: list[dict[str, Any]] = field(default_factory=list)
    confusion: np.ndarray | None = None
    items: dict[str, np.ndarray] = field(default_factory=dict)
    clusters: np.ndarray | None = None
    by_position: np.ndarray | None = None

    @classmethod
    def of_scores(
        cls, scores: dict[str, Score], clusters: np.ndarray | None, **others: Any
    ) -> "Evaluation":
        """Return an evaluation with these scores, by the name of the metric."""
        known = {name: score for name, score in scores.items() if not isnan(score.low)}
        return cls(
            metrics={name: score.value for name, score in scores.items()},
            intervals={name: (score.low, score.high) for name, score in known.items()},
            items={name: s.items for name, s in scores.items() if s.items is not None},
            clusters=clusters,
            **others,
        )


class Task(ABC, Generic[AnyModel, AnyVocabulary]):
    """A task with its corpus opened: batches, the objective, samples and measures.

    Subclasses open the corpus in __init__, which raises UserError for a corpus that is missing.
    """

    config: Config
    store: TokenStore | PairStore | LabelStore | Generated
    vocabulary: AnyVocabulary
    labels: tuple[str, ...] = ()  # the classes, in the order of a classifier's outputs

    def __init__(self, config: Config) -> None:
        self.config = config

    def notes(self) -> tuple[str, ...]:
        """Return what is odd about the corpus."""
        return ()

    @abstractmethod
    def data(self) -> StepDataModule:
        """Return the batches. Raises UserError for a split that is too short for that."""

    @abstractmethod
    def objective(self, model: AnyModel, done: Callable[[], float]) -> Objective:
        """Return the LightningModule that trains the model.

        `done()` is the fraction of the training that is done.
        """

    @abstractmethod
    def evaluate(self, model: AnyModel, split: str, decoding: DecodingConfig) -> Evaluation:
        """Measure a model, in eval mode, on a whole split."""

    @abstractmethod
    def example(self) -> str:
        """Return a text of val that is short enough for a picture of attention."""

    @abstractmethod
    def example_texts(self, count: int) -> Iterator[tuple[str, str | None]]:
        """Yield texts of val, each with the output that belongs to it, or None."""

    def sample(self, model: AnyModel, device: torch.device) -> str | None:
        """Return a text that shows what the model generates; None if it generates nothing.

        It must not draw from torch's own generators, so that it does not change the training.
        """
        return None

    def archive(self) -> dict[str, Any]:
        """Return the plain values that every checkpoint holds: config, tokenizers, fingerprint."""
        return {
            "config": to_plain(self.config),
            **self.vocabulary.to_plain(),
            "data_fingerprint": self.store.fingerprint,
        }

    def objective_arguments(
        self, done: Callable[[], float]
    ) -> tuple[OptimizerConfig, int, Callable[[], float], dict[str, Any]]:
        """Return what every objective takes after the model: see `Objective`."""
        return self.config.optimizer, self.config.seed, done, self.archive()

    @property
    def cache_dir(self) -> Path:
        """The folder that caches tokenised corpora."""
        named = self.config.data.cache_dir
        return Path(named) if named else default_cache_dir()

    def loader_options(self) -> dict[str, Any]:
        """Return the options that all data modules take from the config."""
        trainer = self.config.trainer
        return {
            "steps_an_epoch": trainer.val_every,
            "accumulate": trainer.accumulate,
            "workers": self.config.data.workers,
            "val_tokens": trainer.val_tokens,
        }
