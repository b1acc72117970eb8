"""The rules of a fair comparison, checked on what a study found: each kept, or not, in a sentence.

A rule that was not kept weakens what the study says, and its report shows so. Only figures of
different test sets are no table at all, and are refused.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from minitx.errors import UserError
from minitx.study.formatting import count, listed, setting
from minitx.study.results.conditions import Condition, conditions_of
from minitx.study.results.results import FINISHED, Results
from minitx.study.results.settings import differing_settings
from minitx.study.results.sweep import sweeps_of

TOLERANCE = 0.02  # share by which numbers of parameters may differ from what was asked for
LEAST_SEEDS = 3
VARY_DATA = ("data.", "task.", "model.context")  # what is made as long as the context, that too


@dataclass(frozen=True)
class Rule:
    """A rule and how the study stands to it, in words that stand alone."""

    name: str
    kept: bool
    words: str


def check_rules(results: Results) -> list[Rule]:
    """Every rule that such a study has to keep. Raises UserError as `check_corpus`."""
    check_corpus(results)
    checks: list[Callable[[Results], Rule]] = [_size]
    if results.study.measures == "training":
        checks += [_corpus, _tokens, _training, _sweep, _edges, _seeds]
    return [check(results) for check in [*checks, _finished, _code, _preset]]


def check_corpus(results: Results) -> None:
    """Raises UserError for runs of different tasks, corpora or tokenizers, which no table compares.

    Only where the grid varies the data may they differ, from one of its points to the next.
    """
    if "data_fingerprint" not in results.runs:
        return
    known = results.runs[results.runs["status"] == FINISHED].dropna(subset=["data_fingerprint"])
    for _, runs in _by_data(results, known):
        prints = runs.drop_duplicates("data_fingerprint")
        if len(prints) > 1:
            one, other = prints.iloc[0], prints.iloc[1]
            raise UserError(
                f"{one['folder']} ({one['arm']}) and {other['folder']} ({other['arm']}) are of "
                "different corpora or tokenizers (data_fingerprint), so their figures cannot stand "
                "in one table: train one of them anew"
            )


def _by_data(results: Results, runs: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Runs that learn from the same data, whatever else the grid varies."""
    axes = [axis for axis in results.axes if axis.startswith(VARY_DATA)]
    if not axes:
        return [("", runs)]
    return [(str(point), group) for point, group in runs.groupby(axes, sort=False, dropna=False)]


def _size(results: Results) -> Rule:
    name = "as many parameters, within 2%"
    conditions = [
        condition for condition in conditions_of(results) if len(condition.values("parameters"))
    ]
    if not conditions:
        return Rule(name, False, "The numbers of parameters are not known.")
    # Without a number of its own, a study gives all arms at a point what the first one has there,
    # or leaves them as they are, which then have to be alike over all points.
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
        f"the {results.study.parameters:,} asked for"
        if results.study.parameters
        else (f"those of {conditions[0].arm}")
    )
    return Rule(
        name,
        max(apart) <= TOLERANCE,
        f"Parameters lie within {max(apart):.1%} of {whose}: {listed(counts)}.",
    )


def _sizes(arm: str, conditions: list[Condition]) -> str:
    """An arm's numbers of parameters, all and those outside of embeddings, over the grid."""

    def reach(column: str) -> str:
        values = [condition.mean(column) for condition in conditions]
        ends = dict.fromkeys(f"{value:,.0f}" for value in (min(values), max(values)))
        return " to ".join(ends)

    known = all(len(condition.values("parameters_non_embedding")) for condition in conditions)
    without = f" ({reach('parameters_non_embedding')} without embeddings)" if known else ""
    return f"{arm} {reach('parameters')}{without}"


def _corpus(results: Results) -> Rule:
    """`check_corpus` has refused what would not keep it."""
    several = any(axis.startswith(VARY_DATA) for axis in results.axes)
    where = ", at each point of the grid" if several else ""
    return Rule(
        "the same corpus and tokenizer",
        True,
        f"All runs read the same corpus through the same tokenizer{where} (equal fingerprints); "
        "runs with the same seed get the same batches in the same order.",
    )


def _tokens(results: Results) -> Rule:
    name = "as many tokens"
    known = results.finished
    if "tokens_seen" not in known or known["tokens_seen"].isna().all():
        return Rule(name, False, "The tokens that each run has seen are not known.")
    for _, runs in _by_data(results, known):
        for seed, same in runs.groupby("seed"):
            low, high = same["tokens_seen"].min(), same["tokens_seen"].max()
            if low < high:
                least = same.loc[same["tokens_seen"].idxmin(), "arm"]
                return Rule(
                    name,
                    False,
                    f"With seed {seed} the tokens seen lie between {low:,.0f} ({least}) and "
                    f"{high:,.0f}.",
                )
    low, high = known["tokens_seen"].min(), known["tokens_seen"].max()
    reach = f"{low:,.0f}" if low == high else f"{low:,.0f} to {high:,.0f}"
    where = " at each point of the grid" if low < high and results.axes else ""
    return Rule(name, True, f"Runs with the same seed have seen as many tokens{where}: {reach}.")


