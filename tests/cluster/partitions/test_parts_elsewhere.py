"""A collection some of whose partitions are collections of other nodes, over the network."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

import blockdb
from blockdb import AsOf
from blockdb.cluster.partitions.collection import PartitionedCollection
from tests.client.served import served
from tests.cluster.partitions.spread import over
from tests.tiers import tiers

KEYS = [b"%02d" % number for number in range(40)]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[PartitionedCollection, PartitionedCollection]]:
    """The same collection: all of it here, and with two of three partitions elsewhere."""
    path = tmp_path_factory.mktemp("elsewhere")
    with ExitStack() as stack:
        here = [stack.enter_context(blockdb.open(path / str(n), blockchain_batch_size=4)) for n in range(3)]
        servers = [stack.enter_context(served(database)) for database in here[1:]]
        there = [stack.enter_context(blockdb.connect(server.url)) for server in servers]
        whole = over(here)
        mixed = over([here[0], *there])
        mixed.put_many([(key, {"n": int(key) // 4, "long": "x" * 50}) for key in KEYS])
        yield whole, mixed


def test_everything_is_the_same(both: tuple[PartitionedCollection, PartitionedCollection]) -> None:
    whole, mixed = both
    numbers = [record.sequence for record in whole.records()]
    middle = AsOf(sequence=numbers[len(numbers) // 2])
    for ask in (
        lambda users: list(users.scan(offset=3, limit=20)),
        lambda users: list(users.keys(reverse=True)),
        lambda users: list(users.keys(as_of=middle)),
        lambda users: list(users.records(5, 20)),
        lambda users: list(users.blocks()),
        lambda users: list(users.blocks(4, reverse=True)),
        lambda users: [users.record(key) for key in KEYS],
        lambda users: [users.get(key, as_of=middle) for key in KEYS],
        lambda users: users.count(where="n > 3"),
        lambda users: users.moment(),
        lambda users: users.moment(AsOf(time_ms=next(users.records(numbers[3])).time_ms)),
        lambda users: users.moment(AsOf(block=4)),
        lambda users: users.collection_stats(),
        lambda users: list(users.find("_sequence > 9 and n < 8", order="n desc", limit=12, offset=3)),
        lambda users: [document.details for document in users.find(order="long")],
    ):
        assert ask(mixed) == ask(whole)


@pytest.mark.parametrize("order", tiers(["long desc"], ["", "n"]))
def test_cursors_lead_on_wherever_a_partition_is_by_then(
    both: tuple[PartitionedCollection, PartitionedCollection], order: str
) -> None:
    whole, mixed = both
    wanted = [document.key for document in whole.find(order=order)]
    for taken in (1, 5, 22):
        for first, second in ((mixed, mixed), (mixed, whole), (whole, mixed)):
            page = first.find(order=order, limit=taken)
            found = [document.key for document in page]
            assert found + [d.key for d in second.find(order=order, after=page.cursor)] == wanted
            unended = first.find(order=order)
            assert [next(unended).key for _ in range(taken)] == found
            assert [d.key for d in second.find(order=order, after=unended.cursor, limit=3)] == wanted[taken:][:3]


def test_changes_come_from_everywhere(both: tuple[PartitionedCollection, PartitionedCollection]) -> None:
    whole, mixed = both
    feed = mixed.watch(after=-1, timeout_s=10)
    seen = [next(feed) for _ in KEYS]
    position = feed.position
    feed.stop()
    assert sorted(change.record.key for change in seen) == KEYS
    assert {change.sequence for change in seen} == {record.sequence for record in whole.records()}
    again = whole.watch(after=position)
    assert again.take(0) is None
    again.stop()
