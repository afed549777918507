"""Views of a collection of several partitions, whose numbers have gaps."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

import blockdb
from blockdb_tui.changes import Stream
from blockdb_tui.finder import _partition
from blockdb_tui.listing import NewestFirst, Numbers
from tests.cluster.partitions.spread import over
from tests.storage.doors import until


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> Iterator[blockdb.Collection]:
    """Three partitions, of which one has many more records than the others."""
    path = tmp_path_factory.mktemp("parts")
    with ExitStack() as stack:
        users = over([stack.enter_context(blockdb.open(path / str(n))) for n in range(3)])
        home = users._parts.number_of
        for number in range(60):
            key = b"%02d" % number
            if home(key) == 1 or number < 20:
                users.put(key, b"")
        yield users


@pytest.mark.parametrize("counts", [(5,), (0, 0), (3, 0, 9), (4, 4), (0, 7, 1)])
def test_ranks_are_found_both_ways(counts: tuple[int, ...]) -> None:
    several, numbers = len(counts), Numbers(counts)
    there = sorted(own * several + n for n, count in enumerate(counts) for own in range(count))
    assert [numbers.rank(number) for number in there] == list(range(len(there)))
    assert [numbers.of_rank(rank) for rank in range(len(there))] == there


def test_the_newest_first_are_listed_without_gaps(users: blockdb.Collection) -> None:
    listing = NewestFirst(users)
    wanted = [record.key for record in users.records()][::-1]
    count = listing.count()
    assert count == len(wanted)
    assert [row.key for row in listing.fetch(0, count, count)] == wanted
    for first in (0, 3, count - 4):
        rows = listing.fetch(first, 4, count)
        assert [row.key for row in rows] == wanted[first : first + 4]
        assert [listing.locate(row, count) for row in rows] == list(range(first, first + 4))
        assert listing.position(rows[0].key) == first


def test_the_stream_has_the_changes_of_all_partitions(users: blockdb.Collection) -> None:
    stream = Stream({"users": users})
    stream.start()
    stream.look(True)
    until(lambda: stream.newest()[0] == users.count())
    assert {change.key for change in stream.newest()[1]} == set(users.keys())
    stream.stop()


def test_a_partition_is_entered_by_its_name() -> None:
    assert _partition("users:2", ["users"]) == ["users:2"]
    assert _partition("users:x", ["users"]) == _partition("others:2", ["users"]) == _partition("users", ["users"]) == []
