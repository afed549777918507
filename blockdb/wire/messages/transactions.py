"""Transactions, which live on the server until they are ended, or take longer than they may."""

from __future__ import annotations

from typing import Any, ClassVar

from msgspec import field

from blockdb.statistics import TransactionInfo
from blockdb.wire.messages.queries import FoundDocument
from blockdb.wire.messages.records import ByKey, Item, Range
from blockdb.wire.operation import DEFAULT_COLLECTION, Message


class Begin(Message, kw_only=True):
    """Begin a transaction."""

    timeout_s: float | None = None


class Begun(Message, kw_only=True):
    """The number under which it goes on."""

    transaction: int
    timeout_s: float


class ByTransaction(Message, kw_only=True):
    """A request about one transaction."""

    transaction: int


class TransactionPut(ByTransaction, kw_only=True):
    """Have the transaction store records."""

    items: list[Item]
    collection: str = DEFAULT_COLLECTION


class TransactionKey(ByKey, kw_only=True):
    """Read one key within the transaction."""

    transaction: int


class TransactionScan(Range, kw_only=True):
    """Read a range within the transaction."""

    transaction: int
    limit: int | None = None
    offset: int = 0
    reverse: bool = False


class TransactionFind(ByTransaction, kw_only=True):
    """Find documents within the transaction."""

    collection: str = DEFAULT_COLLECTION
    where: str = ""
    parameters: dict[str, Any] | None = None
    order: str = ""
    limit: int | None = None
    offset: int = 0
    fields: list[str] | None = None


class TransactionDocuments(Message, kw_only=True):
    """Documents as the transaction sees them."""

    documents: list[FoundDocument]


class Commit(ByTransaction, kw_only=True):
    """Store all that the transaction wrote, or nothing."""

    sync: bool = False


class CollectionCommit(Message, kw_only=True, omit_defaults=True):
    """Where the records of one collection were stored."""

    leaves_out: ClassVar[bool] = True

    collection: str
    first_sequence: int
    count: int
    sequences: list[int] | None = None
    """As in `Stored`."""


class Committed(Message, kw_only=True):
    """Where the records of each collection were stored."""

    collections: list[CollectionCommit]


class Transactions(Message, kw_only=True):
    """Those that are under way, the oldest first."""

    transactions: list[TransactionInfo]
    ended: list[TransactionInfo] = field(default_factory=list)
    """Those that ended last, the newest first."""
