"""A transaction that lives on a server: the same interface as `blockdb.Transaction`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from threading import Lock
from types import TracebackType
from typing import Any, TypeVar

from blockdb.client.link import Link
from blockdb.client.plans.plan import Given, Plan
from blockdb.client.plans.transactions import TransactionPlans
from blockdb.documents.document import Document
from blockdb.errors import BlockDBError

__all__ = ["RemoteTransaction"]

T = TypeVar("T")


class RemoteTransaction:
    """See `blockdb.Transaction`. Each call is a request; on the server it ends by itself when its time is over.

    As a context manager it is committed at the end, or aborted where an exception comes out.
    """

    def __init__(self, link: Link, plans: TransactionPlans) -> None:
        """Use `RemoteDatabase.transaction`."""
        self._link = link
        self._plans = plans
        self._using = Lock()
        self._is_finished = False

    @property
    def id(self) -> int:
        """Its number: the smaller, the older."""
        return self._plans.id

    @property
    def is_active(self) -> bool:
        """Whether it has not ended yet, as far as is known here."""
        return self._plans.ending is None

    def __repr__(self) -> str:
        return f"<RemoteTransaction {self.id}, {'active' if self.is_active else 'ended'}>"

    def _run(self, plan: Plan[T]) -> T:
        with self._using:
            return self._link.run(plan)

    def put(self, key: bytes, value: Given, *, collection: str | None = None) -> None:
        """See `blockdb.Transaction.put`."""
        return self._run(self._plans.put(key, value, collection))

    def put_many(self, items: Iterable[tuple[bytes, Given]], *, collection: str | None = None) -> None:
        """See `blockdb.Transaction.put_many`. What fits into one request is refused or taken as a whole."""
        return self._run(self._plans.put_many(items, collection))

    def get(self, key: bytes, *, collection: str | None = None) -> bytes | None:
        """See `blockdb.Transaction.get`."""
        return self._run(self._plans.get(key, collection))

    def exists(self, key: bytes, *, collection: str | None = None) -> bool:
        """See `blockdb.Transaction.exists`."""
        return self._run(self._plans.exists(key, collection))

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
        """See `blockdb.Transaction.scan`. All of it is fetched at once."""
        return iter(self._run(self._plans.scan(prefix, start, end, limit, offset, reverse, collection)))

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
        """See `blockdb.Transaction.find`. All of it is fetched at once."""
        return iter(self._run(self._plans.find(where, parameters, order, limit, offset, fields, collection)))

    def commit(self, *, sync: bool = False) -> dict[str, Sequence[int]]:
        """See `blockdb.Transaction.commit`."""
        self._is_finished = True
        return self._run(self._plans.commit(sync))

    def abort(self) -> None:
        """See `blockdb.Transaction.abort`. Where the server cannot be told, it ends with its time."""
        self._is_finished = True
        try:
            self._link.run(self._plans.abort())  # beside whatever is under way in another thread
        except BlockDBError:
            return

    def __enter__(self) -> RemoteTransaction:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            self.abort()
        elif not self._is_finished:
            self.commit()
