"""Thousands of concurrent histories: each could have happened one transaction after the other."""

from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

import blockdb
from blockdb.database.transactions.gate import CollectionGate
from blockdb.database.transactions.locks import Locks
from tests.database.histories import Event, cycle_in, edges_of, first_problem
from tests.storage.doors import StillDoor, open_through
from tests.tiers import tiers

NAMES = ("default", "other")


@pytest.fixture
def db(tmp_path: Path) -> Iterator[blockdb.Database]:
    with open_through(StillDoor(), tmp_path / "db") as db:
        db.create_collection("other")
        yield db


@pytest.mark.parametrize("size", tiers([(100, 4, 4)], [(3000, 3, 5), (2000, 6, 6), (500, 16, 4)]))
def test_every_history_is_serializable(db: blockdb.Database, size: tuple[int, int, int]) -> None:
    """So many histories of so many threads with so many transactions each."""
    histories, threads, each = size
    assert first_problem(db, NAMES, histories, seed=threads, threads=threads, each=each) is None
    found = db.stats().transactions
    assert found.waits > histories / 10, "nothing was put to the test"
    assert (found.active, found.locks, found.waiting, found.timeouts) == (0, 0, 0, 0)
    assert db.verify().valid


@pytest.mark.torture
def test_every_history_is_serializable_after_the_log_was_emptied_now_and_then(
    db: blockdb.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("blockdb.database.transactions.committing.EMPTY_AT_BYTES", 2_000)
    assert first_problem(db, NAMES, 500, seed=99, threads=5, each=5) is None


# ── the check itself: it finds every way of being less isolated ──────────────────────────────────────────────────


def nothing(*arguments: object, **more: object) -> None:
    """Instead of what isolates."""


lock_key = Locks.lock_key


def no_read_locks(locks: Locks, holder: object, space: object, key: bytes, exclusive: bool) -> None:
    if exclusive:
        lock_key(locks, holder, space, key, exclusive)  # type: ignore[arg-type]


def no_barrier(gate: CollectionGate) -> None:
    if gate.store.gate is None:
        gate.store.use_gate(gate)


WEAKER: dict[str, tuple[type, str, Callable[..., None]]] = {
    "phantoms": (Locks, "lock_range", nothing),
    "reads that are not locked": (Locks, "lock_key", no_read_locks),
    "plain writes that pass locks": (CollectionGate, "check", nothing),
    "plain writes that are under way": (CollectionGate, "shut", no_barrier),
}


@pytest.mark.parametrize("weaker", tiers(["phantoms"], [name for name in WEAKER if name != "phantoms"]))
def test_weaker_isolation_is_found(db: blockdb.Database, weaker: str) -> None:
    with patch.object(*WEAKER[weaker][:2], WEAKER[weaker][2]):
        assert first_problem(db, NAMES, 2000, seed=1, threads=4, each=5) is not None


A, B = ("default", b"a"), ("default", b"b")


def test_write_skew_is_a_cycle() -> None:
    one, two = Event(1, began=1, ended=3), Event(2, began=2, ended=4)
    one.missed, one.wrote = {A, B}, {A}
    two.missed, two.wrote = {A, B}, {B}
    assert edges_of([one, two]) == {1: {2}, 2: {1}}
    assert cycle_in(edges_of([one, two])) == [1, 2]


def test_seeing_half_of_a_transaction_is_a_cycle() -> None:
    one, two = Event(1, began=1, ended=4), Event(2, began=2, ended=3)
    one.wrote, two.saw, two.missed = {A, B}, {A}, {B}
    assert cycle_in(edges_of([one, two])) is not None


def test_missing_what_was_over_before_is_a_cycle() -> None:
    one, two = Event(1, began=1, ended=2), Event(2, began=3, ended=4)
    one.wrote, two.missed = {A}, {A}
    assert cycle_in(edges_of([one, two])) is not None


def test_one_after_the_other_is_none() -> None:
    one, two, three = Event(1, began=1, ended=9), Event(2, began=2, ended=9), Event(3, began=3, ended=9)
    one.wrote, two.missed, two.wrote, three.saw = {A}, {A}, {B}, {A, B}
    assert edges_of([one, two, three]) == {1: {3}, 2: {1, 3}, 3: set()}
    assert cycle_in(edges_of([one, two, three])) is None
