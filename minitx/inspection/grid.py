"""Attention as pictures: grids of all maps, one alignment large, and heat maps of heads."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, floor, log10

import matplotlib
import numpy as np
import torch.nn.functional as F
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from minitx.drawing.figures import (
    MUTED,
    NO_DATA,
    SHARES,
    SMALLEST_SIZE,
    TEXT_SIZE,
    TITLE_SIZE,
    drawable,
    readable,
    shortened,
)
from minitx.errors import UserError
from minitx.inspection.layout import POINT, Labels, Sheet, line_height
from minitx.inspection.tables import label_of
from minitx.inspection.weights import AttentionMap, AttentionWeights

# Lengths are in dots, sizes of type in points.
PLEASANT, LONGEST = 1600, 3400  # sides of all maps together
WIDEST_CELL = 48
GAP, BLOCK_GAP, LABEL_GAP = 12, 56, 6  # between maps, between blocks of them, beside labels
NAME_SIZE = TEXT_SIZE - 1  # of layers and heads
NAME_HEIGHT, HEADING = 28, 62  # of a line in that type; of a block's title and note

# What a kind of attention is called, and who looks at what there.
KINDS = {
    "encoder": (
        "Encoder self-attention",
        "each token of the input (down) looks at the input (across)",
    ),
    "decoder": (
        "Decoder self-attention",
        "each token (down) looks at itself and those before it (across)",
    ),
    "cross": ("Cross-attention", "each token of the output (down) looks at the input (across)"),
}

WEIGHTS, TICKS = matplotlib.colormaps[SHARES], (0, 0.05, 0.25, 0.5, 1)
# Blue below zero and red above it: told apart with any kind of colour blindness.
CHANGES = matplotlib.colormaps["RdBu_r"].with_extremes(bad=NO_DATA)


def attention_grid(maps: AttentionWeights, kind: str | None = None) -> Figure:
    """All maps, or those of one kind: a row a layer, a column a head; queries down, keys across.

    Self-attention stands side by side, cross-attention below it and larger. Colours are of the root
    of a weight, from 0 to 1 in every picture: pictures compare, and the small weights of long texts
    can be seen. Tokens stand at the left and on top: all of them, or every so-many-th where there
    is no room. If there are more tokens than dots, a dot is the largest of the weights that it
    stands for. The sides stay below about 4000 dots.

    Raises UserError where there is nothing of that kind.
    """
    blocks = _blocks(_of_kind(maps, kind))
    beside = [block for block in blocks if block.kind != "cross"]
    below = [[block] for block in blocks if block.kind == "cross"]
    return _draw(maps.title, [beside, *below] if beside else below)


def alignment(maps: AttentionWeights) -> Figure:
    """What each token of the output looks at in the input, large: output down, input across.

    It is the mean over the heads of the last cross map. Of maps that were captured with one layer
    and one head alone (`attention(run, text, layers=[1], heads=[2])`) it is that head. Colours are
    as in `attention_grid`. Raises UserError where there is no cross-attention.
    """
    last = _of_kind(maps, "cross")[-1]
    mean = replace(last, weights=last.weights.mean(dim=0, keepdim=True), heads=(0,))
    title, note = KINDS["cross"]
    if layer := _layer(last):
        count = len(last.heads)
        title += f": {layer}, " + (f"mean of {count} heads" if count > 1 else _head(last.heads[0]))
    return _draw(maps.title, [[_Block("cross", title, note, (mean,), ("",), {0: ""})]])


def head_heatmap(
    values: ArrayLike, row_labels: Sequence[str], column_labels: Sequence[str], title: str
) -> Figure:
    """A number for every head as a colour and in writing: white is 0, red above it and blue below.

    `values` is (rows, columns), as (layers, heads): what the model loses without the head, for one.
    A cell is grey where it is not finite: NaN says that there is no such head. Numbers are written
    where they fit.

    Raises ValueError where `values` is not one row and one column for each of one label or more.
    """
    numbers = np.asarray(values, dtype=float)
    if not numbers.size or numbers.shape != (len(row_labels), len(column_labels)):
        raise ValueError(
            f"values {numbers.shape} do not fit {len(row_labels)} x {len(column_labels)} labels"
        )
    numbers = np.where(np.isfinite(numbers), numbers, np.nan)
    most = float(np.nanmax(np.abs(numbers), initial=0)) or 1.0
    sheet = Sheet(Normalize(-most, most), CHANGES)
    texts = _written(numbers)
    wide, high = sheet.measure([*texts.values(), "0"], TEXT_SIZE)
    width = min(max(wide + 20, 2 * WIDEST_CELL), LONGEST // len(column_labels))
    height = min(high + 28, LONGEST // len(row_labels))
    down, across = (
        sheet.labels([drawable(shortened(label)) for label in labels], unit, TEXT_SIZE)
        for labels, unit in ((row_labels, height), (column_labels, width))
    )
    sheet.cells(numbers, (0, 0), (width, height))
    sheet.write_beside(down, -LABEL_GAP, 0)
    sheet.write_on_top(across, 0, -LABEL_GAP)
    if wide < width and high < height:
        colours = CHANGES(sheet.norm(numbers))
        for (row, column), text in texts.items():
            x, y, ink = (column + 0.5) * width, (row + 0.5) * height, readable(colours[row, column])
            sheet.write(x, y, text, TEXT_SIZE, ink, ha="center", va="center")
    return sheet.finish(title, (-most, 0, most))


def _written(numbers: np.ndarray) -> dict[tuple[int, ...], str]:
    """What stands in each cell that has a number: with three digits of the largest one."""
    most = np.nanmax(np.abs(numbers), initial=0)
    decimals = max(0, 2 - floor(log10(most))) if most else 0
    return {
        place: f"{number:.{decimals}f}".replace("-", "\N{MINUS SIGN}")
        for place, number in np.ndenumerate(np.round(numbers, decimals) + 0.0)
        if not np.isnan(number)
    }


@dataclass(frozen=True)
class _Block:
    """Maps of one kind between the same tokens: a row for each, a column for each head."""

    kind: str
    title: str
    note: str
    maps: tuple[AttentionMap, ...]
    row_names: tuple[str, ...]
    column_names: dict[int, str]

    @property
    def tokens(self) -> tuple[int, int]:
        """How many queries and keys."""
        return len(self.maps[0].queries), len(self.maps[0].keys)


def _of_kind(maps: AttentionWeights, kind: str | None) -> list[AttentionMap]:
    found = [each for each in maps.maps if kind in (None, each.kind)]
    if not found:
        there = ", ".join(dict.fromkeys(each.kind for each in maps.maps)) or "none"
        raise UserError(f"{maps.title} has no {kind or 'attention'} maps to draw; it has {there}")
    return found


def _blocks(maps: Sequence[AttentionMap]) -> list[_Block]:
    groups: dict[tuple[str, tuple[str, ...], tuple[str, ...]], list[AttentionMap]] = {}
    for each in maps:
        groups.setdefault((each.kind, each.queries, each.keys), []).append(each)
    return [_block(kind, group) for (kind, _, _), group in groups.items()]


def _block(kind: str, maps: Sequence[AttentionMap]) -> _Block:
    title, note = KINDS.get(kind, (kind, "each token (down) looks at the tokens across"))
    heads = sorted({head for each in maps for head in each.heads})
    rows = [_layer(each) or (each.name if len(maps) > 1 else "") for each in maps]
    alone = rows == [""] and len(heads) == 1  # as in a recurrent decoder
    columns = {head: "" if alone else _head(head) for head in heads}
    return _Block(kind, title, note, tuple(maps), tuple(rows), columns)


def _layer(each: AttentionMap) -> str:
    """ "layer 2" for "decoder.layers.2.cross"; nothing for "decoder.cross"."""
    number = re.search(r"(?<![^.])\d+(?![^.])", each.name)
    return f"layer {number[0]}" if number else ""


def _head(number: int) -> str:
    return f"head {number}"


@dataclass(frozen=True)
class _Plan:
    """How a block is laid out: `pool` tokens to a cell, and a map every `pitch` dots."""

    block: _Block
    cell: int
    pool: int
    queries: Labels
    keys: Labels
    heads: dict[int, str]  # their names, or where those have no room their numbers
    left: int  # of the maps
    pitch: tuple[int, int]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of a map."""
        queries, keys = self.block.tokens
        return ceil(keys / self.pool) * self.cell, ceil(queries / self.pool) * self.cell


