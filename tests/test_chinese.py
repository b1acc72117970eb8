"""Test that the Chinese documents say what the English ones say, as far as a test can see it."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
ENGLISH, CHINESE = (ROOT / name for name in ("README.md", "README.zh-CN.md"))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def text(path):
    return path.read_text(encoding="utf-8")


def code(path):
    """Every line in the code blocks of a document, without comments, which are translated."""
    return [
        (language, re.sub(r"\s+# .*", "", line).rstrip())
        for language, block in BLOCK.findall(text(path))
        for line in block.splitlines()
    ]


def links(path):
    return set(re.findall(r"\]\(([^)]+)\)", text(path))) - {ENGLISH.name, CHINESE.name}


def numbers(path):
    """Every number in the prose of a document, in ascending order."""
    prose = re.sub(r"\]\([^)]+\)", "]", BLOCK.sub("", text(path)))
    return sorted(re.findall(r"\d[\d,.]*\d%?|\d%?", prose))


def test_the_readmes_link_to_each_other_in_their_first_line():
    for path, other in ((ENGLISH, CHINESE), (CHINESE, ENGLISH)):
        assert re.fullmatch(rf"\[.+\]\({other.name}\)", text(path).partition("\n")[0])


def test_both_readmes_have_the_same_commands():
    assert len(code(ENGLISH)) > 20
    assert code(CHINESE) == code(ENGLISH)


def test_both_readmes_have_the_same_links_and_numbers():
    assert links(CHINESE) == links(ENGLISH)
    assert numbers(CHINESE) == numbers(ENGLISH)


def test_a_paragraph_of_the_chinese_readme_is_one_line():
    """A line break would be shown as a space between two characters."""
    paragraphs = re.split(r"\n{2,}", BLOCK.sub("", text(CHINESE)).strip())
    assert all("\n" not in each or each[0] in "|-" for each in paragraphs)
