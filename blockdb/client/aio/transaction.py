"""A transaction that lives on a server, for event loops: the twin of `blockdb.client.transaction`."""

from __future__ import annotations

from asyncio import Lock
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, TypeVar

from blockdb.client.aio.link import AsyncLink
from blockdb.client.plans.plan import Given, Plan
from blockdb.client.plans.transactions import TransactionPlans
from blockdb.documents.document import Document
from blockdb.errors import BlockDBError

__all__ = ["AsyncTransaction"]

T = TypeVar("T")


class AsyncTransaction:
    """See `blockdb.Transaction`. Each call is a request; on the server it ends by itself when its time is over.

    As a context manager it is committed at the end, or aborted where an exception comes out.
    """

    def __init__(self, link: AsyncLink, plans: TransactionPlans) -> None:
        """Use `AsyncDatabase.transaction`."""
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
        return f"<AsyncTransaction {self.id}, {'active' if self.is_active else 'ended'}>"

    async def _run(self, plan: Plan[T]) -> T:
        async with self._using:
            return await self._link.run(plan)

    async def put(self, key: bytes, value: Given, *, collection: str | None = None) -> None:
        """See `blockdb.Transaction.put`."""
        return await self._run(self._plans.put(key, value, collection))

    async def put_many(self, items: Iterable[tuple[bytes, Given]], *, collection: str | None = None) -> None:
        """See `blockdb.Transaction.put_many`. What fits into one request is refused or taken as a whole."""
        return await self._run(self._plans.put_many(items, collection))

    async def get(self, key: bytes, *, collection: str | None = None) -> bytes | None:
        """See `blockdb.Transaction.get`."""
        return await self._run(self._plans.get(key, collection))

    async def exists(self, key: bytes, *, collection: str | None = None) -> bool:
        """See `blockdb.Transaction.exists`."""
        return await self._run(self._plans.exists(key, collection))

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
    ) -> AsyncIterator[tuple[bytes, bytes]]:
        """See `blockdb.Transaction.scan`. All of it is fetched at once."""
        return self._link.each_of(self._plans.scan(prefix, start, end, limit, offset, reverse, collection))

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
    ) -> AsyncIterator[Document]:
        """See `blockdb.Transaction.find`. All of it is fetched at once."""
        return self._link.each_of(self._plans.find(where, parameters, order, limit, offset, fields, collection))

    async def commit(self, *, sync: bool = False) -> dict[str, Sequence[int]]:
        """See `blockdb.Transaction.commit`."""
        self._is_finished = True
        return await self._run(self._plans.commit(sync))

    async def abort(self) -> None:
        """See `blockdb.Transaction.abort`. Where the server cannot be told, it ends with its time."""
        self._is_finished = True
        try:
            await self._link.run(self._plans.abort())  # beside whatever is under way in another task
        except BlockDBError:
            return

    async def __aenter__(self) -> AsyncTransaction:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            await self.abort()
        elif not self._is_finished:
            await self.commit()
