"""Show what each doubling of the context gains, measured on the same tokens."""

from itertools import groupby, takewhile

import pandas as pd
from matplotlib.figure import Figure

from minitx.drawing.figures import MUTED
from minitx.drawing.formatting import listed
from minitx.metrics.decomposable import MEASURES
from minitx.study.report.comparison import compared_gains, number_of_tests
from minitx.study.report.gains import GainDifference, nats, over_seeds, verdicts
from minitx.study.report.rules import may_claim
from minitx.study.report.sections import Section
from minitx.study.report.style import (
    draw_line,
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
LINEAR = 0.001  # nats/token; larger gains have a logarithmic axis, because they differ so much
PRECISION = 4  # decimals of a gain, as in the sentences


def section(results: Results) -> Section | None:
    measured = measured_doublings(results)
    if not measured:
        return None
    differences = compared_gains(results)
    claim, tests = may_claim(results), number_of_tests(results)
    sentences = [_effect(name, each) for name, each in measured.items()]
    for _, pair in groupby(differences, lambda each: each.second):
        sentences += verdicts(list(pair), claim, tests)
    corrected = f", corrected for all {tests} comparisons of this report (Holm)" * (tests > 1)
    return Section(
        name="doublings",
        title="What each doubling of the context gains",
        finding=_finding(measured),
        table=pd.concat([_table(name, each) for name, each in measured.items()], ignore_index=True),
        figure=_figure(results, measured),
        sentences=sentences,
        answers=len(sentences),
        more={"differences": _differences(differences)} if differences else {},
        note=(
            f"On test, in nats/token, over the same {_targets(measured)} for each context: in a "
            "context of n tokens, each is predicted from more than n/2 and at most n tokens. Top: "
            "the loss. Bottom: the gain of each doubling, which is the decrease of the loss from "
            f"half of the context; the axis is linear from −{LINEAR} to {LINEAR} and logarithmic "
            "beyond. Bands: 95% intervals over seeds (Student's t). A model that needs less "
            "context for the same loss has less left to gain. The difference of two models' gains "
            "has two tests: a paired bootstrap over test items and a paired t test over seeds. p "
            f"is the larger of the two p-values{corrected}."
        ),
    )


def _targets(measured: dict[str, Doublings]) -> str:
    """Return how many tokens were predicted: "210,000 tokens"."""
    tables = [table for each in measured.values() for table in each.clusters.values()]
    sizes = sorted({int(table["tokens"].sum()) for table in tables})
    return f"{listed(f'{size:,}' for size in sizes)} tokens"


def _table(name: str, each: Doublings) -> pd.DataFrame:
    names = ("gain of the doubling", "gain: low", "gain: high")
    table = pd.DataFrame(
        {
            "arm": name,
            "context, tokens": context,
            **mean_interval(each.losses[context].to_numpy(), LOSS).columns("loss, nats/token"),
            **mean_interval(each.gains.get(context, [])).columns(*names),
            "seeds": len(each.losses),
        }
        for context in each.losses
    )
    return table.assign(**{name: table[name].round(PRECISION) + 0.0 for name in names})  # no -0.0


def _differences(differences: list[GainDifference]) -> pd.DataFrame:
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
            "gains more": each.leader or "not shown",
        }
        for each in differences
    )


def _helped(each: Doublings) -> list[int]:
    """Return the contexts up to which each doubling is shown to lower the loss."""
    gains = each.gains.items()
    lower = takewhile(lambda gain: mean_interval(gain[1].to_numpy()).low > 0, gains)
    return [context for context, _ in lower]


def _finding(measured: dict[str, Doublings]) -> str:
    """Name the contexts up to which each doubling lowers the loss, if all models have one."""
    helped = {name: _helped(each) for name, each in measured.items()}
    if not all(helped.values()):
        return ""
    parts = [f"of {name} up to {contexts[-1]:,} tokens" for name, contexts in helped.items()]
    return f"each lowers the loss {listed(parts)}"


def _effect(name: str, each: Doublings) -> str:
    """Describe up to which context each doubling lowers the loss."""
    gains = {context: mean_interval(gain.to_numpy()) for context, gain in each.gains.items()}
    helped, contexts = _helped(each), list(gains)

    def change(context: int, whose: str) -> str:
        gain = gains[context]
        verb = "lowers" if gain.value >= 0 else "raises"
        size = f"{nats(abs(gain.value))} nats/token ({over_seeds(gain, len(each.losses))})"
        return f"doubling to {context:,} tokens {verb} {whose} by {size}"

    if not helped:
        return f"The {change(contexts[-1], f'the loss of {name}')}."
    shown = [f"the {change(context, 'it')}" for context in contexts[len(helped) - 1 :][:2]]
    return (
        f"Each doubling of the context up to {helped[-1]:,} tokens lowers the loss of {name}: "
        f"{', and '.join(shown)}."
    )


def _figure(results: Results, measured: dict[str, Doublings]) -> Figure:
    figure, [top, bottom] = panels(2)
    own = styles(measured)
    bottom.set_yscale("symlog", linthresh=LINEAR)
    bottom.axhline(0, color=MUTED, linewidth=1)
    for name, each in measured.items():
        means = [mean_interval(each.losses[context].to_numpy(), LOSS) for context in each.losses]
        draw_line(top, own[name], each.losses.columns, means)
        gains = [mean_interval(gain.to_numpy()) for gain in each.gains.values()]
        draw_line(bottom, own[name], each.gains, gains)
    contexts = sorted({context for each in measured.values() for context in each.losses})
    scale_steps(top.xaxis, contexts)
    scale_steps(bottom.xaxis, contexts[1:])
    plain_numbers(bottom.yaxis)
    name_axes(top, "context, tokens", "loss on test, nats/token")
    name_axes(bottom, "context doubled to, tokens", "gain of the doubling, nats/token")
    return finish(figure, f"{results.title}: what each doubling of the context gains", own)
