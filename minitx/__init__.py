"""minitx: small Transformers beside RNN baselines, trained alike and open to inspection.

`minitx.train(minitx.compose("model=lstm"))` does what `scripts/train.py model=lstm` does;
`minitx.load("runs/...")` opens what it left: `run.model`, `run.vocabulary`, `run.config`;
`minitx.attention(run, text)` gives what its heads attend to.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minitx.config.compose import compose
    from minitx.inspection.reading import attention
    from minitx.runs.run import Run, load
    from minitx.training.train import train

__all__ = ["Run", "attention", "compose", "load", "train"]

# Found on first use: `import minitx` alone, as --help does, must not wait for torch.
_HOMES = {
    "Run": "minitx.runs.run",
    "attention": "minitx.inspection.reading",
    "compose": "minitx.config.compose",
    "load": "minitx.runs.run",
    "train": "minitx.training.train",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'minitx' has no attribute {name!r}")
