"""Measure the memory that a large text needs."""

import tempfile
from pathlib import Path

from minitx.config.compose import compose
from minitx.study.measure.timing import timed
from minitx.training.environment import peak_memory
from minitx.training.train import train


def memory() -> None:
    """Measure the peak resident memory while tokenising and training on a text of 1 GB."""
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
            "data.val_fraction=0.0005",
            "model.dim=64",
            "trainer.max_steps=1000",
            "logger=none",
            f"run.dir={folder}/run",
        )
        seconds = timed(lambda: train(config))
    peak = peak_memory()
    print(f"1 GB of text, 1,000 steps: {peak / 1e9:.2f} GB peak resident memory, {seconds:.0f} s")
