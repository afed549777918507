"""Collections, their schemas and indexes."""

from __future__ import annotations

from blockdb.cluster.partitions.collection import PartitionedCollection
from blockdb.documents.schema import SchemaVersion
from blockdb.server.service import Session
from blockdb.wire.messages import collections
from blockdb.wire.messages.records import InCollection
from blockdb.wire.operation import Nothing


def create_collection(session: Session, request: collections.CreateCollection) -> collections.Created:
    """Make a collection."""
    made = session.database.create_collection(
        request.name,
        schema=request.schema,
        settings=request.settings,
        description=request.description,
        created_by=request.created_by or session.principal.name,
    )
    message = f"Collection '{request.name}' created successfully"
    return collections.Created(collection_id=made.id, message=message)


def catalogue(session: Session, request: Nothing) -> collections.Catalogue:
    """The collections that one may touch."""
    return collections.Catalogue(
        collections=[info for info in session.database.collections() if session.may_see(info.name)]
    )


def describe(session: Session, request: InCollection) -> collections.Described:
    """A collection."""
    return collections.Described(collection=session.collection(request.collection).describe())


def locate(session: Session, request: InCollection) -> collections.Located:
    """What a collection is called, without asking its partitions, so that one which is away is in nobody's way."""
    found = session.collection(request.collection)
    return collections.Located(id=found.id, name=found.name)


def drop(session: Session, request: InCollection) -> collections.Dropped:
    """Drop a collection."""
    info = session.database.drop_collection(request.collection, by=session.principal.name)
    return collections.Dropped(collection=info, message=f"Collection '{info.name}' dropped successfully")


def total_stats(session: Session, request: Nothing) -> collections.Totals:
    """All collections together."""
    found = session.database.total_stats()
    return collections.Totals(collections=found.collections, documents=found.documents, size_bytes=found.size_bytes)


def indexes(session: Session, request: InCollection) -> collections.Indexes:
    """The indexes of a collection."""
    return collections.Indexes(indexes=list(session.collection(request.collection).indexes()))


def create_index(session: Session, request: collections.CreateIndex) -> collections.Indexed:
    """Make an index."""
    made = session.collection(request.collection).create_index(
        request.name, request.fields, request.unique, request.sparse, by=session.principal.name
    )
    return collections.Indexed(index=made)


def set_schema(session: Session, request: collections.SetSchema) -> collections.SchemaVersionInfo:
    """Have documents be as a schema says."""
    collection = session.collection(request.collection)
    return _version(collection.set_schema(request.schema, by=session.principal.name))


def schemas(session: Session, request: InCollection) -> collections.Schemas:
    """All versions of the schema."""
    return collections.Schemas(schemas=[_version(each) for each in session.collection(request.collection).schemas()])


def _version(version: SchemaVersion) -> collections.SchemaVersionInfo:
    return collections.SchemaVersionInfo(
        version=version.version,
        first_sequence=version.first_sequence,
        time_ms=version.time_ms,
        by=version.by,
        schema=version.schema.to_json(),
    )


def schema_version(session: Session, request: collections.BySequence) -> collections.Version:
    """The version under which a record was stored."""
    return collections.Version(version=session.collection(request.collection).schema_version(request.sequence))


def statistics(session: Session, request: InCollection) -> collections.CollectionStatistics:
    """How much a collection holds."""
    collection = session.collection(request.collection)
    counts = list(collection.record_counts()) if isinstance(collection, PartitionedCollection) else []
    return collections.CollectionStatistics(
        collection_id=collection.id,
        stats=collection.collection_stats(),
        record_counts=counts if len(counts) > 1 else None,
    )
