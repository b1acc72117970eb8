"""The attention maps of one text at every validation of a run, small enough for one file.

A frame holds the maps of one step: the first tokens of every map, and one byte per weight. A file
has at most `MOST_CHARACTERS`. If all frames do not fit, those in between are dropped so that the
steps are about evenly spaced on a logarithmic scale, because heads form early. The first frame and
the newest one stay.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from minitx.config.checksums import read_json, with_checksum
from minitx.errors import UserError
from minitx.inspection.head_names import MEASURES, measured_heads
from minitx.inspection.packing import is_triangular, pack, unpack
from minitx.inspection.weights import AttentionMap, AttentionWeights, Frame, MeasuredHead
from minitx.runs.atomic_write import write_atomically

HISTORY = Path("attention", "history.json")  # within the run's folder

MOST_TOKENS = 64  # of each side of a map
MOST_WEIGHTS = 120_000  # in a frame
MOST_CHARACTERS = 2_500_000  # in a file
LONGEST_LABEL = 40
LONGEST_TEXT = 400
LONGEST_NAME = 20


def add_frame(
    path: Path, maps: AttentionWeights, step: int, induction: Mapping[str, Tensor] | None = None
) -> None:
    """Add the maps of a step to a file, atomically.

    `induction` holds the scores (heads,) of `induction_score` by the names of the maps. Frames of
    this step and of later ones are dropped: a resumed run makes them again. A file that cannot be
    read is replaced. Raises WriteError.
    """
    try:
        frames = [dict(frame.plain) for frame in read_history(path)]
    except UserError:
        frames = []
    frames = [each for each in frames if each["step"] < step]
    frames.append(_plain(maps, step, induction))
    while len(text := _spelt(frames)) > MOST_CHARACTERS and len(frames) > 1:
        del frames[_most_crowded([each["step"] for each in frames])]
    if len(text) <= MOST_CHARACTERS:
        write_atomically(path, text)


def read_history(path: Path) -> list[Frame]:
    """Return the frames in a file by step, none if there is no file.

    Raises UserError for a file that `add_frame` did not write.
    """
    try:
        if path.stat().st_size > MOST_CHARACTERS:
            raise UserError(f"{path} is larger than minitx writes it: delete it")
        frames = read_json(path, "delete it")["frames"]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): delete it") from error
    except KeyError:
        raise UserError(f"{path} holds no frames of attention: delete it") from None
    try:
        read = [_frame(plain) for plain in frames]
    except (KeyError, TypeError, ValueError, IndexError, ArithmeticError) as error:
        raise UserError(f"{path} holds no frames of attention ({error}): delete it") from error
    return sorted(read, key=lambda frame: frame.plain["step"])


def _plain(
    maps: AttentionWeights, step: int, induction: Mapping[str, Tensor] | None
) -> dict[str, Any]:
    """Return the plain values of a frame. Labels that several maps share are kept once."""
    labels: list[list[str]] = []
    side = _side(maps)

    def place(tokens: tuple[str, ...]) -> int:
        short = [_cut(token, LONGEST_LABEL) for token in tokens[:side]]
        if short not in labels:
            labels.append(short)
        return labels.index(short)

    packed = [
        {
            "name": each.name,
            "heads": list(each.heads),
            "queries": place(each.queries),
            "keys": place(each.keys),
            "measured": measured_heads(each, induction),
            **pack(each.weights[:, :side, :side].numpy(), bits=8),
        }
        for each in maps.maps
    ]
    return {
        "step": step,
        "text": _cut(str(maps.about.get("text", "")), LONGEST_TEXT),
        "tokens": max(max(each.weights.shape[1:]) for each in maps.maps),
        "labels": labels,
        "maps": packed,
    }


def _frame(plain: Mapping[str, Any]) -> Frame:
    """Return a frame of plain values. Raises KeyError, TypeError, ValueError or IndexError."""
    for name, kind in {"step": int, "text": str, "tokens": int}.items():
        if type(plain[name]) is not kind:
            raise TypeError(f"{name} is not of the type {kind.__name__}")
    labels = [tuple(map(str, each)) for each in plain["labels"]]
    maps = []
    for each in plain["maps"]:
        heads = tuple(map(int, each["heads"]))
        queries, keys = labels[each["queries"]], labels[each["keys"]]
        if not (heads and queries and keys):
            raise ValueError("an empty map")
        weights = unpack(each, len(heads), len(queries), len(keys))
        maps.append(
            AttentionMap(str(each["name"]), torch.from_numpy(weights), queries, keys, heads)
        )
    if not maps:
        raise ValueError("a step without maps")
    measured = tuple(_measured(each["measured"], len(each["heads"])) for each in plain["maps"])
    return Frame(plain, tuple(maps), measured)


def _measured(plain: Any, heads: int) -> list[MeasuredHead]:
    """Return the measured heads of a map. Raises TypeError or ValueError."""
    if len(plain) != heads:
        raise ValueError(f"{len(plain)} measured heads, and {heads} heads")
    heads_read: list[MeasuredHead] = []
    for each in plain:
        values = {key: float(each[key]) for key in MEASURES if key in each}
        if not all(map(math.isfinite, values.values())):
            raise ValueError("a measure is not a number")
        heads_read.append({"name": str(each["name"])[:LONGEST_NAME], **values})
    return heads_read


def _side(maps: AttentionWeights) -> int:
    """Return how many tokens of each side fit into a frame."""
    shapes = [
        (*each.weights.shape, 0.5 if is_triangular(each.weights.numpy()) else 1)
        for each in maps.maps
    ]

    def size(side: int) -> float:
        return sum(part * h * min(q, side) * min(k, side) for h, q, k, part in shapes)

    return next((side for side in range(MOST_TOKENS, 1, -1) if size(side) <= MOST_WEIGHTS), 1)


def _most_crowded(steps: list[int]) -> int:
    """Return the place of the frame between the closest neighbours, on a logarithmic scale."""
    if len(steps) == 2:
        return 0
    gaps = [
        math.log(after / max(before, 1)) for before, after in zip(steps, steps[2:], strict=False)
    ]
    return 1 + gaps.index(min(gaps))


def _spelt(frames: list[dict[str, Any]]) -> str:
    values = with_checksum({"frames": frames})
    return json.dumps(values, separators=(",", ":")) + "\n"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
