"""What a collection of several partitions answers, what it refuses, and in which words."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

import blockdb
from blockdb import AsOf, InvalidData
from blockdb.cluster.partitions.collection import PartitionedCollection
from tests.cluster.partitions.spread import over

KEYS = [b"%02d" % number for number in range(30)]


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[blockdb.Database]]:
    path = tmp_path_factory.mktemp("parts")
    with ExitStack() as stack:
        opened = [blockdb.open(path / str(n), blockchain_batch_size=4, redactable=True) for n in range(3)]
        yield [stack.enter_context(database) for database in opened]


@pytest.fixture
def users(databases: list[blockdb.Database]) -> Iterator[PartitionedCollection]:
    yield over([database.create_collection("users") for database in databases])
    for database in databases:
        database.drop_collection("users")


def fill(users: PartitionedCollection) -> dict[int, bytes]:
    return dict(zip(users.put_many([(key, {"n": int(key)}) for key in KEYS]), KEYS, strict=True))


def test_a_batch_has_its_numbers_in_the_order_of_its_items(users: PartitionedCollection) -> None:
    numbers = fill(users)
    assert {record.sequence: record.key for record in users.records()} == numbers
    assert {number % 3 for number in numbers} == {0, 1, 2}
    assert users.put_many([]) == ()


def test_a_batch_is_given_to_who_commits_it_as_a_whole(users: PartitionedCollection) -> None:
    """A batch of one partition needs nobody for that."""
    given: list[Any] = []
    commit, users._commit_whole = users._commit_whole, lambda written: given.append(written) or commit(written)
    users.put_many([(b"a", b"")])
    assert not given
    users.put_many([(key, b"") for key in KEYS])
    [written] = given
    assert sorted(key for _, items in written for key, _ in items) == KEYS
    assert [number for number, _ in written] == [0, 1, 2]


def test_offset_and_limit_are_of_the_whole(users: PartitionedCollection) -> None:
    fill(users)
    assert list(users.keys(offset=5, limit=4)) == KEYS[5:9]
    assert list(users.keys(offset=28)) == KEYS[28:]
    assert [key for key, _ in users.scan(reverse=True, offset=1, limit=2)] == [b"28", b"27"]
    assert list(users.keys(offset=40)) == list(users.keys(limit=0)) == []


def test_a_scan_is_of_the_moment_of_the_call(users: PartitionedCollection) -> None:
    fill(users)
    scan = users.scan()
    users.put_many([(b"new %d" % number, b"") for number in range(9)])
    assert [key for key, _ in scan] == KEYS


def test_what_is_of_one_chain_names_whom_to_ask(users: PartitionedCollection) -> None:
    asked: list[Callable[[], object]] = [
        users.checkpoint,
        lambda: users.root_at(1),
        lambda: users.consistency_proof(0, 1),
        lambda: users.prove_run(0, 1),
        users.prove_range,
        lambda: users.tile("checkpoint"),
        lambda: users.export_tiles("somewhere"),
    ]
    for ask in asked:
        with pytest.raises(
            InvalidData, match=r"users has 3 partitions, each with a chain of its own: .*users:0 to users:2"
        ):
            ask()


def test_what_a_key_proves_is_of_its_partition(users: PartitionedCollection, databases: list[blockdb.Database]) -> None:
    fill(users)
    for key in KEYS[:3]:
        receipt = users.prove(key)
        verified = blockdb.verify_receipt(receipt.text, databases[users._parts.number_of(key)].verifier_key())
        assert [record.key for record in verified.records] == [key]
        absent, home = users.prove_absent(b"not " + key), databases[users._parts.number_of(b"not " + key)]
        assert blockdb.verify_receipt(absent.text, home.verifier_key()).records == ()


def test_an_index_is_in_all_partitions_or_in_none(users: PartitionedCollection) -> None:
    numbers = fill(users)
    made = users.create_index("n", ["n"])
    assert (made.entries, made.state) == (len(numbers), "ready")
    assert [document.key for document in users.find("n = 7")] == [b"07"]
    assert "index n" in users.explain("n = 7").access
    with pytest.raises(blockdb.DuplicateIndex):
        users.create_index("n", ["n"])
    users.drop_index("n")
    assert users.indexes() == ()
    with pytest.raises(blockdb.IndexNotFound):
        users.drop_index("n")
    with pytest.raises(InvalidData, match="cannot be unique"):
        users.create_index("n", ["n"], unique=True)


def test_an_index_that_fails_in_one_partition_is_in_none(users: PartitionedCollection) -> None:
    fill(users)
    odd = next(b"odd %d" % n for n in range(99) if users._parts.number_of(b"odd %d" % n) == 2)
    users.put(odd, b"no document")
    with pytest.raises(InvalidData, match="odd"):
        users.create_index("n", ["n"])
    assert users.indexes() == ()


def test_an_index_that_is_in_some_partitions_is_made_in_the_others(users: PartitionedCollection) -> None:
    fill(users)
    users._parts.current()[1].create_index("n", ["n"])
    assert [info.state for info in users.indexes()] == ["building"]
    assert users.create_index("n", ["n"]).state == "ready"
    users._parts.current()[1].drop_index("n")
    users.drop_index("n")
    assert users.indexes() == ()


def test_moments_are_of_all_partitions(users: PartitionedCollection) -> None:
    assert users.moment() is None
    fill(users)
    moment = users.moment()
    assert moment is not None
    users.put_many([(b"new %d" % number, b"") for number in range(9)])
    assert list(users.keys(as_of=moment)) == KEYS
    assert users.get(b"new 1", as_of=moment) is None
    assert list(users.keys(as_of=users.moment())) == sorted([*KEYS, *(b"new %d" % number for number in range(9))])
    for bad in ((1, 2), (1, 2, -2)):
        with pytest.raises(InvalidData, match="3 numbers"):
            users.scan(as_of=AsOf(sequences=bad))
    with pytest.raises(InvalidData, match="one"):
        users._parts.current()[0].get(b"a", as_of=AsOf(sequences=(0, 0, 0)))


def test_a_feed_goes_on_after_a_position(users: PartitionedCollection) -> None:
    feed = users.watch(after=-1)
    fill(users)
    seen = [next(feed).record.key for _ in range(11)]
    position = feed.position
    feed.stop()
    again = users.watch(after=position)
    seen += [next(again).record.key for _ in range(19)]
    assert sorted(seen) == KEYS
    assert again.take(0) is None
    again.stop()
    assert again.take() is None
    assert again.is_over()
    with pytest.raises(InvalidData, match=r"users has 3 partitions.*users:0"):
        users.watch(after=4)
    for bad in ("1.2", "1.2.x", "1.2.-2", "1.2.99"):
        with pytest.raises(InvalidData):
            users.watch(after=bad)


def test_the_whole_is_described_and_verified(users: PartitionedCollection) -> None:
    fill(users)
    info = users.describe()
    assert (info.id, info.name, info.stats.document_count) == (users.id, "users", 30)
    told: list[blockdb.Progress] = []
    report = users.verify(told.append)
    assert report.valid
    assert report.records >= 30
    stats = users.stats()
    assert (stats.records, stats.collection_id, stats.blockchain_batch_size) == (30, users.id, 4)
    assert stats.put_latency.count == sum(part.stats().put_latency.count for part in users._parts.current())


def test_redactions_are_checked_in_all_partitions_first(users: PartitionedCollection) -> None:
    fill(users)
    with pytest.raises(blockdb.KeyNotFound):
        users.redact_many([b"01", b"02", b"03", b"nobody"], reason="asked")
    assert all(users.get(key) for key in KEYS)
    done = users.redact_many([b"01", b"02", b"03"], reason="asked")
    assert [record.key for record in users.records() if record.redacted] == [
        record.key for record in users.records() if record.sequence in done.sequences
    ]


def test_the_schema_is_that_of_all_partitions(users: PartitionedCollection) -> None:
    fill(users)
    assert users.schema is None
    users.set_schema({"fields": {"n": {"field_type": "Integer"}}})
    assert [version.version for version in users.schemas()] == [1]
    for key in (b"x", b"y", b"z"):
        with pytest.raises(blockdb.ValidationError):
            users.put(key, {"n": "no number"})
    assert {users.schema_version(number) for number in (users.put(b"last %d" % n, {"n": n}) for n in range(9))} == {1}
    with pytest.raises(InvalidData, match="unique"):
        users.set_schema(
            {"fields": {"n": {"field_type": "Integer"}}, "indexes": [{"name": "n", "fields": ["n"], "unique": True}]}
        )


SCHEMA = {"fields": {"n": {"field_type": "Integer"}}}


def test_a_schema_is_in_no_partition_where_one_has_another_record(users: PartitionedCollection) -> None:
    fill(users)
    users.put(next(b"odd %d" % n for n in range(99) if users._parts.number_of(b"odd %d" % n) == 2), {"n": "two"})
    with pytest.raises(InvalidData, match="odd"):
        users.set_schema(SCHEMA)
    assert [part.schemas() for part in users._parts.current()] == [(), (), ()]


def test_a_schema_that_is_in_some_partitions_is_set_in_the_others(users: PartitionedCollection) -> None:
    users._parts.current()[0].set_schema(SCHEMA)
    with pytest.raises(InvalidData, match="some partitions"):
        users.set_schema({"fields": {"other": {"field_type": "Integer"}}})
    users.set_schema(SCHEMA)
    assert [len(part.schemas()) for part in users._parts.current()] == [1, 1, 1]
    users.set_schema(SCHEMA)
    assert [len(part.schemas()) for part in users._parts.current()] == [2, 2, 2]
