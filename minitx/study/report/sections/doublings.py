"""Show what each doubling of the context gains, measured on the same tokens."""

from itertools import groupby
from math import nan

import pandas as pd
from matplotlib.figure import Figure

from minitx.drawing.figures import MUTED
from minitx.drawing.formatting import listed
from minitx.metrics.bootstrap import Interval
from minitx.metrics.decomposable import MEASURES
from minitx.study.report.comparison import compared_gains, number_of_tests
from minitx.study.report.gains import GainDifference, change, shown_gains, verdicts
from minitx.study.report.rules import may_claim
from minitx.study.report.sections import Section
from minitx.study.report.style import (
    draw_line,
    draw_point,
    finish,
    name_axes,
    panels,
    plain_numbers,
    scale_steps,
    styles,
)
from minitx.study.results.doublings import Doublings, measured_doublings
from minitx.study.results.results import Results
from minitx.study.statistics.intervals import mean_interval

LOSS = MEASURES["loss"].bounds
LINEAR = 0.001  # nats/token; the axis of larger gains is logarithmic, because they differ so much


def section(results: Results) -> Section | None:
    measured = measured_doublings(results)
    if not measured:
        return None
    differences = compared_gains(results)
    claim, tests = may_claim(results), number_of_tests(results)
    sentences = []
    for _, pair in groupby(differences, lambda each: (each.first, each.second)):
        sentences += verdicts(list(pair), claim, tests)
    sentences += [_effect(name, each) for name, each in measured.items()]
    corrected = f", corrected for all {tests} comparisons of this report (Holm)" * (tests > 1)
    return Section(
        name="doublings",
        title="What each doubling of the context gains",
        finding=_finding(measured),
        table=pd.concat([_table(name, each) for name, each in measured.items()], ignore_index=True),
        figure=_figure(results, measured, differences),
        sentences=sentences,
        answers=len(sentences),
        more={"differences": _differences(differences, claim)} if differences else {},
        note=(
            f"On test, in nats/token, over the same {_targets(measured)} for each context: in a "
            "context of n tokens, each is predicted from more than n/2 and at most n tokens. Top: "
            "the loss. Below: the gain of each doubling, which is the decrease of the loss from "
            f"half of the context. {_of_differences(differences)}Bands and bars: 95% intervals "
            "over seeds (Student's t, of the loss on the log scale). Up to which context each "
            "doubling lowers the loss is tested in order, from the shortest on until one is not "
            "shown, so these intervals need no correction. The difference of two models' gains "
            "has two tests: a paired bootstrap over test items and a paired t test over seeds. p "
            "is the larger of the two p-values (that over items if there are too few "
            f"seeds){corrected}. In training, few tokens of a window have a short context. So a "
            "gain has two parts: what the earlier tokens tell, and what a model loses at a start "
            "that it seldom sees in training. A model that reaches a loss with less context has "
            "less to gain from more."
        ),
    )


def _targets(measured: dict[str, Doublings]) -> str:
    """Return what was predicted: "65,536 tokens", or "tokens" if there are several numbers."""
    tables = [table for each in measured.values() for table in each.clusters.values()]
    sizes = {int(table["targets"].sum()) for table in tables}
    return f"{sizes.pop():,} tokens" if len(sizes) == 1 else "tokens"


def _of_differences(differences: list[GainDifference]) -> str:
    """Explain the panel of the differences, if there is one."""
    if not differences:
        return ""
    firsts = dict.fromkeys(each.first for each in differences)
    first = listed(firsts) if len(firsts) == 1 else "the first model of a comparison"
    return f"Bottom: the gain of {first} minus that of the model with this mark. "


def _table(name: str, each: Doublings) -> pd.DataFrame:
    gains = _gains(each)
    return pd.DataFrame(
        {
            "arm": name,
            "context, tokens": context,
            **mean_interval(each.losses[context].to_numpy(), LOSS).columns("loss, nats/token"),
            **gains.get(context, Interval(nan)).columns(
                "gain of the doubling", "gain: low", "gain: high"
            ),
            "seeds": len(each.losses),
        }
        for context in each.losses
    )


