"""A study's report as one self-contained page, made from its Markdown.

The page holds its pictures, has no script and makes no request. HTML within the Markdown is shown
as text. All of it can be reached with the keyboard: links, tables that open, and boxes that scroll.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import OptionsDict

from minitx.drawing.html import self_contained, source
from minitx.study.report.markdown import slug


def page(title: str, markdown: str, pictures: Mapping[str, str]) -> str:
    """Return the whole page, to be written as UTF-8.

    `pictures` has the SVG for each picture that the Markdown refers to, as `inline` returns it.
    """
    parser = MarkdownIt("commonmark", {"html": False}, renderer_cls=_PageRenderer).enable("table")
    tokens = parser.parse(markdown)
    _mark_captions(tokens)
    body = parser.renderer.render(tokens, parser.options, {"pictures": pictures})
    style = source("minitx.study.report", "report.css")
    return self_contained(title, style, f"<main>\n<section>\n{body}</section>\n</main>")


def _mark_captions(tokens: Sequence[Token]) -> None:
    """Turn a paragraph before a table into its summary, and one that is a picture into a figure."""
    for opened, inline, closed, after in zip(
        tokens, tokens[1:], tokens[2:], tokens[3:], strict=False
    ):
        if opened.type == "paragraph_open":
            if after.type == "table_open":
                opened.tag = closed.tag = "summary"
            elif [child.type for child in inline.children or ()] == ["image"]:
                opened.tag = closed.tag = "figure"


class _PageRenderer(RendererHTML):
    """Put each part of the report into a section, and each table into a box that opens."""

    def heading_open(
        self, tokens: Sequence[Token], index: int, options: OptionsDict, env: Any
    ) -> str:
        if tokens[index].tag != "h2":
            return self.renderToken(tokens, index, options, env)
        words = "".join(child.content for child in tokens[index + 1].children or ())
        tokens[index].attrSet("id", slug(words))
        heading = self.renderToken(tokens, index, options, env)
        name = re.sub(r"[^a-z]+", "-", words.lower())
        return f'</section>\n<section class="{name}">\n{heading}'

    def paragraph_open(
        self, tokens: Sequence[Token], index: int, options: OptionsDict, env: Any
    ) -> str:
        paragraph = self.renderToken(tokens, index, options, env)
        return f"<details>{paragraph}" if tokens[index].tag == "summary" else paragraph

    def table_open(
        self, tokens: Sequence[Token], index: int, options: OptionsDict, env: Any
    ) -> str:
        return '<div class="scroll" role="region" aria-label="table" tabindex="0"><table>\n'

    def table_close(
        self, tokens: Sequence[Token], index: int, options: OptionsDict, env: Any
    ) -> str:
        return "</table></div></details>\n"

    def td_open(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: Any) -> str:
        # The policy of the page forbids style attributes.
        if tokens[index].attrs.pop("style", None):
            tokens[index].attrSet("class", "number")
        return self.renderToken(tokens, index, options, env)

    th_open = td_open

    def image(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: Any) -> str:
        picture: str = env["pictures"][tokens[index].attrs["src"]]
        return picture
