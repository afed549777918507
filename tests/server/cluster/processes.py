"""Nodes of a cluster as processes, started as an operator starts them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import blockdb
from tests.ports import free_port
from tests.server.harness import Answer
from tests.server.running import ask

HOST = "127.0.0.1"


@dataclass
class NodeProcess:
    """A node, and the process that it is at the moment."""

    name: str
    path: Path
    port: int
    peer_port: int
    log: Path
    process: subprocess.Popen[bytes] | None = None
    environ: dict[str, str] = field(default_factory=dict)
    host: str = HOST
    inside: tuple[str, ...] = ()
    """What puts the process where its address is."""
    program: str = "blockdb.commands.main"

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def peer(self) -> str:
        return f"{self.name}:{self.host}:{self.port}:{self.peer_port}"

    def begin(self, *words: str) -> None:
        """Start it, without waiting until it can be asked."""
        command = [
            *self.inside,
            sys.executable,
            "-m",
            self.program,
            "server",
            "-d",
            str(self.path),
            "--cluster-id",
            self.name,
        ]
        ports = ["--port", str(self.port), "--peer-port", str(self.peer_port)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *ports, *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **self.environ},
            )

    def wait(self) -> None:
        """Until it can be asked."""
        assert self.process is not None
        assert self.process.stdout is not None
        line = self.process.stdout.readline().decode()
        assert line.startswith("BlockDB listens on"), line + self.log.read_text()[-2000:]

    def kill(self) -> None:
        """As a power cut, but for the disk."""
        if self.process is not None:
            self.process.kill()
            self._gone()

    def stop(self) -> int:
        """End it in order: its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        process = self.process
        self._gone()
        return process.returncode

    def _gone(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        self.process.wait(60)
        self.process.stdout.close()
        self.process = None

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        return ask((self.host, self.port), method, path, body, **headers)


def node_at(root: Path, name: str) -> NodeProcess:
    """One that was not started yet, with ports that were free a moment ago."""
    return NodeProcess(name, root / name, free_port(), free_port(), root / f"{name}.log")


@contextmanager
def processes(root: Path, count: int = 3, *words: str) -> Iterator[list[NodeProcess]]:
    """Nodes that form a cluster; those that are appended to the list are ended with the others."""
    nodes = [node_at(root, f"node{number}") for number in range(1, count + 1)]
    with ExitStack() as stack:
        stack.callback(lambda: [node.kill() for node in nodes])
        for node in nodes:
            node.begin("--peers", ",".join(other.peer for other in nodes if other is not node), *words)
        for node in nodes:
            node.wait()
        yield nodes


def connected(nodes: Sequence[NodeProcess], **options: Any) -> blockdb.RemoteDatabase:
    """A client that knows all of them."""
    return blockdb.connect([node.url for node in nodes], **options)


def leader_of(nodes: Sequence[NodeProcess]) -> NodeProcess:
    """The one that leads, by what the others say."""
    with connected(nodes) as db:
        leader = db.cluster.state().leader
    return next(node for node in nodes if node.name == leader)
