"""Nodes of a cluster as processes on loopback, to be asked, stopped and killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, Popen
from typing import Any, Final, TypeVar

from .serving import MAX_CONNECTIONS

__all__ = ["Node", "Nodes", "clustered", "until"]

PATIENCE_S: Final = 60.0
PAUSE_S: Final = 0.002

T = TypeVar("T")


def until(look: Callable[[], T | None]) -> T:
    """What `look` finds, once it finds something."""
    deadline = time.monotonic() + PATIENCE_S
    while (found := look()) is None:
        if time.monotonic() > deadline:
            raise TimeoutError("waited in vain")
        time.sleep(PAUSE_S)
    return found


@dataclass
class Node:
    """One node, which may run or not."""

    name: str
    port: int
    peer_port: int
    directory: Path
    process: Popen[bytes] | None = None

    @property
    def peer(self) -> str:
        """How others are told of it."""
        return f"{self.name}:127.0.0.1:{self.port}:{self.peer_port}"

    @property
    def url(self) -> str:
        """Where it serves its users."""
        return f"http://127.0.0.1:{self.port}"

    def start(self, peers: Sequence[Node], settings: dict[str, str]) -> None:
        """Begin to run."""
        others = ",".join(peer.peer for peer in peers if peer is not self)
        command = ["server", "--host", "127.0.0.1", "--port", str(self.port), "--data-dir", str(self.directory)]
        command += ["--cluster-id", self.name, "--peer-port", str(self.peer_port), "--log-level", "error"]
        command += ["--peers", others] if others else []
        environment = {**os.environ, "BLOCKDB_SERVER_MAX_CONNECTIONS": str(MAX_CONNECTIONS), **settings}
        program = [sys.executable, "-m", "blockdb.commands.main", *command]
        self.process = Popen(program, stdout=DEVNULL, env=environment)

    def status(self) -> dict[str, Any] | None:
        """What it says of the cluster; None where it does not answer."""
        try:
            with urllib.request.urlopen(f"{self.url}/cluster/status", timeout=0.5) as answer:
                found: dict[str, Any] = json.load(answer)
                return found
        except (OSError, urllib.error.URLError, ValueError):
            return None

    def spent_s(self) -> tuple[float, float]:
        """The processor time that it has taken so far, with its helpers; and what its NATS server has (Linux)."""
        assert self.process is not None
        ours_s, nats_s = 0.0, 0.0
        for pid in (self.process.pid, *_children(self.process.pid)):
            name, took_s = _took_s(pid)
            if name.startswith("nats-server"):
                nats_s += took_s
            else:
                ours_s += took_s
        return ours_s, nats_s

    def signal(self, number: signal.Signals) -> None:
        """Send its process a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(30)
        self.process = None

    def end(self) -> None:
        """End it, however it is."""
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(20)
            except TimeoutError:
                self.kill()


class Nodes:
    """A cluster."""

    def __init__(self, nodes: Sequence[Node], settings: dict[str, str]) -> None:
        self.all = list(nodes)
        self._settings = settings

    def start(self, node: Node) -> None:
        """Have a node run (again)."""
        node.start(self.all, self._settings)

    def leader(self, *, besides: Node | None = None) -> Node:
        """The node that leads, once a majority says so."""

        def look() -> Node | None:
            statuses = [node.status() for node in self.all if node is not besides and node.process is not None]
            told = [status["leader"] for status in statuses if status is not None and status["leader"]]
            for node in self.all:
                own = node.status() if node is not besides and told.count(node.name) * 2 > len(self.all) else None
                if own is not None and own["state"] == "Leader":
                    return node
            return None

        return until(look)

    def wait_complete(self) -> None:
        """Return once every node knows the same leader."""

        def look() -> bool | None:
            statuses = [node.status() for node in self.all]
            leaders = {status["leader"] for status in statuses if status is not None}
            return True if None not in statuses and len(leaders) == 1 and "" not in leaders else None

        until(look)


def _children(parent: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{parent}/task").iterdir():
        found += [int(pid) for pid in (task / "children").read_text().split()]
    return found + [grandchild for child in found for grandchild in _children(child)]


def _took_s(pid: int) -> tuple[str, float]:
    """The name of a process, and the processor time of it and of those of its children that have ended."""
    try:
        head, _, rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
    except OSError:  # a helper that has just ended: its parent has its time now
        return "", 0.0
    return head.partition("(")[2], sum(map(int, rest.split()[11:15])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def clustered(count: int, directory: Path, settings: dict[str, str] | None = None) -> Iterator[Nodes]:
    """So many nodes that have a leader; they are ended with the block."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2 * count)]
        ports = [each.getsockname()[1] for each in sockets]
    nodes = Nodes(
        [Node(f"node{n + 1}", ports[2 * n], ports[2 * n + 1], directory / f"node{n + 1}") for n in range(count)],
        settings or {},
    )
    with ExitStack() as ending:
        for node in nodes.all:
            ending.callback(node.end)
            nodes.start(node)
        nodes.leader()
        nodes.wait_complete()
        yield nodes
