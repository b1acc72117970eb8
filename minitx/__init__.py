"""minitx: small Transformers and RNN baselines, trained alike and open to inspection.

`minitx.train(minitx.compose("model=lstm"))` does what `minitx train model=lstm` does, and
returns the run. `minitx.load("runs/...")` opens one: `run.model`, `run.vocabulary`, `run.config`,
and `run.generate`, `run.translate`, `run.predict` and `run.evaluate`. `minitx.attention(run, text)`
returns what its heads attend to, also for models of the library `transformers`, and
`minitx.from_transformers(model)` makes a run of a GPT-2 or a Llama.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minitx.config.compose import compose
    from minitx.inspection.maps import AttentionMaps
    from minitx.inspection.reading import attention
    from minitx.interop.importing import from_transformers
    from minitx.tasks.run import Run, load
    from minitx.training.train import train

__all__ = ["AttentionMaps", "Run", "attention", "compose", "from_transformers", "load", "train"]

# Imported on first use: `import minitx` alone, as for --help, must not wait for torch.
_HOMES = {
    "AttentionMaps": "minitx.inspection.maps",
    "Run": "minitx.tasks.run",
    "attention": "minitx.inspection.reading",
    "compose": "minitx.config.compose",
    "from_transformers": "minitx.interop.importing",
    "load": "minitx.tasks.run",
    "train": "minitx.training.train",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'minitx' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
