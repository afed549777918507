"""Nodes compare the heads of their chains, and find the record at which they part."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from blockdb.cluster.machine.heads import Heads
from blockdb.cluster.machine.machine import Machine
from blockdb.errors import Unavailable
from tests.cluster.machine.world import BLOCK, Log, apply_all, machine_at, state_of, transferred

RECORDS = 11 * BLOCK + 2


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Machine, Machine, Log]]:
    """Two nodes, of which one has stored another value in the middle."""
    log, other_log = Log(), Log()
    for number in range(RECORDS):
        log.put(b"key%03d" % number, b"value")
        other_log.put(b"key%03d" % number, b"other" if number == 6 * BLOCK + 1 else b"value")
    one, other = machine_at(tmp_path / "one"), machine_at(tmp_path / "other")
    apply_all(one, log.commands)
    apply_all(other, other_log.commands)
    yield one, other, log
    one.close()
    other.close()


def test_what_is_the_same_is_found_to_be(tmp_path: Path, pair: tuple[Machine, Machine, Log]) -> None:
    one, _, log = pair
    same = machine_at(tmp_path / "same")
    apply_all(same, log.commands[: 5 * BLOCK])
    assert same.heads.head() != one.heads.head()
    assert one.heads.compare(same.heads.head()) is None
    assert same.heads.compare(one.heads.head()) is None, "it has not come as far"
    apply_all(same, log.commands)
    assert same.heads.head() == one.heads.head()
    assert same.heads.head()[log.collections["default"]].number == RECORDS // BLOCK - 1
    same.close()


def test_the_first_record_that_differs_is_named(pair: tuple[Machine, Machine, Log]) -> None:
    one, other, _ = pair
    found = one.heads.compare(other.heads.head())
    assert found is not None
    asked: list[int] = []

    def ask(collection: bytes, first: int, count: int) -> list[bytes]:
        asked.append(first)
        return other.heads.block_hashes(collection, first, count)

    first = one.heads.first_difference(found, ask, other.heads.leaf_hashes)
    assert (first.block, first.sequence, first.name) == (6, 6 * BLOCK + 1, "default")
    assert len(asked) <= 4
    assert str(first).endswith(f"record {6 * BLOCK + 1}")


def test_who_has_gone_astray_serves_nothing_until_it_has_a_copy(pair: tuple[Machine, Machine, Log]) -> None:
    one, other, log = pair
    difference = other.heads.compare(one.heads.head())
    assert difference is not None
    other.diverge(difference)
    assert (other.needs_copy, other.applied_index) == (True, 0)
    for refused in (lambda: other.database.get(b"key"), lambda: other.apply(log.commands), other.make_durable):
        with pytest.raises(Unavailable, match="another one than that of the cluster"):
            refused()
    assert other.heads.block_hashes(difference.collection, 0, 1), "it can still be asked where"
    transferred(one, other)
    assert state_of(one) == state_of(other)
    assert not other.diverged
    assert other.heads.compare(one.heads.head()) is None


def test_a_node_alone_and_an_unknown_collection(pair: tuple[Machine, Machine, Log]) -> None:
    heads: Heads = pair[0].heads
    assert heads.compare({}) is None
    assert heads.block_hashes(bytes(16), 0, 5) == []
