"""A temporary folder in place of a home folder that does not exist or cannot be written."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from minitx.config.paths import full_path
from minitx.errors import UserError
from minitx.terminal.text import note

CACHE = "MINITX_CACHE"

# Variables that say where caches and settings are. Without them, minitx and the libraries (W&B,
# matplotlib, datasets) use the home folder.
XDG = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")
VARIABLES = (CACHE, *XDG, "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "NETRC")


def default_cache_dir() -> Path:
    """Return $MINITX_CACHE, or else ~/.cache/minitx. Raises UserError as `replace_home`."""
    replace_home()
    return Path(full_path(os.environ.get(CACHE) or "~/.cache/minitx", CACHE))


def replace_home() -> None:
    """Give caches and settings a temporary folder if there is no home folder for them.

    The folder is for this process and those that it starts, and is deleted at the end. A line on
    standard error says so. Paths that begin with ~ do not lead there. Raises UserError if no
    temporary folder can be made either.
    """
    missing = [name for name in VARIABLES if not os.environ.get(name)]
    if not missing:
        return
    if _has_home():
        # The program of W&B looks for it nowhere else, and prints its log without it.
        os.environ.setdefault("HOME", os.path.expanduser("~"))
        return
    try:
        folder = tempfile.mkdtemp(prefix="minitx-")
    except OSError as error:
        raise UserError(
            "no home folder and no temporary folder can be written: set HOME or TMPDIR"
        ) from error
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ |= {name: os.path.join(folder, name.lower()) for name in missing}
    note(
        f"no home folder can be written: caches are in {folder} until the end; to keep them, set "
        f"HOME, or data.cache_dir or {CACHE} for tokenised corpora"
    )


def _has_home() -> bool:
    """Return whether there is a home folder with a cache, or one in which it can be made."""
    home = os.path.expanduser("~")  # "~" itself if it is not known
    cache = os.path.join(home, ".cache")
    writable = os.access(cache if os.path.isdir(cache) else home, os.W_OK | os.X_OK)
    return os.path.isabs(home) and (writable or os.path.isdir(os.path.join(cache, "minitx")))
