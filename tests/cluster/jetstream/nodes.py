"""Engines over NATS servers of their own on loopback, for tests."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from os import urandom
from pathlib import Path
from typing import Any
from unittest.mock import Mock

from blockdb.cluster.jetstream.engine import JetStreamEngine
from blockdb.cluster.jetstream.process import find_server
from blockdb.cluster.jetstream.settings import JetStreamSettings
from blockdb.cluster.replicated_log import ReplicatedLog
from blockdb.errors import BlockDBError
from blockdb.format.consensus import Member, Members
from blockdb.nodes import StreamGroup
from tests.cluster.conformance import until
from tests.ports import free_port

CLUSTER = "shop.test"
ENDS_S = 40.0


def member(id_: str) -> Member:
    """A node on loopback."""
    return Member(id_, f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}")


def engine(settings: JetStreamSettings) -> JetStreamEngine:
    """One whose logs do nothing."""
    return JetStreamEngine(settings, lambda *_: Mock(ReplicatedLog))


class Outside:
    """A NATS server that no node started."""

    def __init__(self, root: Path, **settings: Any) -> None:
        self.port = free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        self._config = root / "outside.conf"
        store = {"jetstream": {"store_dir": str(root / "store")}}
        self._config.write_text(json.dumps({"listen": f"127.0.0.1:{self.port}", **store, **settings}))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it listens."""
        command = [str(find_server()), "-c", str(self._config)]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE)
        assert self._process.stderr is not None
        assert any(b"Server is ready" in line for line in self._process.stderr)

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()


@contextmanager
def outside(root: Path, **settings: Any) -> Iterator[Outside]:
    """One that runs until the block ends."""
    server = Outside(root, **settings)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def started(settings: JetStreamSettings) -> Iterator[JetStreamEngine]:
    """An engine that runs until the block ends."""
    running = engine(settings)
    running.start()
    try:
        yield running
    finally:
        running.close()


def settings_for(root: Path, own: Member, url: str = "", **others: Any) -> JetStreamSettings:
    """Those of a node; it begins a cluster of its own unless it is said how."""
    root = root / own.id
    root.mkdir(exist_ok=True)
    beginning = {} if {"join", "bootstrap"} & set(others) else {"bootstrap": Members((own,))}
    values = {"cluster_id": CLUSTER, "start_timeout_s": 30.0, "nats_url": url, **beginning, **others}
    return JetStreamSettings(own, root, **values)


def start_all(engines: Iterable[JetStreamEngine]) -> None:
    """Start engines that wait for each other."""
    waiting = list(engines)
    with ThreadPoolExecutor(len(waiting)) as threads:
        list(threads.map(JetStreamEngine.start, waiting))


def group_of(running: JetStreamEngine, partition: str) -> StreamGroup | None:
    """A group as it is now; None where it cannot be asked for."""
    try:
        return next((each for each in running.look() if each.partition == partition), None)
    except BlockDBError:
        return None


def servers_of(running: JetStreamEngine, partition: str) -> set[str]:
    """The servers of a group that have everything."""
    group = group_of(running, partition)
    return {peer.name for peer in group.peers if peer.is_current} if group is not None else set()


def wait_for(running: JetStreamEngine, partition: str, servers: str) -> None:
    """Wait until these servers have all of a group."""
    until(lambda: servers_of(running, partition) == set(servers), f"{partition} is on {servers}", ENDS_S)


def put(running: JetStreamEngine, partition: str, message: bytes) -> None:
    """Put a message into a stream, as the log does, however long that takes."""
    shared = running.shared
    subject, id_ = shared.names.subject("log", partition), urandom(8).hex()

    async def ask() -> None:
        await shared.connection.client.request(subject, message, timeout=2, headers={"Nats-Msg-Id": id_})

    for attempt in range(10):
        try:
            return shared.connection.wait(ask(), 3)
        except BlockDBError:
            if attempt == 9:
                raise
    return None
