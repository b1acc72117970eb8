"""The fixtures of tests that open a page in a browser."""

from contextlib import contextmanager

import pytest
from opened_pages import settle


@pytest.fixture
def show(browser, tmp_path):
    """Opens the page of attention maps, when it has been drawn."""
    with opening(browser, tmp_path) as open_page:

        def show(text, width=1280, height=800, scheme="light"):
            opened = open_page(text, width, height, color_scheme=scheme)
            settle(opened)
            return opened

        yield show


@pytest.fixture
def playground(browser, tmp_path):
    """Opens the page of `minitx explain`."""
    with opening(browser, tmp_path) as open_page:
        yield open_page


@contextmanager
def opening(browser, folder):
    """Yield a function that opens a page from disk.

    The page must ask for nothing but its file, and complain of nothing.
    """
    requests, complaints, contexts, files = [], [], [], set()

    def open_page(text, width=1400, height=900, **options):
        file = folder / f"{len(contexts)}.html"
        file.write_text(text, encoding="utf-8")
        files.add(file.as_uri())
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        context.on("request", lambda request: requests.append(request.url))
        context.on("console", lambda message: complaints.append(message.text))
        context.on("dialog", lambda dialog: complaints.append(dialog.message))
        opened = context.new_page()
        opened.on("pageerror", lambda error: complaints.append(str(error)))
        opened.set_default_timeout(20_000)
        opened.goto(file.as_uri())
        return opened

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
    assert set(requests) <= files
