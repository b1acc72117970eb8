"""Check which rules of a fair comparison a study kept, with a sentence about each.

A rule that was not kept weakens the study's answer: the report says so by itself, and calls no
model better. Runs on different corpora cannot be compared at all, so they are an error.
"""

from collections.abc import Callable
from functools import lru_cache

from minitx.study.report.rules.data import check_corpus, same_corpus, same_tokens
from minitx.study.report.rules.machine import alone, same_code, same_machine
from minitx.study.report.rules.plan import enough_seeds, full_preset, nothing_missing
from minitx.study.report.rules.rule import Rule
from minitx.study.report.rules.size import same_size, same_size_without_embeddings
from minitx.study.report.rules.training import converged, same_recipes, same_training
from minitx.study.report.rules.tuning import fresh_seeds, inside, same_sweep
from minitx.study.results.results import Results

Check = Callable[[Results], Rule | None]  # None if the rule does not apply

OF_SIZE: list[Check] = [same_size, same_size_without_embeddings]
OF_TRAINING: list[Check] = [
    *(same_corpus, same_tokens, same_training, same_recipes),
    *(same_sweep, inside, fresh_seeds, enough_seeds, converged),
]
OF_RUNS: list[Check] = [nothing_missing, same_code, same_machine, alone, full_preset]


@lru_cache(maxsize=1)  # nearly every section of a report asks, and to check takes a while
def check_rules(results: Results) -> list[Rule]:
    """Return all rules that apply to the study. Raises UserError as `check_corpus`."""
    check_corpus(results)
    of_training = OF_TRAINING if results.study.measures == "training" else []
    checks = [*OF_SIZE, *of_training, *OF_RUNS]
    return [rule for check in checks if (rule := check(results)) is not None]


def may_claim(results: Results) -> bool:
    """Return whether the report may call a model better than another.

    Every rule has to be kept, which excludes the quick preset. Rules of time do not matter to a
    study of what models learn.
    """
    timed = results.study.measures == "speed"
    return all(rule.kept for rule in check_rules(results) if timed or not rule.of_time)
