"""The page of `minitx explain` in a browser."""

import pytest


@pytest.fixture
def playground(browser, tmp_path):
    """Opens a page from disk, which must ask for nothing but its file and complain of nothing."""
    requests, complaints, contexts = [], [], []
    file = tmp_path / "page.html"

    def open_page(text, width=1400, height=900, **options):
        file.write_text(text, encoding="utf-8")
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
    assert set(requests) <= {file.as_uri()}
