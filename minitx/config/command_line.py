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
    running, words = running_script(), tuple(map(_from_here, words))
    if running is None:
        return shlex.join(["minitx", name, *words])
    return shlex.join(["python", str(running.with_name(f"{script or name}.py")), *words])


def _from_here(word: str) -> str:
    key, equals, value = word.partition("=")
    try:
        inside = value.removeprefix(f"{Path.cwd()}/")
    except FileNotFoundError:  # the current folder was deleted
        return word
    return word if inside.startswith("~") else f"{key}{equals}{inside}"  # ~ is the home folder
