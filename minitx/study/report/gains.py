"""Words for a gain in nats per token: by how much something lowers a loss."""

from minitx.drawing.formatting import count, decimals
from minitx.metrics.bootstrap import Interval
from minitx.study.report.verdict import no_interval


def over_seeds(gain: Interval, seeds: int) -> str:
    """Return how sure the size of a gain is: "95% interval over 4 seeds 0.0101 to 0.0113".

    The interval is that of the absolute value that the sentence states before it.
    """
    if not gain.known:
        return f"{count(seeds, 'seed')}, {no_interval(seeds)}"
    size = gain if gain.value >= 0 else -gain
    unsure = "" if gain.excludes_zero else ", so no effect is shown"
    return f"95% interval over {count(seeds, 'seed')} {nats(size.low)} to {nats(size.high)}{unsure}"


def nats(value: float) -> str:
    return decimals(value, 4)
