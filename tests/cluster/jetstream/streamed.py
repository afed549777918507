"""Clusters of `JetStreamLog` in this process, over NATS servers of their own on loopback, for tests."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path
from threading import Lock

import pytest

from blockdb.cluster.events import ClusterEvent
from blockdb.cluster.jetstream.connection import Connection
from blockdb.cluster.jetstream.log import JetStreamLog
from blockdb.cluster.jetstream.names import Names
from blockdb.cluster.jetstream.settings import JetStreamSettings
from blockdb.cluster.jetstream.shared import Shared
from blockdb.cluster.jetstream.streams import Streams
from blockdb.cluster.waiting import Listeners
from blockdb.errors import BlockDBError
from blockdb.format.consensus import NOBODY, Member, Members, Role
from blockdb.layout import DatabaseFiles
from tests.cluster.conformance import until
from tests.cluster.recorder import Recorder
from tests.ports import free_port

CLUSTER = "test"
NAMES = Names(CLUSTER)
SERVER = shutil.which("nats-server", path=str(Path(sys.executable).parent)) or shutil.which("nats-server")

needs_nats = pytest.mark.skipif(SERVER is None, reason="there is no nats-server here")


class Servers:
    """NATS servers with JetStream, called as the nodes are; several of them are a cluster."""

    def __init__(self, root: Path, ids: list[str], max_payload: int = 1 << 20) -> None:
        self._root = root
        clients, routes = ([free_port() for _ in ids] for _ in range(2))
        self.urls = {id_: f"nats://127.0.0.1:{port}" for id_, port in zip(ids, clients, strict=True)}
        self._configs = {}
        for id_, client, route in zip(ids, clients, routes, strict=True):
            config = {
                "server_name": id_,
                "listen": f"127.0.0.1:{client}",
                "max_payload": max_payload,
                "jetstream": {"store_dir": str(root / id_), "sync_interval": "always"},
            }
            if len(ids) > 1:
                others = [f"nats://127.0.0.1:{each}" for each in routes]
                config["cluster"] = {"name": CLUSTER, "listen": f"127.0.0.1:{route}", "routes": others}
            self._configs[id_] = config
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        for id_ in ids:
            self.start(id_)

    def start(self, id_: str) -> None:
        """Start one; it need not be ready when this returns."""
        path = self._root / f"{id_}.json"
        path.write_text(json.dumps(self._configs[id_]))
        assert SERVER is not None
        with (self._root / f"{id_}.log").open("ab") as log:
            self._running[id_] = subprocess.Popen([SERVER, "-c", str(path)], stdout=log, stderr=log)

    def kill(self, id_: str, how: signal.Signals = signal.SIGKILL) -> None:
        """End one."""
        process = self._running.pop(id_)
        process.send_signal(how)
        process.wait(30)

    def close(self) -> None:
        """End all of them."""
        for id_ in list(self._running):
            self.kill(id_)


class MemoryRosters:
    """Rosters that the nodes of one process share."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._all: dict[str, Members] = {}
        self._notes: dict[tuple[str, str], dict[str, int]] = {}
        self._listeners: dict[int, Callable[[], None]] = {}
        self._numbers = count()

    def all(self) -> Mapping[str, Members]:
        return self._all

    def change(self, partition: str, change: Callable[[Members | None], Members | None]) -> Members | None:
        with self._lock:
            self._all = {**self._all, partition: change(self._all.get(partition)) or NOBODY}
        for listener in list(self._listeners.values()):
            listener()
        return self._all[partition]

    def watch(self, listener: Callable[[], None]) -> Callable[[], None]:
        number = next(self._numbers)
        self._listeners[number] = listener
        return lambda: self._listeners.pop(number, None) and None

    def note(self, kind: str, partition: str, node: str, value: int) -> None:
        self._notes.setdefault((kind, partition), {})[node] = value

    def noted(self, kind: str, partition: str) -> Mapping[str, int]:
        return self._notes.get((kind, partition), {})


