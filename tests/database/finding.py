"""Collections to search, and the answers that a naive search gives."""

import json
import random
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest

import blockdb
from blockdb import REDACTED, Record
from blockdb.query.parser import parse_order
from blockdb.query.plan import full_order
from blockdb.query.tree import KEY, SEQUENCE, TIME, Term
from tests.query.filters import SCALARS, Origin, fits, rank

RECORDS = 250
BLOCK = 7


def some_value(chance: random.Random, depth: int = 2) -> Any:
    kind = chance.choice(["scalar", "scalar", "scalar", "list", "dict"]) if depth else "scalar"
    if kind == "list":
        return [some_value(chance, depth - 1) for _ in range(chance.randrange(3))]
    return some_document(chance, depth - 1) if kind == "dict" else chance.choice(SCALARS)


def some_document(chance: random.Random, depth: int = 3) -> dict[str, Any]:
    return {name: some_value(chance, depth) for name in chance.sample("abcto", chance.randrange(5))}


def some_values(chance: random.Random, only_documents: bool) -> list[bytes]:
    documents = [json.dumps(some_document(chance)).encode() for _ in range(RECORDS)]
    if not only_documents:
        for at, odd in enumerate([b"", b"[]", b"5", b'{"a"', b'{"b": "\xff"}', b'{"c": 1e999}']):
            documents[at * 20] = odd
    return documents


def make_index(db: blockdb.Database, text: str) -> None:
    """`a, o[].b sparse`: an index called a_o_b."""
    fields = text.removesuffix(" sparse").split(", ")
    name = "_".join(fields).replace("[]", "").replace(".", "_")
    db.create_index(name + "_s" * text.endswith("sparse"), fields, sparse=text.endswith("sparse"))


def filled(
    path: Path, *, only_documents: bool = False, before: Sequence[str] = (), **settings: Any
) -> blockdb.Database:
    """A database with tables, seals that stand late, batches, a memtable, and times that differ."""
    chance = random.Random(5)
    clock = accumulate(chance.choice((0, 0, 1, 5)) for _ in range(10_000))
    keys = [b"%s:%d" % (chance.choice((b"a", b"ab", b"b")), at) for at in chance.sample(range(10_000), RECORDS)]
    keys[7] = b"\xff\x00"
    items = list(zip(keys, some_values(chance, only_documents), strict=True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("blockdb.storage.surroundings.time_ns", lambda: (1_000 + next(clock)) * 1_000_000)
        db = blockdb.open(path, blockchain_batch_size=BLOCK, **settings)
        for fields in before:
            make_index(db, fields)
        for number, (key, value) in enumerate(items[:200]):
            db.put(key, value)
            if number in (40, 41, 90, 180):
                db.flush()
            if number == 150:
                db.compact()
        db.put_many(items[200:230])
        for key, value in items[230:]:
            db.put(key, value)
    return db


def document_of(record: Record) -> dict[str, Any] | None:
    if record.value is REDACTED:
        return None
    try:
        found = json.loads(record.value)
    except ValueError:
        return None
    has_infinity = b"1e999" in record.value
    return found if isinstance(found, dict) and not has_infinity else None


def naive_find(records: Sequence[Record], term: Term, order: str) -> list[tuple[bytes, dict[str, Any]]]:
    """Keys and documents, as `find` should give them."""
    rows = []
    for record in records:
        document = document_of(record)
        origin = Origin(record.key, record.sequence, record.time_ms)
        if document is not None and fits(term, document, origin):
            rows.append((record, document))
    for step in reversed(full_order(parse_order(order) if order else ())):
        rows.sort(key=lambda row: rank_of(step.path, *row), reverse=step.descending)
    return [(record.key, document) for record, document in rows]


def rank_of(path: Any, record: Record, document: dict[str, Any]) -> Any:
    own = {KEY: record.key, SEQUENCE: record.sequence, TIME: record.time_ms}
    return own[path] if path in own else rank((path.values(document) or [...])[0])
