"""Transactions over the partitions of several nodes: one at a time for whoever looks, and ended whoever dies."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from blockdb.cluster.database.context import as_request
from blockdb.cluster.partitions.database import PartitionedDatabase
from blockdb.cluster.partitions.recovering import Recovering
from blockdb.database.transactions.transaction import Transaction
from blockdb.errors import (
    Deadlock,
    DuplicateKey,
    InvalidData,
    TransactionClosed,
    TransactionTimeout,
    Unavailable,
    ValidationError,
)
from tests.cluster.conformance import until
from tests.cluster.partitions.nodes import Cluster
from tests.cluster.partitions.using import Usage
from tests.tiers import tiers

SCHEMA = '{"fields": {"n": {"field_type": "Integer", "required": true}}}'


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three nodes; `users` has four partitions of two copies each, so that no node holds all. Keys of their own."""
    cluster = Cluster(tmp_path_factory.mktemp("cluster"), 3)
    cluster["n1"].create_collection("users")
    yield cluster
    cluster.close()


@pytest.fixture
def nodes(cluster: Cluster) -> tuple[PartitionedDatabase, PartitionedDatabase]:
    return cluster["n1"], cluster["n2"]


@pytest.fixture
def key(request: pytest.FixtureRequest) -> bytes:
    return str(request.node.name).encode()


def keys_of(key: bytes, many: int = 8) -> list[bytes]:
    """Keys that are of all partitions."""
    return [b"%s-%d" % (key, number) for number in range(many)]


def is_settled(cluster: Cluster) -> bool:
    """Whether nothing is in doubt anywhere."""
    machines = [each.machine for node in cluster.nodes.values() for each in node.holdings.all()]
    return all(m is not None and not m.pending.homes() and not m.pending.decided() for m in machines)


def test_what_is_written_is_there_on_all_nodes_at_once(
    cluster: Cluster, nodes: tuple[PartitionedDatabase, PartitionedDatabase], key: bytes
) -> None:
    one, two = nodes
    keys = keys_of(key)
    with one.transaction() as transaction:
        transaction.put_many([(each, b"value") for each in keys], collection="users")
        transaction.put(key, b"plain")
        assert transaction.get(keys[0], collection="users") == b"value"
        assert transaction.keys_written() == {"users": tuple(keys), "default": (key,)}
        assert two.collection("users").get(keys[0]) is None
        stored = transaction.commit()
    assert isinstance(stored["default"], range)
    users = two.collection("users")
    records = [users.record(each) for each in keys]
    assert [record and record.sequence for record in records] == list(stored["users"])
    assert two.get(key) == b"plain"
    until(lambda: is_settled(cluster), "nothing is in doubt")


def test_it_sees_what_it_wrote(nodes: tuple[PartitionedDatabase, PartitionedDatabase], key: bytes) -> None:
    users = nodes[1].collection("users")
    stored, own = keys_of(key)[:4], keys_of(key)[4:]
    users.put_many([(each, b'{"n": 1}') for each in stored])
    with nodes[0].transaction() as transaction:
        for each in own:
            transaction.put(each, {"n": 2}, collection="users")
        found = transaction.scan(prefix=key, collection="users", reverse=True)
        assert [each for each, _ in found] == sorted(stored + own, reverse=True)
        documents = transaction.find(f"_key >= '{key.decode()}' and n = 2", collection="users")
        assert {document.key for document in documents} >= set(own)
        assert [transaction.exists(each, collection="users") for each in (stored[0], own[0], b"no")] == [
            True,
            True,
            False,
        ]
        transaction.abort()
    assert users.count(prefix=key) == len(stored)


def test_write_skew_is_refused(nodes: tuple[PartitionedDatabase, PartitionedDatabase], key: bytes) -> None:
    one, two = (node.transaction() for node in nodes)
    keys = keys_of(key, 2)
    for transaction, (read, written) in zip((one, two), (keys, keys[::-1]), strict=True):
        assert transaction.get(read, collection="users") is None
        transaction.put(written, b"", collection="users")
    one.commit()
    with pytest.raises(Deadlock):
        two.commit()
    with pytest.raises(TransactionClosed):
        two.put(b"more", b"")


