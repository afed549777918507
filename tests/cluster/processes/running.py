"""Real nodes on loopback, with links between them that can be cut; and what must hold of them in the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import blockdb
from blockdb.cluster.demo.cluster import DemoCluster
from blockdb.cluster.demo.links import Links
from blockdb.errors import BlockDBError
from tests.cluster.processes.history import ABSENT, VALUE, Op, faults_of
from tests.cluster.processes.load import QUICK, Load

WAIT_S = 60.0
Records = list[tuple[bytes, bytes]]


class Cluster:
    """Nodes that can be asked, wherever they run."""

    def __init__(self, urls: dict[str, str], **options: Any) -> None:
        """`urls` by the names of the nodes; it may be changed. `options` are those of `blockdb.connect`."""
        self.urls = urls
        self.options: dict[str, Any] = {"token": "", **options}

    @property
    def ids(self) -> list[str]:
        return list(self.urls)

    def connected(self, *ids: str, **options: Any) -> Any:
        """A client of some nodes (all)."""
        return blockdb.connect([self.urls[id_] for id_ in ids or self.ids], **{**self.options, **options})

    def leader(self, *among: str) -> str:
        """Who leads, as soon as one of these nodes (all) knows one that is among them."""
        among = among or tuple(self.ids)
        found: list[str] = []

        def ask() -> bool:
            for id_ in among:
                with suppress(BlockDBError), self.connected(id_, **QUICK) as database:
                    leader = database.cluster.state().leader
                    if leader in among:
                        found.append(leader)
                        return True
            return False

        self.wait(ask, "a leader")
        return found[0]

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        last = time.monotonic() + WAIT_S
        while not condition():
            if time.monotonic() > last:
                raise AssertionError(f"{what} did not come to pass\n{self.words()}")
            time.sleep(0.05)

    def words(self) -> str:
        """What the nodes said last."""
        return ""

    def records(self, id_: str, concern: str) -> Records:
        """All records in their order, as a node has them."""
        with self.connected(id_, read_concern=concern, timeout_s=20.0) as database:
            return [(record.key, bytes(record.value)) for record in database.records()]

    def chain(self, id_: str) -> list[str]:
        """The hashes of a node's blocks."""
        with self.connected(id_, read_concern="Local", timeout_s=20.0) as database:
            return [block.hash.hex() for block in database.blocks()]

    def is_there(self, id_: str) -> bool:
        """Whether a node answers with what is up to date."""
        try:
            with self.connected(id_, **QUICK) as database:
                database.get(b"anything")
        except BlockDBError:
            return False
        return True

    def all_there(self) -> None:
        """Wait until every node answers."""
        for id_ in self.ids:
            self.wait(lambda id_=id_: self.is_there(id_), f"an answer of {id_}")  # type: ignore[misc]


class Running(Cluster):
    """A cluster of processes."""

    def __init__(self, directory: Path, count: int) -> None:
        self.directory = directory
        self.links: Links | None = None
        self.demo = DemoCluster(directory, count, self._linked, is_kept=True)
        super().__init__(dict(zip(self.demo.ids, self.demo.urls, strict=True)))

    def _linked(self, nodes: dict[str, str], fronts: dict[str, str]) -> Links:
        self.links = Links(nodes, fronts)
        return self.links

    def words(self) -> str:
        logs = {id_: node.log.read_text(errors="replace").splitlines()[-15:] for id_, node in self.demo.nodes.items()}
        return "\n".join(line for id_, lines in logs.items() for line in (f"── {id_}", *lines))


@contextmanager
def running(directory: Path, count: int = 3) -> Iterator[Running]:
    """Nodes that run and have a leader. They end with the block, which sees that all of them are clean."""
    cluster = Running(directory, count)
    try:
        cluster.demo.start()
        cluster.leader()
        cluster.all_there()
        yield cluster
    except AssertionError as error:
        raise AssertionError(f"{error}\n{cluster.words()}") from error
    finally:
        cluster.demo.close()
    for id_ in cluster.ids:
        with blockdb.open(directory / id_, read_only=True) as database:
            report = database.verify()
        assert report.valid, f"{id_}: {report.problems}"


def judge(cluster: Cluster, load: Load) -> None:
    """See that all nodes have the same in the end, and that it is what clients were told."""
    load.stop()
    assert not load.surprises, load.surprises[:10]
    cluster.all_there()
    finds: list[Op] = []
    seen: dict[str, Records] = {}
    keys = {op.key for op in load.ops}
    for id_ in cluster.ids:
        began = time.monotonic()
        seen[id_] = cluster.records(id_, "Linearizable")
        ended = time.monotonic()
        found = dict(seen[id_])
        finds += [Op(k, VALUE if k in found else ABSENT, began, ended, found.get(k, b""), None, id_) for k in keys]
    newest = max(seen.values(), key=len)
    for id_, records in seen.items():
        assert records == newest[: len(records)], f"{id_} has another order"
    faults = faults_of([*load.ops, *finds], newest)
    assert not faults, "\n".join(faults[:10])
    cluster.wait(lambda: all(cluster.records(id_, "Local") == newest for id_ in cluster.ids), "the same on all nodes")
    chains = {id_: cluster.chain(id_) for id_ in cluster.ids}
    assert len({tuple(chain) for chain in chains.values()}) == 1, {id_: len(chain) for id_, chain in chains.items()}
