"""Measure what a longer context gains: the loss at each position, and the gain of each doubling."""

import pandas as pd
from matplotlib.figure import Figure

from minitx.drawing.figures import MUTED
from minitx.drawing.formatting import count, listed
from minitx.metrics.decomposable import MEASURES
from minitx.study.report.comparison import corrected_gains, number_of_tests
from minitx.study.report.gains import nats, over_seeds
from minitx.study.report.sections import Section
from minitx.study.report.style import draw_line, finish, name_axes, panels, scale_steps, styles
from minitx.study.report.verdict import probability
from minitx.study.results.octaves import gains_of, last_gain_differences, measured_octaves
from minitx.study.results.results import Results
from minitx.study.statistics.intervals import mean_interval
from minitx.study.statistics.multiple import LEVEL

LOSS = MEASURES["loss"].bounds


def section(results: Results) -> Section | None:
    measured = measured_octaves(results)
    if not measured:
        return None
    sentences = [_last_gain(name, losses) for name, losses in measured.items()]
    return Section(
        name="positions",
        title="What a longer context gains",
        finding=_finding(measured),
        table=pd.concat([_table(name, each) for name, each in measured.items()], ignore_index=True),
        figure=_figure(results, measured),
        sentences=[*sentences, *_differences(results, measured)],
        answers=len(sentences),
        note=(
            "On test, in nats/token. Top: the mean loss at the positions between two doublings of "
            "the context; at position n the next token is predicted from n tokens. Bottom: the "
            "decrease from one doubling to the next. Bands: 95% intervals over seeds (t)."
        ),
    )


def _table(name: str, losses: pd.DataFrame) -> pd.DataFrame:
    gains = gains_of(losses)
    starts = [1, *(end + 1 for end in losses.columns)]
    return pd.DataFrame(
        {
            "arm": name,
            "positions from": start,
            "to": end,
            **mean_interval(losses[end].to_numpy(), LOSS).columns("loss, nats/token"),
            **mean_interval(gains.get(end, [])).columns(
                "gain of the doubling", "gain: low", "gain: high"
            ),
            "seeds": len(losses),
        }
        for start, end in zip(starts, losses.columns, strict=False)
    )


def _finding(measured: dict[str, pd.DataFrame]) -> str:
    """Name the mean gains of the last doubling."""
    gains = [
        f"{nats(gains_of(losses)[losses.columns[-1]].mean())} of {name}"
        for name, losses in measured.items()
    ]
    return f"with the last doubling, {listed(gains)} (nats/token)"


def _last_gain(name: str, losses: pd.DataFrame) -> str:
    before, after = losses.columns[-2:]
    gain = mean_interval(gains_of(losses)[after])
    verb = "gains" if gain.value >= 0 else "loses"
    return (
        f"With the last doubling of the context, {name} {verb} {nats(abs(gain.value))} nats/token "
        f"(positions {before + 1:,} to {after:,} against {before // 2 + 1:,} to {before:,}; "
        f"{over_seeds(gain, len(losses))})."
    )


def _differences(results: Results, measured: dict[str, pd.DataFrame]) -> list[str]:
    """Compare the last gain of the first arm with that of each other arm with the same context."""
    corrected, tests = corrected_gains(results), number_of_tests(results)
    first, sentences = next(iter(measured)), []
    for name, difference in last_gain_differences(measured).items():
        p = corrected[name]
        more, less = first, name
        if difference.value <= 0:
            difference, more, less = -difference, name, first
        if p > LEVEL:
            verdict = f"No difference in that gain is shown between {more} and {less}"
        else:  # on these test items: losses by position are not kept for each of them
            verdict = f"That gain was larger for {more} than for {less} in these runs"
        sentences.append(
            f"{verdict}: it differs by {nats(difference.value)} nats/token (95% interval over "
            f"seeds, paired t, {nats(difference.low)} to {nats(difference.high)}; p "
            f"{probability(p)}, corrected for {count(tests, 'comparison')})."
        )
    return sentences


def _figure(results: Results, measured: dict[str, pd.DataFrame]) -> Figure:
    figure, [left, right] = panels(2)
    own = styles(measured)
    right.axhline(0, color=MUTED, linewidth=1)
    for name, losses in measured.items():
        means = [mean_interval(losses[end].to_numpy(), LOSS) for end in losses.columns]
        draw_line(left, own[name], losses.columns, means)
        gains = gains_of(losses)
        draw_line(right, own[name], gains, map(mean_interval, gains.values()))
    ends = sorted({end for losses in measured.values() for end in losses.columns})
    scale_steps(left.xaxis, ends)
    scale_steps(right.xaxis, ends[1:])
    name_axes(left, "position, tokens of context", "loss on test, nats/token")
    name_axes(right, "context doubled to, tokens", "gain of the doubling, nats/token")
    return finish(figure, f"{results.title}: what a longer context gains", own)
