"""Which split an example belongs to, told from the example alone."""

import hashlib
from collections.abc import Iterable, Iterator

SPLITS = ("train", "val", "test")


def position(key: str) -> float:
    """Where the hash of a key puts it in [0, 1), evenly."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:6]) / 2**48


def split_of(key: str, val: float, test: float) -> str:
    """The split of a key; `val` and `test` are the shares of all keys that are held out.

    The key's hash decides. So no example moves when others are added, equal keys are never on two
    sides, and what a smaller share held out is held out by a larger one too.
    """
    if position(key) < val:
        return "val"
    return "test" if position(key) >= 1 - test else "train"


def held_out_split(
    records: Iterable[tuple[str, str]], split: str, held_out: float, key: int
) -> Iterator[tuple[str, str]]:
    """The records of a split, val and test of `held_out` each, by the hash of field `key`."""
    return (record for record in records if split_of(record[key], held_out, held_out) == split)


def check_share(held_out: float) -> None:
    """Raises ValueError unless 0 < held_out < 0.5."""
    if not 0 < held_out < 0.5:
        raise ValueError(f"held_out={held_out} must lie between 0 and 0.5")
