"""The files of a study's report.

report.md, report.html   the same report, for code viewers and for browsers
runs.csv                 all runs of the plan with all of their figures; their folders are named
                         from the folder of the report
figures/                 <section>.png and .svg, the figure's data as .csv, and further tables

What all of them are computed from is in evidence.zip (see `minitx.study.results.evidence`).
"""

from os.path import relpath
from pathlib import Path

from minitx.drawing.figures import png, svg
from minitx.runs.atomic_write import write_atomically, write_bytes_atomically
from minitx.study.report.inline import inline, name_marks
from minitx.study.report.markdown import markdown
from minitx.study.report.page import page
from minitx.study.report.report import Report, compose
from minitx.study.results.results import Results


def write_report(results: Results, folder: Path) -> Report:
    """Write the report of the results so far into the study's folder, and return it.

    Raises UserError as `compose`.
    """
    report = compose(results)
    drawn = [section for section in report.sections if section.figure]
    titles = {each.picture: name_marks(each.figure) for each in drawn if each.figure}
    pictures = {each.picture: svg(each.figure) for each in drawn if each.figure}
    for earlier in (folder / "figures").glob("*.*"):  # of a report with other sections
        earlier.unlink()
    for section in report.sections:
        for file, _, table in section.tables:
            write_atomically(folder / file, table.to_csv(index=False))
        if section.figure:
            picture = folder / section.picture
            write_bytes_atomically(picture, png(section.figure))
            write_atomically(picture.with_suffix(".svg"), pictures[section.picture])
    text = markdown(report)
    # From here, the runs are found on every machine that has a copy of both folders.
    runs = results.runs.assign(folder=[relpath(run, folder) for run in results.runs["folder"]])
    write_atomically(folder / "runs.csv", runs.to_csv(index=False))
    inlined = {
        each.picture: inline(pictures[each.picture], each.name, each.title, titles[each.picture])
        for each in drawn
    }
    write_atomically(folder / "report.html", page(report.title, text, inlined))
    write_atomically(folder / "report.md", text)
    return report
