"""Test that the Chinese documents say what the English ones say, as far as a test can see it."""

import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
CHINESE = [ROOT / "README.zh-CN.md", *sorted((ROOT / "docs/lessons").glob("*.zh-CN.*"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)]+)\)")


@pytest.fixture(params=CHINESE, ids=lambda path: path.parent.name + "/" + path.stem)
def pair(request):
    """The paths of a Chinese document and of the English one."""
    return request.param, english(request.param)


def english(path):
    return path.with_name(path.name.replace(".zh-CN", ""))


def text(path):
    """Return a document as Markdown: of a notebook, its prose."""
    if path.suffix == ".md":
        return path.read_text(encoding="utf-8")
    cells = nbformat.read(path, as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def code(path):
    """Return every line in the code blocks of a document, without comments: they are translated."""
    return [
        (language, re.sub(r"\s+# .*", "", line).rstrip())
        for language, block in BLOCK.findall(text(path))
        for line in block.splitlines()
    ]


def links(path):
    """Return where a document leads, without the links between translations."""
    return {english(Path(link)) for link in LINK.findall(text(path)) if "README" not in link}


def numbers(path):
    """Return every number in the prose of a document, in ascending order."""
    prose = LINK.sub("]", BLOCK.sub("", text(path)))
    return sorted(re.findall(r"\d[\d,.]*\d%?|\d%?", prose))


def test_every_lesson_is_translated():
    notebooks = [path for path in (ROOT / "docs/lessons").glob("*.ipynb") if path not in CHINESE]
    assert {english(path) for path in CHINESE if path.suffix == ".ipynb"} == set(notebooks)


def test_both_link_to_each_other_in_their_first_line(pair):
    for path, other in (pair, reversed(pair)):
        assert re.fullmatch(rf"\[.+\]\({other.name}\)", text(path).partition("\n")[0])


def test_both_have_the_same_code(pair):
    assert code(pair[0]) == code(pair[1])
    if pair[0].suffix == ".ipynb":
        chinese, original = (nbformat.read(path, as_version=4).cells for path in pair)
        assert [cell.cell_type for cell in chinese] == [cell.cell_type for cell in original]
        for one, other in zip(chinese, original, strict=True):
            assert one.cell_type == "markdown" or one == other  # the outputs too


def test_the_readme_has_commands():
    assert len(code(ROOT / "README.md")) > 20


def test_both_have_the_same_links_and_numbers(pair):
    assert links(pair[0]) == links(pair[1])
    assert numbers(pair[0]) == numbers(pair[1])


def test_a_chinese_paragraph_is_one_line(pair):
    """A line break would be shown as a space between two characters."""
    paragraphs = re.split(r"\n{2,}", BLOCK.sub("", text(pair[0])).strip())
    assert all("\n" not in each or each[0] in "|-" for each in paragraphs)
