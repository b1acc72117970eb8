"""Attention as pictures: grids of all maps, one large alignment, and heat maps of heads."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, floor, log10

import matplotlib
import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from minitx.drawing.figures import (
    MUTED,
    NO_DATA,
    SMALLEST_SIZE,
    TEXT_SIZE,
    TITLE_SIZE,
    drawable,
    readable,
    shortened,
)
from minitx.errors import UserError
from minitx.inspection.layout import POINT, Labels, Scale, Sheet, line_height
from minitx.inspection.scales import WEIGHTS, distinct, scale_of, strongest
from minitx.inspection.tables import labels_of
from minitx.inspection.token_labels import named
from minitx.inspection.weights import (
    KINDS,
    AttentionMap,
    AttentionWeights,
    scales_of,
    words_for,
)

# Lengths are in dots, font sizes in points.
PLEASANT, LONGEST = 1600, 3400  # sides of all maps together
WIDEST_CELL = 48
GAP, BLOCK_GAP, LABEL_GAP = 12, 56, 6  # between maps, between blocks, next to labels
NAME_SIZE = TEXT_SIZE - 1  # of layers and heads
NAME_HEIGHT, HEADING = 28, 62  # of a line in that type; of the title and note of a block

# Blue below zero and red above it can be told apart with any kind of colour blindness.
CHANGES = matplotlib.colormaps["RdBu_r"].with_extremes(bad=NO_DATA)


def attention_grid(maps: AttentionWeights, kind: str | None = None) -> Figure:
    """Draw all maps, or those of one kind: a row for each layer, a column for each head.

    Queries go down and keys across. Cross-attention is below self-attention, and larger. Colours
    show the square root of a weight, from 0 to 1 in every picture: pictures can be compared, and
    the small weights of long texts are visible. Implicit weights below 0 or above 1 have a scale of
    their own, blue above zero and red below. If there is no room for all tokens, every n-th has
    a label. If there are more tokens than dots, a dot shows the largest of its weights. The sides
    stay below about 4000 dots.

    Raises UserError if there are no maps of that kind.
    """
    blocks = _blocks(_of_kind(maps, kind))
    above = [block for block in blocks if block.kind != "cross"]
    below = [[block] for block in blocks if block.kind == "cross"]
    return _draw(maps.title, [above, *below] if above else below)


def alignment(maps: AttentionWeights) -> Figure:
    """Draw one large map of what each output token (down) attends to in the input (across).

    It is the mean over the heads of the last cross map. If the maps have one layer and one head
    (`attention(run, text, layers=[1], heads=[2])`), it is that head. Colours are as in
    `attention_grid`. Raises UserError if there is no cross-attention.
    """
    last = _of_kind(maps, "cross")[-1]
    mean = replace(last, weights=last.weights.mean(dim=0, keepdim=True), heads=(0,))
    title = KINDS["cross"].heading
    if layer := _layer_name(last):
        count = len(last.heads)
        title += f": {layer}, " + (
            f"mean of {count} heads" if count > 1 else f"head {last.heads[0]}"
        )
    return _draw(maps.title, [[_Block("cross", title, (mean,), ("",), {0: ""})]])


def head_heatmap(
    values: ArrayLike, row_labels: Sequence[str], column_labels: Sequence[str], title: str
) -> Figure:
    """Draw a number for every head, as a colour and as text: 0 is white, above is red, below blue.

    `values` is (rows, columns), for example (layers, heads), with what the model loses without the
    head. A cell that is not finite is grey: NaN means that there is no such head. Numbers are
    written if they fit into the cells.

    Raises ValueError unless `values` has one row and one column for each label, and at least one.
    """
    numbers = np.asarray(values, dtype=float)
    if not numbers.size or numbers.shape != (len(row_labels), len(column_labels)):
        raise ValueError(
            f"values {numbers.shape} do not fit {len(row_labels)} x {len(column_labels)} labels"
        )
    numbers = np.where(np.isfinite(numbers), numbers, np.nan)
    most = float(np.nanmax(np.abs(numbers), initial=0)) or 1.0
    sheet, scale = Sheet(), Scale(Normalize(-most, most), CHANGES, (-most, 0, most))
    texts = _cell_texts(numbers)
    wide, high = sheet.measure([*texts.values(), "0"], TEXT_SIZE)
    width = min(max(wide + 20, 2 * WIDEST_CELL), LONGEST // len(column_labels))
    height = min(high + 28, LONGEST // len(row_labels))
    down, across = (
        sheet.labels([drawable(shortened(label)) for label in labels], unit, TEXT_SIZE)
        for labels, unit in ((row_labels, height), (column_labels, width))
    )
    sheet.cells(numbers, (0, 0), (width, height), scale)
    sheet.write_left(down, -LABEL_GAP, 0)
    sheet.write_on_top(across, 0, -LABEL_GAP)
    if wide < width and high < height:
        colours = CHANGES(scale.norm(numbers))
        for (row, column), text in texts.items():
            x, y, ink = (column + 0.5) * width, (row + 0.5) * height, readable(colours[row, column])
            sheet.write(x, y, text, TEXT_SIZE, ink, ha="center", va="center")
    return sheet.finish(title, [scale])


def _cell_texts(numbers: np.ndarray) -> dict[tuple[int, ...], str]:
    """Return the text of each cell that has a number; the largest gets three digits."""
    most = np.nanmax(np.abs(numbers), initial=0)
    decimals = max(0, 2 - floor(log10(most))) if most else 0
    return {
        place: f"{number:.{decimals}f}".replace("-", "\N{MINUS SIGN}")
        for place, number in np.ndenumerate(np.round(numbers, decimals) + 0.0)
        if not np.isnan(number)
    }


@dataclass(frozen=True)
class _Block:
    """Maps of one kind between the same tokens: a row for each map, a column for each head."""

    kind: str
    title: str
    maps: tuple[AttentionMap, ...]
    row_names: tuple[str, ...]
    column_names: dict[int, str]
    scale: Scale = WEIGHTS

    @property
    def tokens(self) -> tuple[int, int]:
        """The number of queries and of keys."""
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
    signed = scales_of(maps)
    return [_block(kind, group, signed.get(kind)) for (kind, _, _), group in groups.items()]


def _block(kind: str, maps: Sequence[AttentionMap], most: float | None) -> _Block:
    heads = sorted({head for each in maps for head in each.heads})
    rows = [_layer_name(each) or (each.name if len(maps) > 1 else "") for each in maps]
    single = rows == [""] and len(heads) == 1  # as in a recurrent decoder
    columns = {head: "" if single else f"{maps[0].unit} {head}" for head in heads}
    if len(maps) == sum(each.mean_of is not None for each in maps):
        columns = {0: f"mean of {maps[0].mean_of} channels"}
    scale = scale_of(maps[0].implicit, most)
    return _Block(kind, words_for(kind).heading, tuple(maps), tuple(rows), columns, scale)


def _layer_name(each: AttentionMap) -> str:
    return "" if each.layer is None else f"layer {each.layer}"


@dataclass(frozen=True)
class _Plan:
    """The layout of a block: `pool` tokens per cell, and one map every `pitch` dots."""

    block: _Block
    cell: int
    pool: int
    queries: Labels
    keys: Labels
    heads: dict[int, str]  # their names, or their numbers if names have no room
    left: int  # of the maps
    pitch: tuple[int, int]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of a map."""
        queries, keys = self.block.tokens
        return ceil(keys / self.pool) * self.cell, ceil(queries / self.pool) * self.cell


