"""Text from a trained model, as it comes."""

from collections.abc import Iterator

import torch

from minitx.config import GenerateConfig
from minitx.decoding import generate
from minitx.errors import UserError
from minitx.run import load
from minitx.seeding import derived_seed


def write(config: GenerateConfig) -> Iterator[Iterator[str]]:
    """One stream of text for each sample, the prompt first; samples follow from (seed, number).

    Raises UserError without a run, or for a prompt the tokenizer cannot read.
    """
    if config.run is None:
        raise UserError("which model should write? run=<a run's folder or .ckpt file>")
    run = load(config.run, config.device)
    prompt = config.prompt.replace("\\n", "\n")
    if not prompt:
        raise UserError('prompt="" is empty: give at least one character, as in prompt="ROMEO:"')
    tokens = torch.tensor([run.tokenizer.encode(prompt)], device=run.device)
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
        yield _text(prompt, run.tokenizer.decode_stream(int(token) for token in new))


def _text(prompt: str, pieces: Iterator[str]) -> Iterator[str]:
    yield prompt
    yield from pieces
