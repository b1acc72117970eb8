"""Show which model can do which task, and up to which length.

A seed can do a task up to a length if it answers well at this length and at all shorter ones that
were tested. Seeds generalise or do not, so they are counted.
"""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from minitx.drawing.figures import MUTED
from minitx.drawing.formatting import listed, percent, whole_percent
from minitx.study.report.sections import Section
from minitx.study.report.style import (
    draw_line,
    finish,
    name_axes,
    panels,
    percent_axis,
    scale_steps,
    styles,
)
from minitx.study.results.conditions import Condition, conditions_of
from minitx.study.results.results import Results
from minitx.study.statistics.intervals import fraction_interval

# By measure, the least value with which a seed can do a task.
LEVELS = {"accuracy": 0.99, "exact match": 0.95}
FAR = 5  # times the longest length of training: where accuracies are listed
TASK, ARM, LENGTH = "task", "arm", "length"
HEIGHT = 1.9  # of a panel, inches


def section(results: Results) -> Section | None:
    found = [_scores(results, condition) for condition in conditions_of(results)]
    found = [each for each in found if len(each)]
    if not found:
        return None
    scores = pd.concat(found, ignore_index=True)
    table = _by_length(scores)
    counted = {measure: _counted(scores, measure) for measure in LEVELS}
    sentences = [_reach(task, rows) for task, rows in counted["accuracy"].groupby(TASK, sort=False)]
    return Section(
        name="lengths",
        title="Which model can do what, and up to which length",
        table=table,
        figure=_figure(results, table),
        sentences=sentences,
        answers=len(sentences),
        more={
            **{_named(measure): _wide(rows) for measure, rows in counted.items()},
            "accuracy beyond training": _far(scores),
            "seeds by length": pd.concat(counted.values(), ignore_index=True),
        },
        note=(
            f"A seed can do a task up to a length if at least {percent(LEVELS['accuracy'])} of its "
            "answers are right at this length and at all shorter ones that were tested; in the "
            f"second table, if at least {percent(LEVELS['exact match'])} of its sequences have no "
            "wrong answer. The tables have the longest length up to which more than half of the "
            "seeds can, and how many of them can, with the exact 95% interval of their fraction "
            "(Clopper and Pearson 1934). "
            "Figure: mean accuracy over seeds by length. Vertical line: the longest length of "
            "training. Dotted: the chance level, the accuracy of the best constant answer. A model "
            "that copies reads the right letters before each answer."
        ),
    )


def _named(measure: str) -> str:
    """Return the name of a table: "longest length at 99% accuracy"."""
    return f"longest length at {percent(LEVELS[measure])} {measure}"


def _scores(results: Results, condition: Condition) -> pd.DataFrame:
    """Return a row for each seed of a condition and each length of test."""
    tables = condition.details(results, "lengths")
    if not tables:
        return pd.DataFrame()
    task = condition.on(TASK) if TASK in condition.axes else results.task
    rest = condition.without(TASK).name if TASK in condition.axes else condition.name
    return pd.concat(tables, ignore_index=True).assign(**{ARM: rest, TASK: task})


