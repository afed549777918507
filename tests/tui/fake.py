"""Databases that are the same every time: no disk, clock or chance; and one of ten million keys that costs nothing."""

from __future__ import annotations

import json
import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import blockdb
from blockdb import (
    Act,
    AsOf,
    Block,
    Change,
    CollectionInfo,
    CollectionSettings,
    CollectionStats,
    GoodBlock,
    Latency,
    Problem,
    Progress,
    Record,
    Report,
    Statistics,
    TableStatistics,
    TransactionInfo,
    TransactionStatistics,
)
from blockdb.documents.document import Document
from blockdb.format import record
from blockdb.ledger.checkpoint import Checkpoint
from blockdb.ledger.merkle import root_of
from blockdb.ledger.note import NoteSigner
from blockdb.ledger.proof import inclusion_proof
from blockdb.ledger.receipt import Receipt
from blockdb.ledger.receipt_parts import Body
from blockdb.query.evaluation import compiled
from blockdb.query.explanation import Explanation
from blockdb.query.parameters import bind
from blockdb.query.parser import parse_filter, parse_order
from blockdb.query.text import filter_text, order_text
from blockdb.types import IndexInfo
from blockdb_tui.keytext import Target

NOW_MS = 1_750_000_000_000
STEP_MS = 250
SIGNER = NoteSigner("blockdb/fake", bytes(32))
NO_LATENCY = Latency(0, 0.0, 0.0, 0.0, 0.0)


def digest(*parts: object) -> bytes:
    return sha256(repr(parts).encode()).digest()


