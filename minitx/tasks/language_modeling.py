"""Language modelling: the corpus, the objective and the measures."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import nn

from minitx.config.schema import Config, DecodingConfig
from minitx.data.batching.token_store import TokenStore, open_tokens
from minitx.data.batching.windows import DisjointWindows
from minitx.data.corpora.sources import source_of
from minitx.data.module import LanguageModelingData, evaluation_batch
from minitx.data.tokenizers.text import Tokenizer
from minitx.decoding.sampling import generate
from minitx.errors import UserError
from minitx.models.language_model import LanguageModel
from minitx.objectives.language_modeling import LanguageModeling
from minitx.runs.vocabulary import TextVocabulary
from minitx.tasks.base import EXAMPLE, Evaluation, Task
from minitx.tasks.clusters import clusters_of_windows
from minitx.tasks.requirements import batch_windows
from minitx.tasks.windows import evaluate_windows

SAMPLE = 200  # tokens


class LanguageModelingTask(Task[LanguageModel, TextVocabulary]):
    """Predict each token of a text from those before it, in windows of `model.context` tokens."""

    store: TokenStore

    def __init__(self, config: Config, tokenizer: Tokenizer | None = None) -> None:
        super().__init__(config)
        data, self.batch_size = config.data, batch_windows(config)
        self.corpus = source_of(config).open(config)
        self.store = open_tokens(
            self.corpus, data.tokenizer, data.vocab_size, self.cache_dir, tokenizer
        )
        self.vocabulary = TextVocabulary(self.store.tokenizer)

    def data(self) -> LanguageModelingData:
        return LanguageModelingData(
            self.store,
            self.config.model.context,
            self.batch_size,
            self.config.seed,
            self.config.data.train_fraction,
            **self.loader_options(),
        )

    def objective(self, model: nn.Module, done: Callable[[], float]) -> LanguageModeling:
        return LanguageModeling(
            model,
            *self.objective_arguments(done),
            byte_lengths=torch.from_numpy(self.store.tokenizer.byte_lengths()),
            label_smoothing=self.config.task.label_smoothing,
        )

    def sample(self, model: LanguageModel, device: torch.device) -> str:
        """Return a text that the model generates. It has its own random generator."""
        try:
            start = self.store.tokenizer.encode("\n")
        except UserError:  # a text of one line
            start = [int(self.store.split("train")[0])]
        generator = torch.Generator(device).manual_seed(self.config.seed)
        prompt = torch.tensor([start], device=device)
        tokens = generate(model, prompt, SAMPLE, generator, temperature=0.8)
        return self.store.tokenizer.decode([int(token) for token in tokens])

    def example(self) -> str:
        length = min(EXAMPLE, self.config.model.context)
        return self.store.tokenizer.decode(self.store.split("val")[:length].tolist())

    def example_texts(self, count: int) -> Iterator[tuple[str, None]]:
        tokens, context = self.store.split("val"), self.config.model.context
        for start in np.linspace(0, len(tokens) - context, count).astype(int):
            yield self.store.tokenizer.decode(tokens[start : start + context].tolist()), None

    def evaluate(self, model: LanguageModel, split: str, decoding: DecodingConfig) -> Evaluation:
        context, tokens = self.config.model.context, self.store.split(split)
        byte_lengths = self.store.tokenizer.byte_lengths()
        clusters = clusters_of_windows(byte_lengths[tokens], context, self.corpus.parts(split))
        return evaluate_windows(
            model,
            DisjointWindows(tokens, context),
            evaluation_batch(context),
            torch.from_numpy(byte_lengths),
            doing=f"measuring {split}",
            clusters=clusters,
        )
