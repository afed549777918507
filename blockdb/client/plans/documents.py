"""Plans about documents: queries, indexes, schemas."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from blockdb.client.plans.plan import Ask, Pages, Plan, names_of, past, refuse_author, whole
from blockdb.client.plans.records import RecordPlans
from blockdb.documents.document import Details, Document
from blockdb.documents.schema import Schema, SchemaVersion
from blockdb.documents.values import plain
from blockdb.errors import Corruption, InvalidData
from blockdb.format.checks import check_key
from blockdb.query.explanation import Explanation
from blockdb.types import AsOf, IndexInfo
from blockdb.wire.messages import collections, queries, records

__all__ = ["DocumentPlans", "Source", "document_of", "schema_json"]

Source = Schema | Mapping[str, Any]
"""A schema, or its JSON form."""

LARGEST_PAGE: Final = 1_000
"""Documents may be large, and their pages are not cut by size."""

DetailsOf = Callable[[bytes], Details]
"""Looks up what is known of a document besides its key and its value."""


class DocumentPlans(RecordPlans):
    """Plans about the documents of one collection."""

    def document(self, key: bytes) -> Plan[Document | None]:
        """The document that a key has."""
        found = yield Ask("document", records.ByKey(collection=self.collection, key=check_key(key)))
        return None if found.document is None else document_of(found.document, None)

    def details(self, key: bytes) -> Plan[Details]:
        """What is known of a document besides its key and its value. Raises Corruption where it is gone."""
        found = yield from self.document(key)
        if found is None:
            raise Corruption("the server", None, f"it found a document of key {key!r}, and now has none")
        return found.details

    def find(
        self,
        where: str,
        parameters: Mapping[str, Any] | None,
        order: str,
        limit: int | None,
        offset: int,
        after: str | None,
        fields: str | Iterable[str] | None,
        as_of: AsOf | None,
        details_of: DetailsOf | None,
    ) -> Pages[Document]:
        """The documents of a query, each with its details unless they are looked up when they are asked for."""
        whole(limit=limit, offset=offset)
        names, moment = names_of(fields), past(as_of)

        def fetch(cursor: str | None, most: int) -> Plan[tuple[list[Document], str | None]]:
            wanted = queries.Find(
                collection=self.collection,
                where=where,
                parameters=None if parameters is None else dict(parameters),
                order=order,
                limit=most,
                offset=offset if cursor is None or cursor == after else 0,
                after=cursor,
                fields=names,
                with_details=details_of is None,
                **moment,
            )
            page = yield Ask("find", wanted)
            return [document_of(each, details_of) for each in page.documents], page.cursor

        return Pages(fetch, limit, after, largest=LARGEST_PAGE)

    def explain(
        self,
        where: str,
        parameters: Mapping[str, Any] | None,
        order: str,
        limit: int | None,
        offset: int,
        as_of: AsOf | None,
    ) -> Plan[Explanation]:
        """How a query is answered."""
        whole(limit=limit, offset=offset)
        wanted = queries.Explain(
            collection=self.collection,
            where=where,
            parameters=None if parameters is None else dict(parameters),
            order=order,
            limit=limit,
            offset=offset,
            **past(as_of),
        )
        found = yield Ask("explain", wanted)
        explanation: Explanation = found.explanation
        return explanation

    # Indexes and schemas.

    def create_index(
        self, name: str, fields: Iterable[str], unique: bool, sparse: bool, by: str | None
    ) -> Plan[IndexInfo]:
        """Make an index."""
        refuse_author(by)
        paths = [fields] if isinstance(fields, str) else list(fields)
        wanted = collections.CreateIndex(
            collection=self.collection, name=name, fields=paths, unique=unique, sparse=sparse
        )
        made = yield Ask("create_index", wanted)
        info: IndexInfo = made.index
        return info

    def drop_index(self, name: str, by: str | None) -> Plan[None]:
        """Drop an index."""
        refuse_author(by)
        yield Ask("drop_index", collections.ByIndex(collection=self.collection, index=name))

    def indexes(self) -> Plan[tuple[IndexInfo, ...]]:
        """The indexes that there are."""
        found = yield Ask("indexes", self._whole())
        return tuple(found.indexes)

    def schemas(self) -> Plan[tuple[SchemaVersion, ...]]:
        """All versions of the schema."""
        found = yield Ask("schemas", self._whole())
        return tuple(map(_version_of, found.schemas))

    def schema(self) -> Plan[Schema | None]:
        """The schema that is in force."""
        versions = yield from self.schemas()
        return versions[-1].schema if versions else None

    def set_schema(self, schema: Source, by: str | None) -> Plan[SchemaVersion]:
        """Have documents be as a schema says."""
        refuse_author(by)
        wanted = collections.SetSchema(collection=self.collection, schema=schema_json(schema))
        return _version_of((yield Ask("set_schema", wanted)))

    def _whole(self) -> records.InCollection:
        return records.InCollection(collection=self.collection)


def document_of(found: queries.FoundDocument, details_of: DetailsOf | None) -> Document:
    """A document as its user holds it."""
    if found.sequence is not None and found.time_ms is not None:
        return Document(found.key, found.value, Details(found.sequence, found.time_ms, found.schema_version))
    if details_of is None:
        raise InvalidData("The server gives documents without their details, which nobody can look up here.")
    return Document(found.key, found.value, lambda: details_of(found.key))


def schema_json(schema: Source) -> dict[str, Any]:
    """The JSON form of a schema. Raises InvalidData for what can be none."""
    return schema.to_json() if isinstance(schema, Schema) else plain(schema)


def _version_of(found: collections.SchemaVersionInfo) -> SchemaVersion:
    schema = Schema.from_json(found.schema)
    return SchemaVersion(found.version, found.first_sequence, found.time_ms, found.by, schema)
