"""Test the report's files, their content, and that the page opens without a network.

Without a Chromium the last tests skip, but never where CI is set in the environment.
"""

import re
from dataclasses import replace
from html import escape

import pandas as pd
import pytest
from browsers import needs_browser
from made_results import failing, made

from minitx.drawing.formatting import column, listed, number, percent, seconds, settings
from minitx.errors import UserError
from minitx.study.report.files import write_report
from minitx.study.report.markdown import markdown, table
from minitx.study.report.page import page
from minitx.study.report.report import compose
from minitx.study.report.style import ALL, KNOWN, styles
from minitx.study.results.axes import at

ARMS = {"transformer": 2.19, "lstm": 2.13, "gru": 2.2}
HOSTILE = "</p><script>alert(1)</script> | *a* `b` [c](d) {{style}} & \u202e"


def texts(results):
    """The report in Markdown and as a page, with pictures that take no time to draw."""
    report = compose(results)
    text = markdown(report)
    return text, page(report.title, text, {each.picture: "<svg/>" for each in report.sections})


def hostile():
    """A study whose words try to be markup; with a table too long for its report."""
    results = failing(made(ARMS, sections=("quality", "curves")), "gru", [2], reason=HOSTILE)
    return replace(results, study=replace(results.study, question=HOSTILE), command=HOSTILE)


def test_all_files_are_there(tmp_path):
    folder = tmp_path / "study"
    write_report(made(ARMS), folder)
    names = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    sections = ("quality", "curves", "cost", "tuning")
    expected = {f"figures/{name}.{kind}" for name in sections for kind in ("png", "svg", "csv")}
    expected |= {"report.md", "report.html", "runs.csv", "figures/quality_comparisons.csv"}
    assert names == expected
    links = r"figures/[\w.]+"
    for kind in ("md", "html"):
        found = re.findall(links, (folder / f"report.{kind}").read_text(encoding="utf-8"))
        assert set(found) <= names
        assert len(found) >= (kind == "md") * len(sections)


def test_a_copied_report_has_no_paths_of_the_machine(tmp_path):
    results = made(ARMS, sections=("quality",))
    results.runs["folder"] = [str(tmp_path / folder) for folder in results.runs["folder"]]
    write_report(results, tmp_path / "studies" / "heads")
    folders = pd.read_csv(tmp_path / "studies" / "heads" / "runs.csv")["folder"]
    assert list(folders) == [f"../runs/{key}" for key in results.runs["key"]]
    for file in (tmp_path / "studies").rglob("*.*"):
        assert str(tmp_path).encode() not in file.read_bytes()


def test_both_forms_have_the_same_words_in_the_same_order():
    both = texts(made(ARMS, preset="quick"))
    words = (
        "architectures on shakespeare",
        "should not be quoted",
        "is attention better than recurrence?",
        "lstm had a lower mean than transformer in these runs",
        "How good they are",
        "How they learn",
        "What they cost",
        "What tuning found",
        "How it was done",
        "a processor",
        "Rules of a fair comparison",
        "All runs",
        "python scripts/compare.py",
    )
    for text in (both[0].replace("\\", ""), both[1][both[1].index("<main>") :]):
        place = text.index("Contents") if "Contents" in text else 0
        assert [each for each in words[:4] if each not in text[:place]] == []
        place = text.index("To repeat it", place)  # the last of the contents
        for each in words[4:]:
            place = text.index(each, place)


def test_a_full_report_bears_no_mark():
    assert "should not be quoted" not in "".join(texts(made(ARMS)))


def test_runs_that_failed_are_in_the_report():
    for text in texts(failing(made(ARMS), "gru", [2], reason="out of memory")):
        assert "out of memory" in text
        assert "1 of 3 seeds of gru" in text