def _draw(title: str, lines: Sequence[Sequence[_Block]]) -> Figure:
    """Draw lines of blocks, one line below the other."""
    sheet = Sheet()
    y = 0
    for line in lines:
        cell, pool = _cell(line, LONGEST // len(lines))
        plans = [_plan(sheet, block, cell, pool) for block in line]
        # All maps of a line begin at the same height, whatever the height of their labels.
        named = any(any(block.column_names.values()) for block in line)
        names = y + HEADING + NAME_HEIGHT * named
        top = names + max(plan.keys.height for plan in plans) + 2 * LABEL_GAP
        x = 0
        for plan in plans:
            x = _draw_block(sheet, plan, x, y, top, names) + BLOCK_GAP
        y = top + max(len(plan.block.maps) * plan.pitch[1] for plan in plans) + BLOCK_GAP
    return sheet.finish(title, distinct(block.scale for line in lines for block in line))


def _cell(line: Sequence[_Block], highest: int) -> tuple[int, int]:
    """Return the width of the cells in a line of blocks, and the number of tokens per cell."""
    columns = sum(len(block.column_names) for block in line)
    across = sum(len(block.column_names) * block.tokens[1] for block in line)
    rows = max(len(block.maps) for block in line)
    down = max(len(block.maps) * block.tokens[0] for block in line)
    room = min((LONGEST - columns * GAP) / across, (highest - rows * GAP) / down)
    if room < 1:
        return 1, ceil(1 / room)
    # As wide as is pleasant, but no narrower than a line of labels.
    wanted = max(PLEASANT // max(across, down), ceil(line_height(SMALLEST_SIZE)))
    return min(wanted, WIDEST_CELL, int(room)), 1


def _plan(sheet: Sheet, block: _Block, cell: int, pool: int) -> _Plan:
    size = min(max(0.65 * cell / POINT, SMALLEST_SIZE), TITLE_SIZE)
    queries, keys = (
        sheet.labels([drawable(label, named) for label in labels_of(tokens)], cell / pool, size)
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
    """Draw a block from (x, y) on, with its maps below `top` and the names of heads above `names`.

    Returns the position of its right end.
    """
    block = plan.block
    note = words_for(block.kind).caption
    if plan.pool > 1:
        note += f" A dot is the largest of {plan.pool} x {plan.pool} weights."
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
        sheet.write_left(plan.queries, x + plan.left - LABEL_GAP, start)
        for head, weights in zip(each.heads, strongest(each.weights, plan.pool), strict=True):
            sheet.cells(weights, (lefts[head], start), (plan.cell, plan.cell), block.scale)
    texts = sheet.measure([note], NAME_SIZE)[0], sheet.measure([block.title], 1.2 * TEXT_SIZE)[0]
    return x + max(plan.left + len(lefts) * plan.pitch[0], *texts)  # bold type is wider