class Place:
    """Some servers, with a connection for each node; partitions come and go."""

    def __init__(self, root: Path, nodes: int, spare: int = 0, *, servers: int = 0, max_payload: int = 1 << 20) -> None:
        """`spare` nodes more have a connection, and hold nothing. The others have a server each, or share `servers`."""
        self.root = root
        self.ids = [f"node{number}" for number in range(1, nodes + 1)]
        self.spare = [f"node{number}" for number in range(nodes + 1, nodes + spare + 1)]
        self.servers = Servers(root, self.ids[: servers or nodes], max_payload)
        self.rosters = MemoryRosters()
        self.connections = {id_: self.connect(id_) for id_ in [*self.ids, *self.spare]}
        self._numbers = count(1)

    def connect(self, id_: str) -> Connection:
        """A connection, preferably to the node's own server."""
        urls = self.servers.urls
        own = [urls[id_]] if id_ in urls else []
        connection = Connection(id_, lambda: [*own, *(url for url in urls.values() if url not in own)], timeout_s=10.0)
        connection.start(30)
        return connection

    def streams(self, id_: str) -> Streams:
        """How a node sees to streams."""
        return Streams(self.connections[id_], NAMES)

    def partition(self) -> str:
        """A new stream, and who holds it."""
        name = f"p{next(self._numbers)}"

        def make() -> bool:
            try:
                self.streams(self.ids[0]).create(name, len(self.ids))
            except BlockDBError:
                return False
            return True

        until(make, "the servers make a stream")
        self.rosters.change(name, lambda _: Members(tuple(Member(id_) for id_ in self.ids)))
        return name

    def close(self) -> None:
        for connection in self.connections.values():
            connection.close()
        self.servers.close()


class Streamed:
    """A `Cluster` of the conformance suite over a partition of its own."""

    def __init__(
        self, place: Place, root: Path, *, machine: Callable[[], Recorder] = Recorder, **settings: object
    ) -> None:
        self.place = place
        self.root = root
        self.name = place.partition()
        self._machine = machine
        self._settings = {"pulse_s": 0.1, "max_waiting": 10_000, **settings}
        self.max_waiting = int(str(self._settings["max_waiting"]))
        self.logs: dict[str, JetStreamLog] = {}
        self.machines: dict[str, Recorder] = {}
        self.events: list[ClusterEvent] = []
        self.begin()

    def begin(self) -> None:
        """Start all nodes."""
        for id_ in self.place.ids:
            self.start(id_)

    def make(self, id_: str) -> JetStreamLog:
        """A node's log, not started."""
        directory = self.root / id_
        directory.mkdir(parents=True, exist_ok=True)
        settings = replace(JetStreamSettings(Member(id_), directory, CLUSTER), **self._settings)  # type: ignore[arg-type]
        shared = Shared(
            settings,
            NAMES,
            self.place.connections[id_],
            self.place.streams(id_),
            self.place.rosters,  # type: ignore[arg-type]
            Listeners(),
            lambda _: None,
        )
        self.logs[id_] = JetStreamLog(shared, self.name, DatabaseFiles(directory))
        self.logs[id_].subscribe(self.events.append)
        return self.logs[id_]

    def start(self, id_: str) -> None:
        self.machines.setdefault(id_, self._machine())
        self.make(id_).start(self.machines[id_])

    def join(self, id_: str, role: Role = Role.VOTER) -> JetStreamLog:
        """Have another node hold the partition too."""
        joined = self.logs[self.place.ids[0]].add_member(Member(id_, role=role))
        self.start(id_)
        joined.result(60)
        return self.logs[id_]

    def stop(self, id_: str) -> None:
        self.logs[id_].close()
        self.machines[id_] = self.machines[id_].crashed()

    def close(self) -> None:
        for machine in self.machines.values():
            machine.may_go_on.set()
        for log in self.logs.values():
            log.close()
