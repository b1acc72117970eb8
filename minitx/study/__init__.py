"""Studies: a question, the grid of runs that answers it, its statistics and its report.

`minitx.study.open_study("studies/heads_shakespeare_full").runs` is a pandas DataFrame of a study's
runs, for further questions.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minitx.study.results.collecting import open_study
    from minitx.study.results.results import Results

__all__ = ["Results", "open_study"]

MODULES = {"Results": "results", "open_study": "collecting"}


def __getattr__(name: str) -> Any:
    # Imported on first use, so that --help does not import pandas.
    if name not in MODULES:
        raise AttributeError(f"module 'minitx.study' has no attribute {name!r}")
    return getattr(import_module(f"minitx.study.results.{MODULES[name]}"), name)