def test_nothing_finished_is_nothing_to_report(tmp_path):
    results = made(ARMS)
    runs = results.runs.assign(status="missing")
    with pytest.raises(UserError, match="no finished run"):
        write_report(replace(results, runs=runs), tmp_path)
    empty = pd.DataFrame({"arm": ["a"], "status": ["failed"], "reason": ["x"], "seed": [1]})
    with pytest.raises(UserError, match="no finished run"):
        write_report(replace(results, runs=empty), tmp_path)
    failed = replace(results, runs=runs.assign(status="failed", reason="out of memory"))
    with pytest.raises(UserError, match=r"18 runs failed \(out of memory\)"):
        write_report(failed, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_different_corpora_leave_no_file(tmp_path):
    results = made(ARMS)
    results.runs.loc[0, "data_fingerprint"] = "other"
    with pytest.raises(UserError, match="corpora"):
        write_report(results, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_same_results_give_the_same_files(tmp_path):
    for name in ("one", "other"):
        write_report(made(ARMS, sections=("quality",)), tmp_path / name)
    for file in (tmp_path / "one").rglob("*.*"):
        other = tmp_path / "other" / file.relative_to(tmp_path / "one")
        assert file.read_bytes() == other.read_bytes(), file.name


def test_text_from_outside_is_not_markup():
    in_markdown, in_page = texts(hostile())
    assert "<script" not in in_page
    assert "&lt;script&gt;" in in_page
    assert in_page.count("{{style}}") >= 1  # as text; the page's own place was filled
    table = next(line for line in in_markdown.splitlines() if "failed" in line and "gru" in line)
    assert re.sub(r"\\.", "", table).count("|") == len(re.findall(r"(?<!\\)\|", table))
    assert r"\<script\>" in in_markdown


@pytest.mark.parametrize("words", ["1. first", "- a", "+ a", "===", "12) b", "# c", "> d", "~~~"])
def test_no_words_begin_a_list_a_heading_or_a_quote(words):
    study = replace(made(ARMS).study, question=words)
    text = markdown(compose(replace(made(ARMS, sections=()), study=replace(study, sections=[]))))
    assert f"<p>{escape(words)}</p>" in page("title", text, {})


def test_tables_are_written_with_as_many_digits_as_say_something():
    figures = pd.DataFrame(
        {
            "arm": ["a", "b"],
            "rate": [0.005, 0.02],
            "loss": [2.18954, 13.5],
            "size": [798_080, 1_000_000],
            "unknown": [float("nan"), 1.5],
            "down": [-0.12, 0.0],
        }
    )
    assert table(figures).splitlines() == [
        "| arm | rate | loss | size | unknown | down |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        "| a | 0.005 | 2.19 | 798,080 | – | −0.12 |",
        "| b | 0.020 | 13.50 | 1,000,000 | 1.5 | 0.00 |",
    ]
    assert column([None, "x"]) == ["", "x"]


def test_numbers_and_lists_as_people_write_them():
    measures = made(ARMS).measure, made(ARMS, measure="wer").measure
    assert [measure.amount(0.2434) for measure in measures] == [
        "0.243 bits per byte",
        "word error rate 24.3%",
    ]
    assert [number(value) for value in (798080, 0.00500, 1.6e6, 2e-5, -0.25, True, "x")] == [
        *("798,080", "0.005", "1,600,000", "2e-05", "−0.25", "True", "x"),
    ]
    assert [seconds(value) for value in (48.2, 725, 6840)] == ["48 s", "12 min", "1.9 h"]
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert at("model.heads", 1) == "1 head"
    assert at("data.train_fraction", 0.01, 0.1) == "1% and 10% of the data"
    assert at("model.position", "none") == "position=none"


def test_values_of_a_config_as_one_writes_them():
    assert at("model.window", None) == "window=null"
    assert at("model.qk_norm", True, False) == "qk_norm=true and false"
    assert settings([8, 0.5]) == [8, 0.5]
    assert settings([None, 4]) == settings([float("nan"), 4.0]) == ["null", "4"]


def test_time_is_taken_once_for_a_run_that_arms_share():
    results = made(ARMS)
    once = compose(results).how["time taken"]
    assert (
        compose(replace(results, runs=pd.concat([results.runs] * 2, ignore_index=True))).how[
            "time taken"
        ]
        == once
    )


def test_an_arm_looks_the_same_everywhere_and_no_two_alike():
    assert styles(["gru", "lstm"])["lstm"] == styles(["lstm", "other"])["lstm"] == KNOWN["lstm"]
    many = styles(["transformer", *(f"arm{n}" for n in range(12))])
    for part in ("marker", "line"):
        assert len({(style.colour, getattr(style, part)) for style in many.values()}) == 13
    assert len({style.colour for style in ALL}) == len({style.marker for style in ALL}) == len(ALL)
    assert styles(["x", "y"]) == styles(["x", "y"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    write_report(hostile(), folder)
    return folder


@needs_browser
@pytest.mark.parametrize("width", [390, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_makes_no_request_and_fits_the_screen(browser, folder, width, scheme):
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, locale="en"
    )
    opened, requests, complaints = context.new_page(), [], []
    opened.on("request", lambda request: requests.append(request.url))
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("dialog", lambda dialog: complaints.append(dialog.message))
    file = (folder / "report.html").as_uri()
    opened.goto(file)
    assert opened.locator("figure").count() == 2
    for place in range(2):
        box = opened.locator("figure svg").nth(place).bounding_box()
        assert min(box["width"], box["height"]) > 100
        assert box["x"] + box["width"] <= width
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    paper = opened.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") == (scheme == "light")
    assert opened.locator("table").last.locator("tbody tr").count() == 18
    context.close()
    assert complaints == []
    assert [url for url in requests if not url.startswith("data:")] == [file]


def test_figures_of_sections_that_are_there_no_more_are_not_left(tmp_path):
    write_report(made({"a": 2.0, "b": 2.1}, sections=("quality", "curves")), tmp_path)
    assert (tmp_path / "figures/curves.png").exists()
    write_report(made({"a": 2.0, "b": 2.1}, sections=("quality",)), tmp_path)
    assert {path.stem.split("_")[0] for path in (tmp_path / "figures").iterdir()} == {"quality"}


@pytest.mark.parametrize(
    ("fraction", "text"), [(1, "100%"), (0.9996, ">99.9%"), (0.9994, "99.9%"), (0.0372, "3.72%")]
)
def test_only_all_is_one_hundred_percent(fraction, text):
    assert percent(fraction) == text
