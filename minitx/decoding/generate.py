"""Text from a trained language model, as it is generated."""

from collections.abc import Iterator

import torch

from minitx.config.schema import GenerateConfig
from minitx.config.tasks import LANGUAGE_MODELING
from minitx.data.random_streams import derived_seed
from minitx.decoding.sampling import generate
from minitx.models.language_model import LanguageModel
from minitx.runs.run import StoredRun, load_for
from minitx.runs.vocabulary import TextVocabulary


def generate_samples(config: GenerateConfig) -> Iterator[Iterator[str]]:
    """Yield a stream of text for each sample of the run that `config` names.

    Raises UserError without a run, and as `stream_samples`.
    """
    run = load_for(LANGUAGE_MODELING, config.run, config.device)
    yield from stream_samples(run, config.prompt.replace("\\n", "\n"), config)


def stream_samples(
    run: StoredRun[LanguageModel, TextVocabulary], prompt: str, config: GenerateConfig
) -> Iterator[Iterator[str]]:
    """Yield a stream of text for each sample, the prompt first.

    Sample i depends on `config.seed` and i only. Raises UserError for a prompt that the tokenizer
    cannot encode.
    """
    tokenizer = run.vocabulary.tokenizer
    tokens = torch.tensor([tokenizer.encode(prompt)], device=run.device)
    for number in range(config.samples):
        generator = torch.Generator(run.device).manual_seed(derived_seed(config.seed, number))
        new = generate(
            run.model,
            tokens,
            config.length,
            generator,
            temperature=config.temperature,
            top_k=config.top_k,
            top_p=config.top_p,
        )
        yield _text(prompt, tokenizer.decode_stream(int(token) for token in new))


def _text(prompt: str, pieces: Iterator[str]) -> Iterator[str]:
    yield prompt
    yield from pieces
