"""Check which rules of a fair comparison a study kept, with a sentence about each.

A rule that was not kept weakens the study's answer, and its report says so. Runs on different
corpora cannot be compared at all, so they are an error.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from minitx.drawing.formatting import count, listed, setting
from minitx.errors import UserError
from minitx.study.results.conditions import Condition, conditions_of
from minitx.study.results.results import FINISHED, Results
from minitx.study.results.settings import differing_settings
from minitx.study.results.sweep import sweeps_of

TOLERANCE = 0.02  # relative difference in the number of parameters
LEAST_SEEDS = 3
VARY_DATA = ("data.", "task.", "model.context")  # keys that change the examples


@dataclass(frozen=True)
class Rule:
    """A rule, whether the study kept it, and why."""

    name: str
    kept: bool
    words: str


def check_rules(results: Results) -> list[Rule]:
    """Return all rules that apply to the study. Raises UserError as `check_corpus`."""
    check_corpus(results)
    checks: list[Callable[[Results], Rule]] = [_size]
    if results.study.measures == "training":
        checks += [_corpus, _tokens, _training, _sweep, _edges, _seeds]
    return [check(results) for check in [*checks, _finished, _code, _preset]]


def check_corpus(results: Results) -> None:
    """Raise UserError if runs have different corpora or tokenizers.

    If the grid varies the data, they may differ between its points.
    """
    if "data_fingerprint" not in results.runs:
        return
    known = results.runs[results.runs["status"] == FINISHED].dropna(subset=["data_fingerprint"])
    for _, runs in _by_data(results, known):
        prints = runs.drop_duplicates("data_fingerprint")
        if len(prints) > 1:
            one, other = prints.iloc[0], prints.iloc[1]
            raise UserError(
                f"{one['folder']} ({one['arm']}) and {other['folder']} ({other['arm']}) have "
                "different corpora or tokenizers (data_fingerprint) and cannot be compared: train "
                "one of them again"
            )


def _by_data(results: Results, runs: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Group runs by the points of the grid that change the data."""
    axes = [axis for axis in results.axes if axis.startswith(VARY_DATA)]
    if not axes:
        return [("", runs)]
    return [(str(point), group) for point, group in runs.groupby(axes, sort=False, dropna=False)]


def _size(results: Results) -> Rule:
    name = "equal numbers of parameters, within 2%"
    conditions = [
        condition for condition in conditions_of(results) if len(condition.values("parameters"))
    ]
    if not conditions:
        return Rule(name, False, "The numbers of parameters are not known.")
    # Unless the study sets a number, the first arm at each point sets it for the others. With
    # match=false, nothing sets it, and it has to be equal over all points.
    asked: dict[object, float] = {}
    apart = []
    for condition in conditions:
        size = condition.mean("parameters")
        point = condition.point if results.study.match else ()
        first = asked.setdefault(point, results.study.parameters or size)
        apart.append(abs(size / first - 1))
    arms = dict.fromkeys(condition.arm for condition in conditions)
    counts = [
        _sizes(arm, [condition for condition in conditions if condition.arm == arm]) for arm in arms
    ]
    whose = (
        f"the {results.study.parameters:,} that were asked for"
        if results.study.parameters
        else f"those of {conditions[0].arm}"
    )
    return Rule(
        name,
        max(apart) <= TOLERANCE,
        f"Numbers of parameters are within {max(apart):.1%} of {whose}: {listed(counts)}.",
    )


def _sizes(arm: str, conditions: list[Condition]) -> str:
    """Format an arm's numbers of parameters over the grid, with and without embeddings."""

    def reach(column: str) -> str:
        values = [condition.mean(column) for condition in conditions]
        ends = dict.fromkeys(f"{value:,.0f}" for value in (min(values), max(values)))
        return " to ".join(ends)

    known = all(len(condition.values("parameters_non_embedding")) for condition in conditions)
    without = f" ({reach('parameters_non_embedding')} without embeddings)" if known else ""
    return f"{arm} {reach('parameters')}{without}"


def _corpus(results: Results) -> Rule:
    """Return the rule about the corpus. It is kept, because `check_corpus` raises otherwise."""
    several = any(axis.startswith(VARY_DATA) for axis in results.axes)
    where = ", at each point of the grid" if several else ""
    return Rule(
        "the same corpus and tokenizer",
        True,
        f"All runs have the same corpus and tokenizer{where} (equal fingerprints). Runs with the "
        "same seed get the same batches in the same order.",
    )


