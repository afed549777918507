"""The database of a cluster, as one of its nodes gives it to its users."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

from blockdb.cluster.database.collection import ReplicatedCollection, locally, schema_text
from blockdb.cluster.database.context import first_id, reading
from blockdb.cluster.database.front import Front
from blockdb.cluster.machine.commands import CreateCollection, CreateToken, DropCollection, RevokeToken, RotateKey
from blockdb.cluster.replicated_log import ReplicatedLog
from blockdb.database import collections
from blockdb.database.backup.stream import Backup
from blockdb.database.collection import Collection
from blockdb.database.database import Database
from blockdb.database.redaction import login_name
from blockdb.database.schemas import Source
from blockdb.errors import CollectionNotFound
from blockdb.format.consensus import Member, Role
from blockdb.interface.backups import Older
from blockdb.security.tokens import TokenInfo, from_values
from blockdb.settings import CollectionSettings
from blockdb.statistics import Statistics
from blockdb.storage.audit_log import ActReader, AuditLog
from blockdb.storage.door import Door
from blockdb.storage.store import Store
from blockdb.types import Anchor, CollectionInfo, Progress, Report

__all__ = ["ReplicatedDatabase"]


class ReplicatedDatabase(ReplicatedCollection, Database):
    """A `Database` whose writes are commands of a replicated log, which all nodes apply in the same order.

    Flushing, compacting, verifying, copying and the audit log are about this node alone. Closing it takes the node out
    of the log for as long as it is down. Made by `open_replicated`.
    """

    def __init__(self, front: Front) -> None:
        """The machine of `front` has a database."""
        inner = front.machine.database
        self.path = inner.path
        self._config = inner._config
        self._files = inner._files
        self._source = inner._source
        self._surroundings = inner._surroundings
        self._locks = []
        self._collections = {}
        self._scrubbed = inner._scrubbed
        super().__init__(front, inner.id)

    @property
    def _door(self) -> Door:  # type: ignore[override]
        return self._front.machine.database._door

    @property
    def _scrubber(self) -> Any:  # type: ignore[override]
        return self._front.machine.database._scrubber

    @property
    def log(self) -> ReplicatedLog:
        """The log."""
        return self._front.log

    @property
    def applied_index(self) -> int:
        """How far this node is in the log."""
        return self._front.machine.applied_index

    def on_copy(self, listener: Callable[[], object]) -> None:
        """Have it told when a copy from another node takes the place of what this one has."""
        self._front.on_copy = listener

    # Collections.

    def _handle(self, name_or_id: str) -> Collection:
        collection_id = self._core.catalog.resolve(name_or_id)
        if collection_id == self.id:
            return self
        found = self._collections.get(collection_id)
        if found is None:
            found = self._collections.setdefault(collection_id, ReplicatedCollection(self._front, collection_id))
        return found

    def collection(self, name_or_id: str) -> Collection:
        """The collection of that name or id; the same handle each time. Raises CollectionNotFound."""
        try:
            return self._handle(name_or_id)  # whether it is still there is seen by whoever reads
        except CollectionNotFound:
            self._front.confirm()
            return self._handle(name_or_id)

    __getitem__ = collection

    def knows(self, name_or_id: str) -> bool:
        """Whether this node has heard of a collection of that name or id. Waits for nobody."""
        try:
            self._core.catalog.resolve(name_or_id)
        except CollectionNotFound:
            return False
        return True

    def create_collection(
        self,
        name: str,
        *,
        schema: Source | None = None,
        settings: CollectionSettings | dict[str, Any] | None = None,
        description: str = "",
        created_by: str | None = None,
    ) -> Collection:
        """Make a collection on all nodes: see `Database.create_collection`."""
        collections.check_name(name)
        given, config = collections.checked_settings(self._core, settings), self._core.config
        made: str = self._front.ask(
            CreateCollection(
                name,
                login_name() if created_by is None else created_by,
                config.blockchain_batch_size,
                config.redactable if given.redactable is None else given.redactable,
                asdict(given),
                description,
                None if schema is None else schema_text(schema),
            )
        )
        return self._handle(made)

    def drop_collection(self, name_or_id: str, *, by: str | None = None) -> CollectionInfo:
        """Remove a collection with everything in it, for good, from all nodes: see `Database.drop_collection`."""
        found = self.collection(name_or_id)
        info = found.describe()
        author = login_name() if by is None else by
        assert isinstance(found, ReplicatedCollection), "handles are made here"
        self._front.ask(DropCollection(found._key, author))
        self._collections.pop(info.id, None)
        return info

    @locally
    def open_collections(self) -> dict[str, Collection]:
        """The collections that have files open at this moment, by name, the database's own among them."""
        catalog = self._core.catalog
        opened = {reader.metadata.id for reader in catalog.opened() if not reader.is_parked}
        return {name: self._handle(id_) for name, id_ in catalog.ids().items() if id_ in opened}

    def found_commit(self, name: bytes) -> dict[str, range] | None:
        """What was stored by the commit in the request of that name (see `as_request`), whichever node it was sent to.

        None: it was not committed yet, or too long ago. Raises what refused it, Unavailable.
        """
        with reading("Linearizable"):
            self._front.confirm()
        found = self._front.machine.outcomes.found(first_id(name))
        return None if found is None else {each: range(first, first + count) for each, first, count in found.result()}

    # Tokens, which are good at all nodes.

    def add_token(self, token: TokenInfo) -> TokenInfo:
        """Have a token be good at all nodes. Raises InvalidData for what cannot be, Unavailable."""
        names = None if token.collections is None else tuple(sorted(token.collections))
        hash_, prefix = token.secret_sha256, token.prefix
        content = CreateToken(token.id, token.name, token.role.value, hash_, names, prefix, token.expires_ms)
        return from_values(self._front.ask(content))

    def tokens(self) -> tuple[TokenInfo, ...]:
        """The tokens that are good at all nodes, in the order in which they were made. Raises Unavailable."""
        self._front.confirm()
        return self.shared_tokens()

    def shared_tokens(self) -> tuple[TokenInfo, ...]:
        """The same, as this node knows them now; another tuple when they have changed."""
        return self._front.machine.tokens

    def revoke_token(self, token_id: str) -> TokenInfo:
        """Have a token be good nowhere any more. Raises InvalidData where there is none, Unavailable."""
        return from_values(self._front.ask(RevokeToken(token_id)))

    # The cluster, by the names of the Rust library.

    def is_leader(self) -> bool:
        """Whether this node leads, as far as it knows."""
        status = self.log.status()
        return status.leader == status.node_id

    def get_leader(self) -> str | None:
        """The id of the node that leads; None where none is known."""
        return self.log.status().leader or None

    def add_node(self, node_id: str, address: str, peer_address: str = "", *, replica: bool = False) -> None:
        """Take a node in, which serves its users at `address` (`host:port`); a voter counts when this returns.

        A `replica` gets all there is, and never counts. Raises InvalidData, Unavailable.
        """
        role = Role.REPLICA if replica else Role.VOTER
        self.log.add_member(Member(node_id, address, peer_address, role)).result(self._front.patience_s)

    def remove_node(self, node_id: str) -> None:
        """Let a node go. Raises InvalidData where there is none, or it is the last voter; Unavailable."""
        self.log.remove_member(node_id).result(self._front.patience_s)

    # What is about this node alone.

    def _stores(self) -> list[Store]:
        return [reader for reader in self._core.catalog.opened() if isinstance(reader, Store)]

    @locally
    def flush(self) -> None:
        """Write everything that this node has in memory to tables and force it to disk. Raises StorageError."""
        Database.flush(self)

    @locally
    def compact(self) -> None:
        """Flush, then merge all tables of each collection of this node into one. O(n). Raises StorageError."""
        Database.compact(self)

    @locally
    def stats(self) -> Statistics:
        """A snapshot of the default collection on this node."""
        return Database.stats(self)

    @locally
    def verify(
        self,
        progress: Callable[[Progress], None] | None = None,
        cancel: Callable[[], bool] | None = None,
        anchors: Iterable[Anchor] = (),
    ) -> Report:
        """Audit what this node has: see `Database.verify`."""
        return Database.verify(self, progress, cancel, anchors)

    @locally
    def backup(self, *, signing_key: bool = False, since: Older | None = None) -> Backup:
        """A copy of what this node has, or of what it has since: see `Database.backup`."""
        return Database.backup(self, signing_key=signing_key, since=since)

    @locally
    def audit_log(self) -> AuditLog:
        """The audit log of this node for writing: see `Database.audit_log`."""
        return Database.audit_log(self)

    @locally
    def follow_acts(self, after: int = -1) -> ActReader:
        """A reader of this node's audit log: see `Database.follow_acts`."""
        return Database.follow_acts(self, after)

    @locally
    def begin_audit_log_anew(self) -> None:
        """Nothing: the journal, which all nodes have, does not tell of the audit log of each."""

    @locally
    def journal_audit_log(self) -> None:
        """Sign how far the audit log of this node is; the journal does not tell of it."""
        Database.journal_audit_log(self)

    def rotate_key(self) -> str:
        """Have all nodes sign with another key from one command on: see `Database.rotate_key`. Raises Unavailable."""
        key: str = self._front.ask(RotateKey())
        return key

    def close(self) -> None:
        """Take part no longer, and close the database of this node. Idempotent. Raises StorageError."""
        try:
            self._front.log.close()
        finally:
            self._front.machine.close()

    def _disown(self) -> None:
        """In a forked child: the inner database is disowned by itself."""

    def __enter__(self) -> ReplicatedDatabase:
        return self
