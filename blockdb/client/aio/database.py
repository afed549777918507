"""A database on a server, for event loops: the twin of `blockdb.client.database`, method by method."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from random import random
from types import TracebackType
from typing import Any, TypeVar

from blockdb.alerts import Alert
from blockdb.client.aio.auditing import run_audit
from blockdb.client.aio.backup import backup_of
from blockdb.client.aio.cluster import AsyncCluster
from blockdb.client.aio.collection import AsyncCollection
from blockdb.client.aio.feed import AsyncFeed
from blockdb.client.aio.link import AsyncLink
from blockdb.client.aio.tokens import AsyncTokens
from blockdb.client.aio.transaction import AsyncTransaction
from blockdb.client.backup import asked_backup
from blockdb.client.plans.database import DatabasePlans, TotalStats, refuse, refuse_anchors
from blockdb.client.plans.documents import Source
from blockdb.client.plans.plan import Ask
from blockdb.client.plans.proofs import CollectionPlans
from blockdb.client.plans.transactions import TransactionPlans, begin, pause_s
from blockdb.errors import Deadlock, Forbidden, InvalidData
from blockdb.interface.backups import Older
from blockdb.settings import CollectionSettings
from blockdb.statistics import ServerStatistics, Statistics, TransactionInfo
from blockdb.types import Act, Anchor, CollectionInfo, Problem, Progress, Publication, Report
from blockdb.wire.messages.collections import Located
from blockdb.wire.messages.server import About, Whoami
from blockdb.wire.operation import Nothing

__all__ = ["AsyncDatabase"]

T = TypeVar("T")

PlansOf = Callable[[str], CollectionPlans]
"""The plans about the collection of an id."""


class AsyncDatabase(AsyncCollection):
    """A database on a server: its default collection, and the door to the others. For the tasks of one event loop.

    Everything is as `blockdb.Database` says, and as `AsyncCollection` adds. It is a context manager that closes
    itself; every method raises DatabaseClosed after `close`, and in a forked child.
    """

    def __init__(
        self, link: AsyncLink, about: About, plans_of: PlansOf = CollectionPlans, whole: DatabasePlans | None = None
    ) -> None:
        """Use `blockdb.connect_async`, which documents this."""
        super().__init__(link, plans_of(about.collection_id), about.default_collection, read_only=about.read_only)
        self.about = about
        """What the server said of itself when it was connected to."""
        self._plans_of = plans_of
        self._whole = whole or DatabasePlans()
        self._collections: dict[str, AsyncCollection] = {}
        self._may_audit = True
        """Whether the token may be told of the database as a whole, as far as is known."""

    @property
    def path(self) -> Path:
        """Where the database is on the server's machine."""
        return Path(self.about.data_dir)

    @property
    def url(self) -> str:
        """The addresses of the servers, with commas between them."""
        return repr(self._link)

    @property
    def cluster(self) -> AsyncCluster:
        """The cluster that the servers are nodes of."""
        return AsyncCluster(self._link)

    @property
    def tokens(self) -> AsyncTokens:
        """Who may ask the servers for what."""
        return AsyncTokens(self._link)

    # Collections.

    async def create_collection(
        self,
        name: str,
        *,
        schema: Source | None = None,
        settings: CollectionSettings | dict[str, Any] | None = None,
        description: str = "",
        created_by: str | None = None,
    ) -> AsyncCollection:
        """See `blockdb.Database.create_collection`. `created_by` is whom the token names, unless it is given."""
        return self._handle(
            await self._run(self._whole.create_collection(name, schema, settings, description, created_by))
        )

    async def collection(self, name_or_id: str) -> AsyncCollection:
        """See `blockdb.Database.collection`. The server is asked for it each time: keep the handle."""
        return self._handle(await self._run(self._whole.find_collection(name_or_id)))

    def _handle(self, info: Located) -> AsyncCollection:
        if info.id == self.id:
            return self
        found = self._collections.get(info.id)
        if found is None:
            made = AsyncCollection(self._link, self._plans_of(info.id), info.name, read_only=self.read_only)
            found = self._collections.setdefault(info.id, made)
        return found

    __getitem__ = collection

    async def has_collection(self, name_or_id: str) -> bool:
        """See `blockdb.Database.has_collection`."""
        return await self._run(self._whole.has_collection(name_or_id))

    async def collection_names(self) -> tuple[str, ...]:
        """See `blockdb.Database.collection_names`: those that one may touch."""
        return await self._run(self._whole.collection_names())

    async def collections(self) -> tuple[CollectionInfo, ...]:
        """See `blockdb.Database.collections`: those that one may touch."""
        return await self._run(self._whole.collections())

    async def total_stats(self) -> TotalStats:
        """See `blockdb.Database.total_stats`."""
        return await self._run(self._whole.total_stats())

    async def drop_collection(self, name_or_id: str, *, by: str | None = None) -> CollectionInfo:
        """See `blockdb.Database.drop_collection`. `by` is whom the token names, and cannot be given."""
        info = await self._run(self._whole.drop_collection(name_or_id, by))
        self._collections.pop(info.id, None)
        return info

    async def watch(
        self,
        *,
        collection: str | None = None,
        prefix: bytes | None = None,
        after: int | str | None = None,
        timeout_s: float | None = None,
    ) -> AsyncFeed:
        """See `blockdb.Database.watch`. Where the connection breaks, it goes on behind the last change."""
        if collection is not None:
            found = await self.collection(collection)
            return await AsyncCollection.watch(found, prefix=prefix, after=after, timeout_s=timeout_s)
        return await super().watch(prefix=prefix, after=after, timeout_s=timeout_s)

    # Transactions.

    async def transaction(self, timeout_s: float | None = None) -> AsyncTransaction:
        """See `blockdb.Database.transaction`. `timeout_s` is at most the server's `transaction_timeout`."""
        return self.get_transaction(await self.begin_transaction(timeout_s))

    async def execute_transaction(self, run: Callable[[AsyncTransaction], Awaitable[T]], attempts: int = 10) -> T:
        """See `blockdb.Database.execute_transaction`."""
        for attempt in range(attempts):
            try:
                async with await self.transaction() as transaction:
                    return await run(transaction)
            except Deadlock:
                if attempt + 1 >= attempts:
                    raise
                await self._link.transport.pause(pause_s(attempt, random()))
        raise InvalidData(f"A transaction is attempted once at least, not {attempts} times.")

    async def begin_transaction(self, timeout_s: float | None = None) -> int:
        """See `blockdb.Database.begin_transaction`."""
        return await self._run(begin(timeout_s))

    def get_transaction(self, transaction_id: int) -> AsyncTransaction:
        """See `blockdb.Database.get_transaction`. Whether there is one shows when it is used."""
        return AsyncTransaction(self._link, TransactionPlans(transaction_id))

    async def commit_transaction(self, transaction_id: int, *, sync: bool = False) -> dict[str, Sequence[int]]:
        """See `blockdb.Database.commit_transaction`."""
        return await self.get_transaction(transaction_id).commit(sync=sync)

    async def abort_transaction(self, transaction_id: int) -> None:
        """See `blockdb.Database.abort_transaction`."""
        await self._run(TransactionPlans(transaction_id).end())

    async def transactions(self) -> tuple[TransactionInfo, ...]:
        """See `blockdb.Database.transactions`: those of everybody that the server has."""
        return await self._run(self._whole.transactions())

    async def recent_transactions(self) -> tuple[TransactionInfo, ...]:
        """See `blockdb.Database.recent_transactions`: those of everybody; none of a server of an earlier version."""
        return await self._run(self._whole.recent_transactions())

    # Proofs, keys and anchors.

    async def checkpoint(self, collection: str | None = None) -> str:
        """See `blockdb.Database.checkpoint`."""
        return await self._run(self._whole.checkpoint(collection))

    async def consistency_proof(self, old_size: int, size: int, collection: str | None = None) -> tuple[bytes, ...]:
        """See `blockdb.Database.consistency_proof`."""
        return await self._run(self._whole.consistency_proof(old_size, size, collection))

    async def root_at(self, size: int, collection: str | None = None) -> bytes:
        """See `blockdb.Database.root_at`."""
        return await self._run(self._whole.root_at(size, collection))

    async def verifier_key(self) -> str:
        """See `blockdb.Database.verifier_key`: what the server says; get it in another way to trust nobody."""
        return await self._run(self._whole.verifier_key())

    def earlier_keys(self) -> AsyncIterator[str]:
        """See `blockdb.Database.earlier_keys`."""
        return self._link.each_of(self._whole.earlier_keys())

    @property
    async def public_key(self) -> bytes:
        """See `blockdb.Database.public_key`."""
        return await self._run(self._whole.public_key())

    async def rotate_key(self) -> str:
        """See `blockdb.Database.rotate_key`."""
        return await self._run(self._whole.rotate_key())

    async def anchors(self) -> tuple[Anchor, ...]:
        """See `blockdb.Database.anchors`."""
        return await self._run(self._whole.anchors())

    def add_anchor(self, where: str | Path, key: str | None = None) -> Anchor:
        """Refuse: raises InvalidData. Whoever runs the server says what it is held against."""
        raise refuse("Adding an anchor")

    def remove_anchor(self, where: str | Path) -> Anchor:
        """Refuse: raises InvalidData. Whoever runs the server says what it is held against."""
        raise refuse("Removing an anchor")

    async def check_anchors(self, further: Iterable[Anchor] = ()) -> tuple[Problem, ...]:
        """See `blockdb.Database.check_anchors`. `further` ones cannot be given."""
        return await self._run(self._whole.check_anchors(further))

    def with_anchors(self, report: Report, further: Iterable[Anchor]) -> Report:
        """Refuse: raises InvalidData. `verify` holds the database against its anchors."""
        raise refuse("Completing a report")

    async def publish(self) -> Publication:
        """See `blockdb.Database.publish`."""
        return await self._run(self._whole.publish())

    # All of them together.

    async def flush(self) -> None:
        """See `blockdb.Database.flush`."""
        return await self._run(self._whole.flush())

    async def compact(self) -> None:
        """See `blockdb.Database.compact`."""
        return await self._run(self._whole.compact())

    async def stats(self) -> Statistics:
        """See `blockdb.Database.stats`: of the handle that the server has.

        A token that may not audit the database is told of the default collection alone.
        """
        if self._may_audit:
            try:
                return await self._run(self._whole.stats())
            except Forbidden:
                self._may_audit = False
        return await super().stats()

    def acts(
        self,
        *,
        after: int = -1,
        before: int | None = None,
        limit: int | None = None,
        reverse: bool = False,
        principal: str | None = None,
        operation: str | None = None,
        failed: bool = False,
    ) -> AsyncIterator[Act]:
        """See `blockdb.Database.acts`. Raises Forbidden for a token that may not audit."""
        wanted = {"reverse": reverse, "principal": principal, "operation": operation, "failed": failed}
        return self._link.all_of(self._whole.acts(limit, after=after, before=before, **wanted))

    async def server_statistics(self) -> ServerStatistics:
        """What the server counts and times of its own work. Raises Forbidden for a token that may not audit."""
        return await self._run(self._whole.server_statistics())

    async def whoami(self) -> Whoami:
        """Who the server takes this client for: name, role, and what the token is good for."""
        return await self._run(self._whole.whoami())

    async def alerts(self) -> tuple[Alert, ...]:
        """What somebody should look at now, critical ones first. Raises Forbidden for a token that may not audit."""
        return await self._run(self._whole.alerts())

    async def verify(
        self,
        progress: Callable[[Progress], None] | None = None,
        cancel: Callable[[], bool] | None = None,
        anchors: Iterable[Anchor] = (),
    ) -> Report:
        """See `blockdb.Database.verify`: it is the server that verifies; to trust nobody, see `verified=True`."""
        refuse_anchors(anchors)
        return await run_audit(self._link, Ask("audit", Nothing()), progress, cancel)

    def backup(self, *, signing_key: bool = False, since: Older | None = None) -> AsyncIterator[bytes]:
        """See `blockdb.Database.backup`: the stream comes over the network, what `since` names is read here."""
        return backup_of(self._link, asked_backup(signing_key, since))

    async def close(self) -> None:
        """Hang up. What is under way in other tasks ends with DatabaseClosed. Closing twice is no error."""
        await self._link.close()

    async def __aenter__(self) -> AsyncDatabase:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()
