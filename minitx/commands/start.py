"""Start a command. Ctrl-C ends it without a traceback, even while modules are imported."""

import signal
import sys


def main(name: str | None = None) -> None:
    """Run a command as `minitx.commands.cli.main` does.

    Ctrl-C ends the process with status 130, unless the command handles it as `minitx train` does.
    """
    try:
        from minitx.commands.cli import main as run  # Hydra takes a while

        run(name)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
