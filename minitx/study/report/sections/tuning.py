"""Show what the sweep found, by the loss on val or the steps to a goal."""

from math import inf, nan
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from minitx.drawing.figures import INK
from minitx.drawing.formatting import count, is_number, listed, setting, settings
from minitx.study.plan.widening import MOST_FURTHER
from minitx.study.report.sections import Section
from minitx.study.report.style import draw_line, finish, name_axes, panels, scale_steps, styles_of
from minitx.study.results.axes import last_part
from minitx.study.results.results import Results
from minitx.study.results.sweep import Sweep, spelt, sweeps_of


def section(results: Results) -> Section | None:
    sweeps = [sweep for sweep in sweeps_of(results) if len(sweep.tried) > 1]
    if not sweeps:
        return None
    known = [sweep for sweep in sweeps if sweep.known.any()]
    keys = sweeps[0].keys
    goal = any(map(_reached, sweeps))
    best = "that reached the goal in the fewest steps or, if several or none did, " * goal
    best += "with the lowest loss on val"
    drawn = known and len(keys) == 1 and all(map(is_number, sweeps[0].values(keys[0])))
    return Section(
        name="tuning",
        title="What tuning found",
        finding=_finding(sweeps, goal=goal),
        table=pd.concat([_table(sweep, goal=goal) for sweep in sweeps], ignore_index=True),
        figure=_figure(results, known, keys[0], goal=goal) if drawn else None,
        sentences=[_sentence(sweep, results.study.sweep, goal=goal) for sweep in sweeps],
        note=(
            f"Each arm gets the value {best} (ringed), without looking at test. "
            f"{'Values that did not reach the goal are not drawn. ' * goal}The full preset "
            f"widens a sweep whose best value is at the edge, by up to {MOST_FURTHER} values on "
            "each side. If the best value is still at the edge, a value "
            "beyond it may be better."
        ),
    )


def _finding(sweeps: list[Sweep], *, goal: bool) -> str:
    edges = sum(bool(sweep.at_edge) for sweep in sweeps)
    if not all(sweep.chosen for sweep in sweeps):
        return ""
    if edges:
        return f"{edges} of {count(len(sweeps), 'best value')} at the edge of the sweep"
    short = [sweep.condition.name for sweep in sweeps if goal and not _reached(sweep)]
    but = f"; no value of {listed(short)} reached the goal" if short else ""
    return f"every best value is inside the sweep{but}"


def _reached(sweep: Sweep) -> bool:
    """Return whether a run of the sweep reached the goal."""
    return bool((sweep.tried["steps"] < inf).any())


def _table(sweep: Sweep, *, goal: bool) -> pd.DataFrame:
    names = {
        "steps": "steps to the goal",
        "loss": "loss on val (nats)",
        "finished": "runs finished",
    }
    hidden = [] if goal else ["steps"]
    table = sweep.tried.replace({"steps": {inf: nan}}).drop(columns=hidden).rename(columns=names)
    for key in sweep.keys:
        table[key] = settings(table[key])
    table.insert(0, "arm", sweep.condition.name)
    table["chosen"] = ["chosen" if each else "" for each in table["chosen"] & sweep.known]
    return table


def _sentence(sweep: Sweep, asked: dict[str, list[Any]], *, goal: bool) -> str:
    name = sweep.condition.name
    failed = int((sweep.tried["runs"] - sweep.tried["finished"]).sum())
    lost = f" {count(failed, 'run')} of its sweep did not finish." if failed else ""
    if not sweep.chosen:
        because = "the sweep has not ended" if sweep.known.any() else "no run of its sweep finished"
        return f"{name}: nothing was chosen, because {because}."
    values = [f"{last_part(key)} {listed(map(setting, sweep.values(key)))}" for key in sweep.keys]
    chosen = sweep.tried[sweep.tried["chosen"]].iloc[0]
    short = "" if _reached(sweep) or not goal else "; no value reached the goal"
    found = f"loss on val {chosen['loss']:.3f} nats{short}"
    if chosen["steps"] < inf:
        found = f"{chosen['steps']:,.0f} steps to the goal"
    added = {key: list(map(setting, sweep.added(key, asked[key]))) for key in sweep.keys}
    by = listed(f"{last_part(key)} {listed(values)}" for key, values in added.items() if values)
    widened = f" The sweep was widened by {by}, because the best value was at its edge." * bool(by)
    edge = (
        f" For {listed(map(last_part, sweep.at_edge))} this is the edge of the sweep, which was "
        "too narrow."
        if sweep.at_edge
        else ""
    )
    return (
        f"{name}: the sweep chose {spelt(sweep.chosen)} from {'; '.join(values)} "
        f"({found}).{widened}{edge}{lost}"
    )


def _figure(results: Results, sweeps: list[Sweep], key: str, *, goal: bool) -> Figure:
    """Draw the loss of each value or, if there is a goal, the steps of those that reached it."""
    figure, [axes] = panels()
    own = styles_of([sweep.condition for sweep in sweeps])
    column = "steps" if goal else "loss"
    for sweep in sweeps:
        line = sweep.tried[sweep.known & np.isfinite(sweep.tried[column])]
        draw_line(axes, own[sweep.condition.name], line[key], line[column])
        best = line[line["chosen"]]
        ring: dict[str, Any] = {
            "markerfacecolor": "none",
            "markeredgecolor": INK,
            "markeredgewidth": 1.1,
        }
        axes.plot(best[key], best[column], "o", markersize=12, **ring)
    scale_steps(axes.xaxis, [value for sweep in sweeps for value in sweep.tried[key]])
    name_axes(axes, key, "steps to the goal" if goal else "loss on val (nats)")
    return finish(figure, f"{results.title}: the sweep", own)
