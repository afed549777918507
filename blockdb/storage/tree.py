"""The upper nodes of a collection's Merkle tree: kept for proofs, so that one takes O(log n) and not O(n).

They follow from the records, so a file that is missing or short is made whole from those. It is written when a memtable
is flushed, never beyond what tables hold; until then the roots of chunks wait in memory.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from threading import Lock
from typing import Final

from blockdb.errors import Corruption
from blockdb.format import nodes
from blockdb.format.buffer import Buffer
from blockdb.format.frame import BadFrame
from blockdb.layout import CollectionFiles
from blockdb.ledger.chain import Chunks
from blockdb.ledger.merkle import CHUNK, CHUNK_LEVEL, levels, node_hash
from blockdb.ledger.proof import NodeAt
from blockdb.storage.door import Door, guarded

LeavesAt = Callable[[int, int], list[bytes]]
"""The leaf hashes of so many records from a sequence number on, recomputed from the records."""

CACHED_CHUNKS: Final = 16
"""Chunks whose lower nodes are remembered: some 32 KiB each."""

WRITTEN_NODES: Final = 4096
"""How many nodes are written with one call."""


class Tree:
    """The tree of one collection. Safe for threads."""

    def __init__(self, door: Door, files: CollectionFiles, collection: bytes) -> None:
        self._door = door
        self._path = files.nodes
        self._collection = collection
        self._roots: dict[int, bytes] = {}
        """Of chunks that the file may not have."""
        self._noted = 0
        """Up to which chunk roots were noted: what is beyond is not sealed yet, and will be."""
        self._lower: OrderedDict[int, list[list[bytes]]] = OrderedDict()
        self._lock = Lock()
        self._buffer: Buffer = b""
        self._chunks = 0
        """How many chunks the mapped file has."""
        self._usable = True

    # Reading.

    def node_at(self, leaves_at: LeavesAt) -> NodeAt:
        """The nodes of the tree, those that are not kept being recomputed from the records."""

        def node(level: int, number: int) -> bytes:
            if level < CHUNK_LEVEL:
                return self._lower_node(level, number, leaves_at)
            level -= CHUNK_LEVEL
            if (number + 1) << level <= self._known():
                return nodes.node(self._buffer, level, number)
            if level:
                left, right = (node(level + CHUNK_LEVEL - 1, 2 * number + side) for side in (0, 1))
                return node_hash(left, right)
            return self._root(number, leaves_at)

        return node

    def distrust(self) -> None:
        """Read no more of the file: a proof that was made with it does not hold."""
        with self._lock:
            self._usable = False
            self._buffer, self._chunks = b"", 0
            self._roots.clear()
            self._lower.clear()

    def _known(self) -> int:
        """How many chunks can be read from the file, which may have grown."""
        if self._usable and not self._chunks:
            with self._lock:
                self._map()
        return self._chunks

    def _map(self) -> None:
        self._buffer, self._chunks = b"", 0
        try:
            buffer = self._door.map_read(self._path)
            nodes.check_header(buffer, self._collection)
        except (OSError, ValueError, BadFrame, Corruption):
            return  # it is missing or no such file: the records have all that it takes
        self._buffer, self._chunks = buffer, nodes.chunks_in(len(buffer))

    def _root(self, chunk: int, leaves_at: LeavesAt) -> bytes:
        found = self._roots.get(chunk)
        if found is None:
            found = self._lower_levels(chunk, CHUNK, leaves_at)[-1][0]
            self._roots[chunk] = found
        return found

    def _lower_node(self, level: int, number: int, leaves_at: LeavesAt) -> bytes:
        """A node below the roots of chunks. The last chunk of the tree may have some of its leaves alone."""
        chunk = (number << level) // CHUNK
        at = number - (chunk * CHUNK >> level)
        return self._lower_levels(chunk, (at + 1) << level, leaves_at)[level][at]

    def _lower_levels(self, chunk: int, leaves: int, leaves_at: LeavesAt) -> list[list[bytes]]:
        """The levels of a chunk that has so many leaves at least."""
        with self._lock:
            found = self._lower.get(chunk)
            if found is not None and len(found[0]) >= leaves:
                self._lower.move_to_end(chunk)
                return found
        found = levels(leaves_at(chunk * CHUNK, CHUNK))
        with self._lock:
            self._lower[chunk] = found
            while len(self._lower) > CACHED_CHUNKS:
                self._lower.popitem(last=False)
        return found

    # Writing.

    def cut(self, records: int) -> None:
        """Before anything is written: take away what the file has beyond so many records. Raises StorageError."""
        with guarded("opening the node file"):
            try:
                size = self._door.size(self._path)
            except FileNotFoundError:
                return
            except Corruption:  # an encrypted one that is damaged: it is written anew
                self._door.remove(self._path)
                return
            self._map()
            chunks = min(self._chunks, records // CHUNK)
            if size != nodes.size_of(chunks) or not self._buffer:
                self._buffer = b""
                self._truncate(nodes.size_of(chunks) if self._chunks else 0)
            self._map()

    def note(self, chunks: Chunks) -> None:
        """Remember the roots of chunks that were completed."""
        self._roots.update(enumerate(chunks.roots, chunks.first))
        self._noted = chunks.first + len(chunks.roots)

    def write(self, records: int, leaves_at: LeavesAt) -> None:
        """Write what there is below so many records, all of them in the chain on the disk. Raises StorageError.

        O(chunks), and O(records) for those whose roots nobody noted.
        """
        chunks = min(records // CHUNK, self._noted)
        if self._known() >= chunks:
            return
        with guarded("writing the node file"):
            descriptor = self._door.open_append(self._path)
            try:
                self._door.truncate(descriptor, nodes.size_of(self._chunks) if self._chunks else 0)
                if not self._chunks:
                    self._door.write_all(descriptor, nodes.encode_header(self._collection))
                for piece in _pieces(self._completed(chunks, leaves_at), WRITTEN_NODES):
                    self._door.write_all(descriptor, piece)
                self._door.force(descriptor)
            finally:
                self._door.close(descriptor)
        with self._lock:
            self._usable = True
            self._map()
            for chunk in [chunk for chunk in self._roots if chunk < self._chunks]:
                del self._roots[chunk]

    def _completed(self, chunks: int, leaves_at: LeavesAt) -> Iterator[bytes]:
        """The nodes that the file lacks for so many chunks, in its order."""
        first = self._chunks
        waiting = {
            level: nodes.node(self._buffer, level, (first >> level) - 1)
            for level in range(first.bit_length())
            if first >> level & 1
        }
        for chunk in range(first, chunks):
            level, node = 0, self._root(chunk, leaves_at)
            yield node
            while level in waiting:
                level, node = level + 1, node_hash(waiting.pop(level), node)
                yield node
            waiting[level] = node

    def _truncate(self, size: int) -> None:
        descriptor = self._door.open_append(self._path)
        try:
            self._door.truncate(descriptor, size)
        finally:
            self._door.close(descriptor)


def _pieces(found: Iterable[bytes], size: int) -> Iterator[bytes]:
    """What was found, so many together."""
    iterator = iter(found)
    while piece := b"".join(islice(iterator, size)):
        yield piece
