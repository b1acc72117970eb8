"""Prints how fast minitx is beside the plain code it stands for: python scripts/bench.py --help

Both sides of a comparison run in turn within one process, so that a machine that changes its speed
changes both. The figures of docs/benchmarks.md that are losses come from scripts/train.py.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
import wandb
from torch import Tensor, nn

from minitx.callbacks import Clock
from minitx.composition import compose
from minitx.config import Config
from minitx.console import quiet_libraries
from minitx.decoding import generate
from minitx.memory import peak_memory
from minitx.models.build import language_model
from minitx.models.language_model import LanguageModel
from minitx.models.seq2seq import Seq2Seq
from minitx.nn.attention import MultiHeadAttention, attend_fused
from minitx.optim import clip_gradients, make_optimizer
from minitx.run import load
from minitx.setups import open_setup
from minitx.setups.sequence_to_sequence import SequenceToSequenceSetup
from minitx.study.timing import timed
from minitx.training import make_trainer, train
from minitx.translating import read_source, search
from minitx.vocabulary import PairVocabulary, TextVocabulary


class StepTimes(Clock):
    """A clock that remembers when each training step ended, in seconds, and the tokens by then."""

    def __init__(self) -> None:
        super().__init__(max_minutes=None)
        self.ends: list[float] = []
        self.tokens_then: list[int] = []

    def on_train_batch_end(self, *args: Any) -> None:
        super().on_train_batch_end(*args)
        self.ends.append(time.perf_counter())
        self.tokens_then.append(self.tokens)


def overhead(rounds: int, steps: int = 100) -> None:
    """A step through Lightning, logging and progress bar on, against a bare loop."""
    for name in ("adamw", "muon"):
        config = compose(f"optimizer={name}", f"trainer.max_steps={steps}")
        print(f"optimizer={name}, batch {config.data.batch_size} x {config.model.context}")
        alternate(
            {
                "Lightning": partial(lightning_step, config, steps),
                "bare loop": partial(bare_step, config, steps),
            },
            rounds,
        )


def translation(rounds: int, data_dir: str, run: str | None, steps: int = 60) -> None:
    """Training a Transformer on multi30k against an LSTM of its size; beam search with --run."""
    if run is not None:
        opened = load(run)
        assert isinstance(opened.model, Seq2Seq)
        assert isinstance(opened.vocabulary, PairVocabulary)
        split = SequenceToSequenceSetup(opened.config).store.split("test")
        sources = [read_source(split.source[i]) for i in range(len(split))]
        decode = partial(search, opened.model, opened.vocabulary, sources, opened.config.decoding)
        seconds = median(timed(decode) for _ in range(rounds))
        beam = opened.config.decoding.beam
        print(f"beam {beam} over {len(sources):,} sentences: {seconds:.1f} s")
    limits = ("task=multi30k", f"data.dir={data_dir}", f"trainer.max_steps={steps}")
    print("target tokens trained on, a thousand of them")
    alternate(
        {
            "Transformer": partial(thousand_tokens, compose(*limits), steps),
            "LSTM": partial(thousand_tokens, compose(*limits, "model=lstm"), steps),
        },
        rounds,
    )


def thousand_tokens(config: Config, steps: int) -> float:
    """Seconds for a thousand tokens through Lightning, over the steps after the first ten."""
    times = trained(config, steps)
    return (
        1000 * (times.ends[-1] - times.ends[10]) / (times.tokens_then[-1] - times.tokens_then[10])
    )


def lightning_step(config: Config, steps: int) -> float:
    """Seconds a step, over the steps after the first ten."""
    times = trained(config, steps)
    return (times.ends[-1] - times.ends[10]) / (len(times.ends) - 11)


def trained(config: Config, steps: int) -> StepTimes:
    """Trains for so many steps without a validation, and tells when each ended."""
    setup = open_setup(config)
    torch.manual_seed(config.seed)
    model = setup.vocabulary.build(config.model)
    times = StepTimes()
    with tempfile.TemporaryDirectory() as folder:
        trainer = make_trainer(config, Path(folder), times, setup.callbacks(Path(folder)))
        trainer.limit_val_batches = 0
        objective = setup.objective(model, lambda: trainer.global_step / steps)
        trainer.fit(objective, setup.data())
        wandb.finish()
    return times


def bare_step(
    config: Config, steps: int, change: Callable[[nn.Module], None] | None = None
) -> float:
    """Seconds a step of the same model, batches and optimizer without any framework.

    `change` is what is done to every module of the model before.
    """
    vocabulary = open_setup(config).vocabulary
    torch.manual_seed(config.seed)
    model = vocabulary.build(config.model)
    if change is not None:
        model.apply(change)
    return plain_loop(model, make_optimizer(model, config.optimizer), config, steps)


def plain_loop(
    model: nn.Module, optimizer: torch.optim.Optimizer, config: Config, steps: int
) -> float:
    """Seconds a step of a training loop as one writes it by hand, after the first ten."""
    batches = open_setup(config).data().training_batches(rank=0, world_size=1)
    model.train()
    for step in range(steps):
        if step == 10:
            began = time.perf_counter()
        inputs, targets = batches[step]
        logits, _ = model(inputs)
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        clip_gradients(model.parameters(), config.optimizer.clip_norm)
        optimizer.step()
    return (time.perf_counter() - began) / (steps - 10)


class PlainLSTM(nn.Module):
    """The loop everybody writes: embedding, nn.LSTM of several layers, logits."""

    def __init__(self, vocab_size: int, dim: int, layers: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, dim)
        self.lstm = nn.LSTM(dim, dim, layers, batch_first=True)
        self.to_logits = nn.Linear(dim, vocab_size, bias=False)
        self.to_logits.weight = self.embedding.weight

    def forward(self, tokens: Tensor) -> tuple[Tensor, None]:
        y, _ = self.lstm(self.embedding(tokens))
        return self.to_logits(y), None


def recurrence(rounds: int, steps: int = 60) -> None:
    """Training throughput of model=lstm through Lightning against a bare loop over nn.LSTM."""
    config = compose("model=lstm", "optimizer=adamw", f"trainer.max_steps={steps}")
    vocabulary = open_setup(config).vocabulary
    assert isinstance(vocabulary, TextVocabulary)
    vocab_size = vocabulary.tokenizer.vocab_size

    def bare() -> float:
        torch.manual_seed(config.seed)
        model = PlainLSTM(vocab_size, config.model.dim, config.model.layers)
        optimizer = torch.optim.AdamW(model.parameters(), lr=config.optimizer.lr, fused=True)
        return plain_loop(model, optimizer, config, steps)

    print(f"model=lstm, dim {config.model.dim}, {config.model.layers} layers")
    alternate({"nn.LSTM": bare, "minitx": partial(lightning_step, config, steps)}, rounds)


def capture(rounds: int, steps: int = 100) -> None:
    """A training step with the switch by which maps are captured, off, against none at all."""
    config = compose(f"trainer.max_steps={steps}")
    print(f"batch {config.data.batch_size} x {config.model.context}, a bare loop")
    alternate(
        {
            "switch off": partial(bare_step, config, steps),
            "no switch": partial(bare_step, config, steps, without_switch),
        },
        rounds,
    )


def without_switch(module: nn.Module) -> None:
    """Has attention call the fused kernel straight away, as where nobody ever looks inside."""
    if not isinstance(module, MultiHeadAttention):
        return
    output, dropout, scaled = module.output, module.dropout, module.scaled

    def attention(
        q: Tensor,
        k: Tensor,
        v: Tensor,
        allowed: Tensor | None = None,
        bias: Tensor | None = None,
        causal: bool = False,
    ) -> Tensor:
        y = attend_fused(q, k, v, allowed, bias, dropout, scaled, causal)
        return output(y.transpose(1, 2).flatten(-2))

    module.attention = attention  # type: ignore[method-assign]


def generation(rounds: int) -> None:
    """Generating a context of 256 tokens with the key/value cache against without."""
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
    """The tokens that follow the prompt, up to the end of the context; always the same ones."""
    generator = torch.Generator().manual_seed(1)
    tokens = generate(model, prompt, model.context - 1, generator, cached=cached)
    return [int(token) for token in tokens]


def memory(rounds: int) -> None:
    """Peak resident memory while tokenising and training on a text of 1 GB."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "big.txt")
        piece = "".join(
            f"{n} men of {n * n % 9973} sat down, and rose again.\n" for n in range(20000)
        )
        with path.open("w", encoding="utf-8") as file:
            while file.tell() < 10**9:
                file.write(piece)
        config = compose(
            "task=text",
            f"data.path={path}",
            f"data.cache_dir={folder}/cache",
            "data.held_out=0.0005",
            "model.dim=64",
            "trainer.max_steps=1000",
            "logger=none",
            f"run.dir={folder}/run",
        )
        seconds = timed(lambda: train(config))
    peak = peak_memory()
    print(f"1 GB of text, 1,000 steps: {peak / 1e9:.2f} GB resident at most, {seconds:.0f} s")


