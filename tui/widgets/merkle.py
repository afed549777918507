"""A block's Merkle tree: each level as a row of nodes, the way from a record up to the root, and its partners.

A thousand leaves fit on a screen because a level is drawn by the width that its nodes span, not node by node.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.style import Style
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.strip import Strip

from blockdb.commands.display import human_count

from ..drawing import fitted_line, short_hash
from .lines import Lines

__all__ = ["MerkleTree"]

LABEL = 6
HASH = 14
NODE, GAP = "▅", " "
SMALLEST_NODE = 3  # cells, below which neighbours are drawn as one


class MerkleTree(Lines):
    """The tree over the leaves of one block. `leaf` is the record whose way up is shown, `level` the node described."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "leaf(-1)", "Previous leaf", id="tree.previous"),
        Binding("right,l", "leaf(1)", "Next leaf", id="tree.next"),
        Binding("H", "subtree(-1)", "Previous node", show=False, id="tree.previous_node"),
        Binding("L", "subtree(1)", "Next node", show=False, id="tree.next_node"),
        Binding("up,k", "step(-1)", "Up", id="tree.up"),
        Binding("down,j", "step(1)", "Down", id="tree.down"),
    ]

    HELP = """The Merkle tree over the records of this block, after RFC 6962: the root on top, a leaf for each record \
at the bottom. The way from the selected record to the root is bright; beside each of its nodes stands the one that it \
is hashed with to make the next. Those few hashes are all that is needed to prove that the record is in the block.

A node that has no neighbour at its level is carried up unchanged. The root in the block's header covers every record \
of the database up to this block, so it is this tree's root only for the first block."""

    fixed = 1

    class LeafMoved(Message):
        """Another leaf was chosen in the tree."""

        def __init__(self, leaf: int) -> None:
            super().__init__()
            self.leaf = leaf

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.levels: Sequence[Sequence[bytes]] = ()
        self.leaf = 0
        self.level = 0
        self._words = ""
        self._changed()

    def _changed(self) -> None:
        """Says at the lower edge which node is described, for the description itself may be out of view."""
        words = f"{self._node_words()} · {self._leaves_words()}" if self.levels else ""
        self.entitle(Content("Its Merkle tree"), Content(words))
        self.refresh()

    def show(self, levels: Sequence[Sequence[bytes]], words: str = "") -> None:
        """Shows a tree, level 0 the leaves; without levels, `words` in its place."""
        self.levels, self._words = levels, words
        self.leaf = min(self.leaf, max(0, len(levels[0]) - 1)) if levels else 0
        self.level = min(self.level, max(0, len(levels) - 1))
        self.total = len(levels) + 5 if levels else 0
        self.top = 0
        self._changed()

    def point_at(self, leaf: int) -> None:
        """Shows the way up from another leaf, without a word to anybody."""
        if self.levels:
            self.leaf = min(max(leaf, 0), len(self.levels[0]) - 1)
            self._changed()

    # ── moving ──

    def _choose(self, leaf: int) -> None:
        before = self.leaf
        self.point_at(leaf)
        if self.leaf != before:
            self.post_message(self.LeafMoved(self.leaf))

    def action_leaf(self, leaves: int) -> None:
        """To a neighbouring leaf."""
        self._choose(self.leaf + leaves)

    def action_subtree(self, nodes: int) -> None:
        """To the neighbour of the described node."""
        self._choose(self.leaf + (nodes << self.level))

    def action_step(self, lines: int) -> None:
        self._describe(self.level - lines)

    def _describe(self, level: int) -> None:
        if not self.levels:
            return
        self.level = min(max(level, 0), len(self.levels) - 1)
        row = len(self.levels) - 1 - self.level
        self.scroll_lines_to(min(self.top, row) if row < self.top + self.rows_in_view else row - self.rows_in_view + 1)
        self._changed()

    def action_first(self) -> None:
        self._describe(len(self.levels) - 1)

    def action_last(self) -> None:
        self._describe(0)
        self.scroll_lines_to(self.last_top)

    # ── drawing ──

    def draw_fixed(self, y: int, width: int) -> Strip:
        style = self.palette.style
        if not self.levels:
            return fitted_line([(f" {self._words}", style("muted"))], width)
        bars = " " * max(0, self._bars(width) - 5)
        words = f" LEVEL NODES{bars} {'ON THE WAY':<{HASH}} {'HASHED WITH' if self._both(width) else ''}"
        return fitted_line([(words.rstrip(), style("muted"))], width)

    def _both(self, width: int) -> bool:
        return width >= LABEL + 2 * (HASH + 1) + 16

    def _bars(self, width: int) -> int:
        return max(4, width - LABEL - (2 if self._both(width) else 1) * (HASH + 1) - 1)

    def draw_line(self, index: int, width: int) -> Strip:
        level = len(self.levels) - 1 - index
        if level < 0:
            return self._description(index - len(self.levels), width)
        ground = "selection" if level == self.level else None
        style = self.palette.style
        node = self.leaf >> level
        label = "root" if index == 0 else "leaf" if level == 0 else str(level)
        pieces = [(f" {label:<{LABEL - 1}}", style("accent" if ground else "muted", ground))]
        pieces += self._level(level, self._bars(width), ground)
        pieces.append((f" {short_hash(self.levels[level][node], HASH - 1)} ", style("text", ground)))
        if self._both(width):
            pieces.append((f" {self._partner(level, node)}", style("secondary", ground)))
        return fitted_line(pieces, width, style("text", ground))

    def _partner(self, level: int, node: int) -> str:
        if level == len(self.levels) - 1:
            return ""
        if node ^ 1 >= len(self.levels[level]):
            return "carried up"
        side = "‹" if node & 1 else "›"
        return side + short_hash(self.levels[level][node ^ 1], HASH - 2)

    def _level(self, level: int, width: int, ground: str | None) -> list[tuple[str, Style]]:
        """One level as nodes of the width they span, the way up and its neighbour in colours of their own."""
        leaves, nodes = len(self.levels[0]), len(self.levels[level])
        on_way, partner = self.leaf >> level, self.leaf >> level ^ 1
        apart = width * (1 << level) // leaves >= SMALLEST_NODE
        style = self.palette.style
        row = [(NODE, style("border", ground))] * width
        if apart:
            for node in range(1, nodes):
                row[min(width - 1, (node << level) * width // leaves)] = (GAP, style("border", ground))
        if partner < nodes:
            _paint(row, partner << level, partner + 1 << level, leaves, style("secondary", ground), apart=apart)
        _paint(row, on_way << level, on_way + 1 << level, leaves, style("accent", ground), apart=apart)
        return row

    def _description(self, y: int, width: int) -> Strip:
        style = self.palette.style
        digest = self.levels[self.level][self.leaf >> self.level].hex()
        lines: tuple[list[tuple[str, Style]], ...] = (
            [],
            [(f" {self._node_words()}", style("accent")), (f"  {self._leaves_words()}", style("text"))],
            [(f" {self._recipe()}", style("muted"))],
            [(f" {digest[: width - 2]}", style("text"))],
            [(f" {digest[width - 2 :]}", style("text"))],
        )
        return fitted_line(lines[y], width)

    def _node_words(self) -> str:
        return f"node {human_count(self.leaf >> self.level)} of {human_count(len(self.levels[self.level]))}"

    def _leaves_words(self) -> str:
        first = self.leaf >> self.level << self.level
        last = min(first + (1 << self.level), len(self.levels[0])) - 1
        return f"leaf {human_count(first)}" if first == last else f"leaves {human_count(first)} – {human_count(last)}"

    def _recipe(self) -> str:
        if self.level == 0:
            return "= SHA-256(00 ‖ record)"
        if 2 * (self.leaf >> self.level) + 1 >= len(self.levels[self.level - 1]):
            return "carried up from the level below"
        return "= SHA-256(01 ‖ left ‖ right)"

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()


def _paint(row: list[tuple[str, Style]], first: int, end: int, leaves: int, style: Style, *, apart: bool) -> None:
    """Colours the cells that leaves `first` … `end` - 1 span, at least one."""
    width = len(row)
    start = min(first * width // leaves, width - 1)
    for at in range(start, max(start + 1, min(end, leaves) * width // leaves)):
        row[at] = (row[at][0] if apart and row[at][0] == GAP and first else NODE, style)
