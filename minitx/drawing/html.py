"""Pages that are one file each: everything they need is inside, and they make no request."""

import base64
import hashlib
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined


def self_contained(title: str, style: str, body: str, script: str = "") -> str:
    """Return a page, to be written as UTF-8, in which nothing runs except `script`.

    `title` is text. `body` is markup, as `render` returns it. `style` is added to the style that
    all pages share (web/paper.css). A Content-Security-Policy allows this style and this script by
    their hashes, and no address.
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
    parts = {"policy": "; ".join(policy), "style": style, "body": body, "script": script}
    return render("minitx.drawing", "page.html", title=title, **parts)


def render(package: str, template: str, **values: object) -> str:
    """Return the markup of a Jinja2 template in the folder web/ of a package.

    Values are escaped, except where the template marks them as safe.
    """
    return _templates(package).get_template(template).render(values)


def source(package: str, name: str) -> str:
    """Return the text of a style or a script: a file in the folder web/ of a package."""
    return (files(package) / "web" / name).read_text(encoding="utf-8")


@cache
def _templates(package: str) -> Environment:
    templates = Environment(
        loader=PackageLoader(package, "web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    return templates


def _hash(allowed: str) -> str:
    """Return the name under which a Content-Security-Policy allows a style or a script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(allowed.encode()).digest()).decode()}'"
