"""Measure the speed of generation with and without the key/value cache."""

from functools import partial

import torch
from torch import Tensor

from minitx.bench.sides import alternate
from minitx.config.compose import compose
from minitx.decoding.sampling import generate
from minitx.models.build import language_model
from minitx.models.language_model import LanguageModel
from minitx.study.measure.timing import timed


def generation(rounds: int) -> None:
    """Compare generation without and with a cache, 255 tokens in a context of 256."""
    threads_before = torch.get_num_threads()
    for name in ("transformer", "lstm"):
        config = compose(f"model={name}", "model.context=256")
        torch.manual_seed(config.seed)
        model = language_model(config.model, vocab_size=80).eval()
        prompt = torch.zeros(1, 1, dtype=torch.int64)

        write = partial(written, model, prompt)
        same = write(cached=True) == write(cached=False)
        print(f"model={name}, 255 tokens after 1, the same text: {same}")
        for threads in (1, 2):
            torch.set_num_threads(threads)
            print(f"  threads: {threads}")
            alternate(
                {
                    "without cache": partial(timed, partial(write, cached=False)),
                    "with cache": partial(timed, partial(write, cached=True)),
                },
                rounds,
            )
    torch.set_num_threads(threads_before)


def written(model: LanguageModel, prompt: Tensor, cached: bool) -> list[int]:
    """Return the tokens after the prompt, up to the end of the context; always the same ones."""
    generator = torch.Generator().manual_seed(1)
    tokens = generate(model, prompt, model.context - 1, generator, cached=cached)
    return [int(token) for token in tokens]
