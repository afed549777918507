"""The schema of a collection: set, replaced by a compatible newer one, and told of."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from blockdb.database.core import Core
from blockdb.database.redaction import login_name
from blockdb.documents.evolution import require_compatible
from blockdb.documents.schema import Schema, SchemaVersion
from blockdb.documents.validator import Validator
from blockdb.documents.values import encode, parse
from blockdb.errors import InvalidData, ReadOnly
from blockdb.storage.attachment import Attachment
from blockdb.storage.door import guarded
from blockdb.storage.metadata import SchemaEntry
from blockdb.storage.store import Store
from blockdb.types import IndexInfo

SCHEMA_SET: Final = "schema set"
"""What the journal calls the event."""

Source = Schema | Mapping[str, Any]
"""A schema, or its JSON form."""


class SchemaCollection:
    """What is expected of the documents of a collection. `Collection` has the rest."""

    _core: Core

    def _refreshed(self) -> Store | Attachment:
        raise NotImplementedError

    def create_index(
        self, name: str, fields: Iterable[str], unique: bool = False, sparse: bool = False, *, by: str | None = None
    ) -> IndexInfo:
        """Make an index."""
        raise NotImplementedError

    def drop_index(self, name: str, *, by: str | None = None) -> None:
        """Remove an index."""
        raise NotImplementedError

    def indexes(self) -> tuple[IndexInfo, ...]:
        """The indexes that there are."""
        raise NotImplementedError

    @property
    def schema(self) -> Schema | None:
        """What documents have to be like; None where values are any bytes. Raises Corruption."""
        versions = self._schema_entries()
        return Schema.from_json(versions[-1].schema) if versions else None

    def schemas(self) -> tuple[SchemaVersion, ...]:
        """All versions of the schema, the oldest first. Raises Corruption."""
        return tuple(
            SchemaVersion(entry.version, entry.first_sequence, entry.time_ms, entry.by, Schema.from_json(entry.schema))
            for entry in self._schema_entries()
        )

    def schema_version(self, sequence: int) -> int | None:
        """The version of the schema under which a record was written; None if there was none. O(versions)."""
        entries = reversed(self._schema_entries())
        return next((entry.version for entry in entries if entry.first_sequence <= sequence), None)

    def set_schema(self, schema: Source, *, by: str | None = None) -> SchemaVersion:
        """Have all documents from now on be as this schema says. Nothing is changed where that is refused.

        It becomes version 1, or the next one, and then every document that was valid has to stay valid: see
        docs/SCHEMAS.md. Records that are there are looked at where there was no schema, or where this one names fields
        of which nothing was said: O(records) then. Indexes that it names are made, others stay. `by` (the user's login
        name, unless it is given) is kept in the journal. Writers go on, and are held up for some milliseconds.

        Raises InvalidData with every reason why it cannot follow, or naming the first record that is not valid under
        it; what `create_index` raises; ReadOnly, StorageError.
        """
        return self._set_schema(schema, by)

    def _look_ahead(self, schema: Source) -> int:
        """How many of the first records need not be looked at when this schema is set. Raises InvalidData as that."""
        store, wanted, before = self._refreshed(), schema_of(schema), self.schema
        if not isinstance(store, Store) or not (before is None or require_compatible(before, wanted)):
            return 0
        return _look(store, wanted.validator(), store.expired_by(self._core.catalog.surroundings.now_ms()).records)

    def _set_schema(self, schema: Source, by: str | None, known: int = 0) -> SchemaVersion:
        """See `set_schema`; the first `known` records are known to be valid under it."""
        store = self._refreshed()
        if not isinstance(store, Store):
            raise ReadOnly(f"{self._core.path} is open for reading only; open it without read_only=True to write.")
        wanted = schema_of(schema)
        with store.changing, guarded(f"setting the schema of {store.metadata.name}"):
            self._finish_schema(store)
            before = self.schema
            entry = new_entry(self._core, wanted, None if before is None else before.version, by)
            must_look = before is None or bool(require_compatible(before, wanted))
            validator = wanted.validator() if must_look else None
            expired = store.expired_by(self._core.catalog.surroundings.now_ms()).records if validator else 0
            looked = _look(store, validator, max(expired, known)) if validator else 0
            made = self._make_indexes(wanted, entry.by)
            try:
                _enter(store, entry, validator, looked)
            except BaseException:
                self._drop_indexes(made, entry.by)
                raise
            self._finish_schema(store)
        return self.schemas()[-1]

    def _schema_entries(self) -> tuple[SchemaEntry, ...]:
        reader = self._refreshed()
        with guarded(f"reading {self._core.path}"):
            reader.follow_metadata()
        return reader.metadata.schemas

    def _make_indexes(self, schema: Schema, by: str) -> list[str]:
        """Make those that the schema names and the collection has not; their names. Raises InvalidData."""
        present = {info.name: info for info in self.indexes()} if schema.indexes else {}
        missing = []
        for index in schema.indexes:
            fields, found = tuple(map(str, index.fields)), present.get(index.name)
            if found is None:
                missing.append((index, fields))
            elif (found.fields, found.unique, found.sparse) != (fields, index.unique, index.sparse):
                raise InvalidData(f"The schema names the index {index.name}, and there is another one of that name.")
        made: list[str] = []
        try:
            for index, fields in missing:
                self.create_index(index.name, fields, index.unique, index.sparse, by=by)
                made.append(index.name)
        except BaseException:
            self._drop_indexes(made, by)
            raise
        return made

    def _drop_indexes(self, names: list[str], by: str) -> None:
        for name in names:
            self.drop_index(name, by=by)

    def _finish_schema(self, store: Store) -> None:
        """Do what is left to do of a schema that is in force: make its indexes, and have the journal tell of it."""
        with store.changing:
            metadata = store.metadata
            if not metadata.schemas or metadata.schemas[-1].is_told:
                return
            entry = metadata.schemas[-1]
            self._make_indexes(Schema.from_json(entry.schema), entry.by)
            self._tell(metadata.id, entry)
            with store.writing:
                store.check_open()
                told = replace(entry, is_told=True)
                store.change_metadata(replace(metadata, schemas=(*metadata.schemas[:-1], told)))

    def _tell(self, collection: str, entry: SchemaEntry) -> None:
        journal = self._core.notary.journal()
        assert journal is not None, "a writer has one"
        for _, event in journal.events(SCHEMA_SET, newest_first=True):
            if (event["collection"], event["version"]) == (collection, entry.version):
                journal.force()  # whoever wrote it may have been killed before it was on the disk
                return
        what = {"version": entry.version, "first_sequence": entry.first_sequence, "schema": json.loads(entry.schema)}
        who = {"time_ms": entry.time_ms, "by": entry.by, "collection": collection}
        journal.append({"event": SCHEMA_SET, **who, **what})


def schema_of(source: Source) -> Schema:
    """The schema that is given, or that its JSON form says. Raises InvalidData."""
    return source if isinstance(source, Schema) else Schema.from_json(source)


def new_entry(core: Core, schema: Schema, before: int | None, by: str | None) -> SchemaEntry:
    """The entry of a schema that follows version `before`. Raises InvalidData where it says that it is another one."""
    version = (before or 0) + 1
    if schema.version not in (None, version):
        raise InvalidData(
            f"The schema says that it is version {schema.version}, and the next one is {version}: write that, or none."
        )
    text = encode(schema.numbered(version).to_json()).decode()
    return SchemaEntry(version, 0, core.catalog.surroundings.now_ms(), login_name() if by is None else by, text)


def _enter(store: Store, entry: SchemaEntry, validator: Validator | None, looked: int) -> None:
    """Put the schema in force with the next record, once those that came after the first `looked` were looked at."""
    with store.writing:
        store.check_open()
        if validator is not None:
            _look(store, validator, looked)
        metadata = store.metadata
        entry = replace(entry, first_sequence=store.next_sequence)
        store.change_metadata(replace(metadata, schemas=(*metadata.schemas, entry)))
        store.look_for_riders()


def _look(store: Store, validator: Validator, first: int) -> int:
    """Raises InvalidData at the first record from that one on that is not valid; else how many records there were."""
    history = store.history()
    for record in history.records(first, None):
        if record.redacted:
            continue
        try:
            validator.demand(parse(record.value))
        except InvalidData as error:
            shown = record.key.decode("utf-8", "backslashreplace")
            raise InvalidData(
                f"The schema was not set: record {record.sequence}, of key '{shown}', is not valid under it. {error}"
            ) from None
    return history.records_count
