"""The commands that messages tell the user to type next."""

import shlex
import sys
from pathlib import Path

from minitx.config.keys import CONF

SCRIPTS = CONF.parent / "scripts"  # of a checkout; a wheel has none


def running_script() -> Path | None:
    """Return the file in scripts/ that this process runs, as it was typed, or None."""
    running = Path(sys.argv[0])
    is_ours = running.suffix == ".py" and running.resolve().parent == SCRIPTS
    return running if is_ours else None


def command_line(name: str, *words: str, script: str | None = None) -> str:
    """Return a command of minitx as the user would type it in the current folder.

    It is `python <path>/scripts/<script>.py` if this process runs a script, and `minitx <name>`
    otherwise. The words are quoted for the shell. Paths in the current folder are relative to it.
    """
    running = running_script()
    if running is None:
        return installed_command(name, *words)
    program = ["python", str(running.with_name(f"{script or name}.py"))]
    return shlex.join([*program, *map(_from_here, words)])


def installed_command(name: str, *words: str) -> str:
    """Return a command for a file that is read elsewhere: `minitx <name>`, as it is installed.

    The words are quoted for the shell. Paths in the current folder are relative to it.
    """
    return shlex.join(["minitx", name, *map(_from_here, words)])


def _from_here(word: str) -> str:
    key, equals, value = word.partition("=")
    try:
        inside = value.removeprefix(f"{Path.cwd()}/")
    except FileNotFoundError:  # the current folder was deleted
        return word
    return word if inside.startswith("~") else f"{key}{equals}{inside}"  # ~ is the home folder
