"""A database on a server: the same interface as `blockdb.Database`, method by method."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from random import random
from types import TracebackType
from typing import Any, TypeVar

from blockdb.alerts import Alert
from blockdb.client.auditing import run_audit
from blockdb.client.backup import RemoteBackup, asked_backup
from blockdb.client.cluster import RemoteCluster
from blockdb.client.collection import RemoteCollection
from blockdb.client.feed import RemoteFeed
from blockdb.client.link import Link
from blockdb.client.plans.database import DatabasePlans, TotalStats, refuse, refuse_anchors
from blockdb.client.plans.documents import Source
from blockdb.client.plans.plan import Ask
from blockdb.client.plans.proofs import CollectionPlans
from blockdb.client.plans.transactions import TransactionPlans, begin, pause_s
from blockdb.client.tokens import RemoteTokens
from blockdb.client.transaction import RemoteTransaction
from blockdb.errors import Deadlock, Forbidden, InvalidData
from blockdb.interface.backups import Older
from blockdb.settings import CollectionSettings
from blockdb.statistics import ServerStatistics, Statistics, TransactionInfo
from blockdb.types import Act, Anchor, CollectionInfo, Problem, Progress, Publication, Report
from blockdb.wire.messages.collections import Located
from blockdb.wire.messages.server import About, Whoami
from blockdb.wire.operation import Nothing

__all__ = ["RemoteDatabase"]

T = TypeVar("T")

PlansOf = Callable[[str], CollectionPlans]
"""The plans about the collection of an id."""


class RemoteDatabase(RemoteCollection):
    """A database on a server: its default collection, and the door to the others. Safe for threads.

    Everything is as `blockdb.Database` says, and as `RemoteCollection` adds. It is a context manager that closes
    itself; every method raises DatabaseClosed after `close`, and in a forked child.
    """

    def __init__(
        self, link: Link, about: About, plans_of: PlansOf = CollectionPlans, whole: DatabasePlans | None = None
    ) -> None:
        """Use `blockdb.connect`, which documents this."""
        super().__init__(link, plans_of(about.collection_id), about.default_collection, read_only=about.read_only)
        self.about = about
        """What the server said of itself when it was connected to."""
        self._plans_of = plans_of
        self._whole = whole or DatabasePlans()
        self._collections: dict[str, RemoteCollection] = {}
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
    def cluster(self) -> RemoteCluster:
        """The cluster that the servers are nodes of."""
        return RemoteCluster(self._link)

    @property
    def tokens(self) -> RemoteTokens:
        """Who may ask the servers for what."""
        return RemoteTokens(self._link)

    # Collections.

    def create_collection(
        self,
        name: str,
        *,
        schema: Source | None = None,
        settings: CollectionSettings | dict[str, Any] | None = None,
        description: str = "",
        created_by: str | None = None,
    ) -> RemoteCollection:
        """See `blockdb.Database.create_collection`. `created_by` is whom the token names, unless it is given."""
        return self._handle(self._run(self._whole.create_collection(name, schema, settings, description, created_by)))

    def collection(self, name_or_id: str) -> RemoteCollection:
        """See `blockdb.Database.collection`. The server is asked for it each time: keep the handle."""
        return self._handle(self._run(self._whole.find_collection(name_or_id)))

    def _handle(self, info: Located) -> RemoteCollection:
        if info.id == self.id:
            return self
        found = self._collections.get(info.id)
        if found is None:
            made = RemoteCollection(self._link, self._plans_of(info.id), info.name, read_only=self.read_only)
            found = self._collections.setdefault(info.id, made)
        return found

    __getitem__ = collection

    def has_collection(self, name_or_id: str) -> bool:
        """See `blockdb.Database.has_collection`."""
        return self._run(self._whole.has_collection(name_or_id))

    def collection_names(self) -> tuple[str, ...]:
        """See `blockdb.Database.collection_names`: those that one may touch."""
        return self._run(self._whole.collection_names())

    def collections(self) -> tuple[CollectionInfo, ...]:
        """See `blockdb.Database.collections`: those that one may touch."""
        return self._run(self._whole.collections())

    def total_stats(self) -> TotalStats:
        """See `blockdb.Database.total_stats`."""
        return self._run(self._whole.total_stats())

    def drop_collection(self, name_or_id: str, *, by: str | None = None) -> CollectionInfo:
        """See `blockdb.Database.drop_collection`. `by` is whom the token names, and cannot be given."""
        info = self._run(self._whole.drop_collection(name_or_id, by))
        self._collections.pop(info.id, None)
        return info

    def watch(
        self,
        *,
        collection: str | None = None,
        prefix: bytes | None = None,
        after: int | str | None = None,
        timeout_s: float | None = None,
    ) -> RemoteFeed:
        """See `blockdb.Database.watch`. Where the connection breaks, it goes on behind the last change."""
        if collection is not None:
            found = self.collection(collection)
            return RemoteCollection.watch(found, prefix=prefix, after=after, timeout_s=timeout_s)
        return super().watch(prefix=prefix, after=after, timeout_s=timeout_s)

    # Transactions.

    def transaction(self, timeout_s: float | None = None) -> RemoteTransaction:
        """See `blockdb.Database.transaction`. `timeout_s` is at most the server's `transaction_timeout`."""
        return self.get_transaction(self.begin_transaction(timeout_s))

    def execute_transaction(self, run: Callable[[RemoteTransaction], T], attempts: int = 10) -> T:
        """See `blockdb.Database.execute_transaction`."""
        for attempt in range(attempts):
            try:
                with self.transaction() as transaction:
                    return run(transaction)
            except Deadlock:
                if attempt + 1 >= attempts:
                    raise
                self._link.transport.pause(pause_s(attempt, random()))
        raise InvalidData(f"A transaction is attempted once at least, not {attempts} times.")

    def begin_transaction(self, timeout_s: float | None = None) -> int:
        """See `blockdb.Database.begin_transaction`."""
        return self._run(begin(timeout_s))

    def get_transaction(self, transaction_id: int) -> RemoteTransaction:
        """See `blockdb.Database.get_transaction`. Whether there is one shows when it is used."""
        return RemoteTransaction(self._link, TransactionPlans(transaction_id))

    def commit_transaction(self, transaction_id: int, *, sync: bool = False) -> dict[str, Sequence[int]]:
        """See `blockdb.Database.commit_transaction`."""
        return self.get_transaction(transaction_id).commit(sync=sync)

    def abort_transaction(self, transaction_id: int) -> None:
        """See `blockdb.Database.abort_transaction`."""
        self._run(TransactionPlans(transaction_id).end())

    def transactions(self) -> tuple[TransactionInfo, ...]:
        """See `blockdb.Database.transactions`: those of everybody that the server has."""
        return self._run(self._whole.transactions())

    def recent_transactions(self) -> tuple[TransactionInfo, ...]:
        """See `blockdb.Database.recent_transactions`: those of everybody; none of a server of an earlier version."""
        return self._run(self._whole.recent_transactions())

    # Proofs, keys and anchors.

    def checkpoint(self, collection: str | None = None) -> str:
        """See `blockdb.Database.checkpoint`."""
        return self._run(self._whole.checkpoint(collection))

    def consistency_proof(self, old_size: int, size: int, collection: str | None = None) -> tuple[bytes, ...]:
        """See `blockdb.Database.consistency_proof`."""
        return self._run(self._whole.consistency_proof(old_size, size, collection))

    def root_at(self, size: int, collection: str | None = None) -> bytes:
        """See `blockdb.Database.root_at`."""
        return self._run(self._whole.root_at(size, collection))

    def verifier_key(self) -> str:
        """See `blockdb.Database.verifier_key`: what the server says; get it in another way to trust nobody."""
        return self._run(self._whole.verifier_key())

    def earlier_keys(self) -> Iterator[str]:
        """See `blockdb.Database.earlier_keys`."""
        return iter(self._run(self._whole.earlier_keys()))

    @property
    def public_key(self) -> bytes:
        """See `blockdb.Database.public_key`."""
        return self._run(self._whole.public_key())

    def rotate_key(self) -> str:
        """See `blockdb.Database.rotate_key`."""
        return self._run(self._whole.rotate_key())

    def anchors(self) -> tuple[Anchor, ...]:
        """See `blockdb.Database.anchors`."""
        return self._run(self._whole.anchors())

    def add_anchor(self, where: str | Path, key: str | None = None) -> Anchor:
        """Refuse: raises InvalidData. Whoever runs the server says what it is held against."""
        raise refuse("Adding an anchor")

    def remove_anchor(self, where: str | Path) -> Anchor:
        """Refuse: raises InvalidData. Whoever runs the server says what it is held against."""
        raise refuse("Removing an anchor")

    def check_anchors(self, further: Iterable[Anchor] = ()) -> tuple[Problem, ...]:
        """See `blockdb.Database.check_anchors`. `further` ones cannot be given."""
        return self._run(self._whole.check_anchors(further))

    def with_anchors(self, report: Report, further: Iterable[Anchor]) -> Report:
        """Refuse: raises InvalidData. `verify` holds the database against its anchors."""
        raise refuse("Completing a report")

    def publish(self) -> Publication:
        """See `blockdb.Database.publish`."""
        return self._run(self._whole.publish())

    # All of them together.

    def flush(self) -> None:
        """See `blockdb.Database.flush`."""
        return self._run(self._whole.flush())

    def compact(self) -> None:
        """See `blockdb.Database.compact`."""
        return self._run(self._whole.compact())

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
    ) -> Iterator[Act]:
        """See `blockdb.Database.acts`. Raises Forbidden for a token that may not audit."""
        wanted = {"reverse": reverse, "principal": principal, "operation": operation, "failed": failed}
        return self._link.all_of(self._whole.acts(limit, after=after, before=before, **wanted))

    def server_statistics(self) -> ServerStatistics:
        """What the server counts and times of its own work. Raises Forbidden for a token that may not audit."""
        return self._run(self._whole.server_statistics())

    def whoami(self) -> Whoami:
        """Who the server takes this client for: name, role, and what the token is good for."""
        return self._run(self._whole.whoami())

    def alerts(self) -> tuple[Alert, ...]:
        """What somebody should look at now, critical ones first. Raises Forbidden for a token that may not audit."""
        return self._run(self._whole.alerts())

    def stats(self) -> Statistics:
        """See `blockdb.Database.stats`: of the handle that the server has.

        A token that may not audit the database is told of the default collection alone.
        """
        if self._may_audit:
            try:
                return self._run(self._whole.stats())
            except Forbidden:
                self._may_audit = False
        return super().stats()

    def verify(
        self,
        progress: Callable[[Progress], None] | None = None,
        cancel: Callable[[], bool] | None = None,
        anchors: Iterable[Anchor] = (),
    ) -> Report:
        """See `blockdb.Database.verify`: it is the server that verifies; to trust nobody, see `verified=True`."""
        refuse_anchors(anchors)
        return run_audit(self._link, Ask("audit", Nothing()), progress, cancel)

    def backup(self, *, signing_key: bool = False, since: Older | None = None) -> RemoteBackup:
        """See `blockdb.Database.backup`: the stream comes over the network, what `since` names is read here."""
        return RemoteBackup(self._link, asked_backup(signing_key, since))

    def close(self) -> None:
        """Hang up. What is under way in other threads ends with DatabaseClosed. Closing twice is no error."""
        self._link.close()

    def __enter__(self) -> RemoteDatabase:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
