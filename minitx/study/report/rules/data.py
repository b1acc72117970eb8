"""The rules about what models were trained on."""

from minitx.drawing.formatting import count
from minitx.errors import UserError
from minitx.study.report.rules.rule import VARY_DATA, Rule, by_data
from minitx.study.results.conditions import reached_goal
from minitx.study.results.results import FINISHED, Results


def check_corpus(results: Results) -> None:
    """Raise UserError if runs have different corpora or tokenizers.

    If the grid varies the data, they may differ between its points.
    """
    if "data_fingerprint" not in results.runs:
        return
    known = results.runs[results.runs["status"] == FINISHED].dropna(subset=["data_fingerprint"])
    for _, runs in by_data(results, known):
        prints = runs.drop_duplicates("data_fingerprint")
        if len(prints) > 1:
            one, other = prints.iloc[0], prints.iloc[1]
            raise UserError(
                f"{one['folder']} ({one['arm']}) and {other['folder']} ({other['arm']}) have "
                "different corpora or tokenizers (data_fingerprint) and cannot be compared: train "
                "one of them again"
            )


def same_corpus(results: Results) -> Rule:
    """Return the rule about the corpus. It is kept, because `check_corpus` raises otherwise."""
    several = any(axis.startswith(VARY_DATA) for axis in results.axes)
    where = ", at each point of the grid" if several else ""
    return Rule(
        "the same corpus and tokenizer",
        True,
        f"All runs have the same corpus and tokenizer{where} (equal fingerprints). Runs with the "
        "same seed get the same batches in the same order.",
    )


def same_tokens(results: Results) -> Rule:
    name = "equal numbers of tokens"
    known = results.finished
    if "tokens_seen" not in known or known["tokens_seen"].isna().all():
        return Rule(name, False, "The numbers of tokens seen are not known.")
    early = known[reached_goal(known)]
    known = known.drop(early.index)
    stopped = f" {count(len(early), 'run')} stopped at the goal, after fewer." if len(early) else ""
    which = "Runs that did not stop at the goal" if len(early) else "Runs"
    if known.empty:
        return Rule(name, True, "All runs stopped when they reached the goal.")
    for _, runs in by_data(results, known):
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
    return Rule(
        name,
        True,
        f"{which} have seen equal numbers with the same seed{where}: {reach}.{stopped}",
    )
