"""Tiles (C2SP `tlog-tiles`): where which hashes of a tree stand when it is served as static files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

TILE_LEVELS: Final = 8
"""A tile has 2^8 hashes, and is a subtree of that height."""

TILE_WIDTH: Final = 1 << TILE_LEVELS
MAX_ENTRY_BYTES: Final = 0xFFFF
"""Entries have their length before them in 16 bits."""

_PATH: Final = re.compile(
    r"tile/(?P<level>entries|\d|[1-5]\d|6[0-3])/(?P<number>(x\d{3}/){0,5}\d{3})(\.p/(?P<width>\d{1,3}))?", re.ASCII
)


class Tile(NamedTuple):
    """A tile: `width` hashes, each over 256 to the power of `level` leaves, from hash `number * 256` on."""

    level: int
    number: int
    width: int

    @property
    def path(self) -> str:
        """Where it is served."""
        return f"tile/{self.level}/{_number(self.number)}{self._part}"

    @property
    def entries_path(self) -> str:
        """Where the entries are served whose hashes a tile of level 0 has."""
        return f"tile/entries/{_number(self.number)}{self._part}"

    @classmethod
    def parse(cls, path: str) -> tuple[Tile, bool]:
        """The tile that is served at a path, and whether its entries are. Raises ValueError."""
        found = _PATH.fullmatch(path)
        if found is None:
            raise ValueError(f"{path!r} is no path of a tile")
        number, width = int(found["number"].replace("x", "").replace("/", "")), int(found["width"] or TILE_WIDTH)
        has_entries = found["level"] == "entries"
        tile = cls(0 if has_entries else int(found["level"]), number, width)
        if path != (tile.entries_path if has_entries else tile.path) or not 0 < width <= TILE_WIDTH:
            raise ValueError(f"{path!r} is no path of a tile")
        return tile, has_entries

    @property
    def _part(self) -> str:
        return "" if self.width == TILE_WIDTH else f".p/{self.width}"


def _number(number: int) -> str:
    """Groups of three digits, all but the last with an x before them."""
    text = str(number)
    text = text.rjust((len(text) + 2) // 3 * 3, "0")
    groups = [text[at : at + 3] for at in range(0, len(text), 3)]
    return "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])


def tiles_of(size: int, level: int = 0) -> Iterator[Tile]:
    """The tiles of one level of a tree of `size` leaves, the last one perhaps partial."""
    hashes = size >> TILE_LEVELS * level
    for number in range((hashes + TILE_WIDTH - 1) // TILE_WIDTH):
        yield Tile(level, number, min(TILE_WIDTH, hashes - number * TILE_WIDTH))


def all_tiles(size: int) -> Iterator[Tile]:
    """All tiles of a tree of `size` leaves, level by level."""
    level = 0
    while size >> TILE_LEVELS * level:
        yield from tiles_of(size, level)
        level += 1
