"""What a run was done on and with: without it, no figure of speed says anything."""

import os
import platform
from pathlib import Path

import torch


def machine() -> dict[str, str]:
    """The processor, its cores as the process has them, torch's threads and version."""
    return {
        "processor": _processor(),
        "cores": str(_cores()),
        "threads": str(torch.get_num_threads()),
        "torch": torch.__version__,
    }


def _cores() -> int | None:
    if hasattr(os, "sched_getaffinity"):  # not everywhere
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
