"""The rules about the sweep: what was tried, what was chosen, and with which seeds."""

from minitx.drawing.formatting import listed, setting
from minitx.study.plan.definition import Values, combinations
from minitx.study.plan.widening import MOST_FURTHER
from minitx.study.report.rules.rule import Rule
from minitx.study.results.chance import at_chance
from minitx.study.results.results import FINISHED, Results
from minitx.study.results.sweep import Sweep, sweeps_of


def same_sweep(results: Results) -> Rule:
    name = "the same sweep for all, chosen on val"
    sweeps = sweeps_of(results)
    if not _searched(sweeps):
        return Rule(
            name,
            False,
            "There was no sweep: all arms were trained with the study's own settings, which may "
            "suit one arm better than another.",
        )
    asked = results.study.sweep
    if lacking := [sweep.condition.name for sweep in sweeps if not _covers(sweep, asked)]:
        return Rule(name, False, f"The sweep of {listed(lacking)} lacks values of the study.")
    if blind := [sweep.condition.name for sweep in sweeps if not sweep.known.any()]:
        return Rule(name, False, f"No run of the sweep of {listed(blind)} finished.")
    if open_ := [sweep.condition.name for sweep in sweeps if not sweep.chosen]:
        return Rule(name, False, f"The sweep of {listed(open_)} has not ended.")
    unlike = [sweep.condition.name for sweep in sweeps if not sweep.best]
    if unlike:
        return Rule(name, False, f"The choice for {listed(unlike)} is not the best one on val.")
    values = [f"{key} {listed(map(setting, tried))}" for key, tried in asked.items()]
    wider = [
        sweep.condition.name
        for sweep in sweeps
        if any(sweep.added(key, tried) for key, tried in asked.items())
    ]
    widened = (
        f" By the same procedure, the sweep of {listed(wider)} was widened, because the best value "
        "was at its edge."
        if wider
        else ""
    )
    return Rule(
        name,
        True,
        f"Every arm was trained with {' and '.join(values)}, and got the value that was best "
        f"on val before it was tested.{widened}",
    )


def inside(results: Results) -> Rule:
    name = "the best value inside the sweep"
    sweeps = sweeps_of(results)
    if not _searched(sweeps):
        return Rule(name, False, "There was no sweep, so other values may be better.")
    if unlearned := [each.condition.name for each in sweeps if _learned_nothing(results, each)]:
        return Rule(
            name,
            False,
            f"No value of the sweep of {listed(unlearned)} left the chance level, so which value "
            "is best is not known.",
        )
    edges = {sweep.condition.name: sweep for sweep in sweeps if sweep.at_edge}
    if not edges:
        return Rule(name, True, "No chosen value is at the edge of the sweep.")
    wide = [name for name, sweep in edges.items() if _widest(sweep, results.study.sweep)]
    limit = (
        f" The sweep of {listed(wide)} was widened to its limit of {MOST_FURTHER} further values."
        if wide
        else ""
    )
    return Rule(
        name,
        False,
        f"The best value is at the edge of the sweep for {listed(edges)}: a value beyond it may be "
        f"better.{limit}",
    )


def fresh_seeds(results: Results) -> Rule | None:
    """Return the rule about the seeds that chose, which favour the value that they chose."""
    if not _searched(sweeps_of(results)):
        return None
    name = "fresh seeds for the results"
    runs = results.runs
    swept = set(runs.loc[runs["swept"], "seed"])
    both = swept & set(runs.loc[runs["chosen"], "seed"])
    seeds = listed(map(str, sorted(both or swept)))
    return Rule(
        name,
        not both,
        f"Seed {seeds} took part in the sweep and counts as a result, so it favours the choice."
        if both
        else f"The sweep had seed {seeds}, which does not count as a result.",
    )


def _searched(sweeps: list[Sweep]) -> bool:
    return any(len(sweep.tried) > 1 for sweep in sweeps)


def _learned_nothing(results: Results, sweep: Sweep) -> bool:
    runs = sweep.condition.runs
    tried = runs.loc[runs["swept"] & (runs["status"] == FINISHED), "key"]
    return len(tried) > 0 and len(at_chance(results, sweep.condition, tried)) == len(tried)


def _covers(sweep: Sweep, asked: Values) -> bool:
    """Return whether all combinations that the study asks for were tried."""
    return all(each in sweep.combinations for each in combinations(asked))


def _widest(sweep: Sweep, asked: Values) -> bool:
    return any(len(sweep.added(key, asked[key])) >= MOST_FURTHER for key in sweep.at_edge)
