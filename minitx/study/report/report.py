"""A study's report: what stands in it, whatever the form it gets."""

from dataclasses import dataclass

import pandas as pd

from minitx.errors import UserError
from minitx.study.formatting import as_said, count, listed, seconds, setting
from minitx.study.report.comparison import resamples_of
from minitx.study.report.rules import Rule, check_rules
from minitx.study.report.sections import Section, sections_of
from minitx.study.results.results import FAILED, FINISHED, Results
from minitx.study.results.settings import describe_settings

MOST_ROWS = 30  # of a table in the report; longer ones are in their files alone

# Columns of the table of runs, and what they are called there.
ABOUT_RUNS = {
    "parameters": "parameters",
    "tokens_seen": "tokens seen",
    "train_seconds": "seconds",
    "val/loss": "val loss",
}


@dataclass(frozen=True)
class Report:
    """What a report says.

    `how` tells how it was done, a fact and its words each; `runs` has a row for each run.
    """

    title: str
    quick: bool
    question: str
    answer: list[str]
    sections: list[Section]
    how: dict[str, str]
    rules: list[Rule]
    runs: pd.DataFrame
    command: str

    @property
    def picture(self) -> Section | None:
        """The section whose figure stands at the top."""
        return next((section for section in self.sections if section.figure), None)


def tables_of(section: Section) -> dict[str, pd.DataFrame]:
    """The tables of a section by the names of their files, the figure's data first."""
    more = {
        f"{section.name}_{name}".replace(" ", "_"): table for name, table in section.more.items()
    }
    tables = {section.name: section.table} | more
    return {f"figures/{name}.csv": table for name, table in tables.items()}


def compose(results: Results) -> Report:
    """All that the report of these results says.

    Raises UserError where no run has finished, where runs are of different corpora or tokenizers,
    and for a section that there is not.
    """
    runs = results.runs
    if runs.empty or not (runs["status"] == FINISHED).any():
        raise UserError(
            f"study={results.study.name} has no finished run yet, so there is nothing to report: "
            + (_failures(runs) or "train it first, without report_only=true")
        )
    rules = check_rules(results)
    sections = sections_of(results)
    return Report(
        title=f"{results.study.name} on {results.task}",
        quick=results.preset == "quick",
        question=results.study.question,
        answer=[
            *(each for section in sections for each in section.sentences[: section.answers]),
            *_broken(rules),
        ],
        sections=sections,
        how=_how(results),
        rules=rules,
        runs=_runs(results),
        command=results.command,
    )


def _broken(rules: list[Rule]) -> list[str]:
    """What weakens the answer, beside it: the rules themselves stand further down."""
    names = [rule.name for rule in rules if not rule.kept]
    if not names:
        return []
    return [f"Of the rules of a fair comparison (below) these were not kept: {'; '.join(names)}."]


def _failures(runs: pd.DataFrame) -> str:
    """How many failed, and why; nothing where none did."""
    failed = runs[runs["status"] == FAILED]
    reasons = "; ".join(dict.fromkeys(failed["reason"]))
    return f"{count(len(failed), 'run')} failed ({reasons})" if len(failed) else ""


def _how(results: Results) -> dict[str, str]:
    study, runs = results.study, results.runs
    trained = study.measures == "training"
    facts = {
        "task": results.task,
        "preset": results.preset,
        "arms": "; ".join(f"{arm}: {' '.join(words)}" for arm, words in study.arms.items()),
        "grid": _axes(study.grid),
        "sweep": _axes(study.sweep) if trained else "",
        "settings of the study": " ".join(study.settings),
        **{f"settings {whose}": words for whose, words in describe_settings(results).items()},
        "seeds": listed([str(seed) for seed in sorted(set(runs["seed"]))]),
        "headline": f"{results.measure.words} on test" if trained else "",
        "intervals": _intervals(results) if results.items else "",
        "runs": f"{count(int((runs['status'] == FINISHED).sum()), 'run')} finished of {len(runs)}",
        "time taken": _time(runs),
        **results.facts,
    }
    return {name: words for name, words in facts.items() if words}


def _axes(axes: dict[str, list[object]]) -> str:
    return "; ".join(f"{key}: {', '.join(map(setting, values))}" for key, values in axes.items())


def _intervals(results: Results) -> str:
    sizes = sorted({len(items) for items in results.items.values()})
    items = listed([f"{size:,}" for size in sizes])
    return (
        "95%; over seeds Student's t for a mean and Welch's t for a difference; over test items a "
        f"paired percentile bootstrap of {resamples_of(results.measure):,} resamples of {items} "
        "items, which are taken as independent of each other"
    )


def _time(runs: pd.DataFrame) -> str:
    """What all runs took, measured as they were done; arms may share some."""
    runs = runs.drop_duplicates("key")
    for column, what in (("seconds", "training and measuring"), ("train_seconds", "training")):
        if column in runs and runs[column].notna().any():
            return f"{seconds(float(runs[column].sum()))} of {what}, the runs one after the other"
    return ""


def _runs(results: Results) -> pd.DataFrame:
    """The table of runs: what each was, what came of it, and why not where nothing did."""
    runs = results.runs
    said = [name for name in (*results.axes, *results.study.sweep) if name in runs]
    table = runs[["arm", *said, "seed", "status"]].copy()
    for name in said:
        table[name] = as_said(table[name])
    table["counts"] = ["yes" if chosen else "sweep" for chosen in runs["chosen"]]
    columns = ABOUT_RUNS | {results.metric: f"test {results.measure.words}"}
    for column, name in columns.items():
        if column in runs:
            table[name] = runs[column]
    table["run"] = runs["key"]
    if any(runs["reason"]):
        table["reason"] = runs["reason"]
    return table
