"""Three to five nodes as processes on the loopback address, and the faults that can be done to them."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from blockdb.cluster.demo.node import DemoNode, unavailable
from blockdb.errors import InvalidData

__all__ = ["DemoCluster", "Wires"]

HOST = "127.0.0.1"
NAME = "demo"
FEWEST, MOST = 3, 5
PORTS = "ports.json"
KINDS = 3
"""Of ports that each node has: for users, for nodes, and one in front of that."""

Addresses = Mapping[str, str]
"""`host:port` by id."""


class Wires(Protocol):
    """What connects the nodes, and can be cut: see `links`."""

    def address(self, from_id: str, to_id: str) -> str:
        """`host:port` under which one node reaches another."""

    def cut(self, a: str, b: str) -> None:
        """Let nothing through between two nodes."""

    def heal(self) -> None:
        """Let everything through again."""

    def close(self) -> None:
        """Connect nobody any more. Idempotent."""


class DemoCluster:
    """A cluster whose nodes are children of this process, and end with it.

    Faults may be done from any thread, one at a time.
    """

    def __init__(
        self, directory: Path, count: int, wires: Callable[[Addresses, Addresses], Wires], *, is_kept: bool
    ) -> None:
        """`wires` makes the connections: it is given where nodes listen for each other, and where others look for them.

        Nothing runs before `start`. With `is_kept` the nodes end in order in the end. Raises InvalidData, OSError.
        """
        if not FEWEST <= count <= MOST:
            raise InvalidData(f"A demonstration has {FEWEST} to {MOST} nodes, not {count}.")
        directory.mkdir(parents=True, exist_ok=True)
        self.ids = [f"node{number}" for number in range(1, count + 1)]
        self.ports, peer_ports, fronts = _ports(directory, self.ids)
        self._wires = wires(_addresses(self.ids, peer_ports), _addresses(self.ids, fronts))
        self._spawner = ThreadPoolExecutor(1, "demo-spawner")
        self._is_kept = is_kept
        self._cut: frozenset[str] = frozenset()
        self.nodes = {
            id_: DemoNode(id_, directory, self._words(at, peer_ports[at]), self._spawner)
            for at, id_ in enumerate(self.ids)
        }

    @property
    def urls(self) -> tuple[str, ...]:
        """Where the nodes serve their users, in their order."""
        return tuple(f"http://{HOST}:{port}" for port in self.ports)

    def _words(self, at: int, peer_port: int) -> list[str]:
        id_ = self.ids[at]
        others = [
            f"{other}:{HOST}:{port}:{self._wires.address(id_, other).rpartition(':')[2]}"
            for other, port in zip(self.ids, self.ports, strict=True)
            if other != id_
        ]
        return [
            *("-d", id_, "server", "--cluster-id", id_, "--cluster-name", NAME, "--peers", ",".join(others)),
            *("--port", str(self.ports[at]), "--peer-port", str(peer_port)),
            *("--advertise-peer-port", self._wires.address("", id_).rpartition(":")[2]),
        ]

    def start(self) -> None:
        """Start all nodes. Raises OSError."""
        for node in self.nodes.values():
            node.start()

    def check(self) -> None:
        """See that no node has ended by itself. Raises Unavailable, which has what it said last."""
        for node in self.nodes.values():
            if node.fault == "ended":
                raise unavailable(node)

    # ── faults ──

    def faults(self) -> dict[str, str]:
        """What is wrong with which node: `killed`, `ended`, `paused`, `cut off`."""
        found = {id_: node.fault or ("cut off" if id_ in self._cut else "") for id_, node in self.nodes.items()}
        return {id_: fault for id_, fault in found.items() if fault}

    def kill(self, id_: str) -> None:
        """End a node's process at once, as a power cut would. Raises InvalidData where it does not run."""
        self._node(id_).kill()

    def restart(self, id_: str) -> None:
        """Start a node that was killed. Raises InvalidData where it runs."""
        self._node(id_).start()

    def pause(self, id_: str) -> None:
        """Stop a node's process where it stands. Raises InvalidData where it does not run."""
        self._node(id_).pause()

    def resume(self, id_: str) -> None:
        """Let a paused node go on. Raises InvalidData where it does not run."""
        self._node(id_).resume()

    def isolate(self, id_: str) -> None:
        """Cut a node off from all others, in both directions."""
        self._cut_off([self._node(id_).id])

    def split(self, id_: str) -> tuple[str, ...]:
        """Cut the cluster in two, and give the smaller part: that node and those after it."""
        at = self.ids.index(self._node(id_).id)
        small = [self.ids[(at + step) % len(self.ids)] for step in range((len(self.ids) - 1) // 2)]
        self._cut_off(small)
        return tuple(sorted(small))

    def _cut_off(self, small: Sequence[str]) -> None:
        for one in small:
            for other in self.ids:
                if other not in small:
                    self._wires.cut(one, other)
        self._cut |= frozenset(small)

    def heal(self) -> None:
        """Connect all nodes again."""
        self._wires.heal()
        self._cut = frozenset()

    def _node(self, id_: str) -> DemoNode:
        if id_ not in self.nodes:
            raise InvalidData(f"There is no node {id_}; there are {', '.join(self.ids)}.")
        return self.nodes[id_]

    def close(self) -> None:
        """End everything. Idempotent."""
        for node in self.nodes.values():
            if self._is_kept:
                node.ask_to_end()
            elif node.pid is not None:
                node.kill()
        for node in self.nodes.values():
            node.close()
        self._wires.close()
        self._spawner.shutdown()


def _addresses(ids: Sequence[str], ports: Sequence[int]) -> dict[str, str]:
    return {id_: f"{HOST}:{port}" for id_, port in zip(ids, ports, strict=True)}


def _ports(directory: Path, ids: Sequence[str]) -> tuple[list[int], list[int], list[int]]:
    """Ports for users, for nodes, and in front of these: those that the directory had before, or free ones."""
    file = directory / PORTS
    if file.exists():
        ports = _kept(file)
        if len(ports) != KINDS * len(ids):
            count = len(ports) // KINDS
            raise InvalidData(f"{directory} has a cluster of {count} nodes; say --nodes {count}.")
    else:
        ports = _free(KINDS * len(ids))
        file.write_text(json.dumps(ports))
    return ports[: len(ids)], ports[len(ids) : 2 * len(ids)], ports[2 * len(ids) :]


def _kept(file: Path) -> list[int]:
    try:
        ports = json.loads(file.read_bytes())
    except ValueError:
        ports = None
    if not isinstance(ports, list) or not all(isinstance(port, int) and 0 < port < 65_536 for port in ports):
        raise InvalidData(f"{file} is not what a demonstration wrote; name another directory.")
    return ports


def _free(count: int) -> list[int]:
    """So many ports that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind((HOST, 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
