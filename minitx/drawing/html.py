"""Pages that are one file each: all they need is inside, and no network is asked for anything."""

import base64
import hashlib
import html
import re
from importlib.resources import files


def self_contained(title: str, style: str, body: str, script: str = "") -> str:
    """A whole page, to be written as UTF-8, in which nothing runs but `script`.

    `title` is text, `body` is markup, in which what comes from anywhere else has to be escaped.
    `style` follows on what all pages share (web/paper.css). A Content-Security-Policy allows this
    style and this script by their hashes, and no address at all.
    """
    style = source("minitx.drawing", "paper.css") + style
    policy = [
        "default-src 'none'",
        *([f"script-src {_hash(script)}"] if script else []),
        f"style-src {_hash(style)}",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    parts = {
        "policy": "; ".join(policy),
        "title": html.escape(title),
        "style": style,
        "body": body + (f'\n<script type="module">{script}</script>' if script else ""),
    }
    # All at once: what stands in a part is not looked at again, whatever it looks like.
    page = source("minitx.drawing", "page.html")
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], page)


def source(package: str, name: str) -> str:
    """What a page is made of: a file in the folder web/ of one of our packages."""
    return (files(package) / "web" / name).read_text(encoding="utf-8")


def _hash(allowed: str) -> str:
    """How a Content-Security-Policy names what it allows."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(allowed.encode()).digest()).decode()}'"
