"""The rules about the runs of the plan: how many, and how many of them are there."""

import shlex

from minitx.drawing.formatting import count, listed
from minitx.study.plan.run_store import PLACES
from minitx.study.report.rules.rule import Rule
from minitx.study.results.conditions import conditions_of, not_climbed
from minitx.study.results.results import FINISHED, MISSING, Results
from minitx.study.statistics.intervals import LEAST_SEEDS

# Keys that choose a study, of which each optimizer has its own sweep, and its files.
CHOOSES = ("study", "task", "preset", "optimizer", "report_only", "study.dir", "study.runs")


def enough_seeds(results: Results) -> Rule:
    conditions = conditions_of(results)
    least = min(len(condition.finished) for condition in conditions)
    fewest = [condition.name for condition in conditions if len(condition.finished) == least]
    every = len(fewest) == len(conditions)
    whose = "every arm" if every else listed(fewest)
    return Rule(
        f"{LEAST_SEEDS} seeds or more",
        least >= LEAST_SEEDS,
        f"{count(least, 'seed')} of {whose} finished{'' if every else ', more of the other arms'}.",
    )


def nothing_missing(results: Results) -> Rule:
    """Return the rule about missing runs. A value of the sweep may fail, and then is not chosen."""
    name = "no missing runs"
    runs = results.runs
    lacking = runs[runs["status"] != FINISHED]
    if lacking.empty:
        words = f"All {count(len(runs), 'planned run')} finished.{_ladder(results)}"
        return Rule(name, True, words)
    parts = []
    for (status, arm), group in lacking.groupby(["status", "arm"], sort=False):
        reasons = list(dict.fromkeys(reason for reason in group["reason"] if reason))
        why = f" ({'; '.join(reasons)})" if reasons else ""
        parts.append(f"{count(len(group), 'run')} of {arm} {status}{why}")
    number = f"{len(lacking)} of {count(len(runs), 'planned run')} did not finish: {listed(parts)}."
    if lacking["chosen"].any() or (lacking["status"] == MISSING).any():
        return Rule(name, False, number)
    return Rule(name, True, f"All runs that count finished. In the sweep, {number}")


def _ladder(results: Results) -> str:
    """Say which arms did not climb a ladder to its end."""
    parts = [
        f"{arm} with {higher}"
        for arm in dict.fromkeys(condition.arm for condition in conditions_of(results))
        if (higher := not_climbed(results, arm))
    ]
    return f" By the rule of the ladder, the study left out {listed(parts)}." if parts else ""


def full_preset(results: Results) -> Rule:
    """Return the rule about the preset, whose values the command line may replace.

    The command line is that of the study. So what it says does not change if the preset does later.
    """
    name = "the full preset"
    if results.preset == "quick":
        return Rule(
            name,
            False,
            "This is the quick preset, which takes minutes: its numbers should not be quoted.",
        )
    set_, left_out = changes_of(results.command)
    parts = [f"set {listed(set_)}"] if set_ else []
    parts += [f"left out {listed(left_out)}"] if left_out else []
    words = f"The preset is {results.preset}"
    if parts:
        words += f", but the command line changed it: it {' and '.join(parts)}"
    return Rule(name, not parts, f"{words}.")


def changes_of(command: str) -> tuple[list[str], list[str]]:
    """Return what a command line changes in a study: overrides that it sets, and parts left out.

    Words that choose the study, say where files are, or change no result are not among them.
    """
    words = [word.lstrip("+") for word in shlex.split(command)]
    left_out = [word.lstrip("~") for word in words if word.startswith("~")]
    found = [word for word in words if "=" in word and not word.startswith(("-", "~", "hydra"))]
    return [word for word in found if not _is_neutral(word.partition("=")[0])], left_out


def _is_neutral(key: str) -> bool:
    group, _, name = key.partition(".")
    return key in CHOOSES or group in ("logger", "hydra") or name in PLACES.get(group, ())
