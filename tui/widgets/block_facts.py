"""What the header of a block says, and whether its links to the neighbours hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blockdb.commands.display import human_bytes, human_count, human_duration, human_time, printable

from ..drawing import bar, short_hash
from .facts import Fact, Facts, Pieces

if TYPE_CHECKING:
    from blockdb import Block, Problem, Statistics

__all__ = ["BlockFacts"]


class BlockFacts(Facts):
    """A list of names and values: the header of a sealed block, or what the open one has come to."""

    HELP = """The header of the selected block. Hash: what the next block names as its previous. Root: of the Merkle \
tree over every record of the collection up to this block's last. The signature is made with the key of the database \
and stands beside the hash, not in it. The links are compared here, with the neighbours as they are stored."""

    def show_sealed(
        self, block: Block, before: Block | None, after: Block | None, trust: Problem | bool, good: str
    ) -> None:
        """Shows a sealed block between its neighbours, as far as they are known.

        `trust` is what verification found wrong with it, or whether it was proven to be what was written; `good` is
        the word for that.
        """
        damage: list[Fact] = [] if isinstance(trust, bool) else [("✗ damage", [(printable(str(trust)), "error")])]
        facts: list[Fact] = [
            ("trust", _trust(block, trust, good)),
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
        self.show_facts(damage + facts)

    def show_open(self, statistics: Statistics) -> None:
        """Shows the open block."""
        count, batch = statistics.open_block_records, statistics.blockchain_batch_size
        first = statistics.records - count
        facts: list[Fact] = [
            ("state", [("open until it is full", "primary")]),
            ("filled", [(bar(count / max(1, batch), 20), "graph1"), (f" {count / max(1, batch):.0%}", "text")]),
            ("records", [(human_count(count), "number"), (f" of {human_count(batch)}", "muted")]),
            ("bytes", [(human_bytes(statistics.open_block_bytes), "number")]),
            ("from", [(f"#{human_count(first)}", "secondary")]),
            ("previous", [(statistics.head_hash.hex(), "secondary")]),
            ("", [("hash of the last sealed block" if statistics.blocks else "no block is sealed yet", "muted")]),
        ]
        self.show_facts(facts)

    def clear(self) -> None:
        """Shows nothing, until the block has come."""
        self.show_facts([])


def _trust(block: Block, trust: Problem | bool, good: str) -> Pieces:
    if not isinstance(trust, bool):
        return [(f"✗ failed at block {human_count(block.number)}", "error")]
    if not trust:
        return [("· read, not proven; v verifies", "muted")]
    return [(f"✓ {good}: recomputed {'here' if good == 'proven' else 'by the server'}", "success")]


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
