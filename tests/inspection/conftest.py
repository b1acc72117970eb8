"""The fixture of tests that open a page in a browser."""

import pytest
from opened_pages import settle


@pytest.fixture
def show(browser, tmp_path):
    """Opens a page from disk. It must ask for nothing but its file, and complain of nothing."""
    requests, complaints, contexts, files = [], [], [], set()

    def show(text, width=1280, height=800, scheme="light"):
        file = tmp_path / f"{len(contexts)}.html"
        file.write_text(text, encoding="utf-8")
        files.add(file.as_uri())
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme
        )
        contexts.append(context)
        context.on("request", lambda request: requests.append(request.url))
        context.on("console", lambda message: complaints.append(message.text))
        context.on("dialog", lambda dialog: complaints.append(dialog.message))
        opened = context.new_page()
        opened.on("pageerror", lambda error: complaints.append(str(error)))
        opened.set_default_timeout(20_000)
        opened.goto(file.as_uri())
        settle(opened)
        return opened

    yield show
    for context in contexts:
        context.close()
    assert complaints == []
    assert set(requests) <= files
