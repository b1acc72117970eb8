"""What the sweep of rates found, by the loss on val."""

import pandas as pd
from matplotlib.figure import Figure

from minitx.drawing.figures import INK
from minitx.study.formatting import are_numbers, as_said, count, listed, setting
from minitx.study.report.sections import Section
from minitx.study.report.style import (
    draw_figures,
    finish,
    name_axes,
    panels,
    scale_steps,
    styles_of,
)
from minitx.study.results.results import Results
from minitx.study.results.sweep import Sweep, spelt, sweeps_of


def section(results: Results) -> Section | None:
    sweeps = [sweep for sweep in sweeps_of(results) if len(sweep.tried) > 1]
    if not sweeps:
        return None
    keys = sweeps[0].keys
    drawn = len(keys) == 1 and are_numbers(sweeps[0].values(keys[0]))
    return Section(
        name="tuning",
        title="What tuning found",
        table=_table(sweeps),
        figure=_figure(results, sweeps, keys[0]) if drawn else None,
        sentences=[_sentence(sweep) for sweep in sweeps],
        note=(
            "Each arm gets the rate with the lowest loss on val, ringed; test is not looked at. A "
            "best rate at the edge of what was tried leaves open that one beyond it is better."
        ),
    )


def _table(sweeps: list[Sweep]) -> pd.DataFrame:
    tables = []
    for sweep in sweeps:
        tried = sweep.tried.rename(
            columns={"loss": "loss on val (nats/token)", "finished": "runs finished"}
        )
        for key in sweep.keys:
            tried[key] = as_said(tried[key])
        tried.insert(0, "arm", sweep.condition.name)
        tried["chosen"] = ["chosen" if each else "" for each in tried["chosen"] & sweep.known]
        tables.append(tried)
    return pd.concat(tables, ignore_index=True)


def _sentence(sweep: Sweep) -> str:
    name = sweep.condition.name
    failed = int((sweep.tried["runs"] - sweep.tried["finished"]).sum())
    lost = f" {count(failed, 'run')} of its sweep did not finish." if failed else ""
    if not sweep.chosen:
        return f"{name}: no rate was chosen, as no run of its sweep finished."
    values = [
        f"{key.rpartition('.')[2]} {listed(list(map(setting, sweep.values(key))))}"
        for key in sweep.keys
    ]
    loss = float(sweep.tried.loc[sweep.tried["chosen"], "loss"].iloc[0])
    edge = (
        f" That is the edge of what was tried for {listed(_short(sweep.at_edge))}: the sweep was "
        "too narrow for it."
        if sweep.at_edge
        else ""
    )
    return (
        f"{name}: {spelt(sweep.chosen)} was chosen out of {'; '.join(values)} (loss on val "
        f"{loss:.3f} nats/token).{edge}{lost}"
    )


def _short(keys: list[str]) -> list[str]:
    return [key.rpartition(".")[2] for key in keys]


def _figure(results: Results, sweeps: list[Sweep], key: str) -> Figure | None:
    sweeps = [sweep for sweep in sweeps if sweep.known.any()]
    if not sweeps:
        return None
    figure, [axes] = panels(width=5.6)
    own = styles_of([sweep.condition for sweep in sweeps])
    for sweep in sweeps:
        line = sweep.tried[sweep.known]
        draw_figures(axes, own[sweep.condition.name], line[key], line["loss"])
        best = line[line["chosen"]]
        axes.plot(
            *(best[key], best["loss"], "o"),
            markersize=12,
            markerfacecolor="none",
            markeredgecolor=INK,
            markeredgewidth=1.1,
        )
    scale_steps(axes.xaxis, [value for sweep in sweeps for value in sweep.tried[key]])
    name_axes(axes, key, "loss on val (nats/token)")
    return finish(figure, f"{results.study.name} on {results.task}: the sweep", own)
