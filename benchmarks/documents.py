"""Documents: storing them with an index, finding them by it and without it, validating them, and transactions.

SQLite holds the same JSON in a table with an index on an expression (`json_extract`), its write-ahead log not forced.
"""

from __future__ import annotations

import json
import random
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec

import blockdb
from blockdb.documents.schema import Schema

from .data import Data, Pair, batches
from .lines import OURS, Finding, Goal, Line, Session, rest
from .prepared import scratch
from .stores import Setup, blockdb_settings

__all__ = ["SESSIONS"]

SQLITE: Final = "SQLite"
PLAIN: Final = "BlockDB no index"
PARSING: Final = "msgspec, parsing"
LOOKUPS: Final = 20_000
SCANS: Final = 3
TRANSACTIONS: Final = 20_000
CITIES: Final = ("Oslo", "Rome", "Paris", "Lima", "Accra", "Osaka", "Quito", "Turin")
FILTER: Final = "age >= 90 and city = 'Oslo'"
SQL_FILTER: Final = "json_extract(value, '$.age') >= 90 AND json_extract(value, '$.city') = 'Oslo'"

INSERT: Final = Line("documents, put_many, one index", "k/s", (Goal(1, (SQLITE,)),))
LOOKUP: Final = Line("documents, find by an index", "k/s", (Goal(1, (SQLITE,)),))
LOOKUP_TIME: Final = Line("documents, find by an index, each", "µs", (Goal(50),))
FILTERED: Final = Line("documents, filter over all", "k/s", (Goal(0.3, (SQLITE,)),))
UNIQUE: Final = Line("documents, put_many, unique index", "k/s", (Goal(0.5, (PLAIN,)),))
VALIDATION: Final = Line("documents, validating one", "µs", (Goal(2, (PARSING,)),))
TRANSACTION: Final = Line("transactions, two collections", "k/s", (Goal(20),))

SCHEMA: Final[dict[str, Any]] = {
    "version": 1,
    "fields": {
        "name": {"field_type": "String", "validation_rules": [{"MinLength": 1}, {"MaxLength": 100}]},
        "email": {"field_type": "String", "validation_rules": [{"MaxLength": 100}]},
        "age": {"field_type": "Integer", "validation_rules": [{"MinValue": 0}, {"MaxValue": 150}]},
        "city": {"field_type": "String", "validation_rules": [{"OneOf": list(CITIES)}]},
        "tags": {"field_type": "Array"},
        "address": {"field_type": "Object"},
        "address.zip": {"field_type": "String", "validation_rules": [{"MinLength": 5}]},
    },
    "required_fields": ["name", "email"],
    "indexes": [],
}


@cache
def documents(count: int) -> Sequence[Pair]:
    """So many people that never were, the same each time."""
    chance = random.Random(1)
    return [(b"user:%08d" % number, _document(chance, number)) for number in range(count)]


def _document(chance: random.Random, number: int) -> bytes:
    value = {
        "name": f"user {number}",
        "email": f"user{number}@example.com",
        "age": chance.randrange(100),
        "city": chance.choice(CITIES),
        "tags": chance.sample(("new", "vip", "late", "far"), chance.randrange(3)),
        "address": {"street": f"Main Street {chance.randrange(200)}", "zip": f"{chance.randrange(10**5):05d}"},
    }
    return json.dumps(value, separators=(",", ":")).encode()


def ours(directory: Path, data: Data) -> Iterator[Finding]:
    """BlockDB: insert, look up, go through all."""
    pairs = documents(len(data.pairs))
    with scratch(directory) as path, blockdb.open(path, **blockdb_settings(Setup())) as database:
        users = database.create_collection("users")
        users.create_index("by_email", ["email"])
        yield _inserted(lambda some: users.put_many(some), pairs, INSERT)
        database.flush()
        rest()
        yield from _looked_up(lambda email: len(list(users.find("email = :email", {"email": email}))), pairs)
        yield _filtered(lambda: users.count(where=FILTER), pairs)


