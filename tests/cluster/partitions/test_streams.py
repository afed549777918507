"""Nodes with partitions over JetStream, as processes: what was acknowledged is there, whatever happens to nodes."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from threading import Event, Lock, Thread
from typing import Any

import pytest

import blockdb
from blockdb.errors import BlockDBError, CollectionNotFound, DuplicateKey, RequestTimeout, Unavailable
from tests.cluster.conformance import until
from tests.cluster.partitions.processes import Processes, processes

pytestmark = [pytest.mark.torture, pytest.mark.timeout(600)]

SETTINGS = {"partitions": 4, "replication_factor": 2}
BATCH = 3


class Writers:
    """Clients that put single records, and batches over several partitions, through whichever node answers."""

    def __init__(self, cluster: Processes, collection: str, threads: int = 3) -> None:
        self._cluster, self._collection = cluster, collection
        self._stop, self._lock = Event(), Lock()
        self.stored: dict[bytes, bytes] = {}
        """What was acknowledged."""
        self.tried: dict[bytes, bytes] = {}
        self.surprises: list[str] = []
        self.kinds: Counter[str] = Counter()
        self._threads = [Thread(target=self._run, args=(number,), daemon=True) for number in range(threads)]

    def _run(self, who: int) -> None:
        chance = Random(who)
        with self._cluster.connect() as database:
            number = 0
            while not self._stop.is_set():
                number += 1
                size = BATCH if chance.random() < 0.3 else 1
                items = {b"%d:%d:%d:%d" % (who, number, at, size): b"%d" % number for at in range(size)}
                self.tried.update(items)
                try:
                    collection = database.collection(self._collection)
                    if size == 1:
                        collection.put(*next(iter(items.items())))
                    else:
                        collection.put_many(items.items())
                    self._took(items)
                except (Unavailable, RequestTimeout) as error:
                    self.kinds[type(error).__name__] += 1
                except BlockDBError as error:
                    self.surprises.append(f"{items}: {error!r}")
                self._look_back(database, chance)

    def _took(self, items: dict[bytes, bytes]) -> None:
        with self._lock:
            self.stored.update(items)
            self.kinds["stored"] += 1

    def _look_back(self, database: Any, chance: Random) -> None:
        with self._lock:
            if not self.stored or chance.random() < 0.7:
                return
            key = chance.choice(list(self.stored)[-200:])
        try:
            found = database.collection(self._collection).get(key)
        except (Unavailable, RequestTimeout):
            return
        if found != self.stored[key]:
            self.surprises.append(f"{key!r} was stored, and is {found!r}")

    def more(self, count: int = 30) -> None:
        """Until so many more puts were acknowledged."""
        wanted = self.kinds["stored"] + count
        until(lambda: self.kinds["stored"] >= wanted, f"{count} more are stored: {self.kinds}", 90)

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(90)
            assert not thread.is_alive()

    def start(self) -> None:
        for thread in self._threads:
            thread.start()


@contextmanager
def writing(cluster: Processes, collection: str) -> Iterator[Writers]:
    """Clients that write until the block ends; then all nodes have what they were told, and nothing else."""
    writers = Writers(cluster, collection)
    writers.start()
    try:
        yield writers
    finally:
        writers.stop()
    assert not writers.surprises, writers.surprises[:5]
    for id_ in sorted(cluster.running):
        with cluster.connect(id_) as database:
            judge(database.collection(collection), writers, id_)


def judge(collection: Any, writers: Writers, id_: str) -> None:
    found = dict(collection.scan())
    lost = {key for key in writers.stored if found.get(key) != writers.stored[key]}
    assert not lost, f"{id_} has lost {sorted(lost)[:5]} of {len(writers.stored)}"
    assert set(found) <= set(writers.tried)
    batches: Counter[bytes] = Counter()
    for key in found:
        if key.endswith(b":%d" % BATCH):
            batches[key.rsplit(b":", 2)[0]] += 1
    assert set(batches.values()) <= {BATCH}, f"{id_} has parts of batches"
    assert collection.count() == len(found)
    numbers = [record.sequence for record in collection.records()]
    assert len(numbers) == len(set(numbers)) == len(found)


def check_disks(cluster: Processes) -> None:
    """Every database on every disk is sound, once all nodes have ended."""
    cluster.close()
    for path in sorted(cluster.root.glob("n*/partitions/*/global_metadata")):
        with blockdb.open(path.parent, read_only=True) as database:
            report = database.verify()
        assert report.valid, (path, report.problems)


def tried_again(act: Callable[[], Any]) -> Any:
    """What a command gives that may find that somebody is not back yet."""
    given: list[Any] = []

    def succeeds() -> bool:
        try:
            given.append(act())
        except (Unavailable, RequestTimeout):
            return False
        return True

    until(succeeds, "it is done", 120)
    return given[-1]


def test_nothing_is_lost_while_nodes_die_come_and_go(tmp_path: Path) -> None:
    with processes(tmp_path, 3) as cluster:
        with cluster.connect() as database:
            database.create_collection("users", settings=SETTINGS)
        with writing(cluster, "users") as writers:
            for id_ in ("n2", "n1", "n3"):
                writers.more()
                cluster.kill(id_)
                writers.more()
                cluster.start(id_)
            cluster.join("n4", "n1")
            with cluster.connect("n1", read_timeout_s=120.0, timeout_s=120.0) as database:
                until(lambda: database.cluster.rebalance(dry_run=True), "n4 belongs to them")
                moved = tried_again(database.cluster.rebalance)
                assert {move.add for move in moved} == {"n4"}
                writers.more()
                tried_again(lambda: database.cluster.remove("n3"))
            writers.more()
            cluster.kill("n3")
            writers.more()
        with cluster.connect("n4") as database:
            holders = {node.id for each in database.cluster.partitions() for node in each.nodes}
            assert holders == {"n1", "n2", "n4"}
        check_disks(cluster)


def test_a_node_that_has_lost_its_partitions_gets_them_again(tmp_path: Path) -> None:
    with processes(tmp_path, 3) as cluster:
        with cluster.connect() as database:
            database.create_collection("users", settings={"partitions": 2, "replication_factor": 3})
        with writing(cluster, "users") as writers:
            writers.more()
            cluster.kill("n2")
            shutil.rmtree(tmp_path / "n2" / "partitions")
            writers.more()
            cluster.start("n2")
            writers.more()
        with cluster.connect("n2", read_concern="Local") as database:
            until(lambda: database.collection("users").count() == len(writers.stored), "all of it is back", 60)
        check_disks(cluster)


def test_dropping_under_load(tmp_path: Path) -> None:
    with processes(tmp_path, 3) as cluster, cluster.connect() as database:
        database.create_collection("users", settings=SETTINGS)
        stop, seen = Event(), Counter[str]()

        def write(who: int) -> None:
            with cluster.connect() as own:
                for number in range(100_000):
                    if stop.is_set():
                        return
                    try:
                        own.collection("users").put(b"%d:%d" % (who, number), b"value")
                        seen["stored"] += 1
                    except (CollectionNotFound, Unavailable, RequestTimeout, DuplicateKey) as error:
                        seen[type(error).__name__] += 1

        threads = [Thread(target=write, args=(who,), daemon=True) for who in range(2)]
        for thread in threads:
            thread.start()
        for _ in range(3):
            before = seen["stored"]
            until(lambda before=before: seen["stored"] > before + 10, "it is written to", 60)  # type: ignore[misc]
            dropped = tried_again(lambda: database.drop_collection("users"))
            assert dropped.name == "users"
            tried_again(lambda: database.create_collection("users", settings=SETTINGS))
        stop.set()
        for thread in threads:
            thread.join(90)
            assert not thread.is_alive()
        left_over = {f"{_uuid(database.collection('users').id)}-{number}" for number in range(4)}
        left_over.add(f"{_uuid(database.id)}-0")

        def left() -> set[str]:
            return {path.name for path in tmp_path.glob("n*/partitions/*")}

        try:
            until(lambda: left() == left_over, "nothing is left of what was dropped", 60)
        except AssertionError:
            raise AssertionError(
                f"{sorted(left() - left_over)} are left, and {sorted(left_over - left())} miss"
            ) from None
        assert not set(seen) - {"stored", "CollectionNotFound", "Unavailable", "DuplicateKey"}, seen
        check_disks(cluster)


def _uuid(collection_id: str) -> str:
    return collection_id.removeprefix("col_").replace("-", "")
