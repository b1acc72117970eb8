"""Show the quality of each arm against the size of its state."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from minitx.drawing.formatting import listed, three_digits
from minitx.metrics.decomposable import Measure
from minitx.study.report.sections import Section
from minitx.study.report.style import (
    draw_point,
    finish,
    name_axes,
    panels,
    plain_numbers,
    scale_values,
    styles_of,
)
from minitx.study.results.conditions import Condition, scored_conditions
from minitx.study.results.results import Results

FLOAT32 = 4  # bytes
STATE = "state, kB"


def section(results: Results) -> Section | None:
    conditions = [
        condition
        for condition in scored_conditions(results)
        if not np.isnan(condition.median("state_size"))
    ]
    if len({condition.median("state_size") for condition in conditions}) < 2:
        return None
    table = _table(results, conditions)
    context = {found.get("model.context") for found in results.settings.values()}
    after = f" after {context.pop():,} tokens" if len(context) == 1 and None not in context else ""
    return Section(
        name="state",
        title="What they keep of a text",
        table=table,
        figure=_figure(results, conditions),
        sentences=_sentences(results, table, after),
        note=(
            f"State: what a model keeps of one sequence{after} to continue it, in float32. It "
            "grows with the sequence for attention; other mixers keep a state of one size. "
            "Bars are 95% intervals over seeds."
        ),
    )


def _kilobytes(condition: Condition) -> float:
    return FLOAT32 * condition.median("state_size") / 1000


def _table(results: Results, conditions: list[Condition]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "arm": condition.name,
                "numbers in the state": int(condition.median("state_size")),
                STATE: _kilobytes(condition),
                f"{results.measure.words}, mean": condition.mean(results.metric),
            }
            for condition in conditions
        ]
    ).sort_values(STATE, kind="stable", ignore_index=True)


def _sentences(results: Results, table: pd.DataFrame, after: str) -> list[str]:
    measure, quality = results.measure, table.columns[-1]
    sizes = [f"{row['arm']} {three_digits(row[STATE])}" for _, row in table.iterrows()]
    sentences = [f"State of one sequence{after}, in kB: {listed(sizes)}."]
    front = _front(table, measure, quality)
    if len(front) > 1:
        found = [
            f"{row['arm']} ({three_digits(row[STATE])} kB, {measure.number(row[quality])})"
            for _, row in front.iterrows()
        ]
        sentences.append(
            f"In these runs, for each of {listed(found)}, no arm with a state of its size or a "
            f"smaller one had a {measure.direction} mean."
        )
    elif len(front):
        sentences.append(
            f"In these runs, {front['arm'].iloc[0]} had both the smallest state and the "
            f"{measure.best} mean."
        )
    return sentences


def _front(table: pd.DataFrame, measure: Measure, quality: str) -> pd.DataFrame:
    """Return the arms that no other one surpasses in size or quality and equals in the other."""
    sizes = table[STATE]
    badness = table[quality] if measure.lower_is_better else -table[quality]
    kept = [
        not (
            (sizes <= sizes[i])
            & (badness <= badness[i])
            & ((sizes < sizes[i]) | (badness < badness[i]))
        ).any()
        for i in table.index
    ]
    return table[kept]


def _figure(results: Results, conditions: list[Condition]) -> Figure:
    figure, (axes,) = panels()
    own = styles_of(conditions)
    for condition in conditions:
        quality = condition.score(results)
        draw_point(axes, own[condition.name], _kilobytes(condition), quality.value, yerr=quality)
    # Sizes differ by factors, and without a mixer the state is empty.
    axes.set_xscale("symlog", linthresh=0.1)
    plain_numbers(axes.xaxis)
    scale_values(axes.yaxis, results.measure)
    name_axes(axes, f"{STATE} (logarithmic)", results.measure.on_test)
    return finish(figure, f"{results.title}: quality and the size of the state", own)
