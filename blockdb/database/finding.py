"""Queries: what of a collection is found by its fields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property, lru_cache
from itertools import islice
from time import perf_counter_ns
from typing import Any

from blockdb.database.indexing import IndexedCollection
from blockdb.database.moment import Moment
from blockdb.database.results import Results, place_of
from blockdb.database.search import (
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
from blockdb.storage.checks import check_key
from blockdb.types import REDACTED, AsOf


class FindingCollection(IndexedCollection):
    """What of a collection is found by its fields. `Collection` has the rest."""

    @property
    def id(self) -> str:
        """The id of the collection."""
        raise NotImplementedError

    def document(self, key: bytes) -> Document | None:
        """The document that a key has, or None: also where the value is no JSON object, or was redacted. O(tables).

        Raises InvalidData for what can be no key.
        """
        check_key(key)
        reader = self._refreshed()
        found = reader.find(key)
        if found is None or found[1] is REDACTED:
            return None
        moment, place = Moment(reader), found[0]
        try:
            return Document(key, decode_whole(found[1]), lambda: moment.details(place, None))
        except NO_DOCUMENT:
            return None

    def find(
        self,
        where: str = "",
        parameters: Mapping[str, Any] | None = None,
        *,
        order: str = "",
        limit: int | None = None,
        offset: int = 0,
        after: str | None = None,
        fields: str | Iterable[str] | None = None,
        as_of: AsOf | None = None,
    ) -> Results:
        """The documents for which a filter is true, as an iterator: a consistent snapshot of the moment of the call.

        `where` is a filter (docs/QUERIES.md has the language), as `age >= 30 and city = :city`, with the values of its
        `parameters` by name. `order` is a list of fields, as `age desc, name`; without one, documents come in the
        order in which they were stored. `limit` is the most that are given, behind the first `offset` of them, or
        behind the last one of another page, whose `Results.cursor` is given as `after`. `fields` are those that the
        documents should have; without them, they have all. With `as_of`, what was stored by then is searched.

        Values that are no JSON objects, and those that were redacted, are left out. Raises QueryError (an InvalidData)
        that points at what is wrong in a text, InvalidData for a cursor of another query, BlockNotFound.

        O(entries) where an index or keys serve the filter (`explain` says so), else O(bytes of the collection), at
        about a million documents in a second and a half. What is sorted in memory may take 256 MB, or, with a limit
        up to 10,000, no more than that many documents.
        """
        _check_counts(limit, offset)
        project = None if fields is None else projection(parse_fields(fields))
        query = _Query(self.id, where, parameters, order, as_of)
        if not order and after is None and as_of is None:
            found = self._looked_up(query, project)
            if found is not None:
                return Results(found, query.identity, offset, limit)
        search = self._search(query, limit, after)
        wanted = None if limit is None else offset + limit
        return Results(search.documents(wanted, project), query.identity, offset, limit)

    def explain(
        self,
        where: str = "",
        parameters: Mapping[str, Any] | None = None,
        *,
        order: str = "",
        limit: int | None = None,
        offset: int = 0,
        as_of: AsOf | None = None,
    ) -> Explanation:
        """How `find` answers a query, and what it took: the query is run for that. Raises as `find`."""
        _check_counts(limit, offset)
        started = perf_counter_ns()
        query = _Query(self.id, where, parameters, order, as_of)
        search = self._search(query, limit, None)
        wanted = None if limit is None else offset + limit
        returned = sum(1 for _ in islice(search.documents(wanted), offset, wanted))
        plan, tally = search.plan, search.tally
        return Explanation(
            filter=filter_text(query.term),
            order=order_text(plan.order),
            access=plan.access(),
            ranges=plan.ranges(),
            residual=plan.residual_text(),
            sort=plan.sort(),
            estimated=sum(entries_of(search.moment, search.indexes, source) for source in plan.sources)
            if plan.sources
            else None,
            touched=tally.touched,
            returned=returned,
            left_out=tally.left_out,
            redacted=tally.redacted,
            elapsed_ms=(perf_counter_ns() - started) / 1e6,
            notes=tuple(_unknown_fields(query.term, self._known_fields())),
        )

    def _count_where(self, where: str, parameters: Mapping[str, Any] | None, as_of: AsOf | None) -> int:
        return self._search(_Query(self.id, where, parameters, "", as_of), None, None).count()

    def _search(self, query: _Query, limit: int | None, after: str | None) -> Search:
        reader = self._refreshed()
        moment = Moment(reader, query.as_of)
        ready = self._ready_indexes(reader)  # after the moment: so that their entries go as far as it
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
        reader = self._refreshed()
        moment = Moment(reader)
        ready = self._ready_indexes(reader)
        lookup = _lookup(query.where, tuple(index.definition for index in ready)) if ready else None
        values = None if lookup is None else lookup.bound(query.parameters)
        if lookup is None or values is None:
            return None
        index = next(index for index in ready if index.definition.name == lookup.name)
        return looked_up(moment, index.places(encode_all(values), moment.high.place), project)

    def _known_fields(self) -> set[str]:
        """The fields of which an index or the schema knows."""
        paths = [path for index in self._ready_indexes() for path in _described(index.definition).fields]
        for entry in self._refreshed().metadata.schemas[-1:]:
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


def _check_counts(limit: int | None, offset: int) -> None:
    for name, value in (("limit", limit), ("offset", offset)):
        if value is not None and (type(value) is not int or value < 0):
            raise InvalidData(f"{name} is a whole number from 0 up, not {value!r}.")