def _training(results: Results) -> Rule:
    """A model's recipe may say more than what it is made of: what it was found to need."""
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
        f"Beside the model and what was swept, the recipes differ: {'; '.join(parts)}."
        if parts
        else "Beside the model and what was swept, all arms were trained with the same settings.",
    )


def _sweep(results: Results) -> Rule:
    name = "the same sweep for all, by val alone"
    sweeps = sweeps_of(results)
    if not sweeps or max(len(sweep.tried) for sweep in sweeps) < 2:
        return Rule(
            name,
            False,
            "No rate was searched: every arm was trained with the study's own, which may suit one "
            "better than another.",
        )
    first = sweeps[0]
    others = [sweep for sweep in sweeps if not _same_values(sweep.tried, first.tried, first.keys)]
    if others:
        return Rule(
            name,
            False,
            f"Other values were tried for {listed([each.condition.name for each in others])} "
            f"than for {first.condition.name}.",
        )
    blind = [sweep.condition.name for sweep in sweeps if not sweep.chosen]
    if blind:
        return Rule(name, False, f"No run of the sweep of {listed(blind)} finished.")
    unlike = [sweep.condition.name for sweep in sweeps if not sweep.best]
    if unlike:
        return Rule(
            name, False, f"What was chosen for {listed(unlike)} is not what was best on val."
        )
    values = [f"{key} {listed(list(map(setting, first.values(key))))}" for key in first.keys]
    return Rule(
        name,
        True,
        f"Every arm was trained with {' and '.join(values)}, with one seed, and got what had the "
        "lowest loss on val; only then was it tested. That run counts as one of its seeds.",
    )


def _same_values(one: pd.DataFrame, other: pd.DataFrame, keys: list[str]) -> bool:
    tried = [{tuple(map(setting, row)) for row in each[keys].to_numpy()} for each in (one, other)]
    return tried[0] == tried[1]


def _edges(results: Results) -> Rule:
    name = "the best rate inside the sweep"
    edges = [sweep for sweep in sweeps_of(results) if sweep.at_edge]
    if not edges:
        searched = any(len(sweep.tried) > 1 for sweep in sweeps_of(results))
        words = (
            "The rates that were chosen lie within what was tried."
            if searched
            else "No rate was searched, so nothing says whether others are better."
        )
        return Rule(name, searched, words)
    return Rule(
        name,
        False,
        "The best rate lies at the edge of what was tried for "
        f"{listed([sweep.condition.name for sweep in edges])}: one beyond it may be better.",
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
        f"{count(least, 'seed')} of {whose} finished{'' if every else ', more of the others'}.",
    )


def _finished(results: Results) -> Rule:
    runs = results.runs
    lacking = runs[runs["status"] != FINISHED]
    if lacking.empty:
        return Rule("no run left out", True, f"All {count(len(runs), 'run')} of the plan finished.")
    parts = []
    for (status, arm), group in lacking.groupby(["status", "arm"], sort=False):
        reasons = list(dict.fromkeys(reason for reason in group["reason"] if reason))
        why = f" ({'; '.join(reasons)})" if reasons else ""
        parts.append(f"{count(len(group), 'run')} of {arm} {status}{why}")
    return Rule(
        "no run left out",
        False,
        f"Of {count(len(runs), 'run')} that were planned, {len(lacking)} "
        f"{'has' if len(lacking) == 1 else 'have'} no figures: {listed(parts)}.",
    )


def _code(results: Results) -> Rule:
    """Runs are kept from study to study, so that some may be older than others."""
    several = [f"{name} {words}" for name, words in results.facts.items() if ", " in words]
    name = "the same code and machine"
    if "commit" not in results.facts:
        return Rule(name, False, "Of which commit the code was is not known.")
    return Rule(
        name,
        not several,
        f"Runs differ in what they were done with: {'; '.join(several)}."
        if several
        else "All runs were done with the same code, those that count on the same machine.",
    )


def _preset(results: Results) -> Rule:
    quick = results.preset == "quick"
    return Rule(
        "the full preset",
        not quick,
        "This is the quick preset, made to be seen within minutes: it is not to be quoted."
        if quick
        else f"The preset is {results.preset}.",
    )
