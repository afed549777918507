"""Whether two nodes have the same history: by the newest block of each collection, and where they part, if they do.

The hash of a block covers the one before, so chains that differ in a block differ in all that follow: the first is
found by bisection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from blockdb.cluster.machine.holding import Holding, id_of
from blockdb.errors import CollectionNotFound

__all__ = ["BlockHead", "Difference", "Heads"]


class BlockHead(NamedTuple):
    """The newest sealed block of a collection."""

    number: int
    hash: bytes


Head = Mapping[bytes, BlockHead]
"""Of collections, by the 16 bytes of their UUIDs."""

AskHashes = Callable[[bytes, int, int], Sequence[bytes]]
"""Gives the hashes of so many blocks of a collection of another node, from a number on."""
AskLeaves = Callable[[bytes, int], Sequence[bytes]]
"""Gives the leaf hashes of the records of one block there."""


class Difference(NamedTuple):
    """Where the history of a node is another one than that of others."""

    collection: bytes
    name: str
    block: int
    """The first block that differs, if that was looked for; else one that does."""
    sequence: int | None = None
    """The first record that differs."""

    def __str__(self) -> str:
        where = f"block {self.block} of the collection {self.name} ({id_of(self.collection)})"
        return where if self.sequence is None else f"{where}, record {self.sequence}"


class Heads:
    """Compares a node's chains with others'. For any thread but that of consensus: it may wait for a seal."""

    def __init__(self, holding: Holding) -> None:
        self._holding = holding
        self._known: dict[bytes, tuple[int, BlockHead | None]] = {}
        """What was looked up last, and how many records there were: a quiet collection is left alone."""

    def head(self) -> dict[bytes, BlockHead]:
        """The newest blocks of all collections that commands were about since this node was started. O(those)."""
        counts = self._holding.touched()
        for collection, count in counts.items():
            known = self._known.get(collection)
            if known is None or known[0] != count:
                self._known[collection] = count, self._newest(collection)
        newest = {collection: self._known[collection][1] for collection in counts}
        return {collection: head for collection, head in newest.items() if head is not None}

    def _newest(self, collection: bytes) -> BlockHead | None:
        try:
            history = self._holding.history(collection)
        except CollectionNotFound:
            return None
        return BlockHead(history.blocks - 1, history.block(history.blocks - 1).hash) if history.blocks else None

    def compare(self, other: Head) -> Difference | None:
        """A block in which this node differs from another one whose head that was; None where none is known to."""
        for collection, (number, hash_) in sorted(other.items()):
            own = self.block_hashes(collection, number, 1)
            if own and own[0] != hash_:
                return Difference(collection, self._name(collection), number)
        return None

    def first_difference(self, found: Difference, ask: AskHashes, ask_leaves: AskLeaves) -> Difference:
        """The first block, and record, at which the chains part; `ask` and `ask_leaves` ask the other node.

        O(log blocks) questions about one hash each, then one about a block.
        """
        collection, low, high = found.collection, 0, found.block
        while low < high:
            middle = (low + high) // 2
            if list(ask(collection, middle, 1)) == self.block_hashes(collection, middle, 1):
                low = middle + 1
            else:
                high = middle
        own, others = self.leaf_hashes(collection, low), list(ask_leaves(collection, low))
        same = next((at for at, (one, two) in enumerate(zip(own, others, strict=False)) if one != two), None)
        ordinal = min(len(own), len(others)) if same is None else same
        first = self._holding.history(collection).extent(low).first_sequence
        return found._replace(block=low, sequence=first + ordinal)

    def block_hashes(self, collection: bytes, first: int, count: int) -> list[bytes]:
        """The hashes of so many sealed blocks from a number on, those that there are; none of an unknown collection."""
        try:
            history = self._holding.history(collection)
        except CollectionNotFound:
            return []
        return [history.block(number).hash for number in range(first, min(first + count, history.blocks))]

    def leaf_hashes(self, collection: bytes, block: int) -> list[bytes]:
        """The leaf hashes of the records of a block. Raises BlockNotFound, CollectionNotFound."""
        return self._holding.history(collection).block_leaves(block)

    def _name(self, collection: bytes) -> str:
        return self._holding.core.catalog.metadata(id_of(collection)).name
