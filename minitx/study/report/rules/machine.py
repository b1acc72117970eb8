"""The rules about the code and the machine, which all measured times depend on."""

import re
from collections.abc import Callable
from typing import Any

import pandas as pd

from minitx.drawing.formatting import count, listed
from minitx.study.report.rules.rule import Rule
from minitx.study.results.results import SEVERAL, Results

COMMITS = ("commit", "commit of the measurements")
CODE = (*COMMITS, "torch")  # the other facts are about the machine
ATTENTION = {"attention": "scaled_dot_product_attention"}
FUSED = ATTENTION | {
    "lstm": "nn.LSTM, fused on a CPU (by oneDNN) and on a GPU",
    "gru": "nn.GRU, a loop over time on a CPU, fused on a GPU",
    "rnn": "nn.RNN, a loop over time on a CPU, fused on a GPU",
}
STEP_BY_STEP = ATTENTION | {  # trainer.fused=false
    "lstm": "nn.LSTM, a loop over time",
    "gru": "nn.GRU, a loop over time",
    "rnn": "nn.RNN, a loop over time",
}
NO_TIMES = "Other work shared the machine, so times are not compared."
LEAST_BUSY = 0.9  # share of the time for which a process that shares no core has one


def same_code(results: Results) -> Rule:
    """Return the rule about the code. Studies share runs, so some may be older than others."""
    name = "the same code"
    if "commit" not in results.facts:
        return Rule(name, False, "The commit of the code is not known.")
    if unlike := _several(results, lambda fact: fact in CODE):
        return Rule(name, False, unlike)
    known = [results.facts[fact] for fact in COMMITS if fact in results.facts]
    for commit in known:
        if not re.fullmatch("[0-9a-f]+", commit):  # "unknown", or a commit with uncommitted changes
            return Rule(name, False, f"The code of the runs was not committed: commit {commit}.")
    if len(set(known)) > 1:
        words = "All runs were trained with the same code, and measured with later code."
        return Rule(name, True, words)
    return Rule(name, True, "All runs used the same code.")


def same_machine(results: Results) -> Rule | None:
    if not set(results.facts) - set(CODE):
        return None
    unlike = _several(results, lambda fact: fact not in CODE)
    words = unlike or "All runs that count used the same machine."
    return Rule("the same machine", not unlike, words, of_time=True)


def _several(results: Results, about: Callable[[str], bool]) -> str:
    """Return the facts of a kind in which the runs differ."""
    several = [
        f"{name} ({words})"
        for name, words in results.facts.items()
        if SEVERAL in words and about(name)
    ]
    return f"The runs differ in: {listed(several)}." if several else ""


def alone(results: Results) -> Rule | None:
    """Return the rule about other work on the machine, from the CPU time of training.

    With one thread, a run that has a core to itself uses as much CPU time as time passes. Several
    threads wait actively for each other, which takes CPU time too. So their CPU time shows that
    the machine was shared only if it is below that of one thread, and otherwise shows nothing. A
    process that uses a GPU waits for it actively, so its CPU time shows nothing.
    """
    name = "the machine was not shared"
    if "GPU" in results.facts:
        return Rule(
            name,
            False,
            "It is not known whether other work shared the GPU or its host, which the CPU time of "
            "a process that waits for a GPU does not show. Measurements on the GPU took turns; "
            "while one ran, others may have been starting on other cores.",
            of_time=True,
        )
    cores = _cores(results.finished)
    if cores.empty:
        return None
    low = cores < LEAST_BUSY
    if low.any():
        arms = dict.fromkeys(results.finished.loc[low.index[low], "arm"])
        return Rule(
            name,
            False,
            f"{count(int(low.sum()), 'run')} of {listed(arms)} got less CPU time than a core has, "
            f"in one case {cores.min():.0%} of the training time. Other work shared the machine, "
            "so training times are too long.",
            of_time=True,
        )
    threads = results.finished.get("threads", pd.Series(dtype=float))
    if (threads > 1).any():
        words = (
            "With several threads, which wait actively for each other, CPU time shows that a "
            "machine is shared only if it is below that of one thread. It was not."
        )
    else:
        words = f"Every run had one thread, and a core for {cores.min():.0%} of the time or more."
    return Rule(name, True, words, of_time=True)


def is_shared(results: Results) -> bool:
    """Return whether other work shared the machine, so that times say little about an arm."""
    rule = alone(results)
    return rule is not None and not rule.kept


def _cores(runs: pd.DataFrame) -> pd.Series:
    """Return how many cores each run kept busy in training, on average, if that is known."""
    if {"cpu_seconds", "train_seconds"} <= set(runs):
        timed = runs[runs["train_seconds"] > 0]
        return (timed["cpu_seconds"] / timed["train_seconds"]).dropna()
    if {"cpu_share", "threads"} <= set(runs):  # a study of speed
        return (runs["cpu_share"] * runs["threads"]).dropna()
    return pd.Series(dtype=float)


def kernels(results: Results) -> str:
    """Return in words which of torch's kernels each arm runs, because times depend on it."""
    arms: dict[str, list[str]] = {}
    study = results.study
    defined = {arm: _defined([*study.settings, *words]) for arm, words in study.arms.items()}
    for arm, settings in (results.settings or defined).items():
        mixers = settings.get("model.cell", settings.get("model.mixer", []))
        known = FUSED if settings.get("trainer.fused", True) else STEP_BY_STEP
        for mixer in [mixers] if isinstance(mixers, str) else mixers:
            if mixer in known and arm not in arms.setdefault(known[mixer], []):
                arms[known[mixer]].append(arm)
    return "; ".join(f"{listed(names)}: {kernel}" for kernel, names in arms.items())


def _defined(words: list[str]) -> dict[str, Any]:
    """Return what overrides say about the kernels. A study of speed keeps no settings of runs."""
    found = dict(word.lstrip("+").split("=", 1) for word in words if "=" in word)
    model = found.get("model", "transformer")
    mixer = {"model.mixer": found.get("model.mixer", "attention").strip("[]").split(",")}
    mixers = mixer if model == "transformer" else {"model.cell": found.get("model.cell", model)}
    return mixers | {"trainer.fused": found.get("trainer.fused", "true").casefold() != "false"}
