"""Answering queries: from what was asked to a plan, and from there to documents."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property, lru_cache
from itertools import islice
from time import perf_counter_ns
from typing import Any, TypeAlias

from blockdb.database.queries.moment import Moment
from blockdb.database.queries.results import Results, place_of
from blockdb.database.queries.search import (
    NO_DOCUMENT,
    Project,
    Search,
    SearchedIndex,
    decode_whole,
    entries_of,
    looked_up,
)
from blockdb.documents.document import Document
from blockdb.documents.indexing import IndexDefinition
from blockdb.documents.paths import Path
from blockdb.documents.schema import Schema
from blockdb.errors import InvalidData
from blockdb.format.ordered import encode_all
from blockdb.query.access import Index, IndexRanges
from blockdb.query.explanation import Explanation
from blockdb.query.lexer import near
from blockdb.query.lookup import Lookup, lookup_of
from blockdb.query.parameters import bind
from blockdb.query.parser import parse_fields, parse_filter, parse_order
from blockdb.query.plan import make_plan
from blockdb.query.projection import projection
from blockdb.query.text import filter_text, order_text
from blockdb.query.tree import SPECIAL, Term, paths_of
from blockdb.storage.attachment import Attachment
from blockdb.storage.index import Index as OpenIndex
from blockdb.storage.store import Store
from blockdb.types import REDACTED, AsOf

Asked: TypeAlias = tuple[str, Mapping[str, Any] | None, str, AsOf | None]
"""A filter, its parameters, an order and a moment, as a caller gives them."""

Reader: TypeAlias = Store | Attachment


class Querying:
    """The queries of a collection. `indexes` gives those that can be read, as new as what the reader has by then."""

    def __init__(self, reader: Reader, indexes: Callable[[Reader], tuple[OpenIndex, ...]]) -> None:
        self._reader = reader
        self._indexes = indexes

    def document(self, key: bytes) -> Document | None:
        """The document that a key has, or None."""
        value = self._reader.find_value(key)
        if value is None or value is REDACTED:
            return None
        moment = Moment(self._reader)
        try:
            return Document(key, decode_whole(value), lambda: moment.details_of(key))
        except NO_DOCUMENT:
            return None

    def find(
        self, asked: Asked, limit: int | None, offset: int, after: str | None, fields: str | Iterable[str] | None
    ) -> Results:
        """See `Collection.find`."""
        query = _Query(self._reader.metadata.id, *asked)
        project = None if fields is None else projection(parse_fields(fields))
        found = self._looked_up(query, project) if query.is_plain and after is None else None
        if found is None:
            found = self._search(query, limit, after).documents(None if limit is None else offset + limit, project)
        return Results(found, query.identity, offset, limit)

    def count(self, asked: Asked) -> int:
        """How many documents `find` gives."""
        return self._search(_Query(self._reader.metadata.id, *asked), None, None).count()

    def explain(self, asked: Asked, limit: int | None, offset: int) -> Explanation:
        """See `Collection.explain`."""
        started = perf_counter_ns()
        query = _Query(self._reader.metadata.id, *asked)
        search = self._search(query, limit, None)
        wanted = None if limit is None else offset + limit
        returned = sum(1 for _ in islice(search.documents(wanted), offset, wanted))
        plan, tally = search.plan, search.tally
        entries = [entries_of(search.moment, search.indexes, source) for source in plan.sources]
        return Explanation(
            filter=filter_text(query.term),
            order=order_text(plan.order),
            access=plan.access(),
            ranges=plan.ranges(),
            residual=plan.residual_text(),
            sort=plan.sort(),
            estimated=sum(entries) if entries else None,
            touched=tally.touched,
            returned=returned,
            left_out=tally.left_out,
            redacted=tally.redacted,
            elapsed_ms=(perf_counter_ns() - started) / 1e6,
            notes=tuple(_unknown_fields(query.term, self._known_fields())),
        )

    def _search(self, query: _Query, limit: int | None, after: str | None) -> Search:
        reader = self._reader
        moment = Moment(reader, query.as_of)
        ready = self._indexes(reader)  # after the moment: so that their entries go as far as it
        indexes = {index.definition.name: SearchedIndex(index.view, index.keyer) for index in ready}
        plan = make_plan(
            query.term,
            query.steps,
            [_described(index.definition) for index in ready],
            limited=limit is not None,
            total=reader.next_sequence,
            estimate=lambda source: entries_of(moment, indexes, source),
        )
        for name in {source.index.name for source in plan.sources if isinstance(source, IndexRanges)}:
            next(index for index in ready if index.definition.name == name).lookups += 1
        is_checked = bool(ready or reader.metadata.schemas)
        return Search(moment, plan, indexes, is_checked, None if after is None else place_of(after, query.identity()))

    def _looked_up(self, query: _Query, project: Project | None) -> Iterator[tuple[int, Document]] | None:
        """The documents where the filter says what all fields of one index are, else None."""
        moment = Moment(self._reader)
        ready = self._indexes(self._reader)
        lookup = _lookup(query.where, tuple(index.definition for index in ready)) if ready else None
        values = None if lookup is None else lookup.bound(query.parameters)
        if lookup is None or values is None:
            return None
        index = next(index for index in ready if index.definition.name == lookup.name)
        return looked_up(moment, index.places(encode_all(values), moment.high.place), project)

    def _known_fields(self) -> set[str]:
        """The fields of which an index or the schema knows."""
        paths = [path for index in self._indexes(self._reader) for path in _described(index.definition).fields]
        for entry in self._reader.metadata.schemas[-1:]:
            paths += Schema.from_json(entry.schema).fields
        return {_first_name(path) for path in paths}


@lru_cache(maxsize=1024)
def _lookup(where: str, definitions: tuple[IndexDefinition, ...]) -> Lookup | None:
    return lookup_of(parse_filter(where), list(map(_described, definitions)))


@lru_cache(maxsize=1024)
def _described(definition: IndexDefinition) -> Index:
    return Index(definition.name, tuple(map(Path.parse, definition.fields)), definition.unique, definition.sparse)


class _Query:
    """What was asked, understood."""

    def __init__(
        self, collection: str, where: str, parameters: Mapping[str, Any] | None, order: str, as_of: AsOf | None
    ) -> None:
        for name, given in (("where", where), ("order", order)):
            if not isinstance(given, str):
                raise InvalidData(f"{name} is a text, not {type(given).__name__}.")
        if parameters is not None and not isinstance(parameters, Mapping):
            raise InvalidData(f"parameters are values by name, a dict, not {type(parameters).__name__}.")
        self.collection = collection
        self.where = where
        self.parameters = parameters
        self.steps = parse_order(order) if order else ()
        self.as_of = as_of

    @property
    def is_plain(self) -> bool:
        """Whether it is a filter alone."""
        return not self.steps and self.as_of is None

    @cached_property
    def term(self) -> Term:
        """The filter without parameters."""
        return bind(parse_filter(self.where), self.parameters, self.where)

    def identity(self) -> bytes:
        """What a cursor is bound to."""
        return "\n".join((self.collection, filter_text(self.term), order_text(self.steps), str(self.as_of))).encode()


def _unknown_fields(term: Term, known: set[str]) -> Iterable[str]:
    """A remark for each field that is like one that is known."""
    for path in sorted(paths_of(term) - SPECIAL, key=str):
        name = _first_name(path)
        if name not in known and (hint := near(name, known)):
            yield f"No index and no schema has a field `{name}`{hint}"


def _first_name(path: Path) -> str:
    return str(path.parts[0])
