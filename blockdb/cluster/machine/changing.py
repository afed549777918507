"""Commands that change more than records: collections, schemas, indexes, redactions, what the journal tells.

Each is looked at first, which changes nothing: that it is refused then needs no trace. One that is not is carried out
between two marks, so it alone can be found done in part after a crash; `redo` says that it may be. Doing the rest of it
comes to the same as doing all of it, since ids, times and chance are those of the command.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from typing import Any, Final

import msgspec

from blockdb.cluster.machine.commands import (
    SEED_BYTES,
    Content,
    CreateCollection,
    CreateIndex,
    CreateToken,
    DropCollection,
    DropIndex,
    Genesis,
    RecordState,
    Redact,
    RevokeToken,
    RotateKey,
    SetSchema,
)
from blockdb.cluster.machine.holding import Holding, id_of
from blockdb.database import collections, creation
from blockdb.database.collection import Collection
from blockdb.database.indexing import INDEX_DROPPED
from blockdb.database.schemas import new_entry
from blockdb.documents.indexing import IndexDefinition
from blockdb.documents.schema import Schema
from blockdb.errors import DuplicateCollection, DuplicateIndex, IndexNotFound, InvalidData, KeyNotFound, Redacted
from blockdb.security.roles import Role
from blockdb.security.tokens import TokenInfo, check_new, values_of, without
from blockdb.settings import CollectionSettings
from blockdb.storage import redactor
from blockdb.storage.store import Store

__all__ = ["Changing"]

NOTHING: Final = b""


class Changing:
    """Changes the database of a holding. Used by the thread that applies commands."""

    def __init__(self, holding: Holding) -> None:
        self._holding = holding
        self.files_redacted: dict[bytes, int] = {}
        """How many files the last redactions concerned here, by the ids of the commands: each node has other files."""

    def look(self, content: Content) -> bytes:
        """What has to be remembered of the state before to carry a command out. Raises what refuses it."""
        return _LOOKS[type(content)](self, content)

    def check_free(self, content: Content) -> None:
        """Raises Blocked where transactions over several partitions rely on what is to be changed."""
        if isinstance(content, (DropCollection, SetSchema, CreateIndex, DropIndex)):
            self._holding.pending.check_unused(content.collection)
        elif isinstance(content, Redact):
            self._holding.pending.check_keys(content.collection, content.keys)

    def carry_out(self, content: Content, note: bytes, redo: bool) -> Any:
        """Do it, or the rest of it; gives its outcome. Raises what refuses it, and then nothing has changed."""
        return _ACTS[type(content)](self, content, note, redo)

    # The database, and its collections.

    def _look_at_genesis(self, content: Genesis) -> bytes:
        if self._holding.database is not None:
            raise InvalidData("The cluster has a database already.")
        if len(content.signing_seed) not in (0, SEED_BYTES):
            raise InvalidData(f"A signing key has {SEED_BYTES} bytes, not {len(content.signing_seed)}.")
        return NOTHING

    def _genesis(self, content: Genesis, note: bytes, redo: bool) -> str:
        holding = self._holding
        holding.surroundings.signing_seed = content.signing_seed
        try:
            return holding.make(content.block_records, redactable=content.redactable, encrypted=content.encrypted)
        finally:
            holding.surroundings.signing_seed = b""

    def _look_at_creation(self, content: CreateCollection) -> bytes:
        collections.check_name(content.name)
        if content.name in self._holding.core.catalog.ids():
            raise DuplicateCollection(content.name)
        if content.schema is not None:
            _schema(content.schema)
        CollectionSettings(**content.settings)
        return NOTHING

    def _create(self, content: CreateCollection, note: bytes, redo: bool) -> str:
        core = self._holding.core
        metadata = creation.new_metadata(
            core.door,
            content.name,
            content.block_records,
            redactable=content.redactable,
            settings=CollectionSettings(**content.settings),
            description=content.description,
            created_by=content.by,
            surroundings=self._holding.surroundings,
        )
        if content.schema is not None:
            metadata = replace(metadata, schemas=(new_entry(core, _schema(content.schema), None, content.by),))
        if metadata.id not in core.catalog.ids().values():
            core.lifecycle.create(metadata)
        elif metadata.schemas:
            self._forget_untold_indexes(self._holding.store(metadata.uuid))
        self._holding.inner.collection(metadata.id)  # which makes the indexes that the schema names
        return metadata.id

    def _look_at_dropping(self, content: DropCollection) -> bytes:
        if self._holding.store(content.collection).metadata.id == self._holding.core.catalog.default_id():
            raise InvalidData("The default collection, where plain put and get go, cannot be dropped.")
        return NOTHING

    def _drop(self, content: DropCollection, note: bytes, redo: bool) -> None:
        id_, core = id_of(content.collection), self._holding.core
        if id_ in core.catalog.ids().values():
            core.lifecycle.drop(id_, content.by)
        self._holding.forget(content.collection)

    # Schemas and indexes.

    def _look_at_schema(self, content: SetSchema) -> bytes:
        self._holding.store(content.collection)
        _schema(content.schema)
        return NOTHING

    def _set_schema(self, content: SetSchema, note: bytes, redo: bool) -> int:
        collection, store = self._opened(content.collection)
        schema = _schema(content.schema)
        if redo:
            entry = store.metadata.schemas[-1] if store.metadata.schemas else None
            told = schema.numbered(entry.version).to_json() if entry is not None else None
            time_ms = self._holding.surroundings.now_ms()
            if entry is not None and entry.time_ms == time_ms and Schema.from_json(entry.schema).to_json() == told:
                return entry.version  # opening the collection has done the rest
            self._forget_indexes(store, (index.name for index in schema.indexes))
        return collection._set_schema(schema, content.by, content.known).version

    def _look_at_index(self, content: CreateIndex) -> bytes:
        store = self._holding.store(content.collection)
        IndexDefinition("", content.name, content.fields, content.unique, content.sparse, 0).check()
        if content.name in store.indexes.by_name:
            raise DuplicateIndex(content.name)
        return NOTHING

    def _create_index(self, content: CreateIndex, note: bytes, redo: bool) -> None:
        collection, store = self._opened(content.collection)
        if redo:
            self._forget_indexes(store, [content.name])
        collection.create_index(content.name, content.fields, content.unique, content.sparse, by=content.by)

    def _look_at_dropping_index(self, content: DropIndex) -> bytes:
        index = self._holding.store(content.collection).indexes.by_name.get(content.name)
        if index is None:
            raise IndexNotFound(content.name)
        return msgspec.msgpack.encode(asdict(index.definition))

    def _drop_index(self, content: DropIndex, note: bytes, redo: bool) -> None:
        collection, store = self._opened(content.collection)
        if content.name in store.indexes.by_name:
            collection.drop_index(content.name, by=content.by)
        else:
            definition = msgspec.msgpack.decode(note)
            dropped = IndexDefinition(**{**definition, "fields": tuple(definition["fields"])})
            collection.record_index(INDEX_DROPPED, dropped, content.by)

    def _opened(self, collection: bytes) -> tuple[Collection, Store]:
        store = self._holding.store(collection)
        return self._holding.inner.collection(store.metadata.id), store

    def _forget_untold_indexes(self, store: Store) -> None:
        """Of a collection that was being made: its schema may have got indexes that the journal does not tell of."""
        entry = store.metadata.schemas[-1]
        if not entry.is_told:
            self._forget_indexes(store, (index.name for index in Schema.from_json(entry.schema).indexes))

    def _forget_indexes(self, store: Store, names: Iterable[str]) -> None:
        """Remove what this command has made before, so that it can begin anew; the journal does not tell twice."""
        for name in names:
            index, id_ = store.indexes.by_name.get(name), self._holding.surroundings.new_id(f"index {name}").hex
            if index is not None and index.definition.id == id_:
                store.indexes.drop(name)

    # Redactions, and the journal.

    def _look_at_redaction(self, content: Redact) -> bytes:
        target = self._holding.target(content.collection)
        store = target.store
        redactor.check(store.metadata, content.keys, content.reason, content.by)
        for key in content.keys:
            found = store.view.find(key)
            if target.duplicate(key, 0) is None or found is None:
                raise KeyNotFound(key)
            if store.chain.record_at(found[0]).is_redacted:
                raise Redacted(key)
        return NOTHING

    def _redact(self, content: Redact, note: bytes, redo: bool) -> list[int]:
        collection, store = self._opened(content.collection)
        records = [store.history().record_at(found[0]) for key in content.keys if (found := store.view.find(key))]
        files = 0
        if not all(record.redacted for record in records):
            files = collection.redact_many(content.keys, reason=content.reason, by=content.by).files
        self.files_redacted = {content.collection: files}
        return sorted(record.sequence for record in records)

    # The signing key, and tokens.

    def _look_at_rotation(self, content: RotateKey) -> bytes:
        for reader in self._holding.core.catalog.opened():
            reader.refresh()  # all blocks that are full are sealed with the old key, on every node
        return NOTHING

    def _rotate_key(self, content: RotateKey, note: bytes, redo: bool) -> str:
        return str(self._holding.core.notary.rotate())

    def _look_at_token(self, content: CreateToken) -> bytes:
        token = self._token(content)
        for name in token.collections or ():
            collections.check_name(name)
        check_new(token, self._holding.tokens, token.created_ms)
        return NOTHING

    def _create_token(self, content: CreateToken, note: bytes, redo: bool) -> dict[str, Any]:
        token = self._token(content)
        self._holding.tokens = (*self._holding.tokens, token)
        return values_of(token)

    def _token(self, content: CreateToken) -> TokenInfo:
        names = None if content.collections is None else frozenset(content.collections)
        role, now_ms, hash_ = Role(content.role), self._holding.time_ms, content.secret_sha256
        return TokenInfo(content.id, content.name, role, now_ms, hash_, names, content.prefix, content.expires_ms)

    def _look_at_revoking(self, content: RevokeToken) -> bytes:
        without(self._holding.tokens, content.id)
        return NOTHING

    def _revoke_token(self, content: RevokeToken, note: bytes, redo: bool) -> dict[str, Any]:
        revoked, self._holding.tokens = without(self._holding.tokens, content.id)
        return values_of(revoked)

    def _look_at_nothing(self, content: RecordState) -> bytes:
        _ = self._holding.core
        return NOTHING

    def _record_state(self, content: RecordState, note: bytes, redo: bool) -> int | None:
        return self._holding.core.notary.append_state({uuid: (records, root) for uuid, records, root in content.keys})


def _schema(text: bytes) -> Schema:
    """The schema of a JSON text. Raises InvalidData."""
    try:
        given = msgspec.json.decode(text)
    except msgspec.MsgspecError as error:
        raise InvalidData(f"The schema is no JSON: {error}") from None
    return Schema.from_json(given)


_LOOKS: Final[dict[type, Callable[[Changing, Any], bytes]]] = {
    Genesis: Changing._look_at_genesis,
    CreateCollection: Changing._look_at_creation,
    DropCollection: Changing._look_at_dropping,
    SetSchema: Changing._look_at_schema,
    CreateIndex: Changing._look_at_index,
    DropIndex: Changing._look_at_dropping_index,
    Redact: Changing._look_at_redaction,
    RecordState: Changing._look_at_nothing,
    RotateKey: Changing._look_at_rotation,
    CreateToken: Changing._look_at_token,
    RevokeToken: Changing._look_at_revoking,
}

_ACTS: Final[dict[type, Callable[[Changing, Any, bytes, bool], Any]]] = {
    Genesis: Changing._genesis,
    CreateCollection: Changing._create,
    DropCollection: Changing._drop,
    SetSchema: Changing._set_schema,
    CreateIndex: Changing._create_index,
    DropIndex: Changing._drop_index,
    Redact: Changing._redact,
    RecordState: Changing._record_state,
    RotateKey: Changing._rotate_key,
    CreateToken: Changing._create_token,
    RevokeToken: Changing._revoke_token,
}
