"""One adapter for each database: the same few operations, each in the fastest way that its Python binding offers.

Every `put` and `put_many` refuses a key that is stored already, since that is what BlockDB does; the one exception
says so in its name. Durability comes in two classes, so that like is compared with like: normally a write survives a
killed process, and with `Setup.forced` it is on the disk before the call returns.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from functools import cache, partial
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any, Final

import blockdb
from blockdb.config import DatabaseConfig
from blockdb.lsm.memtable import RECORD_OVERHEAD_BYTES

from .data import RECORD_BYTES, Pair

__all__ = ["PEERS", "Peer", "Setup", "Skipped", "Store"]

LMDB_MAP_BYTES: Final = 1 << 36
MEMTABLE_FILTER_BYTES: Final = 6_700_000
"""A tenth of RocksDB's memtable as it comes; a larger memtable needs no larger filter here."""

ROCKSDB_OVERHEAD_BYTES: Final = 40
"""About what a record takes in RocksDB's memtable beside its bytes."""

QUIET_POLLS: Final = 3
POLL_S: Final = 0.02


class Skipped(Exception):
    """What a session raises that cannot be held here, and why."""


@dataclass(frozen=True)
class Setup:
    """How a database is to be opened. What it has no word for, it leaves aside."""

    forced: bool = False
    compaction: bool = True
    compression: bool = False
    memtable_records: int | None = None
    """About how many of the benchmark's records fill a memtable; None: as it comes (64 MiB with BlockDB and RocksDB).

    In records, since databases differ in what they count to a memtable beside keys and values.
    """


@dataclass(frozen=True)
class Store:
    """An open database. `flush` brings what is in memory into tables and waits until nothing goes on behind it.

    `get` has a transaction for each call, where there are transactions; `scan` and `first` share one.
    """

    put: Callable[[bytes, bytes], object]
    put_many: Callable[[Sequence[Pair]], object]
    get: Callable[[bytes], bytes | None]
    exists: Callable[[bytes], bool]
    scan: Callable[[], Iterable[object]]
    first: Callable[[bytes, int], Iterable[object]]
    flush: Callable[[], object]
    close: Callable[[], object]
    compact: Callable[[], object] = lambda: None
    tables: Callable[[], int] = lambda: 1


@dataclass(frozen=True)
class Peer:
    """A database that can take part: how to open it in a directory, and what its durability is in its own words."""

    name: str
    module: str
    open: Callable[[Path, Setup], Store]
    survives_kill: str
    forced: str

    @property
    def installed(self) -> bool:
        """Whether it can be imported here."""
        return find_spec(self.module) is not None


def refuse(key: bytes) -> None:
    """What a put does with a key that is stored already."""
    raise blockdb.DuplicateKey(key)


def settle(busy: Callable[[], bool], limit_s: float = 120) -> None:
    """Wait until background work is done: not seen for a moment, since one piece of work leads to the next."""
    quiet, deadline = 0, time.monotonic() + limit_s
    while quiet < QUIET_POLLS and time.monotonic() < deadline:
        quiet = 0 if busy() else quiet + 1
        time.sleep(POLL_S)


def open_blockdb(path: Path, setup: Setup) -> Store:
    """BlockDB as it comes, but for what the setup asks for."""
    database = blockdb.open(path, **blockdb_settings(setup))

    def busy() -> bool:
        now = database.stats()
        return now.flushing or now.compacting or now.frozen_memtables > 0

    def flush() -> None:
        database.flush()
        if setup.compaction:
            settle(busy)

    return Store(
        put=database.put,
        put_many=database.put_many,
        get=database.get,
        exists=database.exists,
        scan=database.scan,
        first=lambda start, limit: database.scan(start=start, limit=limit),
        flush=flush,
        close=database.close,
        compact=database.compact,
        tables=lambda: len(database.stats().tables),
    )


def blockdb_settings(setup: Setup) -> dict[str, Any]:
    """The setup in BlockDB's words. Raises Skipped where it asks for compression, and this version has none."""
    settings: dict[str, Any] = {}
    if setup.forced:
        settings["wal_sync_interval"] = 0
    if not setup.compaction:
        settings["compaction_threshold"] = 1_000
    if setup.memtable_records is not None:
        memtable_bytes = setup.memtable_records * (RECORD_BYTES + RECORD_OVERHEAD_BYTES)
        settings["memtable_size_limit"] = max(memtable_bytes, 64 * 1024)
    if any(field.name == "compression_enabled" for field in fields(DatabaseConfig)):
        settings["compression_enabled"] = setup.compression
    elif setup.compression:
        raise Skipped("this version of BlockDB has no compression")
    return settings


def rocksdb_options(setup: Setup) -> Any:
    """Bloom filters over whole keys, in the tables (10 bits a key) and in the memtable; zstd or no compression."""
    import rocksdict

    options = rocksdict.Options(raw_mode=True)
    options.create_if_missing(True)
    tables = rocksdict.BlockBasedOptions()
    tables.set_bloom_filter(10, False)
    options.set_block_based_table_factory(tables)
    compression = rocksdict.DBCompressionType
    options.set_compression_type(compression.zstd() if setup.compression else compression.none())
    memtable_bytes = (setup.memtable_records or 0) * (RECORD_BYTES + ROCKSDB_OVERHEAD_BYTES) or 64 << 20
    options.set_write_buffer_size(memtable_bytes)
    options.set_memtable_whole_key_filtering(True)
    options.set_memtable_prefix_bloom_ratio(min(0.1, MEMTABLE_FILTER_BYTES / memtable_bytes))
    options.set_disable_auto_compactions(not setup.compaction)
    return options