class FakeDatabase:
    """The part of `blockdb.Database` that the explorer uses, over records that are given in commit order."""

    def __init__(self, items: Sequence[tuple[bytes, bytes]] = (), *, batch: int = 8, read_only: bool = True) -> None:
        self.path = Path("/srv/records")
        self.name = "default"
        self.info: dict[str, Any] = {}
        self.others: dict[str, FakeDatabase] = {}
        self.evolution: list[tuple[int, dict[str, Any]]] = []
        self.indexed: list[IndexInfo] = []
        self.under_way: list[TransactionInfo] = []
        self.ended: list[TransactionInfo] = []
        self.read_only = read_only
        self.batch = batch
        self.calls: Counter[str] = Counter()
        self.unreadable: dict[bytes, Exception] = {}
        self.broken_links: set[int] = set()
        self.problems: tuple[Problem, ...] = ()
        self.failing: Exception | None = None
        self.may_verify = threading.Event()
        self.may_verify.set()
        self.closed = False
        self.forged = False
        self.changes: dict[str, Any] = {}
        self.entered: list[Act] = []
        self._items = list(items)
        self._sort()

    def _sort(self) -> None:
        self._sequences = {key: number for number, (key, _) in enumerate(self._items)}
        self._sorted = sorted(self._sequences)

    def add(self, *items: tuple[bytes, bytes]) -> None:
        """What another process does meanwhile."""
        self._items.extend(items)
        self._sort()

    # ── sizes ──

    @property
    def size(self) -> int:
        return len(self._items)

    def item(self, sequence: int) -> tuple[bytes, bytes]:
        return self._items[sequence]

    def key_at(self, index: int) -> bytes:
        return self._sorted[index]

    def below(self, key: bytes) -> int:
        """How many keys are below `key`."""
        return bisect_left(self._sorted, key)

    def sequence_of(self, key: bytes) -> int | None:
        return self._sequences.get(key)

    # ── the interface ──

    def _span(self, prefix: bytes | None, start: bytes | None, end: bytes | None) -> range:
        first = self.below(prefix) if prefix else 0
        last = self.below(prefix + b"\xff" * 40) if prefix else self.size
        if start is not None:
            first = max(first, self.below(start))
        if end is not None:
            last = min(last, self.below(end))
        return range(first, max(first, last))

    def count(self, *, prefix: bytes | None = None, start: bytes | None = None, end: bytes | None = None) -> int:
        self._called("count")
        return len(self._span(prefix, start, end))

    def _seen(self, as_of: AsOf | None) -> int:
        """How many records were there at a moment."""
        if as_of is None:
            return self.size
        if as_of.block is not None:
            return self.block(as_of.block).size
        if as_of.sequence is not None:
            return as_of.sequence + 1
        assert as_of.time_ms is not None
        return min(max(self.size + 1 - -((as_of.time_ms - NOW_MS) // STEP_MS), 0), self.size)

    def keys(
        self,
        *,
        prefix: bytes | None = None,
        offset: int = 0,
        limit: int | None = None,
        as_of: AsOf | None = None,
        reverse: bool = False,
        **bounds: bytes | None,
    ) -> Iterator[bytes]:
        self._called("keys")
        span = self._span(prefix, bounds.get("start"), bounds.get("end"))
        span = span[::-1] if reverse else span
        if as_of is not None:
            seen = self._seen(as_of)
            there = (key for key in map(self.key_at, span) if (self.sequence_of(key) or 0) < seen)
            return islice(there, offset, None if limit is None else offset + limit)
        span = span[offset:]
        return (self.key_at(index) for index in (span if limit is None else span[:limit]))

    def scan(
        self,
        *,
        prefix: bytes | None = None,
        offset: int = 0,
        limit: int | None = None,
        as_of: AsOf | None = None,
        **bounds: bytes | None,
    ) -> Iterator[tuple[bytes, bytes]]:
        self._called("scan")
        for key in self.keys(prefix=prefix, offset=offset, limit=limit, as_of=as_of, **bounds):
            value = self.get(key)
            assert value is not None
            yield key, value

    def get(self, key: bytes, *, as_of: AsOf | None = None) -> bytes | None:
        record = self.record(key)
        return None if record is None or record.sequence >= self._seen(as_of) else record.value

    def record(self, key: bytes) -> Record | None:
        self._called("record")
        if key in self.unreadable:
            raise self.unreadable[key]
        sequence = self.sequence_of(key)
        return None if sequence is None else self._record(sequence)

    def _record(self, sequence: int) -> Record:
        block = sequence // self.batch
        time_ms = NOW_MS - (self.size - sequence) * STEP_MS
        return Record(sequence, *self.item(sequence), time_ms, block if block < self.size // self.batch else None)

    def records(self, first: int = 0, limit: int | None = None) -> Iterator[Record]:
        self._called("records")
        end = self.size if limit is None else min(self.size, first + limit)
        return (self._record(sequence) for sequence in range(first, end))

    def block(self, number: int) -> Block:
        if not 0 <= number < self.size // self.batch:
            raise blockdb.BlockNotFound(f"There is no sealed block {number}.")
        first, last = number * self.batch, (number + 1) * self.batch - 1
        previous = (
            digest("broken") if number in self.broken_links else digest("block", number - 1) if number else bytes(32)
        )
        return Block(
            number=number,
            hash=digest("block", number),
            previous_hash=previous,
            root=digest("root", number),
            first_sequence=first,
            count=self.batch,
            data_bytes=900 + number * 37 % 400,
            first_time_ms=self._record(first).time_ms,
            last_time_ms=self._record(last).time_ms,
            signature=digest("signature", number) * 2,
            key_id=digest("key")[:8],
        )

    def blocks(self, first: int = 0, limit: int | None = None, *, reverse: bool = False) -> Iterator[Block]:
        self._called("blocks")
        end = self.size // self.batch
        last = min(first, end - 1) if first else end - 1
        numbers = range(last, -1, -1) if reverse else range(first, end)
        return map(self.block, numbers if limit is None else numbers[:limit])

    def block_leaves(self, number: int) -> list[bytes]:
        self._called("block_leaves")
        self.block(number)
        return [digest("leaf", number, at) for at in range(self.batch)]

    def prove(self, key: bytes) -> Receipt:
        """A receipt that holds, unless it was asked to be forged."""
        self._called("prove")
        index = self.sequence_of(key)
        if index is None:
            raise blockdb.KeyNotFound(key)
        bodies = [record.encode(self._record(at).time_ms, *self.item(at)) for at in range(self.size)]
        leaves = [sha256(body).digest() for body in bodies]

        def node_at(level: int, number: int) -> bytes:
            return root_of(leaves[number << level : number + 1 << level])

        hashes = inclusion_proof(index, self.size, node_at)
        if self.forged:
            hashes[0] = digest("forged")
        origin = f"{SIGNER.key.name}/{self.id.removeprefix('col_')}"
        note = NoteSigner(origin, bytes(32)).sign(Checkpoint(origin, self.size, root_of(leaves)).text)
        return Receipt(index, Body(bodies[index][1:]), tuple(hashes), note)

    def verifier_key(self) -> str:
        return str(SIGNER.key)

    def verify(
        self, progress: Callable[[Progress], None] | None = None, cancel: Callable[[], bool] | None = None
    ) -> Report:
        blocks = self.size // self.batch
        for number in range(blocks):
            if progress is not None:
                progress(Progress(number * self.batch, self.size, number))
            while not self.may_verify.wait(0.01):
                if cancel is not None and cancel():
                    return Report(False, number, number * self.batch, (), 12.0, cancelled=True)
        bad = [problem.block for problem in self.problems if problem.block is not None]
        last = min(bad, default=blocks) - 1
        of = next((problem.path.split("/")[1] for problem in self.problems if "collections/" in problem.path), self.id)
        good = (GoodBlock(of, last, 0, b"", b"", 0, recomputed=True),) if last >= 0 else ()
        return Report(not self.problems, blocks, self.size, self.problems, 321.0, cancelled=False, last_good=good)

    def record_counts(self) -> tuple[int, ...]:
        return (self.size,)

    @property
    def next_sequence(self) -> int:
        return self.stats().records

    def stats(self) -> Statistics:
        self._called("stats")
        if self.failing is not None:
            raise self.failing
        open_records = self.size % self.batch
        values = {
            "data_dir": str(self.path),
            "read_only": self.read_only,
            "collection_id": "col_0",
            "memtable_size_limit": 64 << 20,
            "wal_sync_interval_ms": 1000,
            "compaction_threshold": 4,
            "blockchain_batch_size": self.batch,
            "records": self.size,
            "data_bytes": self.size * 140,
            "blocks": self.size // self.batch,
            "open_block_records": open_records,
            "open_block_bytes": open_records * 140,
            "head_hash": digest("block", self.size // self.batch - 1) if self.size >= self.batch else bytes(32),
            "memtable_records": self.size % 1000,
            "memtable_bytes": 23 << 20,
            "frozen_memtables": 0,
            "tables": (
                TableStatistics("000001.sst", 1, 8_000, 410_000),
                TableStatistics("000004.sst", 0, 2_100, 96_000),
                TableStatistics("000005.sst", 0, 1_900, 88_000),
            ),
            "log_bytes": 1_200_000,
            "chain_bytes": self.size * 180,
            "table_bytes": 594_000,
            "disk_bytes": self.size * 180 + 594_000 + 1_200_000,
            "puts": 0,
            "gets": 1_204,
            "misses": 17,
            "scans": 88,
            "duplicates": 3,
            "put_latency": Latency(4_000, 6.1, 14.8, 61.0, 900.0),
            "get_latency": Latency(1_204, 3.2, 9.9, 28.0, 410.0),
            "force_latency": NO_LATENCY,
            "flushes": 3,
            "compactions": 1,
            "forces": 12,
            "stalls": 0,
            "flushing": False,
            "compacting": False,
            "recovery_ms": 18.4,
            "recovered_records": 219,
            "uptime_s": 61.0,
        }
        return Statistics(**{**values, **self.changes})

    def close(self) -> None:
        self.closed = True

    # ── collections ──

    @property
    def id(self) -> str:
        return f"col_{digest(self.name).hex()[:8]}-0000-4000-8000-000000000000"

    def collection_names(self) -> tuple[str, ...]:
        self._called("collection_names")
        return tuple(sorted([*self.others, self.name]))

    def collection(self, name_or_id: str) -> FakeDatabase:
        for collection in (self, *self.others.values()):
            if name_or_id in (collection.name, collection.id):
                return collection
        raise blockdb.CollectionNotFound(name_or_id)

    def create_collection(self, name: str, **given: Any) -> FakeDatabase:
        if self.read_only:
            raise blockdb.ReadOnly("it is open for reading only")
        if name in self.collection_names():
            raise blockdb.DuplicateCollection(name)
        return self.with_collection(name)

    def with_collection(self, name: str, items: Sequence[tuple[bytes, bytes]] = (), **info: Any) -> FakeDatabase:
        """Adds a collection; `info` are fields of what `describe` gives. Returns it."""
        collection = self.others[name] = FakeDatabase(items, batch=self.batch, read_only=self.read_only)
        collection.name, collection.info = name, info
        return collection

    def drop_collection(self, name: str, *, by: str | None = None) -> None:
        self._called("drop_collection")
        self.collection(name).failing = blockdb.CollectionNotFound(name)
        del self.others[name]

    def describe(self) -> CollectionInfo:
        self._called("describe")
        if self.failing is not None:
            raise self.failing
        last_ms = self._record(self.size - 1).time_ms if self.size else NOW_MS
        stats = CollectionStats(self.size, self.size * 140, 0, last_ms // 1000, self.size)
        values = {
            "id": self.id,
            "name": self.name,
            "description": "",
            "created_at": NOW_MS // 1000 - 86_400,
            "created_by": "ada",
            "settings": CollectionSettings(),
            "stats": stats,
        }
        return CollectionInfo(**{**values, **self.info})

    def transactions(self) -> tuple[TransactionInfo, ...]:
        return tuple(self.under_way)

    def recent_transactions(self) -> tuple[TransactionInfo, ...]:
        return tuple(self.ended)

    # ── documents ──

    def schemas(self) -> tuple[FakeVersion, ...]:
        return tuple(
            FakeVersion(number, first, FakeSchema(source)) for number, (first, source) in enumerate(self.evolution, 1)
        )

    def indexes(self) -> tuple[Any, ...]:
        return tuple(self.indexed)

    @property
    def schema(self) -> FakeSchema | None:
        return FakeSchema(self.evolution[-1][1]) if self.evolution else None

    def schema_version(self, sequence: int) -> int | None:
        return next(
            (number for number, (first, _) in reversed([*enumerate(self.evolution, 1)]) if first <= sequence), None
        )

    def find(
        self,
        where: str = "",
        *,
        order: str = "",
        limit: int | None = None,
        as_of: AsOf | None = None,
        fields: Any = None,
    ) -> Iterator[Document]:
        self._called("find")
        test = compiled(bind(parse_filter(where), None, where))
        found = (record for record in self.records(0, self._seen(as_of)) if record.value[:1] == b"{")
        fitting = (record for record in found if test.test(test.decode(record.value), _Origin(record)))
        documents = (Document(record.key, json.loads(record.value), lambda: None) for record in fitting)  # type: ignore[arg-type,return-value]
        return islice(documents, limit)

    def explain(
        self, where: str = "", *, order: str = "", limit: int | None = None, as_of: AsOf | None = None
    ) -> Explanation:
        self._called("explain")
        term = bind(parse_filter(where), None, where)
        steps = parse_order(order) if order else ()
        used = [index.name for index in self.indexed if where.startswith(index.fields[0])]
        count = len(list(self.find(where, limit=limit)))
        return Explanation(
            filter=filter_text(term),
            order=order_text(steps),
            access=f"index {used[0]}" if used else "all records",
            ranges=(),
            residual="",
            sort="in memory" if steps else "as stored",
            estimated=6 if used else None,
            touched=6 if used and limit else self.size if limit else 0,
            returned=count,
            left_out=0,
            redacted=0,
            elapsed_ms=1.5,
        )

    def watch(self, *, prefix: bytes | None = None, after: int | None = None) -> FakeFeed:
        return FakeFeed(self, self.size - 1 if after is None else after)

    def acts(self, *, reverse: bool = False, limit: int | None = None) -> Iterator[Act]:
        assert reverse
        return iter(self.entered[::-1][:limit])

    def follow_acts(self, after: int = -1) -> FakeActs:
        return FakeActs(self, after)

    def change(self, sequence: int) -> Change:
        block, index = divmod(sequence, self.batch)
        return Change(self._record(sequence), block, index, digest("leaf", block, index))

    def _called(self, name: str) -> None:
        self.calls[name] += 1
        if self.closed:
            raise blockdb.DatabaseClosed("The database was closed.")


@dataclass(frozen=True)
class FakeSchema:
    """A schema of which only its JSON form is known."""

    source: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        return self.source


@dataclass(frozen=True)
class FakeVersion:
    """A schema that a collection had."""

    version: int
    first_sequence: int
    schema: FakeSchema
    time_ms: int = NOW_MS


class _Origin:
    """What filters ask of a record besides its value."""

    def __init__(self, record: Record) -> None:
        self.key, self.sequence, self.time_ms = record.key, record.sequence, record.time_ms


class FakeActs:
    """A reader of an audit log."""

    def __init__(self, database: FakeDatabase, after: int) -> None:
        self._database = database
        self._after = after

    def take(self) -> Iterator[Act]:
        if self._database.failing is not None:
            raise self._database.failing
        for act in self._database.entered[self._after + 1 :]:
            self._after = act.sequence
            yield act


class FakeFeed:
    """A change stream that gives what is there and waits for nothing."""

    def __init__(self, collection: FakeDatabase, after: int) -> None:
        self._collection = collection
        self.position = after

    def stop(self) -> None:
        pass

    def take(self, timeout_s: float | None = None) -> Change | None:
        if self._collection.failing is not None:
            raise self._collection.failing
        if self.position + 1 >= self._collection.size:
            return None
        self.position += 1
        return self._collection.change(self.position)


class TenMillion(FakeDatabase):
    """Ten million keys, none of which exists until it is asked for. Key order is commit order."""

    def __init__(self) -> None:
        super().__init__(batch=1000)

    @property
    def size(self) -> int:
        return 10_000_000

    def prove(self, key: bytes) -> Receipt:
        raise blockdb.ReadOnly("it would take ten million hashes")

    def key_at(self, index: int) -> bytes:
        return b"key:%08d" % index

    def item(self, sequence: int) -> tuple[bytes, bytes]:
        return self.key_at(sequence), b"value %d" % sequence

    def below(self, key: bytes) -> int:
        return bisect_left(range(self.size), key, key=self.key_at)

    def sequence_of(self, key: bytes) -> int | None:
        index = self.below(key)
        return index if index < self.size and self.key_at(index) == key else None


def sample(count: int = 60) -> list[tuple[bytes, bytes]]:
    """Records of several kinds in commit order: JSON, text and bytes."""
    return [_sample(number) for number in range(count)]


def _sample(number: int) -> tuple[bytes, bytes]:
    if number % 7 == 3:
        return b"image:%04d" % number, bytes(range(number % 256)) * 3
    if number % 7 == 5:
        return (
            b"note:%04d" % number,
            b"Note %d\nThe second line is longer, so that it has to be wrapped somewhere." % number,
        )
    document = {
        "id": number,
        "name": f"user {number}",
        "tags": ["alpha", "beta"],
        "active": number % 2 == 0,
        "balance": number * 1.5,
        "manager": None,
    }
    return b"user:%04d" % (number * 37 % 1000), json.dumps(document).encode()


class Given:
    """An origin that hands out a database there is already, or raises what it is told to."""

    collection: str | None = None
    server: Any = None
    is_verified = False

    def __init__(
        self,
        database: FakeDatabase | None,
        *,
        writes_here: bool = False,
        name: str = "/srv/records",
        is_server: bool = False,
    ) -> None:
        self.is_server = is_server
        self.database = database
        self.writes_here = writes_here
        self.name = name
        self.error: Exception | None = None
        self.locked: Exception | None = None
        """Why it cannot be written."""

    @property
    def target(self) -> Target:
        return Target(self.name, option="--url" if self.is_server else "-d")

    def open(self) -> Any:
        if self.error is not None:
            raise self.error
        return self.database

    def to_write(self) -> AbstractContextManager[Any]:
        if self.locked is not None:
            raise self.locked
        return nullcontext(self.database)

    def close(self) -> None:
        pass

    def scene(self, database: Any, clock_ms: Callable[[], int], /) -> None:
        return None

    def verify(self, progress: Callable[[Progress], None], cancel: Callable[[], bool], /) -> Report:
        found = Problem("chain/00000001.chain", 4711, 2, 19, None, "the checksum does not fit")
        return Report(False, 7, 60, (found,), 3.0, cancelled=False)


ORDER_SCHEMAS = [
    (0, {"version": 1, "fields": {"number": {"field_type": "Integer", "required": True, "validation_rules": []}}}),
    (
        12,
        {
            "version": 2,
            "fields": {
                "number": {"field_type": "Integer", "required": True, "validation_rules": [{"MinValue": 1}]},
                "city": {"field_type": "String", "required": True, "validation_rules": [{"MaxLength": 40}]},
                "status": {
                    "field_type": "String",
                    "required": False,
                    "default_value": "open",
                    "validation_rules": [{"OneOf": ["open", "paid", "sent"]}],
                },
                "items[].price": {"field_type": "Float", "required": False, "validation_rules": []},
            },
            "required_fields": ["number", "city", "customer"],
            "indexes": [],
        },
    ),
]


def orders(count: int) -> list[tuple[bytes, bytes]]:
    """Documents of one kind, in commit order."""
    cities = ("Oslo", "Bergen", "Lyon", "Kyoto")
    return [
        (
            b"order:%04d" % number,
            json.dumps(
                {
                    "number": number + 1,
                    "city": cities[number % 4],
                    "status": ("open", "paid", "sent")[number % 3],
                    "items": [{"price": 2.5 * number, "count": number % 5}],
                }
            ).encode(),
        )
        for number in range(count)
    ]


def attended(*, read_only: bool = True) -> FakeDatabase:
    """A database that a server has: what it was asked, the newest of it refused."""
    database = shop(read_only=read_only)
    for number in range(40):
        who, token_id, peer = (("ann", "1f2e3d4c5b6a7988", "192.0.2.7:50123"), ("sensor", "90aa", "192.0.2.9:41001"))[
            number % 2
        ]
        operation, collection, key, keys = (
            ("put", "orders", b"order:%05d" % number, 1),
            ("put_many", "default", b"user:%04d" % number, 250),
            ("flush", None, b"", 0),
        )[number % 3]
        outcome = {39: "Forbidden", 36: "DuplicateKey"}.get(number, "ok")
        what = (operation, collection, key, len(key), keys, outcome, f"{number:016x}", number)
        database.entered.append(Act(NOW_MS - (40 - number) * 1_500, who, token_id, peer, "http", *what))
    return database


def shop(*, read_only: bool = True) -> FakeDatabase:
    """A database of three collections: records of all kinds, orders with a schema and indexes, and one person."""
    database = FakeDatabase(sample(), read_only=read_only)
    of_orders = database.with_collection("orders", orders(24), description="What was bought", created_by="grace")
    of_orders.evolution = ORDER_SCHEMAS
    of_orders.indexed = [
        IndexInfo("by_city", ("city", "status"), False, True, 24, 4_096, "ready", 7),
        IndexInfo("by_number", ("number",), True, False, 17, 0, "building", 0),
    ]
    database.with_collection("people", [(b"ada", b'{"name": "Ada"}')], settings=CollectionSettings(ttl_seconds=3600))
    return database


def waiting() -> FakeDatabase:
    """A database with three transactions under way, one of which waits for the two others."""
    database = shop(read_only=False)
    database.under_way = [
        TransactionInfo(7, 12.5, 3, collections=("people", "orders"), writes=2),
        TransactionInfo(9, 4.0, 1, committing=True, collections=("orders",), writes=1),
        TransactionInfo(
            11, 0.25, 2, waits_for=(7, 9), wanted="the key '\x1b[2Jada' of people", collections=("people",), writes=1
        ),
    ]
    database.ended = [
        TransactionInfo(10, 0.018, 3, collections=("orders", "people"), writes=2, outcome="committed", ended_s=0.4),
        TransactionInfo(8, 2.5, 4, collections=("orders",), writes=1, outcome="deadlock", ended_s=3.1),
        TransactionInfo(6, 30.0, 1, collections=("people",), outcome="timeout", ended_s=61.0),
        TransactionInfo(5, 0.001, 0, outcome="aborted", ended_s=4_000.0),
    ]
    statistics = TransactionStatistics(3, 1, 6, 1_204, 5, 1, 2, 17, Latency(17, 900.0, 4_000.0, 9_000.0, 30_000.0))
    database.changes = {"transactions": statistics, "read_only": False}
    return database
