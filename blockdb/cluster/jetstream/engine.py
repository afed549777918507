"""The engine over NATS JetStream: a stream for each partition, and rosters that all nodes share."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import ExitStack
from typing import Final, TypeAlias

from blockdb.cluster.events import ClusterEvent
from blockdb.cluster.jetstream.asking import Asking
from blockdb.cluster.jetstream.beginning import take_part
from blockdb.cluster.jetstream.connection import Connection
from blockdb.cluster.jetstream.founding import found_alone, is_founded
from blockdb.cluster.jetstream.managed import ManagedServer
from blockdb.cluster.jetstream.mirroring import MirrorRosters
from blockdb.cluster.jetstream.monitoring import Monitoring
from blockdb.cluster.jetstream.names import Names
from blockdb.cluster.jetstream.rosters import Rosters
from blockdb.cluster.jetstream.servers import forget_server, meta_ready
from blockdb.cluster.jetstream.settings import JetStreamSettings
from blockdb.cluster.jetstream.shared import Shared
from blockdb.cluster.jetstream.streams import Streams
from blockdb.cluster.partitions.engine import ROOT
from blockdb.cluster.replicated_log import ReplicatedLog
from blockdb.cluster.waiting import Listeners
from blockdb.errors import InvalidData, ReadOnly
from blockdb.format.consensus import Member, Members
from blockdb.layout import DatabaseFiles
from blockdb.nodes import StreamGroup

__all__ = ["JetStreamEngine", "MakeLog"]

MakeLog: TypeAlias = Callable[[Shared, str, DatabaseFiles], ReplicatedLog]
"""What makes the log of a partition (`JetStreamLog`)."""
FORGET_S: Final = 15.0


class JetStreamEngine:
    """An `Engine` (`blockdb.cluster.partitions.engine`)."""

    name = "jetstream"

    def __init__(self, settings: JetStreamSettings, make_log: MakeLog) -> None:
        """Nothing happens before `start`. Raises ConfigError."""
        self._settings = settings
        self._make_log = make_log
        self._listeners = Listeners()
        self._server = ManagedServer(settings, self._tell_of_server) if settings.is_managed else None
        self._connection = Connection(
            f"blockdb {settings.own.id}",
            self._urls,
            credentials=settings.nats_credentials,
            timeout_s=settings.request_timeout_s,
        )
        self._names = Names(settings.cluster_id)
        self._streams = Streams(self._connection, self._names, settings.request_timeout_s)
        self._rosters = self._rosters_for(settings)
        self._monitoring = Monitoring(self._connection, self._streams, self._server, settings.own.id)
        self._asking = Asking(self._connection, self._names)
        self._opened = ExitStack()

    def _rosters_for(self, settings: JetStreamSettings) -> Rosters:
        timeout_s = settings.request_timeout_s
        if settings.mirror_of:
            return MirrorRosters(self._connection, self._names, self._streams, settings.own, timeout_s)
        return Rosters(self._connection, self._names, settings.replicas, timeout_s)

    def _urls(self) -> list[str]:
        if self._server is not None:
            return [self._server.url]
        return [each.strip() for each in self._settings.nats_url.split(",")]

    @property
    def own(self) -> Member:
        """This node."""
        return self._settings.own

    @property
    def server(self) -> ManagedServer | None:
        """This node's own NATS server; None where they are elsewhere."""
        return self._server

    @property
    def shared(self) -> Shared:
        """What its logs get."""
        return Shared(
            self._settings,
            self._names,
            self._connection,
            self._streams,
            self._rosters,
            self._listeners,
            self._monitoring.group,
        )

    def start(self) -> None:
        """Start this node's NATS server, unless there is one elsewhere; connect; know the rosters.

        A new cluster of `bootstrap` gets root's stream and roster; a node that joins becomes a learner of root, if it
        has no database yet. Raises ConfigError, Unavailable, StorageError.
        """
        with ExitStack() as opened:
            self._start(opened)
            self._opened = opened.pop_all()

    def _start(self, opened: ExitStack) -> None:
        timeout_s = self._settings.start_timeout_s
        if self._server is not None:
            opened.callback(self._server.close)
            self._server.start(timeout_s)
        opened.callback(self._connection.close)
        self._connection.start(timeout_s)
        self._streams.check_version()
        if self._server is not None and not is_founded(self._settings):
            found_alone(self._settings, self._server, self._connection, timeout_s)
        self._connection.wait(meta_ready(self._connection, timeout_s), timeout_s + 1)
        opened.callback(self._asking.close)
        opened.callback(self._rosters.close)
        self._rosters.start(timeout_s)
        take_part(self._settings, self._rosters, self.create)
        self._rosters.watch(self._remember_servers)
        self._remember_servers()
        opened.callback(self._monitoring.close)
        self._monitoring.start()
        opened.callback(self._connection.watch(self._tell_of_connection))

    def _remember_servers(self) -> None:
        root = self._rosters.all().get(ROOT)
        if self._server is not None and root is not None:
            self._server.remember([member.peer_address for member in root.all])

    def create(self, partition: str, holders: Members, replicas: int) -> None:
        """As `Engine` says. Raises ReadOnly in a copy of a cluster."""
        self._refuse_in_a_copy()
        self._streams.create(partition, replicas | 1)  # two servers survive no more than one
        self._rosters.change(partition, lambda there: there if there is not None else holders)

    def remove(self, partition: str) -> None:
        """As `Engine` says. Raises ReadOnly in a copy of a cluster."""
        self._refuse_in_a_copy()
        self._rosters.change(partition, lambda _: None)
        self._streams.remove(partition)
        self._rosters.forget_notes(partition)

    def _refuse_in_a_copy(self) -> None:
        if self._settings.mirror_of:
            raise ReadOnly("This is a read-only copy of a cluster in another place: ask that for changes.")

    def log_of(self, partition: str, files: DatabaseFiles) -> ReplicatedLog:
        """As `Engine` says."""
        return self._make_log(self.shared, partition, files)

    def rosters(self) -> Mapping[str, Members]:
        """As `Engine` says."""
        return self._rosters.all()

    def watch(self, listener: Callable[[], None]) -> Callable[[], None]:
        """As `Engine` says; on the engine's loop."""
        return self._rosters.watch(listener)

    def ask(self, partition: str, question: bytes, timeout_s: float) -> Future[bytes]:
        """As `Engine` says."""
        return self._connection.run(self._asking.ask(partition, question, timeout_s))

    def answer(self, partition: str, handler: Callable[[bytes], bytes]) -> Callable[[], None]:
        """As `Engine` says. Raises Unavailable."""
        return self._connection.wait(self._asking.answer(partition, handler), self._settings.request_timeout_s)

    def groups(self) -> tuple[StreamGroup, ...]:
        """The Raft groups of the servers: that of all of them (`meta`), and one for each stream. Cheap; may be empty.

        Seen last a few seconds ago at most, where NATS answers.
        """
        return self._monitoring.groups()

    def look(self) -> tuple[StreamGroup, ...]:
        """`groups`, looked at now. Raises Unavailable."""
        self._connection.wait(self._monitoring.look(), self._settings.request_timeout_s)
        return self.groups()

    def subscribe(self, listener: Callable[[ClusterEvent], None]) -> Callable[[], None]:
        """Have `listener` told what concerns no partition: the server and the connection. Gives what ends that."""
        return self._listeners.add(listener)

    def _tell_of_server(self, what: str) -> None:
        self._tell("server", what)

    def _tell_of_connection(self, is_connected: bool) -> None:
        self._tell("contact", "connected to NATS" if is_connected else "the connection to NATS is lost")

    def _tell(self, kind: str, what: str) -> None:
        self._listeners.tell(ClusterEvent(round(time.time() * 1000), self.own.id, kind, what=what))

    def forget(self, node: str) -> None:
        """Have the other servers forget the one of a node that left for good: streams go on without it.

        Nothing where the servers are not those of nodes. Raises Unavailable; InvalidData where it is this node.
        """
        if node == self.own.id:
            raise InvalidData(f"{node} is this node: ask another one to let it go.")
        if self._server is not None:
            url = self._server.system_url
            self._connection.wait(forget_server(url, node, FORGET_S), FORGET_S + 2)

    def close(self) -> None:
        """As `Engine` says; this node's server ends too."""
        self._opened.close()