def _tokens(results: Results) -> Rule:
    name = "equal numbers of tokens"
    known = results.finished
    if "tokens_seen" not in known or known["tokens_seen"].isna().all():
        return Rule(name, False, "The numbers of tokens seen are not known.")
    for _, runs in _by_data(results, known):
        for seed, same in runs.groupby("seed"):
            low, high = same["tokens_seen"].min(), same["tokens_seen"].max()
            if low < high:
                least = same.loc[same["tokens_seen"].idxmin(), "arm"]
                return Rule(
                    name,
                    False,
                    f"With seed {seed}, the tokens seen range from {low:,.0f} ({least}) to "
                    f"{high:,.0f}.",
                )
    low, high = known["tokens_seen"].min(), known["tokens_seen"].max()
    reach = f"{low:,.0f}" if low == high else f"{low:,.0f} to {high:,.0f}"
    where = " at each point of the grid" if low < high and results.axes else ""
    return Rule(name, True, f"Runs with the same seed have seen equal numbers{where}: {reach}.")


def _training(results: Results) -> Rule:
    """Check that all runs have the same settings of training, which recipes may change."""
    name = "the same training for all"
    parts = []
    for key, values in differing_settings(results).items():
        whose: dict[str, list[str]] = {}
        for arm, value in values.items():
            whose.setdefault(setting(value), []).append(arm)
        parts.append(
            f"{key} is {listed([f'{value} for {listed(arms)}' for value, arms in whose.items()])}"
        )
    return Rule(
        name,
        not parts,
        f"Apart from the model and the sweep, the recipes differ: {'; '.join(parts)}."
        if parts
        else "Apart from the model and the sweep, all arms were trained with the same settings.",
    )


def _sweep(results: Results) -> Rule:
    name = "the same sweep for all, chosen on val"
    sweeps = sweeps_of(results)
    if not sweeps or max(len(sweep.tried) for sweep in sweeps) < 2:
        return Rule(
            name,
            False,
            "There was no sweep: all arms were trained with the study's own settings, which may "
            "suit one arm better than another.",
        )
    first = sweeps[0]
    others = [sweep for sweep in sweeps if not _same_values(sweep.tried, first.tried, first.keys)]
    if others:
        return Rule(
            name,
            False,
            f"The sweep of {listed(each.condition.name for each in others)} has other values than "
            f"that of {first.condition.name}.",
        )
    blind = [sweep.condition.name for sweep in sweeps if not sweep.chosen]
    if blind:
        return Rule(name, False, f"No run of the sweep of {listed(blind)} finished.")
    unlike = [sweep.condition.name for sweep in sweeps if not sweep.best]
    if unlike:
        return Rule(name, False, f"The choice for {listed(unlike)} is not the best one on val.")
    values = [f"{key} {listed(list(map(setting, first.values(key))))}" for key in first.keys]
    return Rule(
        name,
        True,
        f"Every arm was trained with {' and '.join(values)}, and got the value that was best on "
        "val before it was tested.",
    )


def _same_values(one: pd.DataFrame, other: pd.DataFrame, keys: list[str]) -> bool:
    tried = [{tuple(map(setting, row)) for row in each[keys].to_numpy()} for each in (one, other)]
    return tried[0] == tried[1]


def _edges(results: Results) -> Rule:
    name = "the best value inside the sweep"
    edges = [sweep for sweep in sweeps_of(results) if sweep.at_edge]
    if not edges:
        searched = any(len(sweep.tried) > 1 for sweep in sweeps_of(results))
        words = (
            "No chosen value is at the edge of the sweep."
            if searched
            else "There was no sweep, so other values may be better."
        )
        return Rule(name, searched, words)
    return Rule(
        name,
        False,
        "The best value is at the edge of the sweep for "
        f"{listed(sweep.condition.name for sweep in edges)}: a value beyond it may be better.",
    )


def _seeds(results: Results) -> Rule:
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


def _finished(results: Results) -> Rule:
    runs = results.runs
    lacking = runs[runs["status"] != FINISHED]
    if lacking.empty:
        return Rule("no missing runs", True, f"All {count(len(runs), 'planned run')} finished.")
    parts = []
    for (status, arm), group in lacking.groupby(["status", "arm"], sort=False):
        reasons = list(dict.fromkeys(reason for reason in group["reason"] if reason))
        why = f" ({'; '.join(reasons)})" if reasons else ""
        parts.append(f"{count(len(group), 'run')} of {arm} {status}{why}")
    return Rule(
        "no missing runs",
        False,
        f"{len(lacking)} of {count(len(runs), 'planned run')} did not finish: {listed(parts)}.",
    )


def _code(results: Results) -> Rule:
    """Check the code and the machine. Studies share runs, so some may be older than others."""
    several = [f"{name} {words}" for name, words in results.facts.items() if ", " in words]
    name = "the same code and machine"
    if "commit" not in results.facts:
        return Rule(name, False, "The commit of the code is not known.")
    return Rule(
        name,
        not several,
        f"The runs differ in: {'; '.join(several)}."
        if several
        else "All runs used the same code, and those that count the same machine.",
    )


def _preset(results: Results) -> Rule:
    quick = results.preset == "quick"
    return Rule(
        "the full preset",
        not quick,
        "This is the quick preset, which takes minutes: its figures are not to be quoted."
        if quick
        else f"The preset is {results.preset}.",
    )
