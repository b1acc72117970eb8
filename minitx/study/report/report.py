"""The content of a study's report, independent of its format."""

from dataclasses import dataclass

import pandas as pd

from minitx.drawing.formatting import count, listed, seconds, setting, settings
from minitx.errors import UserError
from minitx.study.report.differences import resampled_clusters, resamples_of
from minitx.study.report.rules import check_rules
from minitx.study.report.rules.machine import kernels
from minitx.study.report.rules.rule import Rule
from minitx.study.report.rules.size import operations
from minitx.study.report.sections import Section, sections_of
from minitx.study.results.conditions import conditions_of
from minitx.study.results.models import describe_models, describe_training
from minitx.study.results.results import FAILED, FINISHED, Results
from minitx.study.results.settings import describe_settings
from minitx.study.statistics.intervals import LEAST_SEEDS, interval_words

COMPARING = {"quality", "axis"}  # sections with intervals of differences of the headline
MOST_ROWS = 30  # of a table in the report; a longer one is only in its file

# Columns of the table of runs, and their headings.
COLUMNS = {
    "parameters": "parameters",
    "tokens_seen": "tokens seen",
    "train_seconds": "seconds",
    "val/loss": "val loss",
}


@dataclass(frozen=True)
class Report:
    """The content of a report.

    `models` describes each arm, and `how` how the study was done, as facts by name. `settings` has
    the same as overrides. `runs` has a row for each run.
    """

    title: str
    quick: bool
    question: str
    answer: list[str]
    sections: list[Section]
    models: dict[str, str]
    how: dict[str, str]
    settings: pd.DataFrame
    rules: list[Rule]
    runs: pd.DataFrame
    command: str

    @property
    def headings(self) -> list[str]:
        """The headings of the parts after the answer."""
        last = ["How it was done", "Rules of a fair comparison", "All runs"]
        models = ["The models"] if self.models else []
        repeat = ["To repeat it"] if self.command else []
        return [*(section.heading for section in self.sections), *models, *last, *repeat]

    @property
    def picture(self) -> Section | None:
        """The section whose figure is at the top."""
        return next((section for section in self.sections if section.figure), None)


def compose(results: Results) -> Report:
    """Return the report of the results.

    Raises UserError if no run has finished, if runs used different corpora or tokenizers, and for
    an unknown section.
    """
    runs = results.runs
    if runs.empty or not (runs["status"] == FINISHED).any():
        raise UserError(
            f"study={results.study.name} has no finished run yet, so there is nothing to report: "
            + (_failures(runs) or "train it first, without report_only=true")
        )
    rules = check_rules(results)
    sections = sections_of(results)
    answer = [each for section in sections for each in section.sentences[: section.answers]]
    answer = answer or [_unanswered(results)]
    if broken := [rule.name for rule in rules if not rule.kept]:
        names = "; ".join(broken)
        answer.append(f"Some rules of a fair comparison (see below) were not kept: {names}.")
    return Report(
        title=results.title,
        quick=results.preset == "quick",
        question=results.study.question,
        answer=answer,
        sections=sections,
        models=describe_models(results),
        how=_how(results),
        settings=_settings(results),
        rules=rules,
        runs=_runs(results),
        command=results.command,
    )


def _unanswered(results: Results) -> str:
    if len(conditions_of(results)) < 2:
        return "One model was trained with one setting, so there is nothing to compare."
    if len(results.finished) < len(results.chosen):
        return "Too few runs have finished to answer the question."
    return "No section of this report answers the question."


def _failures(runs: pd.DataFrame) -> str:
    """Return the number of failed runs and the reasons, or an empty string if none failed."""
    failed = runs[runs["status"] == FAILED]
    reasons = "; ".join(dict.fromkeys(failed["reason"]))
    return f"{count(len(failed), 'run')} failed ({reasons})" if len(failed) else ""


def _how(results: Results) -> dict[str, str]:
    study, runs = results.study, results.runs
    trained = study.measures == "training"
    facts = {
        "task": listed(results.study.grid.get("task", [results.task])),
        "preset": results.preset,
        "grid": _axes(study.grid),
        "sweep": _axes(study.sweep) if trained else "",
        **describe_training(results),
        "seeds": _seeds(results.chosen if len(results.chosen) else runs),
        "seed of the sweep": _seeds(runs[runs["swept"] & ~runs["chosen"]]),
        "headline": f"{results.measure.words} on test" if trained else "",
        "operations per token": operations(results),
        "kernels": kernels(results),
        "intervals": _intervals(results) if results.items else "",
        "runs": f"{(runs['status'] == FINISHED).sum()} of {count(len(runs), 'run')} finished",
        "time taken": _time(runs),
        **results.facts,
    }
    return {name: words for name, words in facts.items() if words}


def _settings(results: Results) -> pd.DataFrame:
    """Return the settings of the arms, of the study and of the runs as overrides."""
    study = results.study
    found = {
        **{f"the arm {arm}": " ".join(words) for arm, words in study.arms.items()},
        "the study": " ".join(study.settings),
        **{f"runs {whose}": words for whose, words in describe_settings(results).items()},
    }
    return pd.DataFrame({"applies to": list(found), "settings": list(found.values())})


def _seeds(runs: pd.DataFrame) -> str:
    return listed(map(str, sorted(set(runs["seed"]))))


def _axes(axes: dict[str, list[object]]) -> str:
    return "; ".join(f"{key}: {', '.join(map(setting, values))}" for key, values in axes.items())


def _intervals(results: Results) -> str:
    sizes = sorted({len(items) for items in results.items.values()})
    items = listed(f"{size:,}" for size in sizes)
    differences = not COMPARING.isdisjoint(results.study.sections)
    words = f"95%; over seeds: {interval_words(results.measure.bounds)} for a mean, "
    words += "a paired t for a difference, " * differences
    words += f"none for fewer than {LEAST_SEEDS} seeds"
    if differences:
        words += (
            "; over test items: a paired bootstrap with expanded percentiles (Hesterberg 2015) and "
            f"{resamples_of(results.measure):,} resamples{resampled_clusters(results)}, from "
            f"{items} test items"
        )
    return words


def _time(runs: pd.DataFrame) -> str:
    """Format the total time of all runs. A run that arms share counts once."""
    runs = runs.drop_duplicates("key")
    for column, what in (("seconds", "training and measuring"), ("train_seconds", "training")):
        if column in runs and runs[column].notna().any():
            return f"{seconds(float(runs[column].sum()))} of {what}, summed over all runs"
    return ""


def _runs(results: Results) -> pd.DataFrame:
    """Return the table of runs: the settings and figures of each, and the reason if it failed."""
    runs = results.runs
    varied = [name for name in (*results.axes, *results.study.sweep) if name in runs]
    table = runs[["arm", *varied, "seed", "status"]].copy()
    for name in varied:
        table[name] = settings(table[name])
    table["counts"] = ["yes" if chosen else "sweep" for chosen in runs["chosen"]]
    columns = COLUMNS | {results.metric: f"test {results.measure.words}"}
    for column, name in columns.items():
        if column in runs:
            table[name] = runs[column]
    table["run"] = runs["key"]
    if any(runs["reason"]):
        table["reason"] = runs["reason"]
    return table
