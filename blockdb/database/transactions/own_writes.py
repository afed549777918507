"""Queries in a transaction: what is stored, and what the transaction itself has written and not committed yet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from heapq import merge
from itertools import chain, islice
from time import time_ns
from typing import Any, NamedTuple

import msgspec

from blockdb.database.queries.search import NO_DOCUMENT, decode_whole
from blockdb.database.transactions.part import Part
from blockdb.documents.document import Details, Document
from blockdb.query.evaluation import Compiled, compiled
from blockdb.query.parameters import bind
from blockdb.query.parser import parse_fields, parse_filter, parse_order
from blockdb.query.plan import full_order
from blockdb.query.projection import projection


class _Origin(NamedTuple):
    """A document besides its value, as `Compiled` takes it. Numbers do for places: they are in the same order."""

    key: bytes
    sequence: int
    time_ms: int

    @property
    def place(self) -> int:
        """Its place in commit order."""
        return self.sequence


def find(
    part: Part,
    where: str,
    parameters: Mapping[str, Any] | None,
    order: str,
    limit: int | None,
    offset: int,
    fields: str | Iterable[str] | None,
) -> Iterator[Document]:
    """`Collection.find`, with own writes as if they were the last ones stored. Raises QueryError, InvalidData."""
    if not part.items:
        return part.collection.find(where, parameters, order=order, limit=limit, offset=offset, fields=fields)
    project = None if fields is None else projection(parse_fields(fields))
    steps = full_order(parse_order(order)) if order else ()
    ready = compiled(bind(parse_filter(where), parameters, where), steps)
    stored, own = part.collection.find(where, parameters, order=order), _own(part, ready)
    if not steps:
        found: Iterator[Document] = chain(stored, (document for _, document in own))
    else:
        keyed = ((_sort_key(ready, document), document) for document in stored)
        found = (document for _, document in merge(keyed, sorted(own, key=_first), key=_first))
    page = islice(found, offset, None if limit is None else offset + limit)
    if project is None:
        return page
    return (Document(document.key, project(document.value), lambda it=document: it.details) for document in page)  # type: ignore[misc]


def _own(part: Part, ready: Compiled) -> list[tuple[bytes, Document]]:
    """The documents of the transaction for which the filter is true, in the order of writing, with their sort keys."""
    first, now_ms = part.store.next_sequence, time_ns() // 1_000_000
    found = []
    for ordinal, (key, value) in enumerate(part.items.items()):
        origin = _Origin(key, first + ordinal, now_ms)
        try:
            whole, decoded = decode_whole(value), ready.decode(value)
        except NO_DOCUMENT:
            continue
        if ready.test(decoded, origin):
            details = Details(origin.sequence, origin.time_ms)
            found.append((ready.sort_key(decoded, origin), Document(key, whole, details)))
    return found


def _sort_key(ready: Compiled, document: Document) -> bytes:
    decoded = ready.decode(msgspec.json.encode(document.value)) if ready.needs_value else None
    return ready.sort_key(decoded, _Origin(document.key, document.sequence, document.time_ms))


def _first(pair: tuple[bytes, Document]) -> bytes:
    return pair[0]
