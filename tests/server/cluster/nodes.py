"""Nodes of a cluster in threads of this process, as `blockdb server` makes them, on free ports of this machine."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

import pytest

import blockdb
from blockdb.config import Sources
from blockdb.masterkey import MasterKeySource
from blockdb.nodes import ClusterState
from blockdb.security.exposure import check_exposure
from blockdb.server import clustering
from blockdb.server.clustering import Node, node_of
from blockdb.server.membership import state_of
from blockdb.server.serving import Served
from blockdb.serving.listening import listen
from tests.server.harness import Answer
from tests.server.running import ask

HOST = "127.0.0.1"
PACE = {"cluster.heartbeat_interval": 50, "cluster.election_timeout": 250}


@dataclass
class NodeHere:
    """A node, its addresses, and what it runs in."""

    name: str
    path: Path
    port: int
    peer_port: int
    listening: socket.socket
    node: Node | None = None
    served: Served | None = None
    thread: Thread | None = None
    failures: list[BaseException] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def peer(self) -> str:
        return f"{self.name}:{HOST}:{self.port}:{self.peer_port}"

    @property
    def state(self) -> ClusterState:
        assert self.node is not None
        return state_of(self.node.log.status())

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        return ask((HOST, self.port), method, path, body, **headers)

    def begin(self, ready: SimpleQueue[str], **flags: Any) -> None:
        """Start it in a thread of its own; `ready` is told once it can be asked, or has failed."""
        named = {key.replace("__", "."): value for key, value in flags.items()}
        sources = Sources(
            None,
            {},
            {
                "data_dir": str(self.path),
                "cluster.node_id": self.name,
                "cluster.peer_port": self.peer_port,
                **PACE,
                **named,
            },
        )
        config = sources.config()

        def run() -> None:
            try:
                exposure = check_exposure(HOST, has_tokens=False, has_tls=False)
                with (
                    node_of(config, self.port, MasterKeySource()) as node,
                    Served.around(node.database, sources, config, exposure, None, node) as served,
                ):
                    self.node, self.served = node, served
                    served.run([self.listening], ready.put)
            except BaseException as error:
                self.failures.append(error)
                ready.put(repr(error))

        self.thread = Thread(target=run, name=f"test-{self.name}", daemon=True)
        self.thread.start()

    def stop(self) -> None:
        """End it in order."""
        if self.served is not None and self.thread is not None:
            self.served.stop()
            self.thread.join(30)
            assert not self.thread.is_alive()


def node_at(root: Path, number: int) -> NodeHere:
    """One that was not started yet; its port is kept, that for nodes was free a moment ago."""
    listening = listen(HOST, 0)
    with socket.create_server((HOST, 0)) as free:
        peer_port = free.getsockname()[1]
    name = f"node{number}"
    return NodeHere(name, root / name, listening.getsockname()[1], peer_port, listening)


def begin_all(nodes: Sequence[NodeHere], **flags: Any) -> None:
    """Start them together, and wait until each can be asked."""
    ready = SimpleQueue[str]()
    for node in nodes:
        others = [other.peer for other in nodes if other is not node]
        node.begin(ready, **{"cluster__peers": others, **flags})
    for _ in nodes:
        ready.get(timeout=30)
    assert [node.failures for node in nodes if node.failures] == []


@contextmanager
def cluster(root: Path, count: int = 3, **flags: Any) -> Iterator[list[NodeHere]]:
    """So many nodes that form a cluster, until the block ends."""
    nodes = [node_at(root, number) for number in range(1, count + 1)]
    with ExitStack() as stack:
        stack.enter_context(pytest.MonkeyPatch.context()).setattr(clustering, "HANDING_OVER_S", 0.2)
        for node in nodes:
            stack.callback(node.listening.close)
        for node in nodes:
            stack.callback(node.stop)
        begin_all(nodes, **flags)
        yield nodes


def leader_of(nodes: Sequence[NodeHere]) -> NodeHere:
    """The one that leads."""
    return next(node for node in nodes if node.state.state == "Leader")


def connected(nodes: Sequence[NodeHere], **options: Any) -> blockdb.RemoteDatabase:
    """A client that knows all of them."""
    return blockdb.connect([node.url for node in nodes], **options)
