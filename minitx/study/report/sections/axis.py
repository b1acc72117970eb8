"""Show how quality depends on a number that the grid varies, such as heads or pairs."""

from functools import partial

import pandas as pd
from matplotlib.figure import Figure

from minitx.study.report import verdict
from minitx.study.report.comparison import about, compare
from minitx.study.report.sections import Section
from minitx.study.report.style import (
    draw_line,
    finish,
    name_axes,
    panels,
    scale_steps,
    scale_values,
    styles,
)
from minitx.study.report.verdict import Verdict, places_by_verdict
from minitx.study.results.axes import axis_name, numeric_axis, spell
from minitx.study.results.conditions import Condition, Lines, lines_along, scored_conditions
from minitx.study.results.results import Results
from minitx.study.statistics.intervals import interval_words


def section(results: Results) -> Section | None:
    axis = numeric_axis(results)
    if axis is None:
        return None
    lines = lines_along(axis, scored_conditions(results))
    lines = {name: line for name, line in lines.items() if len(line) > 1}
    if not lines:
        return None
    measure = results.measure
    word, other_word = measure.direction, "higher" if measure.lower_is_better else "lower"
    forms = {
        # The best mean is over all seeds, and a comparison over those that both have.
        Verdict.BETTER: "better with {}",
        Verdict.AHEAD: f"{word} in these runs with {{}}",
        Verdict.WORSE: "worse with {}",
        Verdict.BEHIND: f"{other_word} in these runs with {{}}",
        Verdict.NOT_SHOWN: "no difference is shown with {}",
        Verdict.NOT_COMPARED: "not compared with {}",
    }
    claims, sentences, every = [], [], []
    for name, line in lines.items():
        best = _best(results, line)
        found = compare(results, [(each, best) for each in line if each is not best])
        every += found
        claims.append(f"{name} has its {measure.best} mean with {best.place}")
        sentences.append(
            f"{claims[-1]}: "
            f"{measure.amount(best.mean(results.metric))}. Compared with that: "
            f"{places_by_verdict(found, forms)}."
        )
    return Section(
        name="axis",
        title=f"How it depends on {axis_name(axis)}",
        finding=claims[0] if len(claims) == 1 else "",
        table=_table(results, axis, lines),
        figure=_figure(results, axis, lines),
        sentences=sentences,
        answers=len(sentences),
        more={"comparisons": verdict.table(every)},
        note=(
            f"On test, by {axis_name(axis)}. Points: single seeds; lines: their means; bands: 95% "
            f"intervals ({interval_words(measure.bounds)}). Each point is compared with the best "
            "of its line. Because any of them could be the best, all pairs of a line count as "
            "comparisons." + about(results, every)
        ),
    )


def _table(results: Results, axis: str, lines: Lines) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "arm": name,
                axis_name(axis): condition.on(axis),
                **condition.score(results).columns(f"{results.measure.words}, mean"),
                "seeds finished": len(condition.finished),
                "seeds planned": len(condition.runs),
            }
            for name, line in lines.items()
            for condition in line
        ]
    )


def _best(results: Results, line: list[Condition]) -> Condition:
    pick = min if results.measure.lower_is_better else max
    return pick(line, key=lambda condition: condition.mean(results.metric))


def _figure(results: Results, axis: str, lines: Lines) -> Figure:
    figure, [axes] = panels()
    own = styles(lines)
    for name, line in lines.items():
        along = [condition.on(axis) for condition in line]
        for condition, place in zip(line, along, strict=True):
            values = condition.values(results.metric)
            axes.plot([place] * len(values), values, ".", color=own[name].colour, markersize=3.5)
        draw_line(axes, own[name], along, [each.score(results) for each in line])
    tried = [condition.on(axis) for line in lines.values() for condition in line]
    scale_steps(axes.xaxis, tried, partial(spell, axis))
    scale_values(axes.yaxis, results.measure)
    name_axes(axes, axis_name(axis), results.measure.on_test)
    return finish(figure, f"{results.title}: {results.measure.words} by {axis_name(axis)}", own)
