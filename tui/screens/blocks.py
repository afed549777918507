"""The view of the chain: the belt, and below it the selected block's header, records and Merkle tree."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.content import Content
from textual.widget import Widget

import blockdb
from blockdb.commands.display import human_count, printable
from blockdb.commands.trust import LEGEND, Trust, read

from ..keytext import command_line
from ..listing import BlockRecords, Row
from ..marks import trust_column
from ..offloop import in_background, off_loop
from ..record_columns import IN_BLOCK
from ..widgets.belt import Belt
from ..widgets.block_facts import BlockFacts
from ..widgets.merkle import MerkleTree
from ..widgets.virtual_table import VirtualTable
from .view import View

if TYPE_CHECKING:
    from blockdb import AnyCollection, Block

    from ..history import Moment

__all__ = ["BlocksView"]


class BlockTable(VirtualTable[Row]):
    """The records of the selected block."""

    HELP = (
        """The records of the selected block, in the order of their commits. The tree shows the way of the one \
under the cursor up to the root. Enter opens it in the view of records; Esc there comes back here.

"""
        + LEGEND
    )


class BlocksView(View):
    """The chain and one of its blocks."""

    NAME = "blocks"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "records", "Records", id="blocks.records"),
        Binding("m", "tree", "Merkle tree", id="blocks.tree"),
        Binding("P", "prove", "Proof", id="blocks.prove"),
        Binding("K", "tamper", "To the lab", show=False, id="blocks.tamper"),
        Binding("J,#", "jump", "Jump to block", key_display="J", id="blocks.jump"),
        Binding("c", "copy_hash", "Copy hash", id="blocks.copy_hash"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._listed: int | None = None
        self._leaf_wanted = 0
        self._seen = -1
        self._partitions = 1

    def body(self) -> Iterable[Widget]:
        self.first_pane = self.belt = Belt(id="belt")
        self.facts = BlockFacts(id="facts")
        columns = [trust_column(self._trust_of), *IN_BLOCK]
        self.table = BlockTable(columns, empty="No record yet.", id="block-records")
        self.merkle = MerkleTree(id="tree")
        return self.belt, Container(self.facts, self.table, self.merkle, id="below")

    def _trust_of(self, row: Row) -> Trust:
        return read() if self.collection is None else self.explorer.trusting.of_row(self.collection, row.key, row.block)

    def on_descendant_focus(self) -> None:
        """On a narrow screen what is inside a block takes the room of the header while it has the focus."""
        self.set_class(self.focused in (self.table, self.merkle), "-inside")

    # ── the database comes, grows, goes ──

    def instead(self) -> tuple[str, str, str, str] | None:
        if self.collection is None or self._partitions == 1:
            return super().instead()
        name, last = printable(self.collection.name), self._partitions - 1
        return (
            f"{name} has {self._partitions} partitions, each with a chain of its own",
            f"Their blocks are those of {name}:0 to {name}:{last}.",
            f"Ctrl+P and {name}:0 goes into the first one; b, in the list of records, to the block of one of them.",
            "muted",
        )

    def _hear_of_partitions(self, partitions: int) -> None:
        if partitions != self._partitions:
            self._partitions = partitions
            self.show_connection()

    def opened(self, collection: AnyCollection) -> None:
        self._listed, self._seen = None, -1
        self.belt.open(collection)
        self.facts.entitle(Content("Block"))
        self.table.title = Content("Its records")

    def closed(self) -> None:
        self.belt.open(None)
        self.table.show(None)
        self.merkle.show(())
        self.facts.clear()

    def forget(self) -> None:
        self._leaf_wanted = 0
        self.remove_class("-tree")

    def resumed(self) -> None:
        super().resumed()
        self.belt.again()
        self.show_verification()

    def polled(self, moment: Moment) -> None:
        statistics = moment.statistics
        self._hear_of_partitions(statistics.partitions)
        if statistics.partitions > 1:
            return
        self.belt.grown(statistics, self.explorer.wall_clock_ms())
        if statistics.records != self._seen:
            self._seen = statistics.records
            if self.belt.selected == self.belt.sealed:
                self.facts.show_open(statistics)
                self.table.grown()

    # ── the selected block ──

    @on(Belt.Selected)
    def _selected(self, event: Belt.Selected) -> None:
        if event.number == self.belt.sealed:
            self._show_open(event.number)
        elif event.block is not None:
            self._show_sealed(event.block)
        else:
            self.facts.clear()

    @on(Belt.Failed)
    @on(VirtualTable.Failed, "#block-records")
    def _failed(self, event: Belt.Failed | VirtualTable.Failed) -> None:
        self.explorer.fail("The chain cannot be read.", event.error)

    def _show_open(self, number: int) -> None:
        moment = self.latest
        if moment is None or self.collection is None:
            return
        statistics, then = moment.statistics, self.explorer.past.standing
        self.facts.entitle(Content(f"Block {human_count(number)} · open{'' if then is None else ' then'}"))
        self.facts.show_open(statistics)
        end = None if then is None else then.records
        self._list(number, statistics.records - statistics.open_block_records, end)
        self.merkle.show((), "The tree is drawn when the block is sealed.")

    def _show_sealed(self, block: Block) -> None:
        belt, number = self.belt, block.number
        self.facts.entitle(Content(f"Block {human_count(number)} · sealed"))
        verification = self.explorer.verification
        if self.collection is None:
            return
        damage = verification.bad_blocks(self.collection).get(number)
        trust = damage or number < verification.proven_to(self.collection)
        self.facts.show_sealed(block, belt.block(number - 1), belt.block(number + 1), trust, verification.good)
        if self._list(number, block.first_sequence) or not self.merkle.levels:
            in_background(self, self._draw_tree, number, group="tree", latest=True)

    def _list(self, number: int, first_sequence: int, end: int | None = None) -> bool:
        """Lists the records of a block, unless it is listed already."""
        if self._listed == number or self.collection is None:
            return False
        self._listed = number
        self.table.show(BlockRecords(self.collection, number, first_sequence, end), self._leaf_wanted)
        self._leaf_wanted = 0
        return True

    async def _draw_tree(self, number: int) -> None:
        collection = self.collection
        if collection is None:
            return
        try:
            levels = await off_loop(lambda: blockdb.merkle_levels(collection.block_leaves(number)))
        except (blockdb.BlockDBError, OSError) as error:
            self.explorer.missed(error)
            self.merkle.show((), printable(f"{type(error).__name__}: {error}"))
            return
        if self._listed == number:
            self.merkle.show(levels)
            self.merkle.point_at(self.table.cursor)

    @on(VirtualTable.Highlighted, "#block-records")
    def _record_highlighted(self) -> None:
        self.merkle.point_at(self.table.cursor)

    @on(MerkleTree.LeafMoved)
    def _leaf_moved(self, event: MerkleTree.LeafMoved) -> None:
        self.table.move_to(event.leaf)

    @on(VirtualTable.Chosen, "#block-records")
    def _chosen(self) -> None:
        if self.table.row is not None:
            self.explorer.visit_key(self.table.row.key)

    def show_block(self, number: int | None, sequence: int | None = None) -> None:
        """Selects a block (None: the open one) and, if given, the record of that sequence number in it."""
        if (latest := self.latest) is not None and not self.belt.sealed:
            self.belt.grown(latest.statistics, self.explorer.wall_clock_ms())
        wanted = self.belt.sealed if number is None else number
        if sequence is None:
            self.belt.select(wanted)
        else:
            in_background(self, self._show_record, wanted, sequence, group="show", latest=True)

    async def _show_record(self, number: int, sequence: int) -> None:
        """Finds where in its block the record stands, then selects both."""
        collection = self.collection
        if collection is None:
            return

        def first_sequence() -> int:
            try:
                return collection.block(number).first_sequence
            except blockdb.BlockNotFound:
                statistics = collection.stats()
                return statistics.records - statistics.open_block_records

        try:
            self._leaf_wanted = sequence - await off_loop(first_sequence)
        except (blockdb.BlockDBError, OSError) as error:
            self.explorer.fail(f"The record {human_count(sequence)} cannot be gone to.", error)
            return
        if self._listed == number:
            self.table.move_to(self._leaf_wanted)
            self._leaf_wanted = 0
        self.belt.select(number)
        self.action_records()

    def show_verification(self) -> None:
        super().show_verification()
        verification = self.explorer.verification
        if self.collection is not None:
            self.belt.mark(
                verification.bad_blocks(self.collection), verification.proven_to(self.collection), verification.good
            )
        self.table.refresh()
        block = self.belt.block(self.belt.selected)
        if block is not None:
            self._show_sealed(block)

    # ── keys ──

    def action_records(self) -> None:
        """To the records of the block."""
        self.remove_class("-tree")
        self.table.focus()

    def action_tree(self) -> None:
        """To the Merkle tree of the block."""
        self.add_class("-tree")
        self.merkle.focus()

    def action_jump(self) -> None:
        """Asks for the number of a block."""
        self.prompt.ask("Jump to block", done=self._jump)

    def _jump(self, text: str) -> None:
        digits = text.strip().replace(",", "")
        if digits.isascii() and digits.isdigit():
            self.belt.select(int(digits))
            self.belt.focus()
        elif digits:
            self.explorer.say(f"The number of a block is needed, 0 to {human_count(self.belt.sealed)}.", "warning")

    def chosen_key(self) -> bytes | None:
        return None if self.table.row is None else self.table.row.key

    def action_copy_hash(self) -> None:
        """Copies the hash of the selected block."""
        block = self.belt.block(self.belt.selected)
        if block is None:
            self.explorer.say("The open block has no hash yet.", "warning")
        else:
            self.explorer.copy(block.hash.hex().encode(), f"the hash of block {human_count(block.number)}")

    def step_back(self) -> bool:
        if self.focused is self.belt:
            return False
        self.belt.focus()
        return True

    def crumb(self) -> str:
        belt = self.belt
        return "" if belt.selected == belt.sealed else f"#{human_count(belt.selected)}"

    def shown_as_command(self) -> str:
        if self.belt.selected == self.belt.sealed:  # it is what is there now: blocks are told of no other time
            return command_line(self.explorer.target, "blocks")
        records = ["--records"] if self.focused is self.table else []
        return command_line(self.explorer.target, "block", str(self.belt.selected), *records)
