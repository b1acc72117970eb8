"""The files of a study's report.

report.md, report.html   the same, to be read where code is read, and in a browser
runs.csv                 every run of the plan, with all its figures
figures/                 <section>.png and .svg, the figure's data as .csv, and further tables
"""

from pathlib import Path

from minitx.drawing.figures import png, svg
from minitx.runs.atomic_write import write_atomically, write_bytes_atomically
from minitx.study.report.markdown import markdown
from minitx.study.report.page import page
from minitx.study.report.report import Report, compose, tables_of
from minitx.study.results.results import Results


def write_report(results: Results, folder: Path) -> Report:
    """Writes the report of what there is into the study's folder, and gives it.

    Raises UserError as `compose`.
    """
    report = compose(results)
    pictures = {each.name: svg(each.figure) for each in report.sections if each.figure}
    figures = folder / "figures"
    for drawn in figures.glob("*.*"):  # by an earlier report, maybe with other sections
        drawn.unlink()
    for section in report.sections:
        for name, table in tables_of(section).items():
            write_atomically(folder / name, table.to_csv(index=False))
        if section.figure:
            write_bytes_atomically(figures / f"{section.name}.png", png(section.figure))
            write_atomically(figures / f"{section.name}.svg", pictures[section.name])
    write_atomically(folder / "runs.csv", results.runs.to_csv(index=False))
    write_atomically(folder / "report.html", page(report, pictures))
    write_atomically(folder / "report.md", markdown(report))
    return report
