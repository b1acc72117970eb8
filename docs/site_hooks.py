"""Pages of the site that are made from something else: lessons, commands, typed keys.

mkdocs calls the functions `on_...`. Pages from outside of docs/ are listed in `ELSEWHERE`. A link
to a file that has no page becomes text.
"""

import base64
import dataclasses
import logging
import posixpath
import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import nbformat
from omegaconf import OmegaConf

from minitx.commands.command import Command
from minitx.commands.help import all_keys
from minitx.commands.table import COMMANDS
from minitx.config.compose import composed
from minitx.config.fields import as_typed
from minitx.config.keys import options, type_name
from minitx.config.schema import MODELS, ModelConfig

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
ELSEWHERE = {"data/README.md": "data.md", "CONTRIBUTING.md": "contributing.md"}
LESSONS = sorted((DOCS / "lessons").glob("*.ipynb"))
REPORTS = sorted((DOCS / "studies").glob("*/report.md"))

MERMAID = re.compile(r"^```mermaid\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
BOX = re.compile(r"\w+\[\"<b>(.*?)</b> (.*?)\"\]")
TRANSLATION = re.compile(r"\A(\[[^\]\n]+\]\([^)\n]+\))\n+(# .*)\n")
LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])+)\]\(([^)\s]+)\)")
LOADED = re.compile(
    r"<(?:(?:script|img|iframe|source)\b[^>]*\bsrc"
    r"|link\b(?![^>]*\brel=\"?(?:canonical|prev|next|alternate))[^>]*\bhref)"
    r"=\"?((?:https?:)?//[^\s\">]+)",
    re.IGNORECASE,
)
log = logging.getLogger("mkdocs.hooks.minitx")  # warnings end a strict build


def on_config(config: Any) -> Any:
    """Fill the parts of the navigation that follow from files and from the table of commands."""
    parts = {title: pages for part in config.nav for title, pages in part.items()}
    english = ["README.md", *(f"{path.stem}.md" for path in LESSONS if len(path.suffixes) == 1)]
    chinese = [name.replace(".md", ".zh-CN.md") for name in english]
    parts["Lessons"] += [f"lessons/{name}" for name in english]
    parts["Lessons"].append({"中文": [f"lessons/{name}" for name in chinese]})
    parts["How to"] += [{name: f"how-to/{name}.md"} for name in COMMANDS]
    (reports,) = (part["Reports"] for part in parts["Results"] if "Reports" in part)
    names = [{path.parent.name.replace("_", " "): _in_docs(path)} for path in REPORTS]
    reports += ["studies/README.md", *names]
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the generated pages, and the pictures of lessons."""
    from mkdocs.structure.files import File

    pages: dict[str, str | bytes] = {}
    for source, name in ELSEWHERE.items():
        pages[name] = (ROOT / source).read_text(encoding="utf-8")
    pages["reference/configuration.md"] = configuration_page()
    pages |= {f"how-to/{name}.md": how_to_page(command) for name, command in COMMANDS.items()}
    for path in LESSONS:
        pages |= lesson_pages(path)
    for name, content in pages.items():
        if name in files.src_uris:
            files.remove(files.src_uris[name])
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Point the links of a page at pages of the site, and show diagrams as tables.

    The link to a translation follows the title, because mkdocs expects the title first.
    """
    markdown = TRANSLATION.sub(r"\2\n\n\1\n", MERMAID.sub(_diagram, markdown))
    return with_links(markdown, page.file.src_uri)


def on_post_page(output: str, page: Any, config: Any) -> str:
    """Warn of a page that loads anything from another host, and state the language of a page."""
    for address in LOADED.findall(output):
        log.warning("%s loads from elsewhere: %s", page.file.src_uri, address)
    language = re.search(r"\.(zh-CN)\.md$", page.file.src_uri)
    return output.replace('lang="en"', f'lang="{language[1]}"', 1) if language else output


def with_links(markdown: str, page: str) -> str:
    """Return a page's text with its links to files of the repository made links to pages."""
    sources = {name: source for source, name in ELSEWHERE.items()}
    folder = posixpath.dirname(sources.get(page, f"docs/{page}"))

    def replaced(link: re.Match[str]) -> str:
        text, target = link.groups()
        if target.startswith(("#", "http:", "https:", "mailto:")):
            return link[0]
        path, _, anchor = target.partition("#")
        found = _page_of(posixpath.normpath(posixpath.join(folder, path)))
        if found is None:
            return text
        where = posixpath.relpath(found, posixpath.dirname(page) or ".")
        return f"[{text}]({where}{'#' if anchor else ''}{anchor})"

    return LINK.sub(replaced, markdown)


def _diagram(block: re.Match[str]) -> str:
    """Return the boxes of a diagram as a table: mermaid would be loaded from elsewhere."""
    return _table(("part", "what it does"), BOX.findall(block[1])) + "\n"


