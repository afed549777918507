"""Clusters of `RaftLog` in this process, on loopback, for tests."""

from __future__ import annotations

import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from blockdb.cluster.consensus.node import RaftLog
from blockdb.cluster.consensus.settings import RaftSettings
from blockdb.format.consensus import Member, Members, Role
from blockdb.layout import RaftFiles
from blockdb.storage.door import Door
from tests.cluster.recorder import Recorder

CLUSTER = "test"


def free_addresses(count: int) -> list[str]:
    """Addresses that nobody listens at."""
    listening = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in listening]
    for each in listening:
        each.close()
    return addresses


class Nodes:
    """Some nodes that began a cluster together."""

    def __init__(
        self,
        root: Path,
        count: int,
        *,
        max_waiting: int = 10_000,
        door: Callable[[str], Door] = lambda id_: Door(),
        machine: Callable[[], Recorder] = Recorder,
        **settings: object,
    ) -> None:
        self.root = root
        self.max_waiting = max_waiting
        self._door = door
        self._machine = machine
        self._settings = {"heartbeat_ms": 50, "election_ms": 150, "pulse_s": 0.1, **settings}
        addresses = free_addresses(count)
        self.bootstrap = Members(
            tuple(Member(f"node{number}", "", address) for number, address in enumerate(addresses, 1))
        )
        self.logs: dict[str, RaftLog] = {}
        self.machines: dict[str, Recorder] = {}
        self.start(*(member.id for member in self.bootstrap.all))

    def make(self, id_: str, settings: RaftSettings | None = None) -> RaftLog:
        """A node's log, not started."""
        if settings is None:
            member = self.bootstrap.get(id_)
            assert member is not None
            settings = RaftSettings(member, CLUSTER, self.bootstrap)
        settings = replace(settings, max_waiting=self.max_waiting, **self._settings)  # type: ignore[arg-type]
        files = RaftFiles(self.root / id_ / "raft")
        files.root.parent.mkdir(parents=True, exist_ok=True)
        self.logs[id_] = RaftLog(settings, self._door(id_), files)
        self.machines.setdefault(id_, self._machine())
        return self.logs[id_]

    def start(self, *ids: str) -> None:
        """Start some at the same time."""
        logs = [(id_, self.make(id_)) for id_ in ids]
        with ThreadPoolExecutor(len(logs)) as pool:
            list(pool.map(lambda each: each[1].start(self.machines[each[0]]), logs))

    def join(self, id_: str, role: Role = Role.VOTER) -> RaftLog:
        """Have another node join, through the first one."""
        (address,) = free_addresses(1)
        through = next(iter(self.logs.values())).members().all[0].peer_address
        log = self.make(id_, RaftSettings(Member(id_, "", address, role), join=(through,)))
        log.start(self.machines[id_])
        return log

    def remove(self, id_: str) -> None:
        """End a node that is no member any more."""
        self.logs.pop(id_).close()
        del self.machines[id_]

    def stop(self, id_: str) -> None:
        """End a node."""
        self.logs[id_].close()
        self.machines[id_] = self.machines[id_].crashed()

    def close(self) -> None:
        """End all of them."""
        for machine in self.machines.values():
            machine.may_go_on.set()
        with ThreadPoolExecutor(max(1, len(self.logs))) as pool:
            list(pool.map(lambda log: log.close(), self.logs.values()))
