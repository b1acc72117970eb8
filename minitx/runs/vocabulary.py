"""Vocabularies map text to what a model reads and back: tokenizers, and the names of classes.

A model is built from a vocabulary and a `ModelConfig`, and every checkpoint holds both.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from minitx.config.schema import ModelConfig
from minitx.config.tasks import (
    CLASSIFICATION,
    LANGUAGE_MODELING,
    SEQUENCE_TO_SEQUENCE,
    ObjectiveSpec,
)
from minitx.data.tokenizers.sequence import SequenceTokenizer
from minitx.data.tokenizers.text import Tokenizer
from minitx.errors import UserError
from minitx.models.build import classifier, language_model, sequence_to_sequence
from minitx.models.classifier import Classifier
from minitx.models.language_model import LanguageModel
from minitx.models.seq2seq import Seq2Seq
from minitx.runs.atomic_write import write_atomically
from minitx.runs.paths import SOURCE_TOKENIZER, TARGET_TOKENIZER, TOKENIZER


class Vocabulary(ABC):
    """What models with one objective are built from, next to their config."""

    @property
    @abstractmethod
    def sizes(self) -> tuple[int, ...]:
        """The numbers of tokens, and of labels if there are any: what `build` needs to know."""

    @abstractmethod
    def build(self, config: ModelConfig) -> nn.Module:
        """Return a freshly initialised model. Raises ValueError for numbers that do not fit."""

    @abstractmethod
    def to_plain(self) -> dict[str, Any]:
        """Return plain values, from which `from_plain` makes the same vocabulary."""

    @classmethod
    @abstractmethod
    def from_plain(cls, values: dict[str, Any]) -> "Vocabulary":
        """Return the vocabulary on which `to_plain` was called."""

    @abstractmethod
    def write(self, folder: Path) -> None:
        """Write the tokenizers into a run's folder."""


@dataclass(frozen=True)
class TextVocabulary(Vocabulary):
    """The vocabulary of a language model."""

    tokenizer: Tokenizer

    @property
    def sizes(self) -> tuple[int]:
        return (self.tokenizer.vocab_size,)

    def build(self, config: ModelConfig) -> LanguageModel:
        return language_model(config, *self.sizes)

    def to_plain(self) -> dict[str, Any]:
        return {"tokenizer": self.tokenizer.to_json()}

    @classmethod
    def from_plain(cls, values: dict[str, Any]) -> "TextVocabulary":
        return cls(Tokenizer.from_json(values["tokenizer"]))

    def write(self, folder: Path) -> None:
        write_atomically(folder / TOKENIZER, self.tokenizer.to_json())


@dataclass(frozen=True)
class PairVocabulary(Vocabulary):
    """The vocabularies of a sequence-to-sequence model's sources and targets."""

    source: SequenceTokenizer
    target: SequenceTokenizer

    @property
    def tokenizer(self) -> SequenceTokenizer:
        """Raises AttributeError: there are two."""
        raise AttributeError("two tokenizers: run.vocabulary.source, run.vocabulary.target")

    @property
    def sizes(self) -> tuple[int, int]:
        return self.source.vocab_size, self.target.vocab_size

    def build(self, config: ModelConfig) -> Seq2Seq:
        if config.share_embeddings and self.source.fingerprint != self.target.fingerprint:
            raise ValueError("model.share_embeddings=true needs data.shared_vocab=true")
        return sequence_to_sequence(config, *self.sizes)

    def to_plain(self) -> dict[str, Any]:
        return {"tokenizer": {"source": self.source.to_json(), "target": self.target.to_json()}}

    @classmethod
    def from_plain(cls, values: dict[str, Any]) -> "PairVocabulary":
        saved = values["tokenizer"]
        return cls(*(SequenceTokenizer.from_json(saved[side]) for side in ("source", "target")))

    def write(self, folder: Path) -> None:
        write_atomically(folder / SOURCE_TOKENIZER, self.source.to_json())
        write_atomically(folder / TARGET_TOKENIZER, self.target.to_json())


@dataclass(frozen=True)
class LabelVocabulary(Vocabulary):
    """The vocabulary of a classifier, and its classes in the order of the model's outputs."""

    tokenizer: SequenceTokenizer
    labels: tuple[str, ...]

    @property
    def sizes(self) -> tuple[int, int]:
        return self.tokenizer.vocab_size, len(self.labels)

    def build(self, config: ModelConfig) -> Classifier:
        return classifier(config, *self.sizes)

    def ranked(self, probabilities: list[float]) -> dict[str, float]:
        """Return the labels with their probabilities, the most likely first."""
        named = zip(self.labels, probabilities, strict=True)
        return dict(sorted(named, key=lambda pair: -pair[1]))

    def to_plain(self) -> dict[str, Any]:
        return {"tokenizer": self.tokenizer.to_json(), "labels": list(self.labels)}

    @classmethod
    def from_plain(cls, values: dict[str, Any]) -> "LabelVocabulary":
        labels = tuple(str(label) for label in values["labels"])
        return cls(SequenceTokenizer.from_json(values["tokenizer"]), labels)

    def write(self, folder: Path) -> None:
        write_atomically(folder / TOKENIZER, self.tokenizer.to_json())


# By the name of their objective.
VOCABULARIES: dict[str, type[Vocabulary]] = {
    LANGUAGE_MODELING.name: TextVocabulary,
    SEQUENCE_TO_SEQUENCE.name: PairVocabulary,
    CLASSIFICATION.name: LabelVocabulary,
}


def vocabulary_from_plain(objective: ObjectiveSpec, values: dict[str, Any]) -> Vocabulary:
    """Return the vocabulary on which `to_plain` was called.

    Raises UserError if the values are not those of such a vocabulary.
    """
    try:
        return VOCABULARIES[objective.name].from_plain(values)
    except (LookupError, TypeError, AttributeError) as error:
        raise UserError(f"not the vocabulary of a minitx run of {objective}") from error
