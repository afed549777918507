"""Nodes of a cluster in threads of this process, as `blockdb server` makes them, on free ports of this machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from blockdb.config.sections import Config
from blockdb.masterkey import MasterKeySource
from blockdb.nodes import ClusterState
from blockdb.server import node as one_node
from blockdb.server.clustering import node_of
from blockdb.server.membership import state_of
from blockdb.server.node import Node
from blockdb.serving.listening import listen
from tests.ports import free_port
from tests.server.node_here import HOST, AnyNode, begin_all, connected, ended

__all__ = ["NodeHere", "cluster", "connected", "leader_of", "node_at"]

PACE = {"cluster.heartbeat_interval": 50, "cluster.election_timeout": 250}


@dataclass
class NodeHere(AnyNode):
    """A node over Raft."""

    peer_port: int = 0

    @property
    def peer(self) -> str:
        return f"{self.name}:{HOST}:{self.port}:{self.peer_port}"

    @property
    def state(self) -> ClusterState:
        assert self.node is not None
        return state_of(self.node.log.status())

    def settings(self) -> Mapping[str, Any]:
        return {"cluster.peer_port": self.peer_port, **PACE}

    def opened(self, config: Config) -> AbstractContextManager[Node]:
        return node_of(config, self.port, MasterKeySource())


def node_at(root: Path, number: int) -> NodeHere:
    """One that was not started yet; its port is kept, that for nodes was free a moment ago."""
    listening = listen(HOST, 0)
    name = f"node{number}"
    return NodeHere(name, root / name, listening, peer_port=free_port())


@contextmanager
def cluster(root: Path, count: int = 3, **flags: Any) -> Iterator[list[NodeHere]]:
    """So many nodes that form a cluster, until the block ends."""
    nodes = [node_at(root, number) for number in range(1, count + 1)]

    def flags_of(node: NodeHere) -> Mapping[str, Any]:
        return {"cluster__peers": [other.peer for other in nodes if other is not node], **flags}

    with pytest.MonkeyPatch.context() as patch, ended(nodes):
        patch.setattr(one_node, "HANDING_OVER_S", 0.2)
        begin_all(nodes, flags_of)
        yield nodes


def leader_of(nodes: Sequence[NodeHere]) -> NodeHere:
    """The one that leads."""
    return next(node for node in nodes if node.state.state == "Leader")
