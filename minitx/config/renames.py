"""Renamed keys. An old name works for one release, and prints the new one."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from minitx.errors import UserError
from minitx.terminal.text import note

NEW_NAMES = {
    "data.held_out": "data.val_fraction",
    "data.joint": "data.shared_vocab",
    "data.share": "data.train_fraction",
    "model.tied": "model.tie_embeddings",
    "optimizer.final_lr": "optimizer.min_lr_ratio",
    "optimizer.matrix_lr": "optimizer.muon_lr",
}
OLD_NAMES = {new: old for old, new in NEW_NAMES.items()}

_announced: set[str] = set()


def renamed(values: Any, names: Mapping[str, str] = NEW_NAMES, group: str = "") -> Any:
    """Return the values of a config, a study or a manifest with their keys renamed.

    A key may be nested (`{"model": {"tied": true}}`), written out (`{"model.tied": [true]}`) or the
    start of an override (`["model.tied=true"]`). `group` is the group that the values belong to.
    Raises UserError if a key is given under its old and its new name.
    """
    if isinstance(values, list):
        _refuse_both(map(key_of, filter(_is_text, values)), names)
        return [
            _renamed_override(value, names) if _is_text(value) else renamed(value, names)
            for value in values
        ]
    if not isinstance(values, dict):
        return values
    paths = {name: f"{group}.{name}" if group else name for name in values}
    _refuse_both([*paths, *paths.values()], names)
    found = {}
    for name, value in values.items():
        path = paths[name]
        if name in names:
            new = names[name]
        else:
            new = names[path].rpartition(".")[2] if path in names else name
        found[new] = renamed(value, names, path)
    return found


def key_of(override: str) -> str:
    """Return the key that an override sets: "model.heads" for "+model.heads=8"."""
    return override.lstrip("+~").partition("=")[0]


def renamed_overrides(overrides: Sequence[str]) -> list[str]:
    """Return the overrides of a command line with renamed keys under their new names.

    Each renamed key prints its new name to standard error, once per process. Raises UserError if a
    key is given under both names.
    """
    keys = [key_of(override) for override in overrides]
    _refuse_both(keys, NEW_NAMES)
    for key in keys:
        if key in NEW_NAMES and key not in _announced:
            _announced.add(key)
            new = NEW_NAMES[key]
            note(f"{key} is now {new}; the next release drops the old name")
    return [_renamed_override(override, NEW_NAMES) for override in overrides]


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _renamed_override(override: str, names: Mapping[str, str]) -> str:
    key = key_of(override)
    return override.replace(key, names[key], 1) if key in names else override


def _refuse_both(keys: Iterable[str], names: Mapping[str, str]) -> None:
    given = set(keys)
    for key in given & names.keys():
        if names[key] in given:
            old, new = (key, names[key]) if key in NEW_NAMES else (names[key], key)
            raise UserError(f"{old} is now {new}: give one of the two")
