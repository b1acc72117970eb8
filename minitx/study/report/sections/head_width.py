"""Compare numbers of heads that are equally wide, so that more heads need a wider model."""

from minitx.drawing.formatting import number
from minitx.study.report import verdict
from minitx.study.report.comparison import about, compare
from minitx.study.report.sections import Section
from minitx.study.results.head_width import same_head_width
from minitx.study.results.results import Results


def section(results: Results) -> Section | None:
    by_width = same_head_width(results)
    if not by_width:
        return None
    pairs = [(more, fewer) for found in by_width.values() for fewer, more in found]
    widths = [width for width, found in by_width.items() for _ in found]
    comparisons = compare(results, pairs)
    table = verdict.table(comparisons)
    table.insert(0, "width of a head", widths)
    for place, pair in ((3, 0), (4, 1)):
        sizes = [pairs[row][pair].median("parameters") for row in range(len(pairs))]
        table.insert(place, f"{('first', 'second')[pair]}'s parameters", sizes)
    return Section(
        name="head_width",
        title="More heads of the same width",
        table=table,
        sentences=[
            f"With heads of width {number(width)}: {each.sentence()}"
            for width, each in zip(widths, comparisons, strict=True)
        ],
        answers=len(comparisons),
        note=(
            "On test. A model with more heads of the same width is wider, so that it also has more "
            "parameters: these comparisons do not tell what the heads alone contribute."
            + about(results, comparisons)
        ),
    )
