"""The endpoints for plain HTTP."""

from __future__ import annotations

from typing import Any

from blockdb.database.kinds import kind_of
from blockdb.errors import InvalidData, KeyNotFound
from blockdb.server.handlers import records as native
from blockdb.server.service import Session
from blockdb.types import CollectionInfo, Report
from blockdb.wire.messages import collections, plain, records
from blockdb.wire.operation import Nothing


def store(session: Session, request: records.Put) -> plain.Told:
    """Store a record."""
    native.put(session, request)
    return plain.Told(message="Data stored successfully")


def store_document(session: Session, request: records.Put) -> plain.Told:
    """Store a document."""
    native.put(session, request)
    return plain.Told(message="Document stored successfully in collection")


def fetch(session: Session, request: plain.Fetch) -> plain.Fetched:
    """Read a value."""
    return plain.Fetched(key=request.key, value=_value(session, request))


def fetch_document(session: Session, request: plain.Fetch) -> plain.FetchedDocument:
    """Read a document."""
    id_ = session.collection(request.collection).id
    return plain.FetchedDocument(collection_id=id_, key=request.key, value=_value(session, request))


def _value(session: Session, request: plain.Fetch) -> bytes:
    value = session.collection(request.collection).get(request.key)
    if value is None:
        raise KeyNotFound(request.key)
    return value


def store_batch(session: Session, request: plain.Batch) -> plain.BatchDone:
    """Store a batch."""
    session.collection(request.collection).put_many([(each.key, each.value) for each in request.operations])
    done = [plain.BatchResult(operation=number, success=True) for number in range(len(request.operations))]
    return plain.BatchDone(results=done)


def list_documents(session: Session, request: plain.ListDocuments) -> plain.DocumentList:
    """A page of documents, and how many there are."""
    collection = session.collection(request.collection)
    limit = native.checked_limit(request.limit)
    if request.offset < 0:
        raise InvalidData("offset: it should not be negative.")
    found = list(collection.scan(prefix=request.prefix, offset=request.offset, limit=limit))
    total = collection.count(prefix=request.prefix)
    return plain.DocumentList(
        collection_id=collection.id,
        documents=[plain.Fetched(key=key, value=value) for key, value in found],
        total_count=total,
        has_more=request.offset + len(found) < total,
    )


def list_collections(session: Session, request: Nothing) -> plain.CollectionList:
    """The collections that one may touch."""
    found = [each for each in session.database.collections() if session.may_see(each.name)]
    return plain.CollectionList(collections=[_listed(info) for info in found])


def _listed(info: CollectionInfo) -> plain.ListedCollection:
    return plain.ListedCollection(
        id=info.id,
        name=info.name,
        description=info.description,
        created_at=info.created_at,
        created_by=info.created_by,
        stats=info.stats,
    )


SETTINGS = (
    "max_document_size",
    "ttl_seconds",
    "compression_enabled",
    "encryption_enabled",
    "replication_factor",
    "read_concern",
    "write_concern",
)


def show_collection(session: Session, request: records.InCollection) -> plain.CollectionShown:
    """A collection with its schema and settings."""
    info = session.collection(request.collection).describe()
    settings: dict[str, Any] = {key: getattr(info.settings, key) for key in SETTINGS}
    if info.settings.redactable:
        settings["redactable"] = True
    details = plain.CollectionDetails(
        id=info.id,
        name=info.name,
        description=info.description,
        created_at=info.created_at,
        created_by=info.created_by,
        schema=None if info.schema is None else dict(info.schema),
        settings=settings,
        stats=info.stats,
    )
    return plain.CollectionShown(collection=details)


def drop_collection(session: Session, request: records.InCollection) -> plain.Told:
    """Drop a collection."""
    info = session.database.drop_collection(request.collection, by=session.principal.name)
    return plain.Told(message=f"Collection '{info.name}' dropped successfully")


def add_index(session: Session, request: collections.CreateIndex) -> plain.Told:
    """Make an index."""
    session.collection(request.collection).create_index(
        request.name, request.fields, request.unique, request.sparse, by=session.principal.name
    )
    return plain.Told(message=f"Index '{request.name}' created successfully")


def drop_index(session: Session, request: collections.ByIndex) -> plain.Told:
    """Drop an index."""
    session.collection(request.collection).drop_index(request.index, by=session.principal.name)
    return plain.Told(message=f"Index '{request.index}' dropped successfully")


def verify(session: Session, request: Nothing) -> plain.Verification:
    """Recompute every hash of the database."""
    report = session.database.verify(cancel=session.call.is_cancelled)
    return plain.Verification(**_verified(report))


def verify_collection(session: Session, request: records.InCollection) -> plain.CollectionVerification:
    """Recompute every hash of a collection."""
    collection = session.collection(request.collection)
    report = kind_of(collection).verify(collection, cancel=session.call.is_cancelled)
    return plain.CollectionVerification(collection_id=collection.id, **_verified(report))


def _verified(report: Report) -> dict[str, Any]:
    return {
        "blockchain_valid": report.valid,
        "blocks_verified": report.blocks,
        "verification_time_ms": round(report.elapsed_ms),
    }
