"""minitx: small Transformers and RNN baselines, trained alike and open to inspection.

`minitx.train(minitx.compose("model=lstm"))` does what `minitx train model=lstm` does, and
returns the run. `minitx.load("runs/...")` opens one: `run.model`, `run.vocabulary`, `run.config`,
and `run.generate`, `run.translate`, `run.predict` and `run.evaluate`. `minitx.attention(run, text)`
returns what its heads attend to.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minitx.config.compose import compose
    from minitx.inspection.reading import attention
    from minitx.tasks.run import Run, load
    from minitx.training.train import train

__all__ = ["Run", "attention", "compose", "load", "train"]

# Imported on first use: `import minitx` alone, as for --help, must not wait for torch.
_HOMES = {
    "Run": "minitx.tasks.run",
    "attention": "minitx.inspection.reading",
    "compose": "minitx.config.compose",
    "load": "minitx.tasks.run",
    "train": "minitx.training.train",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'minitx' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
