"""Sequence to sequence: the corpus, the objective and the measures."""

from collections.abc import Callable, Iterator

import numpy as np
import torch

from minitx.config.schema import Config, DecodingConfig
from minitx.data.batching.pair_store import PairStore, open_pairs
from minitx.data.corpora.sources import source_of
from minitx.data.lines import on_one_line
from minitx.data.module import ExampleData, require_context
from minitx.data.progress import announced
from minitx.data.tokenizers.sequence import UNK
from minitx.decoding.search import most_tokens
from minitx.decoding.translation import search, with_end_symbol
from minitx.errors import UserError
from minitx.metrics.scores import (
    Score,
    bleu,
    chrf,
    has_four_grams,
    phoneme_error_rate,
    word_error_rate,
)
from minitx.models.seq2seq import Seq2Seq
from minitx.objectives.sequence_to_sequence import SequenceToSequence
from minitx.runs.vocabulary import PairVocabulary
from minitx.tasks.base import Evaluation, Task
from minitx.tasks.clusters import clusters_of
from minitx.tasks.requirements import batch_tokens
from minitx.terminal.text import note

SAMPLES = 8  # pairs of val whose outputs are shown during training


class SequenceToSequenceTask(Task[Seq2Seq, PairVocabulary]):
    """Generate the target of a source. A source may have several; the first is trained on."""

    store: PairStore

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        data = config.data
        self.budget = batch_tokens(config)
        self.corpus = source_of(config).open(config)
        self.store = open_pairs(
            self.corpus,
            data.tokenizer,
            data.target_tokenizer or data.tokenizer,
            data.vocab_size,
            data.shared_vocab,
            self.cache_dir,
        )
        tokenizers = self.store.source_tokenizer, self.store.target_tokenizer
        self.vocabulary = PairVocabulary(*tokenizers)

    def notes(self) -> tuple[str, ...]:
        """Say if targets of train have words that no output can contain."""
        unknown = float((self.store.ids("train", "target").ids == UNK).mean())
        if not unknown:
            return ()
        return (
            f"{unknown:.2%} of the words in the targets of train are not in the vocabulary of "
            f"{self.store.target_tokenizer.vocab_size:,}, so no output contains them: set a larger "
            "data.vocab_size, or data.target_tokenizer=bpe",
        )

    def data(self) -> ExampleData:
        config, decoding = self.config, self.config.decoding
        try:  # else the test at the end of the training would fail
            most_tokens(config.model.context, decoding.min_length, decoding.max_length)
        except ValueError as error:
            raise UserError(f"decoding: {error}") from error
        return ExampleData(
            self.store,
            config.model.context,
            self.budget,
            config.seed,
            config.data.train_fraction,
            **self.loader_options(),
        )

    def objective(self, model: Seq2Seq, done: Callable[[], float]) -> SequenceToSequence:
        return SequenceToSequence(
            model,
            *self.objective_arguments(done),
            measure=lambda model: self.evaluate(model, "test", self.config.decoding).metrics,
            label_smoothing=self.config.task.label_smoothing,
        )

    def sample(self, model: Seq2Seq, device: torch.device) -> str:
        """Return the model's outputs for the first pairs of val, next to the references.

        Each pair is a line.
        """
        val = self.store.split("val")
        sources = [with_end_symbol(val.source[i]) for i in range(min(SAMPLES, len(val)))]
        outputs = search(model, self.vocabulary, sources, DecodingConfig(beam=1))
        return "\n".join(
            on_one_line(f"{pair.source} -> {output.text}    ({' | '.join(pair.targets)})")
            for pair, (output,) in zip(val.pairs, outputs, strict=False)
        )

    def example(self) -> str:
        return self.store.split("val").pairs[0].source

    def example_texts(self, count: int) -> Iterator[tuple[str, str]]:
        for pair in self.store.split("val").pairs[:count]:
            yield pair.source, pair.targets[0]

    def _scores(
        self, outputs: list[str], references: list[tuple[str, ...]], clusters: np.ndarray
    ) -> dict[str, Score]:
        if self.config.task.measure == "wer":
            return {
                "wer": word_error_rate(outputs, references, clusters),
                "per": phoneme_error_rate(outputs, references, clusters),
            }
        return {
            "bleu": bleu(outputs, references, clusters),
            "bleu_lowercase": bleu(outputs, references, clusters, lowercase=True),
            "chrf": chrf(outputs, references, clusters),
        }

    def evaluate(self, model: Seq2Seq, split: str, decoding: DecodingConfig) -> Evaluation:
        """Decode the sources of a split, and score the outputs against all their references."""
        examples = self.store.split(split)
        require_context(examples, self.config.model.context)
        sources = [with_end_symbol(examples.source[i]) for i in range(len(examples))]
        best = search(model, self.vocabulary, sources, decoding, doing=f"decoding {split}")
        outputs = [first.text for (first,) in best]
        references = [pair.targets for pair in examples.pairs]
        clusters = clusters_of(list(map(self.corpus.family, examples.pairs)))
        with announced(f"scoring {split}"):
            scores = self._scores(outputs, references, clusters)
        if "bleu" in scores and not has_four_grams(references):
            note(
                "no reference has four words, so BLEU is 0 for any outputs: use chrF, or train "
                "with task.measure=wer"
            )
        return Evaluation.of_scores(
            scores,
            clusters,
            signatures=[f"{name}: {s.signature}" for name, s in scores.items() if s.signature],
            outputs=[
                {
                    "source": pair.source,
                    "references": list(pair.targets),
                    "hypothesis": output.text,
                    "score": output.score,
                }
                for pair, (output,) in zip(examples.pairs, best, strict=True)
            ],
        )