def _draw(title: str, lines: Sequence[Sequence[_Block]]) -> Figure:
    """Blocks side by side in lines, and lines one below the other."""
    sheet = Sheet(PowerNorm(0.5, 0, 1), WEIGHTS)
    y = 0
    for line in lines:
        cell, pool = _cell(line, LONGEST // len(lines))
        plans = [_plan(sheet, block, cell, pool) for block in line]
        # Maps begin at one height, whatever the height of the labels on top of them.
        named = any(any(block.column_names.values()) for block in line)
        names = y + HEADING + NAME_HEIGHT * named
        top = names + max(plan.keys.height for plan in plans) + 2 * LABEL_GAP
        x = 0
        for plan in plans:
            x = _draw_block(sheet, plan, x, y, top, names) + BLOCK_GAP
        y = top + max(len(plan.block.maps) * plan.pitch[1] for plan in plans) + BLOCK_GAP
    return sheet.finish(title, TICKS, "attention weight")


def _cell(line: Sequence[_Block], highest: int) -> tuple[int, int]:
    """How wide the cells of a line of blocks are, and how many tokens one stands for."""
    columns = sum(len(block.column_names) for block in line)
    across = sum(len(block.column_names) * block.tokens[1] for block in line)
    rows = max(len(block.maps) for block in line)
    down = max(len(block.maps) * block.tokens[0] for block in line)
    room = min((LONGEST - columns * GAP) / across, (highest - rows * GAP) / down)
    if room < 1:
        return 1, ceil(1 / room)
    # As wide as is pleasant, or as a line of labels where they would be closer than that.
    wanted = max(PLEASANT // max(across, down), ceil(line_height(SMALLEST_SIZE)))
    return min(wanted, WIDEST_CELL, int(room)), 1


def _plan(sheet: Sheet, block: _Block, cell: int, pool: int) -> _Plan:
    size = min(max(0.65 * cell / POINT, SMALLEST_SIZE), TITLE_SIZE)
    queries, keys = (
        sheet.labels([drawable(label_of(token)) for token in tokens], cell / pool, size)
        for tokens in (block.maps[0].queries, block.maps[0].keys)
    )
    layers = sheet.measure(block.row_names, NAME_SIZE)[0]
    left = queries.width + LABEL_GAP + (layers + 2 * LABEL_GAP if layers else 0)
    plan = _Plan(block, cell, pool, queries, keys, block.column_names, left, (0, 0))
    width, height = plan.size
    heads = block.column_names
    if sheet.measure(heads.values(), NAME_SIZE)[0] > width:
        heads = {head: str(head) for head in heads}
    wide = sheet.measure(heads.values(), NAME_SIZE)[0]
    pitch = max(width, wide) + GAP, max(height, NAME_HEIGHT) + GAP
    return replace(plan, heads=heads, pitch=pitch)


def _draw_block(sheet: Sheet, plan: _Plan, x: int, y: int, top: int, names: int) -> int:
    """Draws a block from (x, y) on: maps from `top` on, names of heads down to `names`.

    Gives where it ends at the right.
    """
    block = plan.block
    note = block.note
    if plan.pool > 1:
        note += f"; a dot is the largest of {plan.pool} x {plan.pool} weights"
    sheet.write(x, y, block.title, TEXT_SIZE, va="top", weight="bold")
    sheet.write(x, y + NAME_HEIGHT, note, NAME_SIZE, MUTED, va="top")

    width, height = plan.size
    if plan.heads != block.column_names:
        sheet.write(x, names, "head", NAME_SIZE, MUTED, va="bottom")
    lefts = {}
    for number, (head, name) in enumerate(plan.heads.items()):
        left = lefts[head] = x + plan.left + number * plan.pitch[0]
        sheet.write(left + width / 2, names, name, NAME_SIZE, MUTED, ha="center", va="bottom")
        sheet.write_on_top(plan.keys, left, top - LABEL_GAP)
    for number, (each, name) in enumerate(zip(block.maps, block.row_names, strict=True)):
        start = top + number * plan.pitch[1]
        sheet.write(x, start + height / 2, name, NAME_SIZE, MUTED, va="center")
        sheet.write_beside(plan.queries, x + plan.left - LABEL_GAP, start)
        pooled = F.max_pool2d(each.weights[None], plan.pool, ceil_mode=True)[0].numpy()
        for head, weights in zip(each.heads, pooled, strict=True):
            sheet.cells(weights, (lefts[head], start), (plan.cell, plan.cell))
    texts = sheet.measure([note], NAME_SIZE)[0], sheet.measure([block.title], 1.2 * TEXT_SIZE)[0]
    return x + max(plan.left + len(lefts) * plan.pitch[0], *texts)  # bold type is wider
