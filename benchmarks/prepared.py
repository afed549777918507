"""Databases that are ready to be measured, and directories for those that nobody needs afterwards."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from .data import Data, Pair, batches
from .lines import exhaust, rest
from .stores import Peer, Setup, Store

__all__ = ["all_in_memory", "fill", "in_tables", "opened", "records", "records_path", "scratch"]


def records_path(peer: Peer, directory: Path) -> Path:
    """Where a peer has the database of a round that several sessions read: all records, in tables, as it comes."""
    return directory / f"{peer.module}-records"


def records(peer: Peer, directory: Path, data: Data) -> Path:
    """That database, closed. Made by whoever needs it first."""
    path = records_path(peer, directory)
    if not path.exists():
        with closing(peer.open(path, Setup())) as store:
            fill(store, data.pairs)
            store.flush()
        rest()
    return path


@contextmanager
def opened(peer: Peer, directory: Path, data: Data) -> Iterator[Store]:
    """That database, open; one that answers wrongly is not compared."""
    with closing(peer.open(records(peer, directory, data), Setup())) as store:
        check(store, data)
        yield store


@contextmanager
def in_tables(peer: Peer, directory: Path, data: Data, tables: int) -> Iterator[Store]:
    """A database whose records are in so many tables of one size, and stay there."""
    setup = replace(all_in_memory(data), compaction=False)
    with scratch(directory) as path, closing(peer.open(path, setup)) as store:
        for n in range(tables):
            fill(store, data.pairs[n * len(data.pairs) // tables : (n + 1) * len(data.pairs) // tables])
            store.flush()
        assert store.tables() == tables, f"{peer.name} has {store.tables()} tables, not {tables}"
        check(store, data)
        rest()
        yield store


def all_in_memory(data: Data) -> Setup:
    """A memtable that takes all records, with room to spare: BlockDB fills half of it, and its journal a little."""
    return Setup(memtable_records=4 * len(data.pairs))


def fill(store: Store, pairs: Sequence[Pair]) -> None:
    """Write all of it, in batches."""
    exhaust(map(store.put_many, batches(pairs)))


@contextmanager
def scratch(directory: Path) -> Iterator[Path]:
    """A path for a database that is removed in the end."""
    path = directory / "scratch"
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def check(store: Store, data: Data) -> None:
    """A few answers that are known."""
    some = data.pairs[:100]
    assert [store.get(key) for key, _ in some] == [value for _, value in some]
    assert not any(map(store.exists, data.absent[:100]))
    assert all(map(store.exists, data.present[:100]))
