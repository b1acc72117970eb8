"""Free text and paths on the command line, quoted for Hydra."""

import re

from minitx.commands.table import COMMANDS
from minitx.config.compose import in_quotes

VERBATIM = sorted({key for each in COMMANDS.values() for key in (*each.texts, *each.paths)})


def quoted(argument: str) -> str:
    """Return a command-line argument with its value in Hydra's quotes if it is text or a path."""
    name, equals, value = argument.partition("=")
    already_quoted = re.fullmatch(r""""(\\.|[^"\\])*"|'(\\.|[^'\\])*'""", value, re.DOTALL)
    is_text = equals and name in VERBATIM
    if not is_text or already_quoted or (value == "null" and name not in ("prompt", "text")):
        return argument
    return f"{name}={in_quotes(value)}"
