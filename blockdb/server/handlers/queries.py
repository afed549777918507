"""Queries over documents."""

from __future__ import annotations

from blockdb.documents.document import Document
from blockdb.server.handlers.records import checked_limit
from blockdb.server.service import Session
from blockdb.types import AsOf
from blockdb.wire.cursors import cursor_of, place_of
from blockdb.wire.messages import queries
from blockdb.wire.messages.records import ByKey


def find(session: Session, request: queries.Find) -> queries.Documents:
    """A page of documents. All pages are of the moment of the first one."""
    limit = checked_limit(request.limit)
    collection = session.collection(request.collection)
    moment: AsOf | None
    after: str | None = None
    if request.after is not None:
        place = place_of(request.after)
        moment, after = place.moment, place.behind.decode("utf-8", "replace")
    else:
        moment = collection.moment(request.as_of)
    if moment is None:
        collection.find(request.where, request.parameters, order=request.order, limit=0, fields=request.fields)
        return queries.Documents(documents=[])  # the call above tells of what is wrong in the query
    found = collection.find(
        request.where,
        request.parameters,
        order=request.order,
        limit=limit,
        offset=request.offset if after is None else 0,
        after=after,
        fields=request.fields,
        as_of=moment,
    )
    documents = [written(document, with_details=request.with_details) for document in found]
    cursor = found.cursor if len(documents) == limit else None
    return queries.Documents(documents=documents, cursor=None if cursor is None else cursor_of(moment, cursor.encode()))


def written(document: Document, *, with_details: bool = False) -> queries.FoundDocument:
    """A document as clients get it."""
    if not with_details:
        return queries.FoundDocument(key=document.key, value=document.value)
    return queries.FoundDocument(
        key=document.key,
        value=document.value,
        sequence=document.sequence,
        time_ms=document.time_ms,
        schema_version=document.schema_version,
    )


def document(session: Session, request: ByKey) -> queries.DocumentFound:
    """A document with all that is known of it."""
    found = session.collection(request.collection).document(request.key)
    return queries.DocumentFound(document=None if found is None else written(found, with_details=True))


def explain(session: Session, request: queries.Explain) -> queries.Explained:
    """How a query is answered."""
    explanation = session.collection(request.collection).explain(
        request.where,
        request.parameters,
        order=request.order,
        limit=request.limit,
        offset=request.offset,
        as_of=request.as_of,
    )
    return queries.Explained(explanation=explanation)
