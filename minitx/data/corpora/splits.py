"""The splits of a corpus: which one an example belongs to, and what identifies them all."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

SPLITS = ("train", "val", "test")

Item = TypeVar("Item")


def scan(
    splits: Mapping[str, Callable[[], Iterator[Item]]],
    encode: Callable[[Item], bytes],
    size: Callable[[Item], int],
) -> tuple[str, dict[str, int]]:
    """Read all splits once. Return the SHA-256 of their names and items, and the splits' sizes."""
    corpus, sizes = hashlib.sha256(), {}
    for name, stream in splits.items():
        split, sizes[name] = hashlib.sha256(), 0
        for item in stream():
            split.update(encode(item))
            sizes[name] += size(item)
        corpus.update(f"{name} {split.hexdigest()}\n".encode())
    return corpus.hexdigest(), sizes


def position(key: str) -> float:
    """Return a number in [0, 1) from the hash of a key. The numbers are evenly distributed."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:6]) / 2**48


def split_of(key: str, val: float, test: float) -> str:
    """Return the split of a key, where `val` and `test` are fractions of all keys.

    The key's hash decides. So an example stays in its split if others are added, equal keys are in
    the same split, and a larger fraction holds out all that a smaller one does.
    """
    if position(key) < val:
        return "val"
    return "test" if position(key) >= 1 - test else "train"


def held_out_split(
    records: Iterable[tuple[str, str]], split: str, fraction: float, key: int
) -> Iterator[tuple[str, str]]:
    """Return the records of a split, by the hash of field `key`.

    Val and test each have this fraction of all records.
    """
    return (record for record in records if split_of(record[key], fraction, fraction) == split)


def check_val_fraction(fraction: float) -> None:
    """Raise ValueError unless 0 < fraction < 0.5."""
    if not 0 < fraction < 0.5:
        raise ValueError(f"val_fraction={fraction} must lie between 0 and 0.5")
