"""The documentation site, built in strict mode, in a real browser.

Without mkdocs or a Chromium this test skips, but never where CI is set in the environment.
"""

import functools
import http.server
import importlib.util
import os
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
from browsers import needs_browser

ROOT = Path(__file__).parents[1]
needs_mkdocs = pytest.mark.skipif(
    not os.environ.get("CI") and importlib.util.find_spec("mkdocs") is None,
    reason='needs mkdocs: pip install -e ".[docs]"',
)
WIDTHS, SCHEMES = (1400, 400), ("light", "dark")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextmanager
def served(folder):
    """Serve a folder, and give its address."""
    handler = functools.partial(Quiet, directory=folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.long
@needs_browser
@needs_mkdocs
def test_the_site_builds_without_warnings_and_loads_nothing_from_elsewhere(
    browser, tmp_path, monkeypatch
):
    """One test, because pytest-xdist would build the site in each process that has a part."""
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    monkeypatch.setenv("NO_MKDOCS_2_WARNING", "1")
    build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(tmp_path), strict=True))
    reports = [path.parent.name for path in ROOT.glob("docs/studies/*/report.md")]
    pages = [
        *("index.html", "lessons/4_encoder_and_decoder.html", "reference/configuration.html"),
        *("lessons/2_several_heads.zh-CN.html", "how-to/explain.html", "reference/api.html"),
        f"studies/{reports[0]}/report.html",
    ]
    with served(tmp_path) as site:
        for number, page in enumerate(pages):
            for width in WIDTHS:
                look(browser, site, page, width, SCHEMES[number % 2])
        read_the_heads(browser, site)


@contextmanager
def opened(browser, site, page, width=1400, scheme="light"):
    """Open a page, which must load nothing from elsewhere, miss nothing and raise no error."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    loaded, complaints = [], []
    context.on("request", lambda request: loaded.append(request.url))
    context.on("console", lambda message: complaints.append(message.text))
    tab = context.new_page()
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.goto(site + page, wait_until="networkidle")
    yield tab
    context.close()
    assert complaints == []
    assert [url for url in loaded if not url.startswith((site, "data:", "about:", "blob:"))] == []


def look(browser, site, page, width, scheme):
    """Every page fits the window, has a heading, and follows the colours of the system."""
    with opened(browser, site, page, width, scheme) as tab:
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        assert tab.locator("h1").count() == 1
        paper = tab.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (paper == "rgb(255, 255, 255)") == (scheme == "light")
        broken = "[...document.images].filter(image => !image.naturalWidth).length"
        assert tab.evaluate(broken) == 0


def read_the_heads(browser, site):
    """The page of attention works inside its lesson, and the search finds a heading."""
    with opened(browser, site, "lessons/6_reading_heads.html") as tab:
        assert tab.frame_locator("iframe").get_by_text("planet planet planet").count()
        words = tab.locator("input.md-search__input")
        words.click()
        words.press_sequentially("induction")
        tab.locator(".md-search-result__item").first.wait_for()
