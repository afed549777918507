"""One adapter for each database: the same few operations, each in the fastest way that its Python binding offers.

Every `put` and `put_many` refuses a key that is stored already, since that is what BlockDB does. Durability comes in
two classes, so that like is compared with like: `forced=False` survives a killed process, `forced=True` has each
write on the disk before the call returns.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TypeAlias

import blockdb

__all__ = ["PEERS", "Pair", "Peer", "Store"]

Pair: TypeAlias = tuple[bytes, bytes]

LMDB_MAP_BYTES = 1 << 36


@dataclass(frozen=True)
class Store:
    """An open database. `flush` brings what is in memory into its tables; `verify` is None where there is none.

    `getter` gives the function that gets what is stored by now; the other reads may be of an earlier moment.
    """

    put: Callable[[bytes, bytes], object]
    put_many: Callable[[Sequence[Pair]], object]
    getter: Callable[[], Callable[[bytes], bytes | None]]
    exists: Callable[[bytes], bool]
    scan: Callable[[], Iterable[object]]
    first: Callable[[bytes, int], Iterable[object]]
    flush: Callable[[], object]
    close: Callable[[], object]
    verify: Callable[[], bool] | None = None


@dataclass(frozen=True)
class Peer:
    """A database that can take part: how to open it, and what its two classes of durability are in its own words."""

    name: str
    module: str
    open: Callable[[Path, bool], Store]
    survives_kill: str
    forced: str


def refuse(key: bytes) -> None:
    """What a put does with a key that is stored already."""
    raise blockdb.DuplicateKey(key)


def open_blockdb(path: Path, forced: bool) -> Store:
    """BlockDB as it comes, but for the force before each acknowledgement."""
    database = blockdb.open(path, wal_sync_interval=0 if forced else 1000)
    return Store(
        put=database.put,
        put_many=database.put_many,
        getter=lambda: database.get,
        exists=database.exists,
        scan=database.scan,
        first=lambda start, limit: database.scan(start=start, limit=limit),
        flush=database.flush,
        close=database.close,
        verify=lambda: database.verify().valid,
    )


def open_rocksdb(path: Path, forced: bool) -> Store:
    """RocksDB with Bloom filters over whole keys, in its tables (10 bits a key) and in its memtable."""
    import rocksdict

    options = rocksdict.Options(raw_mode=True)
    options.create_if_missing(True)
    tables = rocksdict.BlockBasedOptions()
    tables.set_bloom_filter(10, False)
    options.set_block_based_table_factory(tables)
    options.set_memtable_whole_key_filtering(True)
    options.set_memtable_prefix_bloom_ratio(0.1)
    # Opened again without column_families, rocksdict would fall back to tables without filters.
    database = rocksdict.Rdict(str(path), options, column_families={"default": options})
    writes = rocksdict.WriteOptions()
    writes.sync = forced
    database.set_write_options(writes)
    get, may_exist, insert = database.get, database.key_may_exist, database.put

    def exists(key: bytes) -> bool:
        return may_exist(key) and get(key) is not None

    def put(key: bytes, value: bytes) -> None:
        if may_exist(key) and get(key) is not None:
            refuse(key)
        insert(key, value)

    def put_many(pairs: Sequence[Pair]) -> None:
        batch = rocksdict.WriteBatch(raw_mode=True)
        for key, value in pairs:
            if may_exist(key) and get(key) is not None:
                refuse(key)
            batch.put(key, value)
        database.write(batch)

    return Store(
        put=put,
        put_many=put_many,
        getter=lambda: get,
        exists=exists,
        scan=database.items,
        first=lambda start, limit: islice(database.items(from_key=start), limit),
        flush=database.flush,
        close=database.close,
    )


def open_lmdb(path: Path, forced: bool) -> Store:
    """LMDB, writing through its map where it need not force; its reads share one transaction."""
    import lmdb

    environment = lmdb.open(str(path), map_size=LMDB_MAP_BYTES, sync=forced, metasync=forced, writemap=not forced)
    begin = environment.begin

    @cache  # begun with the first read: an open transaction keeps writers from using freed pages again
    def reading() -> lmdb.Transaction[bytes]:
        return begin()

    def put(key: bytes, value: bytes) -> None:
        with begin(write=True) as transaction:
            if not transaction.put(key, value, overwrite=False):
                refuse(key)

    def put_many(pairs: Sequence[Pair]) -> None:
        with begin(write=True) as transaction, transaction.cursor() as cursor:
            _, added = cursor.putmulti(pairs, overwrite=False)
            if added != len(pairs):
                refuse(pairs[0][0])

    def first(start: bytes, limit: int) -> Iterable[object]:
        cursor = reading().cursor()
        return islice(cursor.iternext(), limit) if cursor.set_range(start) else ()

    return Store(
        put=put,
        put_many=put_many,
        getter=lambda: begin().get,
        exists=lambda key: reading().get(key) is not None,
        scan=lambda: reading().cursor(),
        first=first,
        flush=lambda: environment.sync(True),
        close=environment.close,
    )


def open_sqlite(path: Path, forced: bool) -> Store:
    """SQLite with a table that is its own index, autocommit, write-ahead log."""
    connection = sqlite3.connect(path, isolation_level=None)
    run = connection.execute
    run("PRAGMA journal_mode = WAL")
    run(f"PRAGMA synchronous = {'FULL' if forced else 'OFF'}")
    run("CREATE TABLE IF NOT EXISTS records (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID")

    def put_many(pairs: Sequence[Pair]) -> None:
        with connection:
            run("BEGIN")
            connection.executemany("INSERT INTO records VALUES (?, ?)", pairs)

    def get(key: bytes) -> bytes | None:
        row: tuple[bytes] | None = run("SELECT value FROM records WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    return Store(
        put=lambda key, value: run("INSERT INTO records VALUES (?, ?)", (key, value)),
        put_many=put_many,
        getter=lambda: get,
        exists=lambda key: run("SELECT 1 FROM records WHERE key = ?", (key,)).fetchone() is not None,
        scan=lambda: run("SELECT key, value FROM records ORDER BY key"),
        first=lambda start, limit: run(
            "SELECT key, value FROM records WHERE key >= ? ORDER BY key LIMIT ?", (start, limit)
        ),
        flush=lambda: run("PRAGMA wal_checkpoint(TRUNCATE)").fetchall(),
        close=connection.close,
        verify=lambda: run("PRAGMA integrity_check").fetchone() == ("ok",),
    )


PEERS = (
    Peer(
        "BlockDB", "blockdb", open_blockdb, "log written before the answer, forced every second", "wal_sync_interval=0"
    ),
    Peer("RocksDB", "rocksdict", open_rocksdb, "log written before the answer, never forced (sync=False)", "sync=True"),
    Peer(
        "LMDB",
        "lmdb",
        open_lmdb,
        "written through its map, never forced (sync=False, writemap=True); a power cut may spoil it",
        "sync=True",
    ),
    Peer(
        "SQLite",
        "sqlite3",
        open_sqlite,
        "WAL, never forced (synchronous=OFF); a power cut may spoil it",
        "WAL, synchronous=FULL",
    ),
)
