"""Queries over documents."""

from __future__ import annotations

from typing import Any

from blockdb.query.explanation import Explanation
from blockdb.wire.messages.records import Past
from blockdb.wire.operation import Message


class Find(Past, kw_only=True):
    """The documents that a filter lets through; `after` is the cursor of a page before."""

    where: str = ""
    parameters: dict[str, Any] | None = None
    order: str = ""
    limit: int = 100
    offset: int = 0
    after: str | None = None
    fields: list[str] | None = None
    with_details: bool = False


class FoundDocument(Message, kw_only=True):
    """A document, with the fields alone that were asked for."""

    key: bytes
    value: dict[str, Any]
    sequence: int | None = None
    time_ms: int | None = None
    schema_version: int | None = None


class Documents(Message, kw_only=True):
    """A page of documents; without a cursor there is no further one."""

    documents: list[FoundDocument]
    cursor: str | None = None


class DocumentFound(Message, kw_only=True):
    """A document, or None."""

    document: FoundDocument | None


class Explain(Past, kw_only=True):
    """How a query would be answered."""

    where: str = ""
    parameters: dict[str, Any] | None = None
    order: str = ""
    limit: int | None = None
    offset: int = 0


class Explained(Message, kw_only=True):
    """How a query was answered."""

    explanation: Explanation