def test_a_deadlock_ends_it(nodes: tuple[PartitionedDatabase, PartitionedDatabase], key: bytes) -> None:
    """Also where a key that it writes is found to have been stored since: its locks keep nobody any more."""
    transaction, keys = nodes[0].transaction(), keys_of(key)
    assert [transaction.get(each, collection="users") for each in keys] == [None] * 8
    nodes[1].collection("users").put_many([(each, b"") for each in keys])
    with pytest.raises(Deadlock):
        transaction.put_many([(each, b"") for each in keys], collection="users")
    assert not transaction.is_active


def test_a_phantom_is_refused(nodes: tuple[PartitionedDatabase, PartitionedDatabase], key: bytes) -> None:
    transaction = nodes[0].transaction()
    assert list(transaction.scan(prefix=key, collection="users")) == []
    transaction.put(b"of " + key, b"")
    nodes[1].collection("users").put(key, b"")
    with pytest.raises(Deadlock):
        transaction.commit()


def test_who_only_reads_sees_one_moment(nodes: tuple[PartitionedDatabase, PartitionedDatabase], key: bytes) -> None:
    first, second = keys_of(key, 2)
    transaction = nodes[0].transaction()
    assert transaction.get(second, collection="users") is None
    nodes[1].collection("users").put_many([(first, b""), (second, b"")])
    assert nodes[0].collection("users").get(first) == b""  # what is held there may be behind, and is read as it is
    assert transaction.get(first, collection="users") == b""
    with pytest.raises(Deadlock):
        transaction.commit()


def test_a_key_that_is_stored_is_refused(nodes: tuple[PartitionedDatabase, PartitionedDatabase], key: bytes) -> None:
    keys, users = keys_of(key), nodes[1].collection("users")
    users.put(keys[0], b"")
    assert nodes[0].collection("users").exists(keys[0])  # else the commit may be told first, and says Deadlock
    with pytest.raises(DuplicateKey), nodes[0].transaction() as transaction:
        transaction.put_many([(each, b"") for each in keys], collection="users")
    with pytest.raises(DuplicateKey):
        users.put_many([(each, b"") for each in keys])
    assert users.count(prefix=key) == 1
    with nodes[0].transaction() as transaction:
        transaction.put(keys[1], b"", collection="users")
        with pytest.raises(DuplicateKey):
            transaction.put(keys[1], b"", collection="users")


def test_a_batch_is_whole_and_keeps_its_order(
    nodes: tuple[PartitionedDatabase, PartitionedDatabase], key: bytes
) -> None:
    users = nodes[0].collection("users")
    numbers = users.put_many([(each, each) for each in keys_of(key)])
    for number, each in zip(numbers, keys_of(key), strict=True):
        assert next(iter(users.records(number, 1))).key == each


def test_the_same_request_is_done_once_whichever_node_it_comes_to(
    nodes: tuple[PartitionedDatabase, PartitionedDatabase], key: bytes
) -> None:
    found = []
    for node in nodes:
        with as_request(key.ljust(32, b".")):
            found.append(node.collection("users").put_many([(each, b"") for each in keys_of(key)]))
    assert found[0] == found[1]


@pytest.mark.parametrize("many", [1, 8])
def test_what_became_of_a_commit_is_found_from_any_node(
    nodes: tuple[PartitionedDatabase, PartitionedDatabase], key: bytes, many: int
) -> None:
    name = key.ljust(32, b".")
    assert nodes[1].found_commit(name) is None
    transaction = nodes[0].transaction()
    transaction.put_many([(each, b"") for each in keys_of(key, many)], collection="users")
    with as_request(name):
        stored = transaction.commit()
    found = nodes[1].found_commit(name)
    assert found is not None
    assert sorted(found["users"]) == sorted(stored["users"])


def test_documents_are_checked(nodes: tuple[PartitionedDatabase, PartitionedDatabase]) -> None:
    nodes[0].create_collection("checked", schema=SCHEMA)
    items = [(b"k%d" % number, {"n": "no number"}) for number in range(8)]
    with pytest.raises(ValidationError), nodes[0].transaction() as transaction:
        transaction.put_many(items, collection="checked")
    assert nodes[0].collection("checked").count() == 0