def _differences(differences: list[GainDifference], claim: bool) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "first": each.first,
            "second": each.second,
            "doubling to, tokens": each.context,
            "first's gain minus second's": each.seeds.value,
            "low over items": each.items.low,
            "high over items": each.items.high,
            "low over seeds": each.seeds.low,
            "high over seeds": each.seeds.high,
            "shared seeds": each.shared,
            "p, corrected": each.p,
            "gains more": _leader(each, claim),
        }
        for each in differences
    )


def _gains(each: Doublings) -> dict[int, Interval]:
    """Return the mean gain of each doubling, by the longer context."""
    return {context: mean_interval(gain.to_numpy()) for context, gain in each.gains.items()}


def _leader(each: GainDifference, claim: bool) -> str:
    if not each.leader:
        return "not shown"
    return each.leader if claim and each.seeds.known else f"{each.leader}, in these runs"


def _finding(measured: dict[str, Doublings]) -> str:
    """Name the contexts up to which each doubling lowers the loss, if all models have one."""
    helped = {name: shown_gains(_gains(each)) for name, each in measured.items()}
    if not all(helped.values()):
        return ""
    parts = [f"of {name} up to {contexts[-1]:,} tokens" for name, contexts in helped.items()]
    return f"each lowers the loss {listed(parts)}"


def _effect(name: str, each: Doublings) -> str:
    """Describe up to which context each doubling lowers the loss."""
    gains, seeds = _gains(each), len(each.losses)
    helped, contexts = shown_gains(gains), list(gains)
    if not helped:
        last = contexts[-1]
        effect = change(gains[last], seeds, f"the loss of {name}")
        return f"The doubling to {last:,} tokens {effect}."
    up_to = helped[-1]
    sentence = (
        f"Each doubling of the context up to {up_to:,} tokens lowers the loss of {name}: the "
        f"doubling to {up_to:,} tokens {change(gains[up_to], seeds, 'it')}"
    )
    if up_to == contexts[-1]:
        return f"{sentence}."
    beyond = contexts[len(helped)]
    if gains[beyond].excludes_zero:  # then it raises the loss
        effect = change(gains[beyond], seeds, "it")
        return f"{sentence}, and the doubling to {beyond:,} tokens {effect}."
    return f"{sentence}. For the next doubling, no effect is shown."


def _figure(
    results: Results, measured: dict[str, Doublings], differences: list[GainDifference]
) -> Figure:
    figure, [losses, gains, *others] = panels(3 if differences else 2)
    own = styles(measured)
    for axes in (gains, *others):
        axes.set_yscale("symlog", linthresh=LINEAR)
        axes.axhline(0, color=MUTED, linewidth=1)
    for name, each in measured.items():
        means = [mean_interval(each.losses[context].to_numpy(), LOSS) for context in each.losses]
        draw_line(losses, own[name], each.losses.columns, means)
        found = _gains(each)
        draw_line(gains, own[name], found, found.values())
    for gain in differences:
        draw_point(others[0], own[gain.second], gain.context, gain.seeds.value, yerr=gain.seeds)
    contexts = sorted({context for each in measured.values() for context in each.losses})
    scale_steps(losses.xaxis, contexts)
    name_axes(losses, "context, tokens", "loss on test, nats/token")
    for axes, what in zip(
        (gains, *others), ("gain of the doubling", "difference of gains"), strict=False
    ):
        scale_steps(axes.xaxis, contexts[1:])
        plain_numbers(axes.yaxis)
        linear = f"nats/token (linear within ±{LINEAR})"
        name_axes(axes, "context after the doubling, tokens", f"{what}, {linear}")
    return finish(figure, f"{results.title}: what each doubling of the context gains", own)
