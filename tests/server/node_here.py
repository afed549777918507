"""A node of a cluster in a thread of this process, as `blockdb server` makes it; with which engine, rooms say."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

import blockdb
from blockdb.config import Sources
from blockdb.config.sections import Config
from blockdb.security.exposure import check_exposure
from blockdb.server.node import Node
from blockdb.server.serving import Served
from tests.server.harness import Answer
from tests.server.running import ask

HOST = "127.0.0.1"


@dataclass
class AnyNode:
    """A node, where it listens, and what it runs in."""

    name: str
    path: Path
    listening: socket.socket
    node: Node | None = None
    served: Served | None = None
    thread: Thread | None = None
    failures: list[BaseException] = field(default_factory=list)
    port: int = field(init=False)

    def __post_init__(self) -> None:
        self.port = int(self.listening.getsockname()[1])

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def settings(self) -> Mapping[str, Any]:
        """Its configuration, beside what each has."""
        raise NotImplementedError

    def opened(self, config: Config) -> AbstractContextManager[Node]:
        """The node, until the block ends."""
        raise NotImplementedError

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        return ask((HOST, self.port), method, path, body, **headers)

    def begin(self, ready: SimpleQueue[str], **flags: Any) -> None:
        """Start it in a thread of its own; `ready` is told once it can be asked, or has failed."""
        named = {key.replace("__", "."): value for key, value in flags.items()}
        given = {"data_dir": str(self.path), "cluster.node_id": self.name, **self.settings(), **named}
        sources = Sources(None, {}, given)
        config = sources.config()

        def run() -> None:
            try:
                exposure = check_exposure(HOST, has_tokens=False, has_tls=False)
                with (
                    self.opened(config) as node,
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


Some = TypeVar("Some", bound=AnyNode)


@contextmanager
def ended(nodes: Sequence[AnyNode]) -> Iterator[None]:
    """Ends them with the block, and then closes what they listen on."""
    with ExitStack() as stack:
        for node in nodes:
            stack.callback(node.listening.close)
        for node in nodes:
            stack.callback(node.stop)
        yield


def begin_all(nodes: Sequence[Some], flags_of: Callable[[Some], Mapping[str, Any]]) -> None:
    """Start them together, and wait until each can be asked."""
    ready = SimpleQueue[str]()
    for node in nodes:
        node.begin(ready, **flags_of(node))
    for _ in nodes:
        ready.get(timeout=30)
    assert [node.failures for node in nodes if node.failures] == []


def connected(nodes: Sequence[AnyNode], **options: Any) -> blockdb.RemoteDatabase:
    """A client that knows all of them."""
    return blockdb.connect([node.url for node in nodes], **options)
