"""A corpus of separate examples: pairs of texts, or texts with labels."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, TypeVar

from minitx.data.corpora.splits import scan
from minitx.data.progress import announced
from minitx.errors import UserError

Record = TypeVar("Record", bound=tuple[Any, ...])  # an example: a named tuple of texts


def _text(example: tuple[Any, ...]) -> str:
    return str(example[0])


@dataclass(frozen=True)
class ExampleCorpus(Generic[Record]):
    """Examples in named splits. Each function in `splits` returns a new stream of examples.

    `family` names the examples that resemble each other, such as inflections of a word. By default
    these are examples with the same text.
    """

    name: str
    splits: dict[str, Callable[[], Iterator[Record]]]
    family: Callable[[Record], str] = field(default=_text, kw_only=True)

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the splits' names and examples. The first use reads the whole corpus.

        Raises UserError for a split without examples, and as the streams do.
        """
        return self._scan[0]

    @property
    def counts(self) -> dict[str, int]:
        """The number of examples in each split. The first use reads the whole corpus."""
        return self._scan[1]

    @cached_property
    def _scan(self) -> tuple[str, dict[str, int]]:
        with announced(f"reading {self.name}"):
            fingerprint, counts = scan(
                self.splits, lambda example: json.dumps(example).encode() + b"\n", lambda _: 1
            )
        for name, count in counts.items():
            if not count:
                raise UserError(
                    f"the {name} split of {self.name} is empty: give more examples, "
                    "or a larger data.val_fraction"
                )
        return fingerprint, counts
