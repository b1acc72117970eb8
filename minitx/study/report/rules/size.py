"""The rules about the sizes of models, with and without embeddings, and their operations."""

from minitx.drawing.formatting import listed
from minitx.study.report.rules.rule import Rule
from minitx.study.results.conditions import Condition, conditions_of
from minitx.study.results.results import Results

TOLERANCE = 0.02  # relative difference in the number of parameters

ALL, WITHOUT = "parameters", "parameters_non_embedding"


def same_size(results: Results) -> Rule:
    name = f"equal numbers of parameters, within {TOLERANCE:.0%}"
    conditions = _known(results, ALL)
    if not conditions:
        return Rule(name, False, "The numbers of parameters are not known.")
    apart = _apart(results, conditions, ALL, results.study.parameters)
    asked = results.study.parameters
    whose = f"the {asked:,} that were asked for" if asked else f"those of {conditions[0].arm}"
    return Rule(
        name,
        apart <= TOLERANCE,
        f"Numbers of parameters are within {apart:.1%} of {whose}: {_counts(conditions, ALL)}.",
    )


def same_size_without_embeddings(results: Results) -> Rule | None:
    """Return the rule about all parameters but those of embeddings, which a wide model has more of.

    Studies choose widths that come as close to it as the number of all parameters allows.
    """
    conditions = _known(results, WITHOUT)
    if not conditions:
        return None
    apart = _apart(results, conditions, WITHOUT, None)
    return Rule(
        f"equal numbers of parameters without embeddings, within {TOLERANCE:.0%}",
        apart <= TOLERANCE,
        f"Without embeddings, numbers of parameters are within {apart:.1%} of those of "
        f"{conditions[0].arm}: {_counts(conditions, WITHOUT)}.",
    )


def operations(results: Results) -> str:
    """Return in words how far the operations per token are apart at any point of the grid."""
    column = "operations_per_token"
    conditions = _known(results, column)
    if not conditions:
        return ""
    points: dict[object, list[float]] = {}
    for condition in conditions:
        points.setdefault(condition.point, []).append(condition.mean(column))
    factor = max(max(values) / min(values) for values in points.values())
    where = " at each point of the grid" if results.axes else ""
    within = f" (within a factor of {factor:.2f}{where})" if len(conditions) > len(points) else ""
    return f"{_counts(conditions, column)}{within}"


def _known(results: Results, column: str) -> list[Condition]:
    return [each for each in conditions_of(results) if len(each.values(column))]


def _apart(results: Results, conditions: list[Condition], column: str, asked: int | None) -> float:
    """Return the largest relative difference from the number that was asked for.

    If none was, the first arm at each point sets it for the others. With match=false, nothing sets
    it, and it has to be equal over all points.
    """
    firsts: dict[object, float] = {}
    apart = 0.0
    for condition in conditions:
        size = condition.mean(column)
        point = condition.point if results.study.match else ()
        apart = max(apart, abs(size / firsts.setdefault(point, asked or size) - 1))
    return apart


def _counts(conditions: list[Condition], column: str) -> str:
    """Format the numbers of each arm over the grid."""
    arms: dict[str, list[float]] = {}
    for condition in conditions:
        arms.setdefault(condition.arm, []).append(condition.mean(column))

    def reach(values: list[float]) -> str:
        return " to ".join(dict.fromkeys(f"{value:,.0f}" for value in (min(values), max(values))))

    return listed(f"{arm} {reach(values)}" for arm, values in arms.items())
