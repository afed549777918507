"""The Merkle tree of RFC 6962 §2.1 (SHA-256): leaf = H(0x00 | data), node = H(0x01 | left | right), no leaf doubled."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final

EMPTY_ROOT: Final = sha256().digest()
"""The root of a tree without leaves."""

CHUNK_LEVEL: Final = 8
CHUNK: Final = 1 << CHUNK_LEVEL
"""The roots over so many leaves are kept for proofs; what is below them is recomputed from the records."""

_NODE: Final = b"\x01"
_copy_for_leaf = sha256().copy
_copy_for_node = sha256(_NODE).copy
"""Half of what a hash of so few bytes takes is making its context: copying one that is begun takes less."""


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf with this data."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of the node over two subtrees."""
    return sha256(_NODE + left + right).digest()


def leaf_hashes(prefixed: Iterable[bytes]) -> list[bytes]:
    """The hashes of many leaves whose data has the 0x00 before it already, as the body of a record has. O(bytes)."""
    hashes = []
    for data in prefixed:
        leaf = _copy_for_leaf()
        leaf.update(data)
        hashes.append(leaf.digest())
    return hashes


def _parents(nodes: Sequence[bytes]) -> list[bytes]:
    """The nodes over each pair; an odd one at the end is left out."""
    parents = []
    for left, right in zip(nodes[::2], nodes[1::2], strict=False):
        node = _copy_for_node()
        node.update(left)
        node.update(right)
        parents.append(node.digest())
    return parents


def levels(leaves: Sequence[bytes]) -> list[list[bytes]]:
    """All levels of the tree over these leaf hashes, leaves first, the root alone in the last.

    The last node of a level with an odd number of them is carried up as it is, which gives the tree of RFC 6962.
    O(n). Of no leaves: one level with the root of the empty tree.
    """
    level = list(leaves) or [EMPTY_ROOT]
    result = [level]
    while len(level) > 1:
        level = _parents(level) + ([level[-1]] if len(level) % 2 else [])
        result.append(level)
    return result


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root of the tree over these leaf hashes. O(n)."""
    return levels(leaves)[-1][0]


class Frontier:
    """A tree that grows at its right edge and remembers only the perfect subtrees there: O(log n) memory.

    For a tree of n leaves there is one subtree for each bit that is set in n.
    """

    def __init__(self, size: int = 0, hashes: Sequence[bytes] = ()) -> None:
        """Take up a tree of `size` leaves whose perfect subtrees, largest first, have these `hashes`.

        Raises ValueError where their number is not that of the bits set in `size`.
        """
        if size.bit_count() != len(hashes):
            raise ValueError(f"a tree of {size} leaves has {size.bit_count()} perfect subtrees, not {len(hashes)}")
        self.size = size
        remaining = list(hashes)
        self._by_level: list[bytes | None] = [
            remaining.pop() if size >> level & 1 else None for level in range(size.bit_length())
        ]

    def extend(self, leaves: Sequence[bytes]) -> list[bytes]:
        """Append leaf hashes. O(len(leaves) + log n), level by level.

        Returns the roots of the chunks (see `CHUNK`) that these leaves complete.
        """
        self.size += len(leaves)
        chunks: list[bytes] = []
        nodes, level = list(leaves), 0
        while nodes:
            if level == CHUNK_LEVEL:
                chunks = list(nodes)
            if level == len(self._by_level):
                self._by_level.append(None)
            waiting = self._by_level[level]
            if waiting is not None:
                nodes.insert(0, waiting)
            self._by_level[level] = nodes[-1] if len(nodes) % 2 else None
            nodes, level = _parents(nodes), level + 1
        return chunks

    @property
    def hashes(self) -> tuple[bytes, ...]:
        """The perfect subtrees, largest first."""
        return tuple(node for node in reversed(self._by_level) if node is not None)

    def root(self) -> bytes:
        """The root of the whole tree. O(log n)."""
        result: bytes | None = None
        for node in self._by_level:
            if node is not None:
                result = node if result is None else node_hash(node, result)
        return EMPTY_ROOT if result is None else result

    def copy(self) -> Frontier:
        """An independent frontier of the same tree."""
        return Frontier(self.size, self.hashes)