def _page_of(path: str) -> str | None:
    """Return the page, in the site, of a file or folder of the repository, or None."""
    if path in ELSEWHERE:
        return ELSEWHERE[path]
    if not path.startswith("docs/"):
        return None
    if (ROOT / path).is_dir():
        path = f"{path}/README.md"
    return re.sub(r"\.ipynb$", ".md", path.removeprefix("docs/"))


def _in_docs(path: Path) -> str:
    return path.relative_to(DOCS).as_posix()


def lesson_pages(path: Path) -> dict[str, str | bytes]:
    """Return the page of a notebook with its outputs, and its pictures, by their names."""
    pages: dict[str, str | bytes] = {}
    parts = []
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
            continue
        parts.append(_fenced(cell.source, "python"))
        for output in cell.outputs:
            data = output.get("data", {})
            if "image/png" in data:
                picture = f"{path.stem}_{len(pages)}.png"
                pages[f"lessons/{picture}"] = base64.b64decode(data["image/png"])
                parts.append(f"![Output of the code above]({picture})")
            elif "text/html" in data:
                parts.append(f"<div>{data['text/html']}</div>")
            else:
                parts.append(_fenced(output.get("text") or data["text/plain"], "{ .text .output }"))
    pages[f"lessons/{path.stem}.md"] = "\n\n".join(parts)
    return pages


def _fenced(text: str, kind: str) -> str:
    return f"````{kind}\n{text.rstrip()}\n````"


def how_to_page(command: Command) -> str:
    """Return the page of a command: what was written for it, and its keys."""
    written = (DOCS / "how-to" / f"{command.name}.md").read_text(encoding="utf-8")
    title, _, body = written.partition("\n")
    if command.schema is None:
        keys = f"`minitx {command.name} --help` lists its options."
    elif command.config is not None:
        keys = "[Configuration](../reference/configuration.md) explains every key."
    else:
        keys = key_tables(command)
    return "\n\n".join([title, command.summary, body.strip(), "## Keys", keys])


def configuration_page() -> str:
    """Return the page of the choices and keys of `minitx train`, and those `compare` adds."""
    train, compare = COMMANDS["train"], COMMANDS["compare"]
    added = {name for name, _ in all_keys(compare.schema)} - {
        name for name, _ in all_keys(train.schema)
    }
    begin = (DOCS / "reference/configuration.md").read_text(encoding="utf-8")
    parts = [
        begin,
        "## Choices",
        _table(
            ("group", "choices"),
            [
                (group, ", ".join(f"`{group}={option}`" for option in options(group)))
                for group in dict.fromkeys((*train.groups, *compare.groups))
            ],
        ),
        "## Keys of train",
        key_tables(train),
        "## Keys that only compare has",
        key_tables(compare, added),
    ]
    return "\n\n".join(parts)


def key_tables(command: Command, only: Collection[str] | None = None) -> str:
    """Return a table of the keys of a command, or of some of them, for each group of keys."""
    defaults = composed(command.register())
    titles, tables = {"": ""}, {"": []}
    for name, field in all_keys(command.schema):
        if only is not None and name not in only:
            continue
        if dataclasses.is_dataclass(field.type):
            titles[name], tables[name] = f"### {name}: {field.metadata['help']}", []
            continue
        default = OmegaConf.select(defaults, name, default=field.default)
        about = re.sub(r"([][*_|])", r"\\\1", field.metadata["help"] + _owners(name))
        row = (f"`{name}`", _default(default), _values(field), about)
        tables[name.rpartition(".")[0]].append(row)
    head = ("key", "default", "values", "meaning")
    found = [(titles[name], _table(head, rows)) for name, rows in tables.items() if rows]
    return "\n\n".join(part for pair in found for part in pair if part)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _default(value: Any) -> str:
    """Return a default as it is typed, or dots for one that fills lines."""
    if OmegaConf.is_config(value):
        value = OmegaConf.to_object(value)
    text = as_typed(value).replace("\n", "\\n")
    return (
        "..." if not text or len(text) > 40 or (value and isinstance(value, dict)) else f"`{text}`"
    )


def _values(field: dataclasses.Field[Any]) -> str:
    """Return the values that a key may have: its choices, or its type and its limits."""
    rules = field.metadata
    if "choices" in rules:
        return ", ".join(f"`{choice}`" for choice in rules["choices"])
    words = {"minimum": "at least", "maximum": "at most", "above": "above", "below": "below"}
    limits = [f"{word} {rules[rule]:,}" for rule, word in words.items() if rule in rules]
    return ", ".join([type_name(field), *limits])


def _owners(name: str) -> str:
    """Return which models have a key, if not all of them do."""
    part = name.removeprefix("model.")
    shared = {field.name for field in dataclasses.fields(ModelConfig)}
    if part == name or part in shared:
        return ""
    kinds = [kind for kind, model in MODELS.items() if part in model.__dataclass_fields__]
    return f" (model={', '.join(kinds)})" if kinds else ""