def _by_length(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the mean of both measures over seeds, and the lowest and the highest seed."""
    groups = scores.groupby([TASK, ARM, LENGTH], sort=False)
    return groups.agg(
        **{
            "accuracy, mean": ("accuracy", "mean"),
            "lowest seed": ("accuracy", "min"),
            "highest seed": ("accuracy", "max"),
            "exact match, mean": ("exact match", "mean"),
            "chance level": ("chance level", "first"),
            "longest in training": ("longest in training", "first"),
            "seeds": ("key", "nunique"),
        }
    ).reset_index()


def _counted(scores: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Return how many seeds can do a task up to each length."""
    rows = []
    for (task, arm), group in scores.groupby([TASK, ARM], sort=False):
        values = group.pivot(index="key", columns=LENGTH, values=measure)  # shortest first
        can = (values >= LEVELS[measure]).astype(int).cummin(axis="columns")
        for length, seeds in can.items():
            hits, tries = int(seeds.sum()), len(seeds)
            rows.append(
                {
                    TASK: task,
                    ARM: arm,
                    "measure": measure,
                    LENGTH: length,
                    "seeds that can": hits,
                    "seeds": tries,
                    **fraction_interval(hits, tries).columns("fraction"),
                }
            )
    return pd.DataFrame(rows)


def _reached(rows: pd.DataFrame) -> tuple[int, pd.Series]:
    """Return the longest length that most seeds can do, and its row; 0 and the first if none.

    `rows` are those of an arm on a task.
    """
    most = rows[2 * rows["seeds that can"] > rows["seeds"]]
    return (int(most[LENGTH].iloc[-1]), most.iloc[-1]) if len(most) else (0, rows.iloc[0])


def _wide(counted: pd.DataFrame) -> pd.DataFrame:
    """Return a table with a row for each arm and a column for each task."""

    def cell(rows: pd.DataFrame) -> str:
        length, row = _reached(rows)
        ends = " to ".join(whole_percent(row[end]) for end in ("low", "high"))
        return f"{length or 'none'} ({row['seeds that can']} of {row['seeds']}, {ends})"

    return _by_arm(
        {(arm, task): cell(rows) for (task, arm), rows in counted.groupby([TASK, ARM], sort=False)}
    )


def _far(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the mean accuracy of each arm, and chance, at one length far beyond training."""
    cells: dict[tuple[str, str], str] = {}
    for task, rows in scores.groupby(TASK, sort=False):
        far = rows[rows[LENGTH] >= FAR * rows["longest in training"]]
        length = far[LENGTH].min() if len(far) else rows[LENGTH].max()
        at = rows[rows[LENGTH] == length]
        name = f"{task}, length {length}"
        cells |= {
            (str(arm), name): percent(mean)
            for arm, mean in at.groupby(ARM, sort=False)["accuracy"].mean().items()
        }
        cells["chance level", name] = percent(at["chance level"].iloc[0])
    table = _by_arm(cells)
    chance = table[ARM] == "chance level"
    return pd.concat([table[~chance], table[chance]], ignore_index=True)


def _by_arm(cells: dict[tuple[str, str], str]) -> pd.DataFrame:
    """Return cells by (arm, column) as a table with a row for each arm."""
    arms, columns = (list(dict.fromkeys(names)) for names in zip(*cells, strict=True))
    return pd.DataFrame(
        [{ARM: arm} | {name: cells.get((arm, name), "") for name in columns} for arm in arms]
    )


def _reach(task: str, counted: pd.DataFrame) -> str:
    """Say up to which length the arms can do a task, the longest length first."""
    groups: dict[int, list[str]] = {}
    for arm, rows in counted.groupby(ARM, sort=False):
        length, row = _reached(rows)
        groups.setdefault(length, []).append(f"{arm} ({row['seeds that can']} of {row['seeds']})")
    longest = int(counted[LENGTH].max())
    parts = []
    for length, arms in sorted(groups.items(), reverse=True):
        where = f"up to length {length}" if length else "at no length that was tested"
        where += ", the longest that was tested," * (length == longest)
        parts.append(f"{where} with {listed(arms)}")
    level = percent(LEVELS["accuracy"])
    return f"{task}: at least {level} of the answers of most seeds are right {'; '.join(parts)}."


def _figure(results: Results, table: pd.DataFrame) -> Figure:
    tasks = list(dict.fromkeys(table[TASK]))
    figure, each = panels(len(tasks), columns=min(2, len(tasks)), height=HEIGHT)
    own = styles(table[ARM])
    chance: dict[str, Any] = {"color": MUTED, "linestyle": ":", "linewidth": 1.4, "zorder": 1}
    for axes, task in zip(each, tasks, strict=True):
        rows = table[table[TASK] == task]
        for arm, line in rows.groupby(ARM, sort=False):
            line = line.sort_values(LENGTH)
            draw_line(axes, own[str(arm)], line[LENGTH], line["accuracy, mean"], markersize=4)
        levels = rows.drop_duplicates(LENGTH).sort_values(LENGTH)
        axes.plot(levels[LENGTH], levels["chance level"], **chance)
        axes.axvline(rows["longest in training"].iloc[0], color=MUTED, linewidth=0.8, zorder=1)
        scale_steps(axes.xaxis, levels[LENGTH])
        axes.set_ylim(-0.02, 1.04)
        percent_axis(axes.yaxis)
        name_axes(axes, "length", str(task))
    return finish(figure, f"{results.title}: accuracy by length", own)