def test_what_takes_too_long_ends(nodes: tuple[PartitionedDatabase, PartitionedDatabase]) -> None:
    transaction = nodes[0].transaction(timeout_s=1e-9)
    with pytest.raises(TransactionTimeout):
        transaction.put(b"key", b"", collection="users")
    number = nodes[0].begin_transaction()
    assert [each.id for each in nodes[0].transactions()] == [number]
    nodes[0].get_transaction(number).put(b"never", b"", collection="users")
    nodes[0].abort_transaction(number)
    assert not nodes[0].collection("users").exists(b"never")


def test_one_partition_is_no_collection_of_a_transaction(nodes: tuple[PartitionedDatabase, Any]) -> None:
    with pytest.raises(InvalidData, match="whole collections"), nodes[0].transaction() as transaction:
        transaction.put(b"key", b"", collection="users:1")


def test_counters_that_all_count_up_lose_nothing(
    nodes: tuple[PartitionedDatabase, PartitionedDatabase], key: bytes
) -> None:
    """Each finds the first number that is free in both of two places, and takes it."""

    def take(transaction: Transaction) -> int:
        for number in count():
            names = [b"%s %d %d" % (key, place, number) for place in range(2)]
            if not any(transaction.exists(name, collection="users") for name in names):
                transaction.put_many([(name, b"") for name in names], collection="users")
                return number
        raise AssertionError

    with ThreadPoolExecutor(4) as pool:
        taken = [pool.submit(nodes[at % 2].execute_transaction, take, 100) for at in range(8)]
        assert sorted(each.result(60) for each in taken) == list(range(8))


# ── who dies ─────────────────────────────────────────────────────────────────────────────────────────────────────


class Dead(BaseException):
    """What the coordinator's thread ends with."""


@pytest.mark.parametrize("steps", tiers([1, 5, 6], [0, 2, 3, 4, 7]))
def test_what_a_dead_coordinator_left_is_ended(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, key: bytes, steps: int
) -> None:
    """It dies after so many questions: some partitions have voted, or it is decided, or some know that."""
    node, keys = cluster["n1"], keys_of(key)
    for each in cluster.nodes.values():
        each._recovering.close()
    asked, ask = count(), node._transacting._asker.ask

    def mortal(partition: str, command: bytes) -> Future[Any]:
        if next(asked) >= steps:
            raise Dead
        return ask(partition, command)

    monkeypatch.setattr(node._transacting._asker, "ask", mortal)
    with pytest.raises(Dead):
        node.collection("users").put_many([(each, key) for each in keys])
    monkeypatch.undo()
    recovering = [Recovering(each.holdings, each._transacting._asker, 0.2) for each in cluster.nodes.values()]
    for each in recovering:
        each.start()
    until(lambda: is_settled(cluster), "nothing is in doubt")
    for each in recovering:
        each.close()
    there = [cluster["n2"].collection("users").get(each) for each in keys]
    assert there == ([key] * 8 if steps > 4 else [None] * 8)
    assert steps > 4 or node.collection("users").put_many([(each, key) for each in keys])


@pytest.mark.torture
def test_a_node_without_the_others_stores_nothing_in_part(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, 2, patience_s=1.0, defaults={"partitions": 2, "replication_factor": 1})
    try:
        cluster["n1"].create_collection("users")
        users = cluster["n1"].collection("users")
        with cluster.world.cut_off("n2"), pytest.raises(Unavailable):
            users.put_many([(each, b"") for each in keys_of(b"k")])
        until(lambda: is_settled(cluster), "nothing is in doubt", 20)
        assert users.count() == 0
        users.put_many([(each, b"") for each in keys_of(b"k")])
        assert users.count() == 8
    finally:
        cluster.close()


# ── histories ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("seed", tiers([0], range(1, 20)))
def test_histories_are_strictly_serializable(cluster: Cluster, seed: int) -> None:
    """Users at all nodes, while answers are lost."""
    usage = Usage(seed)
    cluster.world.lost_answers = seed % 5
    usage.run(list(cluster.nodes.values()))
    cluster.world.lost_answers = 0
    until(lambda: is_settled(cluster), "nothing is in doubt", 20)
    assert usage.check(cluster["n3"])
