"""Measure the speed of training on pairs and of beam search."""

from functools import partial
from statistics import median

from minitx.bench.loops import trained
from minitx.bench.sides import alternate
from minitx.config.compose import compose
from minitx.config.schema import Config
from minitx.decoding.translation import search, with_end_symbol
from minitx.runs.run import StoredRun
from minitx.study.measure.timing import timed
from minitx.tasks.sequence_to_sequence import SequenceToSequenceTask


def translation(rounds: int, data_dir: str, run: str | None, steps: int = 60) -> None:
    """Compare a Transformer with an LSTM of its size on multi30k; with --run, time beam search."""
    if run is not None:
        opened: StoredRun = StoredRun.open(run)
        split = SequenceToSequenceTask(opened.config).store.split("test")
        sources = [with_end_symbol(split.source[i]) for i in range(len(split))]
        decode = partial(search, opened.model, opened.vocabulary, sources, opened.config.decoding)
        seconds = median(timed(decode) for _ in range(rounds))
        beam = opened.config.decoding.beam
        print(f"beam {beam} over {len(sources):,} sentences: {seconds:.1f} s")
    limits = ("task=multi30k", f"data.dir={data_dir}", f"trainer.max_steps={steps}")
    print("time to train on a thousand target tokens")
    alternate(
        {
            "Transformer": partial(thousand_tokens, compose(*limits), steps),
            "LSTM": partial(thousand_tokens, compose(*limits, "model=lstm"), steps),
        },
        rounds,
    )


def thousand_tokens(config: Config, steps: int) -> float:
    """Return the seconds per thousand tokens through Lightning, after the first ten steps."""
    times = trained(config, steps)
    return 1000 * (times.ends[-1] - times.ends[9]) / (times.tokens_then[-1] - times.tokens_then[9])
