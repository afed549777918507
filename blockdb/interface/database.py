"""What a database and a transaction are to whoever uses them, wherever they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from blockdb.interface.backups import Older
from blockdb.interface.collection import AnyCollection, AnyFeed

if TYPE_CHECKING:
    from blockdb.documents.document import Document
    from blockdb.documents.schema import Schema
    from blockdb.settings import CollectionSettings
    from blockdb.statistics import Statistics, TransactionInfo
    from blockdb.types import Anchor, CollectionInfo, Problem, Progress, Publication, Report

    Given = bytes | Mapping[str, Any]
    Source = Schema | Mapping[str, Any]


__all__ = ["AnyDatabase", "AnyTransaction", "Totals"]

T = TypeVar("T")


class Totals(Protocol):
    """All collections of users together."""

    @property
    def collections(self) -> int:
        """How many there are."""

    @property
    def documents(self) -> int:
        """How many documents they have."""

    @property
    def size_bytes(self) -> int:
        """Keys and values."""


class AnyTransaction(Protocol):
    """A transaction: `blockdb.Transaction`, here or over the network."""

    @property
    def id(self) -> int:
        """See `blockdb.Transaction.id`."""

    @property
    def is_active(self) -> bool:
        """See `blockdb.Transaction.is_active`."""

    def put(self, key: bytes, value: Given, *, collection: str | None = None) -> None:
        """See `blockdb.Transaction.put`."""

    def put_many(self, items: Iterable[tuple[bytes, Given]], *, collection: str | None = None) -> None:
        """See `blockdb.Transaction.put_many`."""

    def get(self, key: bytes, *, collection: str | None = None) -> bytes | None:
        """See `blockdb.Transaction.get`."""

    def exists(self, key: bytes, *, collection: str | None = None) -> bool:
        """See `blockdb.Transaction.exists`."""

    def scan(
        self,
        *,
        prefix: bytes | None = None,
        start: bytes | None = None,
        end: bytes | None = None,
        limit: int | None = None,
        offset: int = 0,
        reverse: bool = False,
        collection: str | None = None,
    ) -> Iterator[tuple[bytes, bytes]]:
        """See `blockdb.Transaction.scan`."""

    def find(
        self,
        where: str = "",
        parameters: Mapping[str, Any] | None = None,
        *,
        order: str = "",
        limit: int | None = None,
        offset: int = 0,
        fields: str | Iterable[str] | None = None,
        collection: str | None = None,
    ) -> Iterator[Document]:
        """See `blockdb.Transaction.find`."""

    def commit(self, *, sync: bool = False) -> Mapping[str, Sequence[int]]:
        """See `blockdb.Transaction.commit`."""

    def abort(self) -> None:
        """See `blockdb.Transaction.abort`."""

    def __enter__(self) -> AnyTransaction: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


class AnyDatabase(AnyCollection, Protocol):
    """A database: `blockdb.Database`, here or over the network."""

    @property
    def path(self) -> Path:
        """See `blockdb.Database.path`."""

    def create_collection(
        self,
        name: str,
        *,
        schema: Source | None = None,
        settings: CollectionSettings | dict[str, Any] | None = None,
        description: str = "",
        created_by: str | None = None,
    ) -> AnyCollection:
        """See `blockdb.Database.create_collection`."""

    def collection(self, name_or_id: str) -> AnyCollection:
        """See `blockdb.Database.collection`."""

    def __getitem__(self, name_or_id: str) -> AnyCollection: ...

    def has_collection(self, name_or_id: str) -> bool:
        """See `blockdb.Database.has_collection`."""

    def collection_names(self) -> tuple[str, ...]:
        """See `blockdb.Database.collection_names`."""

    def collections(self) -> tuple[CollectionInfo, ...]:
        """See `blockdb.Database.collections`."""

    def total_stats(self) -> Totals:
        """See `blockdb.Database.total_stats`."""

    def drop_collection(self, name_or_id: str, *, by: str | None = None) -> CollectionInfo:
        """See `blockdb.Database.drop_collection`."""

    def watch(
        self,
        *,
        collection: str | None = None,
        prefix: bytes | None = None,
        after: int | str | None = None,
        timeout_s: float | None = None,
    ) -> AnyFeed:
        """See `blockdb.Database.watch`."""

    def transaction(self, timeout_s: float | None = None) -> AnyTransaction:
        """See `blockdb.Database.transaction`."""

    def execute_transaction(self, run: Callable[[AnyTransaction], T], attempts: int = 10) -> T:
        """See `blockdb.Database.execute_transaction`."""

    def begin_transaction(self, timeout_s: float | None = None) -> int:
        """See `blockdb.Database.begin_transaction`."""

    def get_transaction(self, transaction_id: int) -> AnyTransaction:
        """See `blockdb.Database.get_transaction`."""

    def commit_transaction(self, transaction_id: int, *, sync: bool = False) -> Mapping[str, Sequence[int]]:
        """See `blockdb.Database.commit_transaction`."""

    def abort_transaction(self, transaction_id: int) -> None:
        """See `blockdb.Database.abort_transaction`."""

    def transactions(self) -> tuple[TransactionInfo, ...]:
        """See `blockdb.Database.transactions`."""

    def recent_transactions(self) -> tuple[TransactionInfo, ...]:
        """See `blockdb.Database.recent_transactions`."""

    def checkpoint(self, collection: str | None = None) -> str:
        """See `blockdb.Database.checkpoint`."""

    def consistency_proof(self, old_size: int, size: int, collection: str | None = None) -> tuple[bytes, ...]:
        """See `blockdb.Database.consistency_proof`."""

    def root_at(self, size: int, collection: str | None = None) -> bytes:
        """See `blockdb.Database.root_at`."""

    def verifier_key(self) -> str:
        """See `blockdb.Database.verifier_key`."""

    def earlier_keys(self) -> Iterator[str]:
        """See `blockdb.Database.earlier_keys`."""

    @property
    def public_key(self) -> bytes:
        """See `blockdb.Database.public_key`."""

    def rotate_key(self) -> str:
        """See `blockdb.Database.rotate_key`."""

    def anchors(self) -> tuple[Anchor, ...]:
        """See `blockdb.Database.anchors`."""

    def add_anchor(self, where: str | Path, key: str | None = None) -> Anchor:
        """See `blockdb.Database.add_anchor`."""

    def remove_anchor(self, where: str | Path) -> Anchor:
        """See `blockdb.Database.remove_anchor`."""

    def check_anchors(self, further: Iterable[Anchor] = ()) -> tuple[Problem, ...]:
        """See `blockdb.Database.check_anchors`."""

    def with_anchors(self, report: Report, further: Iterable[Anchor]) -> Report:
        """See `blockdb.Database.with_anchors`."""

    def publish(self) -> Publication:
        """See `blockdb.Database.publish`."""

    def flush(self) -> None:
        """See `blockdb.Database.flush`."""

    def compact(self) -> None:
        """See `blockdb.Database.compact`."""

    def stats(self) -> Statistics:
        """See `blockdb.Database.stats`."""

    def verify(
        self,
        progress: Callable[[Progress], None] | None = None,
        cancel: Callable[[], bool] | None = None,
        anchors: Iterable[Anchor] = (),
    ) -> Report:
        """See `blockdb.Database.verify`."""

    def backup(self, *, signing_key: bool = False, since: Older | None = None) -> Iterator[bytes]:
        """See `blockdb.Database.backup`."""

    def close(self) -> None:
        """See `blockdb.Database.close`."""

    def __enter__(self) -> AnyDatabase: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...
