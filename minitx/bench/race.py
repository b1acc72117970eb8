"""Measure the time to reach a loss, compared with a plain loop."""

import tempfile
import time
from pathlib import Path
from statistics import median

import torch
import torch.nn.functional as F

from minitx.bench.plain import PlainGPT
from minitx.config.compose import compose
from minitx.config.schema import Config, OptimizerConfig, TransformerConfig
from minitx.objectives.optim import clip_gradients, learning_rate_factor
from minitx.runs.paths import read_summary
from minitx.tasks.open import open_task
from minitx.training.train import train

TARGET = 1.898  # nats; nanoGPT's recipe for a CPU reaches it after 2,000 steps
PLAIN_STEPS = 2000
PLAIN = OptimizerConfig(lr=1e-3, warmup_steps=100, min_lr_ratio=0.1)
RECIPE = (
    *("trainer.max_steps=215", "optimizer.warmup_steps=40", "optimizer.momentum=0.85"),
    *("optimizer.muon_lr=0.01", "optimizer.lr=0.02", "optimizer.min_lr_ratio=0.02"),
)


def time_to_loss(rounds: int, data_dir: str) -> None:
    """Compare the time to 1.898 nats on tiny_shakespeare with 2,000 steps of a plain loop."""
    corpus = ("task=tiny_shakespeare", f"data.dir={data_dir}", "logger=none")
    plain_seconds = plain_run(compose(*corpus))
    seconds, missed = [], 0
    for seed in range(1, rounds + 1):
        with tempfile.TemporaryDirectory() as folder:
            words = (*corpus, *RECIPE, f"seed={seed}", f"run.dir={Path(folder, 'run')}")
            config = compose(*words, "trainer.val_every=1000", "trainer.watch_attention=false")
            summary = read_summary(train(config, test=False).folder)
        loss, took = summary["metrics"]["val/loss"], summary["train_seconds"]
        verdict = "reaches" if loss <= TARGET else "misses"
        print(f"  minitx, seed {seed}: {took:.1f} s, {loss:.4f} nats, {verdict} {TARGET}")
        seconds.append(took)
        missed += loss > TARGET
    took = median(seconds)
    print(f"  median {took:.1f} s: {plain_seconds / took:.2f} times the speed of the plain loop")
    if missed:
        print(f"  {missed} of {rounds} seeds missed the target, so this is no time to a loss")


def plain_run(config: Config) -> float:
    """Return the seconds of the plain loop's steps. Prints them and the loss on all of val."""
    task = open_task(config)
    shape = config.model
    assert isinstance(shape, TransformerConfig)
    torch.manual_seed(config.seed)
    vocab_size = task.vocabulary.tokenizer.vocab_size
    model = PlainGPT(vocab_size, shape.dim, shape.layers, shape.heads, shape.context)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=PLAIN.lr, betas=(0.9, 0.99), weight_decay=0.1, fused=True
    )
    batches = task.data().training_batches(rank=0, world_size=1)
    began = time.perf_counter()
    for step in range(PLAIN_STEPS):
        factor = learning_rate_factor(step, step / PLAIN_STEPS, PLAIN)
        optimizer.param_groups[0]["lr"] = PLAIN.lr * factor
        inputs, targets = batches[step]
        logits, _ = model(inputs)
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        clip_gradients(model.parameters(), 1.0)
        optimizer.step()
    seconds = time.perf_counter() - began
    reached = task.evaluate(model.eval(), "val", config.decoding).metrics["loss"]
    print(f"  plain loop: {seconds:.1f} s for {PLAIN_STEPS:,} steps, {reached:.4f} nats")
    return seconds
