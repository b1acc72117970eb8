"""Sequence to sequence as a task: a corpus, its objective and its measures."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from minitx.config.schema import Config, DecodingConfig
from minitx.data.batching.pair_store import PairStore, open_pairs
from minitx.data.corpora.pairs import PairCorpus, cmudict, multi30k, pair_file, parallel_files
from minitx.data.module import ExampleData, require_context
from minitx.decoding.search import most_tokens
from minitx.decoding.translation import read_source, search
from minitx.errors import UserError
from minitx.metrics.scores import bleu, chrf, phoneme_error_rate, word_error_rate
from minitx.models.seq2seq import Seq2Seq
from minitx.objectives.sequence_to_sequence import SequenceToSequence
from minitx.runs.vocabulary import PairVocabulary
from minitx.tasks.base import Evaluation, Task
from minitx.tasks.requirements import batch_tokens, folder_of_corpora, own_file

SAMPLES = 8  # pairs of val whose outputs are shown while a run trains


class SequenceToSequenceTask(Task):
    """Pairs of a source and its targets, of which the first is learned."""

    store: PairStore
    vocabulary: PairVocabulary

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        data = config.data
        self.budget = batch_tokens(config)
        self.store = open_pairs(
            self._corpus(),
            data.tokenizer,
            data.target_tokenizer or data.tokenizer,
            data.vocab_size,
            data.shared_vocab,
            self.cache_dir,
        )
        tokenizers = self.store.source_tokenizer, self.store.target_tokenizer
        self.vocabulary = PairVocabulary(*tokenizers)

    def _corpus(self) -> PairCorpus:
        data = self.config.data
        if self.config.task.name == "cmudict":
            return cmudict(data.stress)
        if self.config.task.name == "multi30k":
            return multi30k(folder_of_corpora(self.config))
        path = own_file(self.config, "my.tsv")
        if data.target_path is None:
            return pair_file(path, data.val_fraction)
        return parallel_files(path, Path(data.target_path), data.val_fraction)

    def data(self) -> ExampleData:
        config, decoding = self.config, self.config.decoding
        try:  # what would end the training otherwise, once it is done
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

    def objective(self, model: nn.Module, done: Callable[[], float]) -> SequenceToSequence:
        return SequenceToSequence(
            model,
            self.config.optimizer,
            self.config.seed,
            done,
            self.archive(),
            measure=lambda model: self.evaluate(model, "test", self.config.decoding).metrics,
            label_smoothing=self.config.task.label_smoothing,
        )

    def sample(self, model: nn.Module, device: torch.device) -> str:
        """What the model makes of the first pairs of val, beside what it should."""
        assert isinstance(model, Seq2Seq)
        val = self.store.split("val")
        sources = [read_source(val.source[i]) for i in range(min(SAMPLES, len(val)))]
        outputs = search(model, self.vocabulary, sources, DecodingConfig(beam=1))
        return "\n".join(
            f"{pair.source} -> {output.text}    ({' | '.join(pair.targets)})"
            for pair, (output,) in zip(val.pairs, outputs, strict=False)
        )

    def example(self) -> str:
        return self.store.split("val").pairs[0].source

    def evaluate(self, model: nn.Module, split: str, decoding: DecodingConfig) -> Evaluation:
        """What the model writes for the sources of a split, measured on all their references."""
        assert isinstance(model, Seq2Seq)
        examples = self.store.split(split)
        require_context(examples, self.config.model.context)
        sources = [read_source(examples.source[i]) for i in range(len(examples))]
        best = search(model, self.vocabulary, sources, decoding, doing=f"decoding {split}")
        outputs = [first.text for (first,) in best]
        references = [pair.targets for pair in examples.pairs]
        if self.config.task.measure == "wer":
            scores = {
                "wer": word_error_rate(outputs, references),
                "per": phoneme_error_rate(outputs, references),
            }
        else:
            scores = {
                "bleu": bleu(outputs, references),
                "bleu_lowercase": bleu(outputs, references, lowercase=True),
                "chrf": chrf(outputs, references),
            }
        return Evaluation(
            metrics={name: score.value for name, score in scores.items()},
            intervals={name: (score.low, score.high) for name, score in scores.items()},
            items={name: s.items for name, s in scores.items() if s.items is not None},
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