def sqlite(directory: Path, data: Data) -> Iterator[Finding]:
    """SQLite: the same."""
    pairs = documents(len(data.pairs))
    with scratch(directory) as path:
        path.mkdir()
        with closing(sqlite3.connect(path / "documents.sqlite", isolation_level=None)) as connection:
            run = connection.execute
            run("PRAGMA journal_mode = WAL")
            run("PRAGMA synchronous = OFF")
            run("CREATE TABLE documents (key BLOB PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID")
            run("CREATE INDEX by_email ON documents (json_extract(value, '$.email'))")

            def put_many(some: Sequence[Pair]) -> None:
                with connection:
                    run("BEGIN")
                    rows = [(key, value.decode()) for key, value in some]
                    connection.executemany("INSERT INTO documents VALUES (?, ?)", rows)

            def find(email: str) -> int:
                rows = run("SELECT key, value FROM documents WHERE json_extract(value, '$.email') = ?", (email,))
                return len([(key, json.loads(value)) for key, value in rows])

            yield _inserted(put_many, pairs, INSERT)
            rest()
            yield from _looked_up(find, pairs)
            yield _filtered(lambda: run(f"SELECT count(*) FROM documents WHERE {SQL_FILTER}").fetchone()[0], pairs)


def _inserted(put_many: Any, pairs: Sequence[Pair], line: Line) -> Finding:
    before = time.perf_counter()
    for some in batches(pairs):
        put_many(some)
    return line.finding(len(pairs), time.perf_counter() - before)


def _looked_up(find: Any, pairs: Sequence[Pair]) -> Iterator[Finding]:
    chance = random.Random(2)
    emails = [f"user{chance.randrange(len(pairs))}@example.com" for _ in range(LOOKUPS)]
    assert [find(email) for email in emails[:100]] == [1] * 100
    before = time.perf_counter()
    for email in emails:
        find(email)
    elapsed_s = time.perf_counter() - before
    yield LOOKUP.finding(LOOKUPS, elapsed_s)
    yield LOOKUP_TIME.finding(LOOKUPS, elapsed_s)


def _filtered(count: Any, pairs: Sequence[Pair]) -> Finding:
    wanted = sum(1 for _, value in pairs if (it := json.loads(value))["age"] >= 90 and it["city"] == "Oslo")
    assert count() == wanted
    before = time.perf_counter()
    for _ in range(SCANS):
        count()
    return FILTERED.finding(SCANS * len(pairs), time.perf_counter() - before)


def unique(directory: Path, data: Data) -> Iterator[Finding]:
    """Inserting under a unique index."""
    pairs = documents(len(data.pairs))
    with scratch(directory) as path, blockdb.open(path, **blockdb_settings(Setup())) as database:
        users = database.create_collection("users", schema={"version": 1, "fields": {}, "required_fields": []})
        users.create_index("by_email", ["email"], unique=True)
        yield _inserted(users.put_many, pairs, UNIQUE)


def without_index(directory: Path, data: Data) -> Iterator[Finding]:
    """Inserting the same documents into a collection that has no index."""
    pairs = documents(len(data.pairs))
    with scratch(directory) as path, blockdb.open(path, **blockdb_settings(Setup())) as database:
        users = database.create_collection("users", schema={"version": 1, "fields": {}, "required_fields": []})
        yield _inserted(users.put_many, pairs, UNIQUE)


def validation(directory: Path, data: Data) -> Iterator[Finding]:
    """Holding documents that were parsed against a schema of seven fields, without a pattern."""
    parsed = [msgspec.json.decode(value) for _, value in documents(len(data.pairs))[:100_000]]
    accepts = Schema.from_json(SCHEMA).validator().accepts
    before = time.perf_counter()
    for document in parsed:
        assert accepts(document)
    yield VALIDATION.finding(len(parsed), time.perf_counter() - before)


def parsing(directory: Path, data: Data) -> Iterator[Finding]:
    """Parsing the same documents."""
    values = [value for _, value in documents(len(data.pairs))[:100_000]]
    decode = msgspec.json.Decoder().decode
    before = time.perf_counter()
    for value in values:
        decode(value)
    yield VALIDATION.finding(len(values), time.perf_counter() - before)


def transactions(directory: Path, data: Data) -> Iterator[Finding]:
    """One record into each of two collections, all or nothing, again and again; not forced."""
    with scratch(directory) as path, blockdb.open(path, **blockdb_settings(Setup())) as database:
        database.create_collection("orders")
        before = time.perf_counter()
        for number in range(TRANSACTIONS):
            with database.transaction() as tx:
                tx.put(b"%016d" % number, b"x" * 100)
                tx.put(b"%016d" % number, b"y" * 100, collection="orders")
        yield TRANSACTION.finding(TRANSACTIONS, time.perf_counter() - before)


SESSIONS: Final = (
    Session((INSERT, LOOKUP, LOOKUP_TIME, FILTERED), {OURS: ours, SQLITE: sqlite}),
    Session((UNIQUE,), {OURS: unique, PLAIN: without_index}),
    Session((VALIDATION,), {OURS: validation, PARSING: parsing}),
    Session((TRANSACTION,), {OURS: transactions}),
)
