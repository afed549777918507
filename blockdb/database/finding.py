"""Queries: what of a collection is found by its fields."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from blockdb.database.indexing import IndexedCollection
from blockdb.errors import InvalidData
from blockdb.format.checks import check_key
from blockdb.types import AsOf

if TYPE_CHECKING:
    from blockdb.database.queries.querying import Querying
    from blockdb.database.queries.results import Results
    from blockdb.documents.document import Document
    from blockdb.query.explanation import Explanation


class FindingCollection(IndexedCollection):
    """What of a collection is found by its fields. `Collection` has the rest."""

    def document(self, key: bytes) -> Document | None:
        """The document that a key has, or None: also where the value is no JSON object, or was redacted. O(tables).

        Raises InvalidData for what can be no key.
        """
        check_key(key)
        return self._querying().document(key)

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
        check_page(limit, offset)
        return self._querying().find((where, parameters, order, as_of), limit, offset, after, fields)

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
        check_page(limit, offset)
        return self._querying().explain((where, parameters, order, as_of), limit, offset)

    def _count_where(self, where: str, parameters: Mapping[str, Any] | None, as_of: AsOf | None) -> int:
        return self._querying().count((where, parameters, "", as_of))

    def _querying(self) -> Querying:
        from blockdb.database.queries.querying import Querying  # here: it takes a while to load, and most never ask

        return Querying(self._refreshed(), self._ready_indexes)


def check_page(limit: int | None, offset: int) -> None:
    """Raises InvalidData for what is no whole number from 0 up."""
    for name, value in (("limit", limit), ("offset", offset)):
        if value is not None and (type(value) is not int or value < 0):
            raise InvalidData(f"{name} is a whole number from 0 up, not {value!r}.")
