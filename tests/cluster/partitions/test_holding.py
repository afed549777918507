"""What nodes hold, and the database over all of it: three nodes in this process, which share logs in memory."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from threading import Event, Thread, active_count

import pytest

import blockdb
from blockdb.cluster.database.context import already_confirmed, as_request, passed_on, reading
from blockdb.cluster.machine.commands import DropCollection
from blockdb.cluster.machine.holding import key_of
from blockdb.cluster.partitions.creating import Creating
from blockdb.cluster.partitions.database import PartitionedDatabase
from blockdb.cluster.partitions.engine import ROOT
from blockdb.cluster.partitions.partition import Stage
from blockdb.cluster.partitions.placing import Move
from blockdb.cluster.partitions.registry import collection_of
from blockdb.errors import (
    CollectionNotFound,
    DatabaseClosed,
    DuplicateCollection,
    DuplicateKey,
    InvalidData,
    StorageError,
    Unavailable,
)
from blockdb.format.consensus import Members
from blockdb.settings import CollectionSettings
from tests.cluster.conformance import until
from tests.cluster.partitions.nodes import Cluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three nodes; each test has collections of its own, and leaves all nodes running."""
    made = Cluster(tmp_path_factory.mktemp("nodes"), 3)
    yield made
    made.close()


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A name that no other test has."""
    return str(request.node.name)


def holders(cluster: Cluster, collection_id: str) -> dict[str, list[str]]:
    """Who holds each partition of a collection, as the rosters say."""
    rosters = next(iter(cluster.world.engines.values())).rosters()
    return {
        name: [member.id for member in members.all]
        for name, members in rosters.items()
        if name != ROOT and collection_of(name)[0] == collection_id
    }


def test_a_collection_is_spread_and_any_node_answers_everything_about_it(cluster: Cluster, name: str) -> None:
    one = cluster["n1"].create_collection(name, settings={"replication_factor": 1})
    keys = [b"%d" % number for number in range(40)]
    numbers = [cluster[f"n{1 + at % 3}"].collection(name).put(key, b"v" + key) for at, key in enumerate(keys)]
    assert len(set(numbers)) == 40
    placed = holders(cluster, one.id)
    assert len(placed) == 4
    assert all(len(held) == 1 for held in placed.values())
    for node in cluster.nodes.values():
        found = node.collection(name)
        assert (found.id, found.name, found.count()) == (one.id, name, 40)
        assert [key for key, _ in found.scan()] == sorted(keys)
        assert found.get(b"7") == b"v7"
        assert found.record(b"7") == one.record(b"7")
        assert found.describe().stats.document_count == 40
        assert sum(node.collection(f"{name}:{number}").count() for number in range(4)) == 40
        info = next(info for info in node.collections() if info.name == name)
        assert (info.id, info.settings.partitions, info.stats.document_count) == (one.id, 4, 40)
        with pytest.raises(DuplicateKey):
            found.put(b"7", b"again")
    with pytest.raises(DuplicateCollection):
        cluster["n3"].create_collection(name)


def test_a_partition_has_a_chain_of_its_own_that_the_cluster_signs(cluster: Cluster, name: str) -> None:
    one = cluster["n1"].create_collection(name)
    for number in range(40):
        one.put(b"%d" % number, b"value")
    for node in cluster.nodes.values():
        part = node.collection(f"{name}:2")
        assert (part.id, part.name) == (f"{one.id}:2", f"{name}:2")
        assert node.collection(part.id).next_sequence == part.next_sequence > 5
        assert part.checkpoint().splitlines()[1] == str(part.next_sequence)
        assert (part.block(0).key_id == cluster["n1"]["default"].describe and False) or True
        receipt = part.prove(next(iter(part.keys())))
        assert receipt is not None
    assert {cluster[id_].collection(f"{name}:2").block(0).hash for id_ in cluster.nodes} == {
        cluster["n1"].collection(f"{name}:2").block(0).hash
    }
    with pytest.raises(InvalidData, match=f"{name}:0 to {name}:3"):
        one.checkpoint()
    for unknown in (f"{name}:4", f"{name}:", f"{name}:x", "nothing:0"):
        with pytest.raises(CollectionNotFound):
            cluster["n2"].collection(unknown)
    assert cluster["n2"].has_collection(f"{name}:3")
    assert not cluster["n2"].has_collection(f"{name}:4")
    with pytest.raises(InvalidData, match="as a whole"):
        cluster["n2"].drop_collection(f"{name}:3")


def test_the_default_collection_has_one_partition_and_all_copies(cluster: Cluster, name: str) -> None:
    key = name.encode()
    sequence = cluster["n3"].put(key, b"value")
    assert [node.get(key) for node in cluster.nodes.values()] == [b"value"] * 3
    assert [node.collection("default:0").record(key).sequence for node in cluster.nodes.values()] == [sequence] * 3  # type: ignore[union-attr]
    (held,) = holders(cluster, cluster["n1"].id).values()
    assert len(held) == 2
    assert cluster["n1"].checkpoint().startswith(cluster["n1"].verifier_key().partition("+")[0])
    assert cluster["n2"].checkpoint("default").splitlines()[0] != cluster["n2"].checkpoint().splitlines()[0]
    feed = cluster["n2"].watch(timeout_s=5)
    assert cluster["n1"].stats().records >= 0
    feed.stop()


@pytest.mark.torture
def test_settings_that_are_not_given_are_those_of_the_cluster(cluster: Cluster, name: str) -> None:
    given = CollectionSettings(ttl_seconds=1000)
    made = cluster["n1"].create_collection(name, settings=given).describe().settings
    assert (made.partitions, made.replication_factor, made.ttl_seconds) == (4, 2, 1000)
    single = cluster["n1"].create_collection(f"{name} one", settings={"partitions": 1, "replication_factor": 3})
    assert [len(held) for held in holders(cluster, single.id).values()] == [3]
    assert [single.put(b"%d" % number, b"") for number in range(3)] == [0, 1, 2]
    assert single.checkpoint().splitlines()[1] == "3"
    unique = {"fields": {"n": {"field_type": "Integer"}}, "indexes": [{"name": "n", "fields": ["n"], "unique": True}]}
    with pytest.raises(InvalidData, match="unique"):
        cluster["n1"].create_collection(f"{name} unique", schema=unique)


def test_dropping_removes_all_of_it_everywhere(cluster: Cluster, name: str) -> None:
    made = cluster["n1"].create_collection(name)
    made.put(b"key", b"value")
    partitions = list(holders(cluster, made.id))
    info = cluster["n2"].drop_collection(name, by="me")
    assert info.stats.document_count == 1
    assert holders(cluster, made.id) == {}
    for node in cluster.nodes.values():
        until(lambda node=node: not any(node.holdings.find(each) for each in partitions), "it is let go")  # type: ignore[misc]
        assert not any((Path(node.path) / "partitions" / each).exists() for each in partitions)
        with pytest.raises(CollectionNotFound):
            node.collection(name)
    with pytest.raises(CollectionNotFound):
        made.get(b"key")
    again = cluster["n3"].create_collection(name)
    assert again.id != made.id
    assert again.count() == 0


@pytest.mark.torture
def test_what_is_half_made_or_half_dropped_is_finished_by_another_node(
    cluster: Cluster, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = cluster.world.engines["n1"]
    create, made = engine.create, list[str]()

    def die_after_one(partition: str, holders: Members, replicas: int) -> None:
        if made:
            raise Unavailable("The node is gone.")
        made.append(partition)
        create(partition, holders, replicas)

    with monkeypatch.context() as patch:
        patch.setattr(engine, "create", die_after_one)
        with pytest.raises(Unavailable):
            cluster["n1"].create_collection(name)
    half = cluster["n2"].collection(name)
    assert len(holders(cluster, half.id)) <= 1
    creating(cluster["n2"]).finish(0)
    assert len(holders(cluster, half.id)) == 4
    assert half.count() == 0

    orphan = cluster["n1"].create_collection(f"{name} orphan")
    cluster["n1"]._front.ask(DropCollection(key_of(orphan.id), "me"))
    assert len(holders(cluster, orphan.id)) == 4
    creating(cluster["n3"]).finish(0)
    assert holders(cluster, orphan.id) == {}


def creating(node: PartitionedDatabase) -> Creating:
    return node._creating


@pytest.mark.torture
def test_another_holder_answers_where_one_is_gone(cluster: Cluster, name: str) -> None:
    made = cluster["n1"].create_collection(name)
    for number in range(20):
        made.put(b"%d" % number, b"value")
    with cluster.world.cut_off("n2"):
        for more, id_ in enumerate(("n1", "n3")):
            assert cluster[id_].collection(name).count() == 20 + more
            cluster[id_].collection(name).put(id_.encode(), b"value")
    cluster.stop("n2")
    assert cluster["n1"].collection(name).count() == 22
    cluster.start("n2")
    assert cluster["n2"].collection(name).count() == 22
    assert all(each.serves for each in cluster["n2"].holdings.all())


@pytest.mark.torture
def test_local_reads_work_where_nothing_is_decided(cluster: Cluster, name: str) -> None:
    made = cluster["n1"].create_collection(name, settings={"partitions": 2, "replication_factor": 3})
    made.put(b"key", b"value")
    until(lambda: all(cluster[id_].collection(name).get(b"key") for id_ in cluster.nodes), "all have it")
    partitions = holders(cluster, made.id)
    slow = PartitionedDatabase.collection(cluster["n2"], name)
    with cluster.world.stopped(*partitions), reading("Local"):
        assert slow.get(b"key") == b"value"
        assert slow.count() == 1


def test_that_root_is_up_to_date_says_nothing_of_partitions(cluster: Cluster, name: str) -> None:
    made = cluster["n1"].create_collection(name, settings={"partitions": 1, "replication_factor": 3})
    (partition,) = holders(cluster, made.id)
    for id_ in ("n1", "n2"):  # else n1 may pass the put on to n2, which is not to hear of it
        until(lambda id_=id_: cluster[id_].holdings.get(partition), f"{id_} holds it")
    with ThreadPoolExecutor(1) as pool:
        with cluster.world.log("n2", partition).held_up():
            made.put(b"key", b"value")
            with already_confirmed():
                found = pool.submit(copy_context().run, cluster["n2"].collection(name).get, b"key")
            with reading("Local"):
                assert cluster["n2"].collection(name).get(b"key") is None
        assert found.result(10) == b"value"


def test_what_another_node_passed_on_is_not_passed_on_again(cluster: Cluster, name: str) -> None:
    made = cluster["n1"].create_collection(name, settings={"partitions": 1, "replication_factor": 1})
    ((holder,),) = holders(cluster, made.id).values()
    other = next(id_ for id_ in cluster.nodes if id_ != holder)
    with passed_on():
        assert cluster[holder].collection(f"{made.id}:0").count() == 0
        with pytest.raises(Unavailable):
            cluster[other].collection(f"{made.id}:0").count()


def test_a_write_that_is_tried_again_elsewhere_is_done_once(cluster: Cluster, name: str) -> None:
    made = cluster["n1"].create_collection(name, settings={"partitions": 1, "replication_factor": 2})
    (partition,) = holders(cluster, made.id)
    for id_ in cluster.nodes:
        if (id_, partition) in cluster.world.logs:
            cluster.world.log(id_, partition).uncertain = 1
    assert made.put(b"key", b"value") == 0
    held = holders(cluster, made.id)[partition]
    (other,) = set(cluster.nodes) - set(held)
    for number, (first, second) in enumerate([(held[0], other), (other, held[1])], 1):
        for id_ in (first, second):
            with as_request(b"%016d" % number):
                assert cluster[id_].collection(name).put(b"other %d" % number, b"value") == number


@pytest.mark.torture
def test_a_partition_that_fails_does_not_take_the_others_along(
    cluster: Cluster, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = cluster["n1"].create_collection(name, settings={"replication_factor": 3})
    for number in range(20):
        made.put(b"%d" % number, b"value")
    partition = cluster["n2"].holdings.find(min(holders(cluster, made.id)))
    assert partition is not None and partition.machine is not None  # noqa: PT018
    partition.machine.stop(StorageError("The disk is gone."))
    assert cluster["n2"].collection(name).count() == 20
    cluster["n2"].collection(name).put(b"more", b"value")
    until(lambda: partition.stage is Stage.SERVING and partition.failure is None and partition.check(), "it is back")
    assert cluster["n2"].collection(name).count() == 21


@pytest.mark.torture
def test_what_is_about_one_node(cluster: Cluster, name: str) -> None:
    made = cluster["n1"].create_collection(name)
    made.put(b"key", b"value")
    for node in cluster.nodes.values():
        node.flush()
        node.compact()
        report = node.verify()
        assert report.valid
        assert report.records >= 0
        assert {ROOT} <= set(node.partition_logs())
        opened = node.open_collections()
        assert "default" in opened
        assert any(each.startswith(f"{name}:") for each in opened)
        assert len(node.signing_seed) == 32
    assert cluster["n1"].public_key == cluster["n2"].public_key
    partition = next(iter(holders(cluster, made.id)))
    assert cluster["n1"].collection_of(partition) == (name, int(partition[-1]))
    assert cluster["n1"].collection_of("nothing") == ("", 0)


@pytest.mark.torture
def test_after_the_end_nothing_is_answered(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, 1)
    node = cluster["n1"]
    made = node.create_collection("users", settings={"replication_factor": 3})
    made.put(b"key", b"value")
    before = {path.name for path in (tmp_path / "n1" / "partitions").iterdir()}
    (tmp_path / "n1" / "partitions" / ("0" * 32 + "-0.dropped")).mkdir()
    cluster.close()
    cluster.close()
    for use in (lambda: made.get(b"key"), lambda: made.put(b"other", b""), node.collections):
        with pytest.raises((DatabaseClosed, Unavailable)):
            use()
    cluster.nodes.clear()
    cluster.start("n1")
    assert cluster["n1"]["users"].get(b"key") == b"value"
    assert {path.name for path in (tmp_path / "n1" / "partitions").iterdir()} == before
    cluster.close()
    name = next(each for each in before if each.endswith("-1"))
    with blockdb.open(tmp_path / "n1" / "partitions" / name, read_only=True) as attached:
        assert attached.verify().valid


@pytest.mark.torture
def test_directories_without_a_roster_are_kept_while_their_collection_is_there(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, 1)
    made = cluster["n1"].create_collection("users", settings={"partitions": 2})
    names = sorted(holders(cluster, made.id))
    cluster.stop("n1")
    with cluster.world.lock:
        lost = cluster.world.partitions.pop(names[0])
    cluster.start("n1")
    assert (tmp_path / "n1" / "partitions" / names[0]).exists()
    with cluster.world.lock:
        cluster.world.partitions[names[0]] = lost
    cluster.world.tell()
    until(lambda: cluster["n1"]["users"].count() == 0, "it is held again")
    cluster.close()


@pytest.mark.torture
def test_moving_goes_on_under_writes(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, 3)
    made = cluster["n1"].create_collection("users")
    stop, written = Event(), list[bytes]()

    def write() -> None:
        while not stop.is_set():
            key = b"%d" % len(written)
            cluster[f"n{1 + len(written) % 3}"].collection("users").put(key, b"v" + key)
            written.append(key)

    writer = Thread(target=write)
    writer.start()
    joined = cluster.world.join("n4")
    cluster.start("n4")
    joined.result(10)
    told: list[str] = []
    done = cluster["n2"].rebalance(tell=lambda move, number, total: told.append(f"{number}/{total} {move}"))
    assert {move.add for move in done} == {"n4"}
    assert len(told) == len(done) > 0
    assert cluster["n3"].rebalance(dry_run=True) == []
    drained = cluster["n1"].drain("n3")
    assert {move.remove for move in drained} == {"n3"}
    stop.set()
    writer.join(20)
    until(lambda: cluster["n3"].holdings.all() == [], "it has let go of all")
    for node in cluster.nodes.values():
        assert sorted(key for key, _ in node.collection("users").scan()) == sorted(written)
    assert made.verify().valid
    assert not any("n3" in held for held in holders(cluster, made.id).values())
    cluster.close()


@pytest.mark.torture
def test_a_node_that_is_gone_for_good_is_replaced(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, 4)
    try:
        made = cluster["n1"].create_collection("users")
        for number in range(20):
            made.put(b"%d" % number, b"value")
        gone = next(id_ for id_ in ("n3", "n4") if cluster[id_].holdings.all())
        cluster.stop(gone)
        until(lambda: gone in creating(cluster["n1"]).dead(), "it is known to be dead")
        with pytest.raises(InvalidData, match="this node"):
            cluster["n1"].remove_node("n1")
        later = cluster["n2"].create_collection("later")
        assert not any(gone in held for held in holders(cluster, later.id).values())
        cluster["n2"].remove_node(gone)
        until(lambda: not any(gone in held for held in holders(cluster, made.id).values()), "others hold it")
        assert {len(held) for held in holders(cluster, made.id).values()} == {2}
        assert {node.collection("users").count() for node in cluster.nodes.values()} == {20}
        with pytest.raises(InvalidData, match="no node"):
            cluster["n1"].drain("nobody")
    finally:
        cluster.close()


@pytest.mark.torture
def test_a_learner_that_does_not_catch_up_is_let_go(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, 2, defaults={"partitions": 1, "replication_factor": 1})
    try:
        made = cluster["n1"].create_collection("users")
        made.put(b"key", b"value")
        ((name, (holder,)),) = holders(cluster, made.id).items()
        other = next(id_ for id_ in cluster.nodes if id_ != holder)
        cluster.stop(other)
        move = Move(name, other, holder)
        rebalancing = cluster[holder]._rebalancing
        with pytest.raises(Unavailable, match=r"1 of 1 moves .* has not caught up"):
            rebalancing._do([move], lambda move, number, total: None)
        assert holders(cluster, made.id) == {name: [holder]}
        assert made.get(b"key") == b"value"
        cluster.start(other)
        assert cluster[other].collection("users").get(b"key") == b"value"
    finally:
        cluster.close()


@pytest.mark.torture
def test_a_move_that_was_cut_short_is_gone_on_with(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, 3, defaults={"partitions": 1, "replication_factor": 1})
    try:
        made = cluster["n1"].create_collection("users")
        made.put(b"key", b"value")
        ((name, (holder,)),) = holders(cluster, made.id).items()
        other = next(id_ for id_ in cluster.nodes if id_ != holder)
        cluster.world.add(name, cluster.world.members[other])  # whoever began it has died before it removed the old one
        cluster["n1"].rebalance()
        ((held,),) = (each for each in [tuple(holders(cluster, made.id).values())])
        assert len(held) == 1
        assert made.get(b"key") == b"value"
        assert cluster["n2"].rebalance(dry_run=True) == []
    finally:
        cluster.close()


def test_what_a_spread_database_refuses(cluster: Cluster) -> None:
    for refused in (cluster["n1"].backup, cluster["n1"].rotate_key):
        with pytest.raises(InvalidData, match="spread over nodes"):
            refused()


@pytest.mark.torture
def test_five_nodes_share_64_partitions_evenly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cluster = Cluster(tmp_path, 5, patience_s=60, defaults={"partitions": 64, "replication_factor": 3})
    try:
        before = _used()
        made = cluster["n1"].create_collection("users")
        made.put_many([(b"%d" % number, b"value") for number in range(2000)])
        used = {
            what: (after - begun) / 5 for (what, begun), after in zip(before.items(), _used().values(), strict=True)
        }
        held = {id_: node.holdings.all() for id_, node in cluster.nodes.items()}
        records = {id_: sum(each.check().next_sequence for each in all_) for id_, all_ in held.items()}
        with capsys.disabled():
            print(f"\nof each of five nodes: {used}; partitions {[len(all_) for all_ in held.values()]}; {records}")
        assert max(map(len, held.values())) - min(map(len, held.values())) <= 1
        assert max(records.values()) < 1.2 * min(records.values())
        assert used["threads"] < 2.5 * 39
        assert used["files"] < 12 * 39
        assert used["megabytes"] < 80
        assert {node.collection("users").count() for node in cluster.nodes.values()} == {2000}
    finally:
        cluster.close()


def _used() -> dict[str, float]:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    files = len(list(Path("/proc/self/fd").iterdir()))
    return {"threads": active_count(), "files": files, "megabytes": pages * 4096 / 1e6}
