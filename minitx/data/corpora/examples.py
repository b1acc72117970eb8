"""A corpus of separate examples: pairs of texts, or texts with labels."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

from minitx.errors import UserError

Record = TypeVar("Record", bound=tuple[Any, ...])  # an example: a named tuple of texts


@dataclass(frozen=True)
class ExampleCorpus(Generic[Record]):
    """Examples in named splits; each function in `splits` gives a fresh stream of them."""

    name: str
    splits: dict[str, Callable[[], Iterator[Record]]]

    @property
    def fingerprint(self) -> str:
        """SHA-256, hex, of the splits' names and examples. The first use reads everything once.

        Raises UserError for a split without examples, and as the streams do.
        """
        return self._scan[0]

    @property
    def counts(self) -> dict[str, int]:
        """How many examples each split has. The first use reads everything once."""
        return self._scan[1]

    @cached_property
    def _scan(self) -> tuple[str, dict[str, int]]:
        corpus, counts = hashlib.sha256(), {}
        for name, stream in self.splits.items():
            split, counts[name] = hashlib.sha256(), 0
            for example in stream():
                split.update(json.dumps(example).encode() + b"\n")
                counts[name] += 1
            if not counts[name]:
                raise UserError(
                    f"the {name} split of {self.name} is empty: give more examples, "
                    "or a larger data.val_fraction"
                )
            corpus.update(f"{name} {split.hexdigest()}\n".encode())
        return corpus.hexdigest(), counts
