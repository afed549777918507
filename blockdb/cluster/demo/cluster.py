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

__all__ = ["Addresses", "DemoCluster", "Uncut", "Wires"]

Addresses = Mapping[str, str]
"""`host:port` by the ids of nodes."""

HOST = "127.0.0.1"
NAME = "demo"
FEWEST, MOST = 3, 5
PORTS = "ports.json"


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


class Uncut:
    """Nodes that reach each other as they are: what stands between them can be cut nowhere."""

    def __init__(self, nodes: Addresses, fronts: Addresses) -> None:
        self._nodes = nodes

    def address(self, from_id: str, to_id: str) -> str:
        """See `Wires`."""
        return self._nodes[to_id]

    def cut(self, a: str, b: str) -> None:
        """Refuse: raises InvalidData."""
        raise InvalidData("Nodes of the engine jetstream are not cut off here: kill, pause and start them.")

    def heal(self) -> None:
        """Nothing: nobody is cut off."""

    def close(self) -> None:
        """Nothing."""


class DemoCluster:
    """A cluster whose nodes are children of this process, and end with it.

    Faults may be done from any thread, one at a time.
    """

    def __init__(
        self,
        directory: Path,
        count: int,
        wires: Callable[[Addresses, Addresses], Wires],
        *,
        is_kept: bool,
        engine: str = "raft",
    ) -> None:
        """`wires` makes the connections between the addresses at which nodes listen for each other, and those that the
        others are told. No node runs before `start`.

        With `is_kept` the nodes are ended in order in the end. Raises InvalidData, StorageError, OSError.
        """
        if not FEWEST <= count <= MOST:
            raise InvalidData(f"A demonstration has {FEWEST} to {MOST} nodes, not {count}.")
        directory.mkdir(parents=True, exist_ok=True)
        self.engine = engine
        self.ids = [f"node{number}" for number in range(1, count + 1)]
        self.ports, peer_ports, fronts = _ports(directory, count)
        self._wires = wires(self._addresses(peer_ports), self._addresses(fronts))
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

    def _addresses(self, ports: Sequence[int]) -> Addresses:
        return {id_: f"{HOST}:{port}" for id_, port in zip(self.ids, ports, strict=True)}

    def _words(self, at: int, peer_port: int) -> list[str]:
        id_ = self.ids[at]
        others = [
            f"{other}:{HOST}:{port}:{self._wires.address(id_, other).rpartition(':')[2]}"
            for other, port in zip(self.ids, self.ports, strict=True)
            if other != id_
        ]
        return [
            *("-d", id_, "server", "--cluster-id", id_, "--cluster-name", NAME, "--peers", ",".join(others)),
            *("--port", str(self.ports[at]), "--peer-port", str(peer_port), "--engine", self.engine),
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


def _ports(directory: Path, count: int) -> tuple[list[int], list[int], list[int]]:
    """Ports for users, for other nodes, and in front of these: those that the directory was used with, or free ones.

    They stay the same, since nodes keep in their logs where the others are.
    """
    file = directory / PORTS
    if file.exists():
        ports = _kept(file)
        if len(ports) != 3 * count:
            raise InvalidData(f"{directory} has a cluster of {len(ports) // 3} nodes; say --nodes {len(ports) // 3}.")
    else:
        ports = _free(3 * count)
        file.write_text(json.dumps(ports))
    return ports[:count], ports[count : 2 * count], ports[2 * count :]


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
