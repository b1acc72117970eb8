"""A trained run with what can be done with it: the `minitx.Run` of the Python API."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from minitx.config.compose import changed
from minitx.config.paths import full_paths
from minitx.config.schema import DataLocation, DecodingChange, GenerateConfig
from minitx.config.tasks import (
    CLASSIFICATION,
    LANGUAGE_MODELING,
    SEQUENCE_TO_SEQUENCE,
    ObjectiveSpec,
)
from minitx.decoding.encoding import encode_text
from minitx.decoding.generate import stream_samples
from minitx.decoding.prediction import probabilities
from minitx.decoding.translation import encode_source, search
from minitx.errors import UserError
from minitx.runs.run import StoredRun

if TYPE_CHECKING:  # it imports Lightning
    from minitx.tasks.base import Evaluation

Answer = TypeVar("Answer")


class Run(StoredRun[Any, Any]):
    """A trained run that generates, translates or predicts, and can be measured.

    Each method is for one objective and raises UserError on a run with another one.
    """

    def generate(
        self,
        prompt: str = "\n",
        *,
        length: int = 500,
        temperature: float = 0.8,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int = 1,
    ) -> str:
        """Return the prompt and `length` tokens that a language model generates after it.

        With a temperature of 0 the most likely token is chosen each time; `top_k` and `top_p`
        restrict the choice as in `minitx.decoding.sampling.filter_logits`. Raises UserError for a
        prompt that is empty or that the tokenizer cannot encode.
        """
        self._require(LANGUAGE_MODELING)
        if not prompt:
            raise UserError("the prompt is empty: give at least one character")
        config = GenerateConfig(
            length=length, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed
        )
        (sample,) = stream_samples(self, prompt, config)
        return "".join(sample)

    @overload
    def translate(self, texts: str, **decoding: Any) -> str: ...
    @overload
    def translate(self, texts: list[str], **decoding: Any) -> list[str]: ...
    def translate(self, texts: str | list[str], **decoding: Any) -> str | list[str]:
        """Return the best output of a sequence-to-sequence model for each text.

        One text gives one output, several give a list. `decoding` may set beam, length_penalty,
        min_length and max_length; the others are the run's. Raises UserError for a text that is
        empty or longer than the context.
        """
        self._require(SEQUENCE_TO_SEQUENCE)
        settings = changed(self.config.decoding, DecodingChange(**decoding))

        def answer(several: list[str]) -> list[str]:
            context = self.model.context
            sources = [encode_source(text, self.vocabulary, context) for text in several]
            found = search(self.model, self.vocabulary, sources, settings)
            return [best.text for (best,) in found]

        return _answers(texts, answer)

    @overload
    def predict(self, texts: str) -> dict[str, float]: ...
    @overload
    def predict(self, texts: list[str]) -> list[dict[str, float]]: ...
    def predict(self, texts: str | list[str]) -> dict[str, float] | list[dict[str, float]]:
        """Return a classifier's probability of each label, the most likely first, for each text.

        One text gives one dict, several give a list. Raises UserError for a text that is empty or
        longer than the context.
        """
        self._require(CLASSIFICATION)

        def answer(several: list[str]) -> list[dict[str, float]]:
            context, tokenizer = self.config.model.context, self.vocabulary.tokenizer
            encoded = [encode_text(text, tokenizer, context) for text in several]
            return [self.vocabulary.ranked(values) for values in probabilities(self.model, encoded)]

        return _answers(texts, answer)

    def evaluate(self, split: str = "val", **corpus: str | None) -> "Evaluation":
        """Measure the model on a whole split of its corpus: "train", "val" or "test".

        `corpus` may say where the corpus is now: dir, path, target_path or cache_dir. Nothing is
        written. Raises UserError for a split that the corpus does not have, and for a corpus that
        is missing or has changed.
        """
        from minitx.tasks.evaluation import evaluate_run  # it imports Lightning

        where = full_paths(DataLocation(**corpus), "data.")
        return evaluate_run(self, split, where, DecodingChange())

    def _require(self, objective: ObjectiveSpec) -> None:
        """Raise UserError if the run has another objective."""
        found = self.config.task.objective
        if found != objective:
            raise UserError(
                f"{self!r} is a run of {found}, and {objective.command} is for {objective}: call "
                f"run.{found.command}(...)"
            )


load = Run.open


def _answers(
    texts: str | list[str], answer: Callable[[list[str]], list[Answer]]
) -> Answer | list[Answer]:
    """Return the answer to one text, or a list of the answers to several."""
    if isinstance(texts, str):
        (only,) = answer([texts])
        return only
    return answer(texts)
