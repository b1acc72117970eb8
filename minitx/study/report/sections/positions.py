"""Show the loss along the context, and what each doubling of the position gains."""

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
    sentences += _differences(results, measured)
    return Section(
        name="positions",
        title="The loss along the context",
        finding=_finding(measured),
        table=pd.concat([_table(name, each) for name, each in measured.items()], ignore_index=True),
        figure=_figure(results, measured),
        sentences=sentences,
        answers=len(sentences),
        note=(
            "On test, in nats/token. Top: the mean loss at the positions between two doublings of "
            "the context; at position n the next token is predicted from n tokens. Bottom: the "
            "gain of each doubling, which is the decrease from the one before it. Tokens at other "
            "positions are other tokens, and some are easier than others, so a gain is not due to "
            "the context alone. All models predict the same tokens, so their gains can be "
            "compared. Bands: 95% intervals over seeds (t)."
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
    """Describe the mean change of the last doubling."""
    parts = []
    for name, losses in measured.items():
        gain = gains_of(losses)[losses.columns[-1]].mean()
        verb = "falls" if gain >= 0 else "rises"
        parts.append(f"{name}'s {verb} by {nats(abs(gain))}")
    return f"{listed(parts)} nats/token at the last doubling of the position"


def _last_gain(name: str, losses: pd.DataFrame) -> str:
    before, after = losses.columns[-2:]
    gain = mean_interval(gains_of(losses)[after])
    verb = "falls" if gain.value >= 0 else "rises"
    return (
        f"From positions {before // 2 + 1:,} to {before:,} to positions {before + 1:,} to "
        f"{after:,}, the loss of {name} {verb} by {nats(abs(gain.value))} nats/token "
        f"({over_seeds(gain, len(losses))})."
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
            verdict = f"No difference in that doubling's gain is shown between {more} and {less}"
        else:  # on these test items: losses by position are not kept for each of them
            verdict = (
                f"The gain of that doubling was larger for {more} than for {less} in these runs"
            )
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
    return finish(figure, f"{results.title}: the loss along the context", own)
