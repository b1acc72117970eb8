"""The environment of a training run: the commit of the code, memory, and noisy libraries."""

import ctypes
import logging
import os
import re
import resource
import signal
import subprocess
import sys
import warnings
from contextlib import suppress
from pathlib import Path

# Linux: where a process reads its own status, and how it resets its peak memory.
STATUS, FORGET = Path("/proc/self/status"), Path("/proc/self/clear_refs")

PR_SET_PDEATHSIG = 1  # an option of Linux's prctl(2)

CODE = ("minitx", "conf")  # the folders of a checkout that the results of runs depend on
CHANGED = " with uncommitted changes"

# Options of glibc's mallopt(3).
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGE = 2**30  # bytes


def git_commit() -> str | None:
    """Return the commit of the code, as a hash in hex; None without a checkout or without git.

    CHANGED follows if code or configs are not as they were committed.
    """
    checkout = Path(__file__).resolve().parents[2]
    if not (checkout / ".git").exists():  # an installed package may lie within another checkout
        return None

    def git(*words: str) -> str:
        command = ["git", *words]
        answer = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
        return answer.stdout.strip()

    try:
        commit = git("rev-parse", "--verify", "--quiet", "HEAD")
        return commit + CHANGED * bool(commit and git("status", "--porcelain", *CODE)) or None
    except FileNotFoundError:  # git is not installed
        return None


def quiet_libraries() -> None:
    """Keep what Lightning and W&B print about themselves out of the output."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message="The `srun` command is available")
    os.environ.setdefault("WANDB_SILENT", "true")


def keep_freed_memory() -> None:
    """Let the C library keep freed memory for the next step instead of returning it.

    A training step frees all of its tensors, of some MB each, and the next one allocates the same
    again. By default the C library returns such pieces to the system and gets them back page by
    page. Only glibc has this setting; elsewhere nothing happens.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGE)
        mallopt(M_TRIM_THRESHOLD, LARGE)


def end_with_parent() -> None:
    """Let the system kill this process when its parent ends. Only Linux can."""
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before
            os.kill(os.getpid(), signal.SIGKILL)


def peak_memory() -> int:
    """Return the largest resident size so far, in bytes."""
    if STATUS.exists():
        # Not with getrusage: there, a new process starts with the peak of its parent.
        peak = re.search(r"VmHWM:\s+(\d+) kB", STATUS.read_text(encoding="utf-8"))
        if peak is not None:
            return int(peak[1]) * 1024
    scale = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, others KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale


def forget_peak() -> None:
    """Reset the peak, if the system can: several runs may share a process."""
    with suppress(OSError):
        FORGET.write_text("5", encoding="ascii")
