"""What the header of a block says, and whether its links to the neighbours hold."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from textual.strip import Strip

from blockdb.commands.display import human_bytes, human_count, human_duration, human_time, printable

from ..drawing import bar, fitted_line, short_hash
from .lines import Lines

if TYPE_CHECKING:
    from blockdb import Block, Problem, Statistics

__all__ = ["BlockFacts"]

LABEL = 9
Pieces = list[tuple[str, str]]


class BlockFacts(Lines):
    """A list of names and values: the header of a sealed block, or what the open one has come to."""

    HELP = """The header of the selected block. Hash: what the next block names as its previous. Root: of the Merkle \
tree over every record of the database up to this block's last. The signature is made with the database's own key and \
stands beside the hash, not in it. The links are compared here, with the neighbours as they are stored."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._facts: list[tuple[str, Pieces]] = []
        self._problem: Problem | None = None
        self._lines: list[tuple[str, Pieces]] = []

    def show_sealed(self, block: Block, before: Block | None, after: Block | None, trust: Problem | bool) -> None:
        """Shows a sealed block between its neighbours, as far as they are known.

        `trust` is what verification found wrong with it, or whether it was proven to be what was written.
        """
        self._problem = None if isinstance(trust, bool) else trust
        self._facts = [
            ("trust", _trust(block, trust)),
            ("hash", [(block.hash.hex(), "secondary")]),
            ("previous", [(block.previous_hash.hex(), "secondary")]),
            ("", _link_back(block, before)),
            ("root", [(block.root.hex(), "secondary")]),
            ("", [(f"over the {human_count(block.size)} records so far", "muted")]),
            ("records", _range(block)),
            ("bytes", [(human_bytes(block.data_bytes), "number"), (_each(block), "muted")]),
            ("first", [(human_time(block.first_time_ms), "text")]),
            ("last", [(human_time(block.last_time_ms), "text")]),
            ("", [(f"filled in {human_duration((block.last_time_ms - block.first_time_ms) / 1000)}", "muted")]),
            ("signature", [(short_hash(block.signature, 32), "secondary")]),
            ("key id", [(block.key_id.hex(), "secondary")]),
            ("next", _link_on(block, after)),
        ]
        self._changed()

    def show_open(self, statistics: Statistics) -> None:
        """Shows the open block."""
        self._problem = None
        count, batch = statistics.open_block_records, statistics.blockchain_batch_size
        first = statistics.records - count
        self._facts = [
            ("state", [("open until it is full", "primary")]),
            ("filled", [(bar(count / max(1, batch), 20), "graph1"), (f" {count / max(1, batch):.0%}", "text")]),
            ("records", [(human_count(count), "number"), (f" of {human_count(batch)}", "muted")]),
            ("bytes", [(human_bytes(statistics.open_block_bytes), "number")]),
            ("from", [(f"#{human_count(first)}", "secondary")]),
            ("previous", [(statistics.head_hash.hex(), "secondary")]),
            ("", [("hash of the last sealed block" if statistics.blocks else "no block is sealed yet", "muted")]),
        ]
        self._changed()

    def clear(self) -> None:
        """Shows nothing, until the block has come."""
        self._facts, self._problem = [], None
        self._changed()

    def _changed(self) -> None:
        self._set_out()
        self.refresh()

    def on_resize(self) -> None:
        self._set_out()
        super().on_resize()

    def _set_out(self) -> None:
        room = max(8, self.line_width - LABEL - 2)
        self._lines = []
        if self._problem is not None:
            parts = _wrap(printable(str(self._problem)), room)
            self._lines += [("✗ damage" if at == 0 else "", [(part, "error")]) for at, part in enumerate(parts)]
        for name, pieces in self._facts:
            parts = _wrap(pieces[0][0], room)
            self._lines.append((name, [(parts[0], pieces[0][1]), *pieces[1:]]))
            self._lines += [("", [(part, pieces[0][1])]) for part in parts[1:]]
        self.total = len(self._lines)
        self.top = min(self.top, self.last_top)

    def draw_line(self, index: int, width: int) -> Strip:
        name, pieces = self._lines[index]
        style = self.palette.style
        parts = [(text, style(role)) for text, role in pieces]
        return fitted_line([(f" {name:<{LABEL}} ", style("muted")), *parts], width)


def _wrap(text: str, room: int) -> list[str]:
    """Long texts without blanks (hashes) in equal parts; words at their blanks."""
    if " " not in text:
        parts = -(-len(text) // room) or 1
        size = -(-len(text) // parts)
        return [text[at : at + size] for at in range(0, len(text), size)] or [""]
    return textwrap.wrap(text, room) or [""]


def _trust(block: Block, trust: Problem | bool) -> Pieces:
    if not isinstance(trust, bool):
        return [(f"✗ failed at block {human_count(block.number)}", "error")]
    return [("✓ proven: recomputed here", "success")] if trust else [("· read, not proven; v verifies", "muted")]


def _link_back(block: Block, before: Block | None) -> Pieces:
    if block.number == 0:
        return [("the first block: nothing is before it", "muted")]
    if before is None:
        return [(f"of block {human_count(block.number - 1)}, not read yet", "muted")]
    if block.previous_hash == before.hash:
        return [(f"══ the hash of block {human_count(before.number)}", "success")]
    return [(f"≠≠ not the hash of block {human_count(before.number)}", "error")]


def _link_on(block: Block, after: Block | None) -> Pieces:
    if after is None:
        return [("the open block", "muted")]
    if after.previous_hash == block.hash:
        return [(f"══ block {human_count(after.number)} names this hash", "success")]
    return [(f"≠≠ block {human_count(after.number)} names another hash", "error")]


def _range(block: Block) -> Pieces:
    span = f"#{human_count(block.first_sequence)} – #{human_count(block.last_sequence)}"
    return [(span, "text"), (f"  ({human_count(block.count)})", "muted")]


def _each(block: Block) -> str:
    return f"  {human_bytes(block.data_bytes // block.count)} each" if block.count else ""
