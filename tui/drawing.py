"""Drawing with characters: text cut to cells, bars in eighths, areas in braille. Pure, and cheap enough for a frame."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.content import Content
from textual.strip import Strip

__all__ = ["ago", "area", "bar", "fit", "fitted_line", "layered", "looks", "nice_ceiling", "short_hash"]

EIGHTHS = " ▏▎▍▌▋▊▉█"


@lru_cache(maxsize=4096)
def fit(text: str, width: int, *, right: bool = False) -> str:
    """`text` in exactly `width` cells: padded, or cut with an ellipsis."""
    if width <= 0:
        return ""
    length = len(text) if text.isascii() else cell_len(text)
    if length > width:
        return set_cell_size(text, width - 1) + "…"
    return " " * (width - length) + text if right else text + " " * (width - length)


def fitted_line(pieces: Iterable[tuple[str, Style]], width: int, rest: Style | None = None) -> Strip:
    """Pieces of styled text as a line of exactly `width` cells; what does not fit is cut with an ellipsis."""
    segments, room = [], width
    for text, style in pieces:
        if room <= 0:
            break
        length = len(text) if text.isascii() else cell_len(text)
        segments.append(Segment(text if length <= room else fit(text, room), style))
        room -= min(length, room)
    if room > 0:
        segments.append(Segment(" " * room, rest))
    return Strip(segments, width)


def looks(*words: Content) -> object:
    """What words look like, to be compared: their text, and how it is coloured. `==` of textual sees the text alone."""
    return [(each.plain, each.spans) for each in words]


def short_hash(digest: bytes, width: int = 12) -> str:
    """The beginning and the end of a hash in `width` characters, or all of it where it fits."""
    text = digest.hex()
    if len(text) <= width:
        return text
    tail = (width - 1) // 3
    return f"{text[: width - 1 - tail]}…{text[len(text) - tail :]}"


def ago(milliseconds: int) -> str:
    """How long ago, in its largest unit: `now`, `12 s ago`, `3 min ago`, `5 d ago`."""
    for size, unit in ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1000, "s")):
        if milliseconds >= size:
            return f"{milliseconds // size:,} {unit} ago"
    return "now"


def bar(share: float, width: int) -> str:
    """A level bar of `width` cells, filled to `share` (0…1) by eighths of a cell; anything above nothing shows."""
    eighths = min(max(round(share * width * 8), 1 if share > 0 else 0), width * 8)
    whole, part = divmod(eighths, 8)
    return ("█" * whole + (EIGHTHS[part] if part else "")).ljust(width)


def nice_ceiling(value: float) -> float:
    """The next of 1, 2, 5, 10, 20, 50 … at or above `value`, so that a scale moves seldom and reads well."""
    if value <= 0:
        return 1.0
    unit = 10.0 ** math.floor(math.log10(value))
    return next(step * unit for step in (1, 2, 5, 10) if value <= step * unit * 1.0000001)


# The dots of one braille cell, filled from the bottom, for each height 0…4 of its left and right half.
_LEFT = (0x00, 0x40, 0x44, 0x46, 0x47)
_RIGHT = (0x00, 0x80, 0xA0, 0xB0, 0xB8)
_CELLS = [[chr(0x2800 + _LEFT[left] + _RIGHT[right]) for right in range(5)] for left in range(5)]
_CELLS[0][0] = " "  # not every font has the empty cell
_FROM_TOP_LEFT, _FROM_TOP_RIGHT = (0x00, 0x01, 0x03, 0x07, 0x47), (0x00, 0x08, 0x18, 0x38, 0xB8)
_UPSIDE_DOWN = {
    ord(_CELLS[left][right]): chr(0x2800 + _FROM_TOP_LEFT[left] + _FROM_TOP_RIGHT[right])
    for left in range(5)
    for right in range(5)
    if left or right
}


def _heights(values: Sequence[float], width: int, height: int, ceiling: float) -> list[int]:
    """Dots for each half cell, right-aligned; whatever is above nothing is at least one dot."""
    top = height * 4
    scale = top / ceiling if ceiling > 0 else 0.0
    dots = [min(top, max(1 if value > 0 else 0, round(value * scale))) for value in values[-2 * width :]]
    return [0] * (2 * width - len(dots)) + dots


def area(values: Sequence[float], width: int, height: int, ceiling: float, *, hanging: bool = False) -> list[str]:
    """A filled area in braille, two values a cell, the newest at the right: `height` rows, the top one first.

    One that is `hanging` grows down from its upper edge.
    """
    rows = _rows(_heights(values, width, height, ceiling), width, height)
    return [row.translate(_UPSIDE_DOWN) for row in reversed(rows)] if hanging else rows


def _rows(dots: Sequence[int], width: int, height: int) -> list[str]:
    rows, top = [], max(dots, default=0)
    for base in range((height - 1) * 4, -1, -4):
        if base >= top:
            rows.append(" " * width)
            continue
        levels = [min(max(dot - base, 0), 4) for dot in dots]
        rows.append("".join(_CELLS[levels[at]][levels[at + 1]] for at in range(0, 2 * width, 2)))
    return rows


def layered(series: Sequence[Sequence[float]], width: int, height: int, ceiling: float) -> list[list[tuple[str, int]]]:
    """Areas over one another, the lowest series in front: rows of (text, number of the series that colours it)."""
    heights = [_heights(values, width, height, ceiling) for values in series]
    rows = _rows([max(dots) for dots in zip(*heights, strict=True)], width, height)
    return [_runs(row, [_front(heights, at, height - 1 - y) for at in range(width)]) for y, row in enumerate(rows)]


def _front(heights: Sequence[Sequence[int]], cell: int, level: int) -> int:
    """The first series that reaches into a cell, or the last where none does."""
    reaching = (n for n, dots in enumerate(heights) if max(dots[2 * cell], dots[2 * cell + 1]) > level * 4)
    return next(reaching, len(heights) - 1)


def _runs(text: str, owners: Sequence[int]) -> list[tuple[str, int]]:
    runs: list[tuple[str, int]] = []
    for character, owner in zip(text, owners, strict=True):
        if runs and runs[-1][1] == owner:
            runs[-1] = (runs[-1][0] + character, owner)
        else:
            runs.append((character, owner))
    return runs
