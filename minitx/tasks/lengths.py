"""Tasks that are tested on sequences longer than those of training."""

from collections.abc import Callable, Iterator

import numpy as np
from torch import Tensor, nn

from minitx.config.schema import Config, DecodingConfig, TaskConfig
from minitx.data.batching import problems
from minitx.data.batching.buckets import EVALUATION_TOKENS
from minitx.data.batching.lengths import TEST_LENGTHS, Lengths
from minitx.data.batching.problems import Problem
from minitx.data.batching.windows import IGNORE
from minitx.data.module import GeneratedData
from minitx.data.progress import announced
from minitx.metrics.length_scores import ACCURACY_AT, CHANCE_AT, EXACT_AT
from minitx.metrics.scores import ratio
from minitx.models.language_model import LanguageModel
from minitx.objectives.answers import AnsweringByLength
from minitx.runs.vocabulary import TextVocabulary
from minitx.tasks.base import EXAMPLE, Evaluation
from minitx.tasks.generated import GeneratedTask
from minitx.tasks.requirements import batch_windows
from minitx.tasks.windows import scores_of_windows, window_sums

PROBLEMS: dict[str, Callable[[TaskConfig], Problem]] = {
    "parity": lambda task: problems.Parity(),
    "permutation": lambda task: problems.Permutation(),
    "dyck": lambda task: problems.Dyck(),
    "bounded_dyck": lambda task: problems.Dyck(task.depth),
    "copy": lambda task: problems.Copy(),
    "reverse": lambda task: problems.Reverse(),
    "selective_copy": lambda task: problems.SelectiveCopy(),
}


class LengthTask(GeneratedTask):
    """Answer in sequences of a problem, trained up to a length and tested beyond it."""

    store: Lengths

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.batch_size, task = batch_windows(config), config.task
        lengths = list(TEST_LENGTHS if task.test_lengths is None else task.test_lengths)
        problem = PROBLEMS[task.name](task)
        self.store = Lengths(problem, task.train_length, lengths, config.model.context)
        self.vocabulary = TextVocabulary(self.store.tokenizer)

    def data(self) -> GeneratedData:
        return GeneratedData(
            self.store,
            self.batch_size,
            self.config.seed,
            None,
            EVALUATION_TOKENS,
            **self.loader_options(),
        )

    def objective(self, model: nn.Module, done: Callable[[], float]) -> AnsweringByLength:
        targets = [batch.targets for batch in self.store.split("val")]
        answers = sum(int((each != IGNORE).sum()) for each in targets) / sum(map(len, targets))
        return AnsweringByLength(
            model,
            *self.objective_arguments(done),
            answers=answers,
            chances=self.store.chances,
            label_smoothing=self.config.task.label_smoothing,
        )

    def first(self) -> tuple[Tensor, Tensor]:
        inputs, targets, _ = self.store.split("val")[0]
        row = int((targets != IGNORE).sum(dim=1).argmax())  # with many answers
        return inputs[row], targets[row]

    def example(self) -> str:
        length = 1
        while length < self.store.train_length and self.store.problem.width(length + 1) <= EXAMPLE:
            length += 1
        inputs, _ = self.store.drawn(np.random.default_rng(0), length, 1)
        return self.store.tokenizer.decode(inputs[0].tolist())

    def example_texts(self, count: int) -> Iterator[tuple[str, None]]:
        inputs, _ = self.store.drawn(np.random.default_rng(1), self.store.train_length, count)
        for row in inputs.tolist():
            yield self.store.tokenizer.decode(row), None

    def evaluate(self, model: LanguageModel, split: str, decoding: DecodingConfig) -> Evaluation:
        """Return the loss, and exact match and accuracy, of test also at each length."""
        batches = self.store.split(split)
        pairs = [(batch.inputs, batch.targets) for batch in batches]
        sums, _ = window_sums(model, pairs, None, f"measuring {split}")
        _, answers, right, _ = sums.T
        asked, exact = answers > 0, (answers > 0) & (right == answers)
        with announced("scoring"):
            scores = scores_of_windows(sums, None, has_bytes=False)
            scores["exact_match"] = ratio(exact[asked] * 1.0, np.ones(asked.sum()))
            evaluation = Evaluation.of_scores(scores, None)
        lengths = np.concatenate([np.full(len(b.inputs), b.length or 0) for b in batches])
        for length, chance in self.store.chances.items() if split == "test" else ():
            rows = asked & (lengths == length)
            evaluation.metrics |= {
                EXACT_AT.format(length): float(exact[rows].mean()),
                ACCURACY_AT.format(length): float(right[rows].sum() / answers[rows].sum()),
                CHANCE_AT.format(length): chance,
            }
        return evaluation
