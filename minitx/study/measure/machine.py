"""The machine and the software of a run, which any speed depends on."""

import os
import platform
from pathlib import Path

import torch


def machine(accelerator: str = "cpu") -> dict[str, str]:
    """Return the processor, the cores of this process, and torch's threads and version.

    If the accelerator is not "cpu" and a GPU is there, it is named as well.
    """
    return _gpu(accelerator) | {
        "processor": _processor(),
        "cores": str(_cores()),
        "threads": str(torch.get_num_threads()),
        "torch": torch.__version__,
    }


def _gpu(accelerator: str) -> dict[str, str]:
    if accelerator != "cpu" and torch.cuda.is_available():
        return {"GPU": torch.cuda.get_device_name()}
    if accelerator != "cpu" and torch.backends.mps.is_available():
        return {"GPU": "that of the processor, by Metal"}
    return {}


def _cores() -> int | None:
    if hasattr(os, "sched_getaffinity"):  # not everywhere
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def multiplies_bfloat16() -> bool | None:
    """Return whether the processor multiplies in bfloat16, or None if that is not known."""
    features = _of_processor("flags") or _of_processor("Features")  # of x86, of ARM
    if features is None:
        return None
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(features.split())


def _processor() -> str:
    return _of_processor("model name") or platform.processor() or platform.machine()


def _of_processor(field: str) -> str | None:
    """Return a field of the first core in /proc/cpuinfo, or None."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return None
    found = (line.partition(":")[2].strip() for line in lines if line.startswith(field))
    return next(found, None)
