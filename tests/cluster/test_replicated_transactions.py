"""Transactions on several nodes: each node knows its own locks alone, and all of them come to the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from threading import Thread
from unittest.mock import patch

import pytest

from blockdb.cluster.database.context import as_request
from blockdb.cluster.database.database import ReplicatedDatabase
from blockdb.cluster.database.opening import open_replicated
from blockdb.cluster.machine.storing import Storing
from blockdb.config import from_settings
from blockdb.database.transactions.transaction import Transaction
from blockdb.errors import Deadlock, DuplicateKey, IdempotencyConflict, TransactionClosed, TransactionTimeout
from tests.cluster.shared_log import SharedLog, SharedLogMember
from tests.database.histories import first_problem
from tests.tiers import tiers

NAMES = ("default", "other")


@dataclass
class Node:
    db: ReplicatedDatabase
    log: SharedLogMember


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Node, Node]]:
    """Two nodes of a cluster, with two collections. Each test has keys of its own."""
    root, shared, found = tmp_path_factory.mktemp("nodes"), SharedLog(), []
    with ExitStack() as stack:
        for number in range(2):
            log = SharedLogMember(shared, f"node{number}")
            config = from_settings({"data_dir": str(root / f"{number}"), "blockchain_batch_size": 5})
            db = stack.enter_context(open_replicated(config, log))
            found.append(Node(db, log))
        found[0].db.create_collection("other")
        yield found[0], found[1]


@pytest.fixture
def key(request: pytest.FixtureRequest) -> bytes:
    """A key that no other test has."""
    return str(request.node.name).encode()


def read_and_put(transaction: Transaction, read: bytes, written: bytes) -> None:
    assert transaction.get(read) is None
    transaction.put(written, b"")


def test_what_is_committed_is_on_all_nodes(nodes: tuple[Node, Node], key: bytes) -> None:
    one, two = nodes
    with one.db.transaction() as transaction:
        transaction.put(key, b"1")
        transaction.put(key, b"2", collection="other")
        assert transaction.get(key) == b"1"
        assert two.db.get(key) is None
    assert not (one.db.path / "transactions.log").exists(), "the replicated log has the commit"
    assert [two.db.get(key), two.db["other"].get(key)] == [b"1", b"2"]
    with two.db.transaction() as transaction:
        assert dict(transaction.scan(prefix=key)) == {key: b"1"}
        with pytest.raises(DuplicateKey):
            transaction.put(key, b"3")


def test_write_skew_is_refused(nodes: tuple[Node, Node], key: bytes) -> None:
    one, two = (node.db.transaction() for node in nodes)
    read_and_put(one, key + b"1", key + b"2")
    read_and_put(two, key + b"2", key + b"1")
    assert one.commit()
    with pytest.raises(Deadlock, match="was written by another one"):
        two.commit()
    with pytest.raises(TransactionClosed):
        two.put(key, b"")
    assert [nodes[1].db.exists(key + b"1"), nodes[1].db.exists(key + b"2")] == [False, True]


@pytest.mark.parametrize("reading", ["scan", "find"])
def test_a_phantom_is_refused(nodes: tuple[Node, Node], key: bytes, reading: str) -> None:
    one, two = nodes
    transaction = one.db.transaction()
    assert (
        list(transaction.scan(prefix=key) if reading == "scan" else transaction.find(f"name = '{key.decode()}'")) == []
    )
    transaction.put(b"at " + key, b"")
    two.db.put(key + b" and more", {"name": "x"})
    with pytest.raises(Deadlock):
        transaction.commit()
    assert not two.db.exists(b"at " + key)


def test_what_is_beside_a_range_is_no_phantom(nodes: tuple[Node, Node], key: bytes) -> None:
    one, two = nodes
    with one.db.transaction() as transaction:
        assert list(transaction.scan(start=key + b"b", end=key + b"d")) == []
        transaction.put(key + b"c", b"")
        for beside in (b"a", b"d"):
            two.db.put(key + beside, b"")
            two.db["other"].put(key + b"b" + beside, b"")
    assert two.db.exists(key + b"c")


def test_two_that_write_the_same_key(nodes: tuple[Node, Node], key: bytes) -> None:
    one, two = (node.db.transaction() for node in nodes)
    one.put(key, b"one")
    two.put(key, b"two")
    two.commit()
    with pytest.raises(Deadlock, match="Run it again"):
        one.commit()
    assert nodes[0].db.get(key) == b"two"

    def run(transaction: Transaction) -> bytes | None:
        if not transaction.exists(key):
            transaction.put(key, b"three")
        return transaction.get(key)

    assert nodes[0].db.execute_transaction(run) == b"two"


def test_one_that_only_reads_sees_one_moment(nodes: tuple[Node, Node], key: bytes) -> None:
    one, two = nodes
    transaction = one.db.transaction()
    assert transaction.get(key + b"1") is None
    with two.db.transaction() as writing:
        writing.put(key + b"1", b"")
        writing.put(key + b"2", b"", collection="other")
    one.db.count()  # from here on it has that too
    assert transaction.get(key + b"2", collection="other") == b""
    with pytest.raises(Deadlock):
        transaction.commit()


def test_a_node_that_is_behind_catches_up_first(nodes: tuple[Node, Node], key: bytes) -> None:
    one, two = nodes
    found: list[bytes | None] = []

    def read() -> None:
        with two.db.transaction() as transaction:
            found.append(transaction.get(key))

    with two.log.held_up():
        one.db.put(key, b"1")
        reader = Thread(target=read)
        reader.start()
        assert not found
    reader.join()
    assert found == [b"1"]


def test_plain_writes_of_the_node_wait_for_its_locks(nodes: tuple[Node, Node], key: bytes) -> None:
    one, _ = nodes
    transaction = one.db.transaction()
    assert transaction.get(key) is None
    stored: list[int] = []
    writer = Thread(target=lambda: stored.append(one.db.put(key, b"plain")))
    writer.start()
    while not one.db.stats().transactions.waiting:
        assert writer.is_alive()
    transaction.put(key + b"2", b"")
    transaction.commit()
    writer.join()
    assert stored
    assert one.db.get(key) == b"plain"
    with pytest.raises(DuplicateKey):
        one.db.put(key, b"again")


def test_aborted_and_timed_out(nodes: tuple[Node, Node], key: bytes) -> None:
    one, _ = nodes
    number = one.db.begin_transaction()
    one.db.get_transaction(number).put(key, b"")
    one.db.abort_transaction(number)
    with pytest.raises(TransactionClosed):
        one.db.commit_transaction(number)
    late = one.db.transaction(timeout_s=1e-6)
    with pytest.raises(TransactionTimeout):
        late.put(key, b"")
    assert not one.db.exists(key)


def test_a_commit_that_is_sent_again_is_stored_once(nodes: tuple[Node, Node], key: bytes) -> None:
    one, two = nodes
    before = one.db.count()
    one.log.uncertain = 1
    with as_request(key):
        transaction = one.db.transaction()
        assert list(transaction.scan(prefix=key)) == []
        transaction.put(key, b"1")
        sequences = transaction.commit()
    assert two.db.count() == before + 1
    assert sequences == {"default": range(before, before + 1)}


def test_the_same_request_on_another_node_gets_the_same_answer(nodes: tuple[Node, Node], key: bytes) -> None:
    """It has read at another moment, but is to store the same."""
    one, two = nodes
    late, other = two.db.transaction(), two.db.transaction()
    late.put(key, b"1")
    other.put(key + b"2", b"1")
    with as_request(key), one.db.transaction() as transaction:
        assert not transaction.exists(key + b"3")
        transaction.put(key, b"1")
    with as_request(key):
        assert late.commit() == {"default": range(two.db.count() - 1, two.db.count())}
    with as_request(key), pytest.raises(IdempotencyConflict):
        other.commit()


@pytest.mark.parametrize("size", tiers([(12, 4, 4)], [(300, 4, 4), (200, 6, 6)]))
def test_every_history_is_serializable(nodes: tuple[Node, Node], size: tuple[int, int, int]) -> None:
    histories, threads, each = size
    one, two = nodes
    assert first_problem((one.db, two.db), NAMES, histories, seed=threads, threads=threads, each=each) is None
    for name in NAMES:
        assert dict(one.db[name].scan()) == dict(two.db[name].scan())
        assert [block.hash for block in one.db[name].blocks()] == [block.hash for block in two.db[name].blocks()]
    assert one.db.verify().valid


@pytest.mark.torture
def test_the_check_finds_what_is_not_serializable(nodes: tuple[Node, Node]) -> None:
    """Nobody looks whether what was read is so still."""
    one, two = nodes
    with patch.object(Storing, "check_current", lambda *_: None):
        assert first_problem((one.db, two.db), NAMES, 500, seed=77, threads=4, each=5) is not None
