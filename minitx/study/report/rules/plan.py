"""The rules about the runs of the plan: how many, and how many of them are there."""

from minitx.drawing.formatting import count, listed
from minitx.study.report.rules.rule import Rule
from minitx.study.results.conditions import conditions_of
from minitx.study.results.results import FINISHED, MISSING, Results

LEAST_SEEDS = 4  # with fewer, an interval over seeds says next to nothing


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
        return Rule(name, True, f"All {count(len(runs), 'planned run')} finished.")
    parts = []
    for (status, arm), group in lacking.groupby(["status", "arm"], sort=False):
        reasons = list(dict.fromkeys(reason for reason in group["reason"] if reason))
        why = f" ({'; '.join(reasons)})" if reasons else ""
        parts.append(f"{count(len(group), 'run')} of {arm} {status}{why}")
    number = f"{len(lacking)} of {count(len(runs), 'planned run')} did not finish: {listed(parts)}."
    if lacking["chosen"].any() or (lacking["status"] == MISSING).any():
        return Rule(name, False, number)
    return Rule(name, True, f"All runs that count finished. In the sweep, {number}")


def full_preset(results: Results) -> Rule:
    quick = results.preset == "quick"
    return Rule(
        "the full preset",
        not quick,
        "This is the quick preset, which takes minutes: its figures are not to be quoted."
        if quick
        else f"The preset is {results.preset}.",
    )
