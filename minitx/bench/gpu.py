"""Measure the speed of training on a GPU, and print it as Markdown tables."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from math import nan
from typing import Any

import pandas as pd
import torch

from minitx.bench.device import Speed, fitting, measure, number_format
from minitx.bench.peaks import known_peak
from minitx.config.compose import compose
from minitx.errors import UserError
from minitx.study.report.markdown import table

WAYS: dict[str, dict[str, Any] | None] = {
    "eager": None,
    "compiled": {},
    "compiled, CUDA graphs": {"mode": "reduce-overhead"},
}


@dataclass(frozen=True)
class Sizes:
    """The sizes of models and batches. Batches count sequences, and are halved until they fit."""

    gpt: tuple[str, ...]  # overrides
    default: tuple[str, ...]  # overrides of the default models
    gpt_vocab: int
    gpt_batch: int
    lengths: tuple[int, ...]
    tokens: int  # in a batch of each length
    seconds: float  # for each speed


FULL = Sizes(
    gpt=("model.dim=768", "model.layers=12", "model.heads=12", "model.context=1024"),
    default=(),
    gpt_vocab=50_304,  # GPT-2's 50,257, rounded up to a multiple of 64
    gpt_batch=32,
    lengths=(128, 256, 512, 1024, 2048, 4096, 8192),
    tokens=32_768,
    seconds=4.0,
)
TINY = Sizes(
    gpt=("model.dim=32", "model.layers=2", "model.heads=2", "model.context=32"),
    default=("model.dim=32", "model.layers=1", "data.batch_size=2"),
    gpt_vocab=128,
    gpt_batch=2,
    lengths=(16, 32),
    tokens=64,
    seconds=0.1,
)
SMALL_VOCAB = 80  # characters of the plays


def gpu(peak: float | None = None, tiny: bool = False) -> None:
    """Measure training on a GPU: a 124M GPT, the default model, and an LSTM at several lengths."""
    if peak is not None and not peak > 0:
        raise UserError(f"--peak={peak:g} must be above zero: give the device's TFLOPS")
    if tiny:
        report(torch.device("cpu"), TINY, peak)
    elif torch.cuda.is_available():
        report(torch.device("cuda"), FULL, peak)
    else:
        raise UserError("no CUDA device: try --tiny, or run the bench on a machine that has one")


def report(device: torch.device, sizes: Sizes, peak: float | None) -> None:
    """Print the tables. `peak` is in TFLOPS; the default is that of the device's data sheet."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "the CPU"
    peak = known_peak(name) if peak is None else peak
    number = str(number_format(device)).removeprefix("torch.")
    of_peak = "unknown peak (set it with --peak)" if peak is None else f"{peak:g} TFLOPS at most"
    print(f"{name}, {of_peak}; torch {torch.__version__}, {number}\n")
    print(table(pd.DataFrame(training(device, sizes, peak))), end="\n\n")
    print("MFU: 6N + 12LHQT operations per token (PaLM, appendix B) as a share of the peak.\n")
    print(table(pd.DataFrame(lengths(device, sizes))))


def training(device: torch.device, sizes: Sizes, peak: float | None) -> Iterator[dict[str, Any]]:
    """Yield a row for each model, optimizer and mode of execution."""
    gpt = (*sizes.gpt, "experiment=plain")
    kinds = [
        ("GPT", [*gpt, "optimizer=adamw"], sizes.gpt_vocab, sizes.gpt_batch, list(WAYS)[:2]),
        ("GPT", [*gpt, "optimizer=muon"], sizes.gpt_vocab, sizes.gpt_batch, list(WAYS)[:2]),
        ("default", [*sizes.default], SMALL_VOCAB, None, list(WAYS)),
    ]
    for model, overrides, vocab_size, batch_size, ways in kinds:
        config = compose(*overrides)
        for way in ways:
            trained = partial(
                measure,
                config,
                vocab_size,
                device=device,
                seconds=sizes.seconds,
                compiled=WAYS[way],
            )
            name = f"{model}, {config.optimizer.name}, {way}"
            speed, failure = attempt(name, trained, batch_size or config.data.batch_size or 1)
            yield {
                "model": model,
                "optimizer": config.optimizer.name,
                "run": f"{way}: {failure}" if failure else way,
                "sequences": speed.batch_size,
                "length": config.model.context,
                "ms/step": 1000 * speed.step_seconds,
                "optimizer, % of it": 100 * speed.optimizer_seconds / speed.step_seconds,
                "tokens/s": speed.tokens_per_second,
                "MFU, %": nan if peak is None else speed.operations_per_second / peak / 1e10,
            }


def lengths(device: torch.device, sizes: Sizes) -> Iterator[dict[str, Any]]:
    """Yield a row for each length: the default LSTM and the default Transformer of its size."""
    for length in sizes.lengths:
        found = {}
        for model in ("lstm", "transformer"):
            config = compose(f"model={model}", *sizes.default, f"model.context={length}")
            found[model], failure = attempt(
                f"{model} of {length} tokens",
                partial(measure, config, SMALL_VOCAB, device=device, seconds=sizes.seconds),
                sizes.tokens // length,
            )
            if failure:
                print(f"{model} of {length} tokens: {failure}", file=sys.stderr)
        lstm, transformer = (speed.tokens_per_second for speed in found.values())
        yield {
            "length": length,
            "sequences": " and ".join(dict.fromkeys(f"{s.batch_size}" for s in found.values())),
            "LSTM, tokens/s": lstm,
            "Transformer, tokens/s": transformer,
            "LSTM / Transformer": lstm / transformer,
        }


def attempt(
    name: str, measure: Callable[[int], Speed], batch_size: int
) -> tuple[Speed, str | None]:
    """Return the speed and None. If it fails, return NaNs and the error, so the table goes on."""
    print(f"measuring {name}", file=sys.stderr)
    try:
        return fitting(measure, batch_size), None
    except Exception as error:
        said = str(error).strip().splitlines() or [""]
        return Speed(batch_size, nan, nan, nan, nan), f"{type(error).__name__}: {said[0]}"
