"""Made-up results that keep all rules of a fair comparison, and ways to break one."""

from dataclasses import replace

from made_results import made

from minitx.study.report.rules import check_rules

ARMS = {"transformer": 2.19, "lstm": 2.13}
SEEDS = (1, 2, 3, 4)


def fair(levels=ARMS, **changes):
    """A study that keeps all rules, but for these changes."""
    return made(levels, **{"seeds": SEEDS} | changes)


def rules(results):
    """Return the rules by name. Each call checks them, because tests change the results between."""
    return {rule.name: rule for rule in check_rules(replace(results))}


def broken(results):
    return [name for name, rule in rules(results).items() if not rule.kept]


def changed(results, arm, **values):
    runs = results.runs.copy()
    for name, value in values.items():
        runs.loc[runs["arm"] == arm, name] = value
    return replace(results, runs=runs)


def with_settings(**arms):
    """A fair study on recall, whose arms have these settings."""
    return replace(fair(), task="recall", settings=arms)