def open_rocksdb(path: Path, setup: Setup) -> Store:
    """RocksDB; its put looks for the key first, and asks its filters before anything else."""
    import rocksdict

    options = rocksdb_options(setup)
    # Opened again without column_families, rocksdict would fall back to tables without filters.
    database = rocksdict.Rdict(str(path), options, column_families={"default": options})
    writes = rocksdict.WriteOptions()
    writes.sync = setup.forced
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

    def busy() -> bool:
        return any(map(database.property_int_value, ROCKSDB_WORK))

    def flush() -> None:
        database.flush()
        if setup.compaction:
            settle(busy)

    return Store(
        put=put,
        put_many=put_many,
        get=get,
        exists=exists,
        scan=database.items,
        first=lambda start, limit: islice(database.items(from_key=start), limit),
        flush=flush,
        close=database.close,
        compact=lambda: database.compact_range(None, None),
        tables=lambda: len(database.live_files()),
    )


ROCKSDB_WORK: Final = (
    "rocksdb.num-running-flushes",
    "rocksdb.num-running-compactions",
    "rocksdb.mem-table-flush-pending",
    "rocksdb.compaction-pending",
)


def open_lmdb(path: Path, setup: Setup, *, through_map: bool = True, one_transaction: bool = False) -> Store:
    """LMDB, writing through its map or not where it need not force; gets in a transaction each or all in one."""
    import lmdb

    forced = setup.forced
    writemap = through_map and not forced
    environment = lmdb.open(str(path), map_size=LMDB_MAP_BYTES, sync=forced, metasync=forced, writemap=writemap)
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

    def get(key: bytes) -> bytes | None:
        value: bytes | None = begin().get(key)  # faster than `with`: it ends when nothing refers to it
        return value

    def first(start: bytes, limit: int) -> Iterable[object]:
        cursor = reading().cursor()
        return islice(cursor.iternext(), limit) if cursor.set_range(start) else ()

    return Store(
        put=put,
        put_many=put_many,
        get=reading().get if one_transaction else get,
        exists=lambda key: get(key) is not None,
        scan=lambda: reading().cursor(),
        first=first,
        flush=lambda: environment.sync(True),
        close=environment.close,
    )


def open_leveldb(path: Path, setup: Setup, *, checked: bool = True) -> Store:
    """LevelDB with a Bloom filter of 10 bits a key."""
    import plyvel

    database = plyvel.DB(str(path), create_if_missing=True, bloom_filter_bits=10, compression=None)
    get, insert = database.get, partial(database.put, sync=setup.forced)

    def put(key: bytes, value: bytes) -> None:
        if get(key) is not None:
            refuse(key)
        insert(key, value)

    def put_many(pairs: Sequence[Pair]) -> None:
        with database.write_batch(sync=setup.forced) as batch:
            for key, value in pairs:
                if get(key) is not None:
                    refuse(key)
                batch.put(key, value)

    return Store(
        put=put if checked else insert,
        put_many=put_many,
        get=get,
        exists=lambda key: get(key) is not None,
        scan=database.iterator,
        first=lambda start, limit: islice(database.iterator(start=start), limit),
        flush=lambda: None,
        close=database.close,
        compact=database.compact_range,
    )


def open_sqlite(path: Path, setup: Setup) -> Store:
    """SQLite with a table that is its own index, autocommit, write-ahead log."""
    path.mkdir(exist_ok=True)
    connection = sqlite3.connect(path / "records.sqlite", isolation_level=None)
    run = connection.execute
    run("PRAGMA journal_mode = WAL")
    run(f"PRAGMA synchronous = {'FULL' if setup.forced else 'OFF'}")
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
        get=get,
        exists=lambda key: run("SELECT 1 FROM records WHERE key = ?", (key,)).fetchone() is not None,
        scan=lambda: run("SELECT key, value FROM records ORDER BY key"),
        first=lambda start, limit: run(
            "SELECT key, value FROM records WHERE key >= ? ORDER BY key LIMIT ?", (start, limit)
        ),
        flush=lambda: run("PRAGMA wal_checkpoint(TRUNCATE)").fetchall(),
        close=connection.close,
    )


LMDB_PLAIN: Final = partial(open_lmdb, through_map=False)
LMDB_ONE: Final = partial(open_lmdb, one_transaction=True)
LEVELDB_UNCHECKED: Final = partial(open_leveldb, checked=False)

_ALL: Final = (
    Peer(
        "BlockDB", "blockdb", open_blockdb, "log written before the answer, forced each second", "wal_sync_interval=0"
    ),
    Peer("RocksDB", "rocksdict", open_rocksdb, "log written before the answer, never forced (sync=False)", "sync=True"),
    Peer("LMDB", "lmdb", open_lmdb, "sync=False, writemap=True; a power cut may spoil it", "sync=True"),
    Peer("LMDB plain", "lmdb", LMDB_PLAIN, "sync=False; a power cut may spoil it", "sync=True"),
    Peer("LMDB one transaction", "lmdb", LMDB_ONE, "as LMDB; all reads in one transaction", "sync=True"),
    Peer("LevelDB", "plyvel", open_leveldb, "log written before the answer, never forced (sync=False)", "sync=True"),
    Peer("LevelDB unchecked", "plyvel", LEVELDB_UNCHECKED, "as LevelDB; overwrites what is there", "sync=True"),
    Peer("SQLite", "sqlite3", open_sqlite, "WAL, synchronous=OFF; a power cut may spoil it", "WAL, synchronous=FULL"),
)

PEERS: Final = {peer.name: peer for peer in _ALL}
