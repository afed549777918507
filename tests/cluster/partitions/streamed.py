"""Nodes with partitions in one process, each with a NATS server of its own that is a process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from blockdb.cluster.jetstream.engine import JetStreamEngine
from blockdb.cluster.jetstream.log import JetStreamLog
from blockdb.cluster.jetstream.settings import JetStreamSettings
from blockdb.cluster.partitions.engine import Engine
from blockdb.format.consensus import NOBODY, Member, Members
from tests.cluster.jetstream.nodes import CLUSTER, member
from tests.cluster.partitions.nodes import DEFAULTS, SETTINGS, Cluster


class Streamed(Cluster):
    """Nodes n1, n2 and so on, over JetStream."""

    def __init__(
        self, root: Path, count: int, *, patience_s: float = 30.0, defaults: dict[str, int] = DEFAULTS, **settings: Any
    ) -> None:
        self.root = root
        self.settings = {**SETTINGS, **settings}
        self.defaults = defaults
        self.patience_s = patience_s
        self.members = {f"n{number}": member(f"n{number}") for number in range(1, count + 1)}
        self.first = Members(tuple(self.members.values()))
        self.engines: dict[str, JetStreamEngine] = {}
        self.nodes = {}
        self.start(*self.members)

    def engine(self, id_: str) -> Engine:
        directory = self.root / id_
        directory.mkdir(exist_ok=True)
        own = self.members.setdefault(id_, member(id_))
        is_first = id_ in self.first
        settings = JetStreamSettings(
            own,
            directory,
            CLUSTER,
            bootstrap=self.first if is_first else NOBODY,
            join=() if is_first else tuple(self._member(each).peer_address for each in self.nodes),
        )
        made = self.engines[id_] = JetStreamEngine(settings, JetStreamLog)
        made.start()
        return made

    def _member(self, id_: str) -> Member:
        return self.members[id_]

    def id_at(self, address: str) -> str:
        return next(id_ for id_, each in self.members.items() if each.address == address)

    def is_apart(self, *ids: str) -> bool:
        return False

    def kill_server(self, id_: str) -> None:
        """Kill the NATS server of a node, which starts it again."""
        server = self.engines[id_].server
        assert server is not None
        process = server._process
        assert process is not None
        process.kill()
