"""The commit that the code is of."""

import subprocess
from pathlib import Path


def git_commit() -> str | None:
    """Its hash, hex; None where the package lies in no checkout, or git is not installed."""
    command = ["git", "rev-parse", "HEAD"]
    try:
        answer = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:  # git is not installed
        return None
    return answer.stdout.strip() or None
