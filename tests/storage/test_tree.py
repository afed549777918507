"""The kept nodes of the Merkle tree: always those of the recursion, whatever becomes of their file."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from pathlib import Path
from random import Random

import pytest

import blockdb
from blockdb.format import nodes
from blockdb.layout import CollectionFiles
from blockdb.ledger.chain import Chunks
from blockdb.ledger.merkle import CHUNK, Frontier
from blockdb.ledger.proof import root_at
from blockdb.storage import seals
from blockdb.storage.door import Door
from blockdb.storage.tree import Tree
from tests.ledger import reference
from tests.storage.doors import collection_of

COLLECTION = bytes(range(16))
LEAVES = [sha256(b"%d" % number).digest() for number in range(40 * CHUNK)]


@cache
def subtree(level: int, number: int) -> bytes:
    """The recursion of the standard for a perfect subtree."""
    if not level:
        return LEAVES[number]
    return reference.node(subtree(level - 1, 2 * number), subtree(level - 1, 2 * number + 1))


class Model:
    """A tree beside its writer: records come, are sealed, are flushed; the process ends; the file suffers."""

    def __init__(self, directory: Path, rng: Random) -> None:
        self.rng = rng
        self.files = CollectionFiles(directory)
        self.size = self.flushed = 0
        self.frontier = Frontier()
        self.read: list[int] = []
        self.open()

    def open(self) -> None:
        self.tree = Tree(Door(), self.files, COLLECTION)
        self.tree.note(Chunks(self.size // CHUNK, ()))
        self.tree.cut(self.flushed)

    def leaves_at(self, first: int, count: int) -> list[bytes]:
        assert count <= CHUNK
        self.read.append(first)
        return LEAVES[first : min(first + count, self.size)]

    def grow(self) -> None:
        count = min(self.rng.choice((1, 7, 255, 256, 700)), len(LEAVES) - self.size)
        first = self.frontier.size // CHUNK
        self.tree.note(Chunks(first, tuple(self.frontier.extend(LEAVES[self.size : self.size + count]))))
        self.size += count

    def flush(self) -> None:
        wanted = self.rng.randint(self.flushed, self.size)
        self.tree.write(wanted, self.leaves_at)
        self.flushed = wanted

    def die(self) -> None:
        self.open()

    def die_after_writing(self) -> None:
        """The nodes were written, and the table whose records they are was not counted."""
        self.tree.write(self.rng.randint(self.flushed, self.size), self.leaves_at)
        self.open()

    def lose_the_end(self) -> None:
        """A power cut, or a hand: the file is shorter, is not there, or is no such file."""
        file = self.files.nodes
        if not file.exists():
            return
        data = file.read_bytes()
        kind = self.rng.randrange(4)
        if kind == 0:
            file.unlink()
        elif kind == 1:
            file.write_bytes(data[: self.rng.randrange(len(data) + 1)])
        elif kind == 2:
            file.write_bytes(b"x" + data[1:])
        elif nodes.chunks_in(len(data)) >= self.flushed // CHUNK:  # else these would be wrong nodes, for proofs to find
            file.write_bytes(data + bytes(self.rng.randrange(200)))
        self.open()

    def check(self) -> None:
        node_at = self.tree.node_at(self.leaves_at)
        for _ in range(6):
            level = self.rng.randrange(max(self.size.bit_length(), 1))
            if self.size >> level:
                number = self.rng.randrange(self.size >> level)
                assert node_at(level, number) == subtree(level, number)
        size = self.rng.randint(0, self.size)
        assert root_at(size, node_at) == root_of_first(size)
        if self.files.nodes.exists():
            data = self.files.nodes.read_bytes()
            assert nodes.chunks_in(len(data)) <= self.size // CHUNK


def root_of_first(size: int) -> bytes:
    """The root of the first leaves, by the recursion."""
    if not size:
        return reference.root([])
    start, parts = 0, []
    for level in reversed(range(size.bit_length())):
        if size >> level & 1:
            parts.append(subtree(level, start >> level))
            start += 1 << level
    while len(parts) > 1:
        right = parts.pop()
        parts.append(reference.node(parts.pop(), right))
    return parts[0]


def live(directory: Path, seed: int, steps: int) -> None:
    rng = Random(seed)
    model = Model(directory, rng)
    acts = [model.grow] * 4 + [model.flush] * 3 + [model.die, model.die_after_writing, model.lose_the_end]
    for _ in range(steps):
        rng.choice(acts)()
        model.check()


@pytest.mark.parametrize("seed", range(1))
def test_every_node_is_that_of_the_recursion(tmp_path: Path, seed: int) -> None:
    live(tmp_path, seed, steps=40)


@pytest.mark.torture
@pytest.mark.parametrize("seed", range(100, 160))
def test_every_node_is_that_of_the_recursion_for_long(tmp_path: Path, seed: int) -> None:
    live(tmp_path, seed, steps=200)


def test_places_in_the_file_follow_each_other() -> None:
    """Every node of the upper tree has a place of its own, in the order in which they are complete."""
    chunks = 100
    order = [
        (level, (number + 1 >> level) - 1)
        for number in range(chunks)
        for level in range(8)
        if not (number + 1) % (1 << level)
    ]
    assert [nodes.index_of(level, number) for level, number in order] == list(range(len(order)))
    assert [nodes.chunks_in(nodes.size_of(count)) for count in range(chunks)] == list(range(chunks))
    for size in range(nodes.size_of(chunks)):
        assert (
            nodes.size_of(nodes.chunks_in(size))
            <= max(size, nodes.HEADER_BYTES)
            < nodes.size_of(nodes.chunks_in(size) + 1)
        )


def test_proofs_of_what_is_flushed_read_one_chunk(tmp_path: Path) -> None:
    """Else a proof would take O(n)."""
    model = Model(tmp_path, Random(1))
    while model.size < 20 * CHUNK:
        model.grow()
    model.tree.write(model.size, model.leaves_at)
    model.read.clear()
    root_at(model.size, model.tree.node_at(model.leaves_at))
    assert not {first // CHUNK for first in model.read} - {model.size // CHUNK}


@pytest.mark.torture
def test_chunks_closed_beside_the_writer_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the process, by the writer, by the process again: the node file is one and the same."""
    items = [(b"key %05d" % number, b"value") for number in range(1500)]
    files = []
    for busy in (2, 10**9):
        monkeypatch.setattr(seals, "BUSY_BLOCKS", busy)
        monkeypatch.setattr(seals, "BUSY_S", 3600.0)
        monkeypatch.setattr("blockdb.storage.surroundings.time_ns", lambda: 1_700_000_000_000_000_000)
        with blockdb.open(tmp_path / str(busy), blockchain_batch_size=50) as db:
            for key, value in items:
                db.put(key, value)
            db.flush()
            assert db.root_at(1500, "default") == reference.root(db_leaves(db))
        files.append(collection_of(tmp_path / str(busy)).nodes.read_bytes()[nodes.HEADER_BYTES :])
    assert files[0] == files[1]
    assert len(files[0]) == nodes.size_of(5) - nodes.HEADER_BYTES


def db_leaves(db: blockdb.Database) -> list[bytes]:
    return [leaf for number in range(db.stats().blocks) for leaf in db.block_leaves(number)]