def alternate(sides: dict[str, Callable[[], float]], rounds: int) -> None:
    """Runs the sides in turn and prints their medians and the median of their ratios."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            seconds[name].append(side())
    for name, values in seconds.items():
        print(f"  {name:<14} {1000 * median(values):10.2f} ms")
    first, second = seconds
    ratios = [a / b for a, b in zip(seconds[first], seconds[second], strict=True)]
    print(
        f"  {first} / {second}: {median(ratios):.3f} "
        f"({min(ratios):.3f} to {max(ratios):.3f} in {rounds} rounds)"
    )


BENCHES: dict[str, Callable[..., None]] = {
    f.__name__: f for f in (overhead, recurrence, capture, generation, memory, translation)
}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="\n".join(f"{name:<12}{bench.__doc__}" for name, bench in BENCHES.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("bench", choices=BENCHES, help="what to measure")
    parser.add_argument("--rounds", type=int, default=5, help="how often each side runs")
    parser.add_argument("--data-dir", default="data", help="translation: folder with multi30k/")
    parser.add_argument("--run", help="translation: a run of task=multi30k whose search is timed")
    arguments = parser.parse_args()
    quiet_libraries()
    os.environ["FORCE_COLOR"] = "1"  # rich draws its bar, also where nobody watches
    extra = {"data_dir": arguments.data_dir, "run": arguments.run}
    BENCHES[arguments.bench](arguments.rounds, **extra if arguments.bench == "translation" else {})
