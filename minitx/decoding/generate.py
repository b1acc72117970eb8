"""Text from a trained model, as it comes."""

from collections.abc import Iterator

import torch

from minitx.config.schema import LANGUAGE_MODELING, GenerateConfig
from minitx.data.random_streams import derived_seed
from minitx.decoding.sampling import generate
from minitx.models.language_model import LanguageModel
from minitx.runs.run import load_for
from minitx.runs.vocabulary import TextVocabulary


def write(config: GenerateConfig) -> Iterator[Iterator[str]]:
    """One stream of text for each sample, the prompt first; samples follow from (seed, number).

    Raises UserError without a run, or for a prompt the tokenizer cannot read.
    """
    run = load_for(LANGUAGE_MODELING, config.run, config.device)
    assert isinstance(run.model, LanguageModel)
    assert isinstance(run.vocabulary, TextVocabulary)
    tokenizer = run.vocabulary.tokenizer
    prompt = config.prompt.replace("\\n", "\n")
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
