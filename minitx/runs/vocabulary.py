"""What stands between text and a model: its tokenizers, and the names of the classes it knows.

A vocabulary and a `ModelConfig` are all that a model is built from, so they travel together in
every checkpoint.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minitx.config.schema import CLASSIFICATION, SEQUENCE_TO_SEQUENCE, ModelConfig
from minitx.data.tokenizers.sequence import SequenceTokenizer
from minitx.data.tokenizers.text import Tokenizer
from minitx.errors import UserError
from minitx.models.build import classifier, language_model, sequence_to_sequence
from minitx.models.classifier import Classifier
from minitx.models.language_model import LanguageModel
from minitx.models.seq2seq import Seq2Seq
from minitx.runs.atomic_write import write_atomically
from minitx.runs.paths import SOURCE_TOKENIZER, TARGET_TOKENIZER, TOKENIZER


@dataclass(frozen=True)
class TextVocabulary:
    """Of a language model."""

    tokenizer: Tokenizer

    def build(self, config: ModelConfig) -> LanguageModel:
        """A `LanguageModel`, freshly initialised. Raises ValueError as `language_model`."""
        return language_model(config, self.tokenizer.vocab_size)

    def to_plain(self) -> dict[str, Any]:
        """Plain values, from which `vocabulary_from_plain` makes the same vocabulary."""
        return {"tokenizer": self.tokenizer.to_json()}

    def write(self, folder: Path) -> None:
        """Writes the tokenizer into a run's folder."""
        write_atomically(folder / TOKENIZER, self.tokenizer.to_json())


@dataclass(frozen=True)
class PairVocabulary:
    """Of a sequence-to-sequence model."""

    source: SequenceTokenizer
    target: SequenceTokenizer

    def build(self, config: ModelConfig) -> Seq2Seq:
        """A `Seq2Seq`, freshly initialised. Raises ValueError as `sequence_to_sequence`."""
        if config.share_embeddings and self.source.fingerprint != self.target.fingerprint:
            raise ValueError("model.share_embeddings=true needs data.shared_vocab=true")
        return sequence_to_sequence(config, self.source.vocab_size, self.target.vocab_size)

    def to_plain(self) -> dict[str, Any]:
        """As `TextVocabulary.to_plain`."""
        return {"tokenizer": {"source": self.source.to_json(), "target": self.target.to_json()}}

    def write(self, folder: Path) -> None:
        """Writes both tokenizers into a run's folder."""
        write_atomically(folder / SOURCE_TOKENIZER, self.source.to_json())
        write_atomically(folder / TARGET_TOKENIZER, self.target.to_json())


@dataclass(frozen=True)
class LabelVocabulary:
    """Of a classifier; `labels` are the names of its classes in the order of its outputs."""

    tokenizer: SequenceTokenizer
    labels: tuple[str, ...]

    def build(self, config: ModelConfig) -> Classifier:
        """A `Classifier`, freshly initialised. Raises ValueError as `classifier`."""
        return classifier(config, self.tokenizer.vocab_size, len(self.labels))

    def to_plain(self) -> dict[str, Any]:
        """As `TextVocabulary.to_plain`."""
        return {"tokenizer": self.tokenizer.to_json(), "labels": list(self.labels)}

    def write(self, folder: Path) -> None:
        """Writes the tokenizer into a run's folder."""
        write_atomically(folder / TOKENIZER, self.tokenizer.to_json())


Vocabulary = TextVocabulary | PairVocabulary | LabelVocabulary


def vocabulary_from_plain(objective: str, values: dict[str, Any]) -> Vocabulary:
    """What `to_plain` was called on. Raises UserError for values that are of no such vocabulary."""
    saved = values["tokenizer"]
    try:
        if objective == SEQUENCE_TO_SEQUENCE:
            source, target = (SequenceTokenizer.from_json(saved[s]) for s in ("source", "target"))
            return PairVocabulary(source, target)
        if objective == CLASSIFICATION:
            labels = tuple(str(label) for label in values["labels"])
            return LabelVocabulary(SequenceTokenizer.from_json(saved), labels)
        return TextVocabulary(Tokenizer.from_json(saved))
    except (LookupError, TypeError, AttributeError) as error:
        raise UserError(f"not the vocabulary of a minitx run of {objective}") from error
