"""The tree over the keys of a collection: a second Merkle tree over the same records, sorted by key.

The tree in commit order proves what is there. That nothing else is there (no such key, nothing left out of a range) is
seen from neighbours: in a tree whose leaves are sorted, two leaves that stand side by side have no key between them.
A leaf commits to a key and to the leaf hash of its record:

    key length (2 bytes, big-endian) | key | leaf hash (32)
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from hashlib import sha256

from blockdb.ledger.merkle import EMPTY_ROOT, leaf_hash
from blockdb.ledger.proof import root_at

_HASH_BYTES = 32


def key_leaf(key: bytes, record_leaf: bytes) -> bytes:
    """The leaf hash of a key whose record has this leaf hash."""
    return leaf_hash(len(key).to_bytes(2, "big") + key + record_leaf)


class KeyTree:
    """The tree over the keys of some records. It takes about 100 bytes and a key for each; O(n log n) to make."""

    def __init__(self, keys: Sequence[bytes], record_leaves: Sequence[bytes]) -> None:
        """`keys` as they come, each once, with the leaf hashes of their records."""
        order = sorted(range(len(keys)), key=keys.__getitem__)
        self.keys = [keys[i] for i in order]
        self._record_leaves = b"".join([record_leaves[i] for i in order])
        self._levels = [b"".join(map(key_leaf, self.keys, [record_leaves[i] for i in order]))]
        while len(self._levels[-1]) >= 2 * _HASH_BYTES:
            self._levels.append(_parents(self._levels[-1]))

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def root(self) -> bytes:
        """The root of the tree."""
        return root_at(len(self), self.node_at) if self.keys else EMPTY_ROOT

    def node_at(self, level: int, number: int) -> bytes:
        """The hash of a perfect subtree."""
        return self._levels[level][number * _HASH_BYTES : (number + 1) * _HASH_BYTES]

    def record_leaf(self, position: int) -> bytes:
        """The leaf hash of the record whose key has this position in key order."""
        return self._record_leaves[position * _HASH_BYTES : (position + 1) * _HASH_BYTES]

    def position(self, key: bytes) -> int:
        """How many keys are smaller."""
        return bisect_left(self.keys, key)


def _parents(level: bytes) -> bytes:
    """The nodes over each pair of hashes; an odd one at the end is left out."""
    width = 2 * _HASH_BYTES
    pairs = range(0, len(level) - width + 1, width)
    return b"".join([sha256(b"\x01" + level[at : at + width]).digest() for at in pairs])
