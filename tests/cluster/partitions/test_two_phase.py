"""Commits over several partitions, in simulated worlds: all or nothing, one after the other, nothing left in doubt."""

import pytest

from blockdb.cluster.machine.commands import CommitPart, Decide, Finish
from blockdb.cluster.partitions import committing
from blockdb.cluster.partitions.committing import Ask, Share
from blockdb.errors import CollectionNotFound, Deadlock, Unavailable
from tests.cluster.partitions.simulated import World
from tests.tiers import tiers

CANARY = 501
"""A world in which somebody reads what is decided and not yet stored."""


@pytest.mark.parametrize("first", tiers([0], range(50, 20_000, 50)))
def test_any_world(first: int) -> None:
    for seed in range(first, first + 50):
        World(seed).run()


def test_reads_that_do_not_wait_are_noticed() -> None:
    with pytest.raises(AssertionError, match="no order"):
        World(CANARY, reads_wait=False).run()
    World(CANARY).run()


def test_a_seed_decides_everything() -> None:
    one, other = World(7), World(7)
    one.run()
    other.run()
    assert one.history == other.history
    assert [each.log for each in one.partitions.values()] == [each.log for each in other.partitions.values()]


T1 = b"1" * 16
WORK = {name: Share((CommitPart(bytes(16), ((b"key", b""),)),)) for name in ("p-1", "p-0", "p-2")}
GONE = Unavailable("Nobody answers.")


def test_a_home_forgets_nothing_that_others_do_not_know() -> None:
    steps = committing.close(T1, "p-0", ["p-1", "p-2"])
    assert next(steps).asks == (Ask("p-1", Finish(T1, True), T1), Ask("p-2", Finish(T1, True), T1))
    with pytest.raises(StopIteration):
        steps.send([[], GONE])
    steps = committing.close(T1, "p-0", ["p-1", "p-2"])
    next(steps)
    assert steps.send([CollectionNotFound("p-1"), []]).asks == (Ask("p-0", Finish(T1, True), T1),)


def test_who_cannot_be_asked_has_not_agreed() -> None:
    steps = committing.commit(T1, WORK)
    assert [ask.partition for ask in next(steps).asks] == ["p-0", "p-1", "p-2"]
    assert steps.send([b"", GONE, b""]).asks == (Ask("p-0", Decide(T1, False), T1),)
    last = steps.send([[False, []]])
    assert ([ask.content for ask in last.asks], last.is_awaited) == ([Finish(T1, False)] * 2, False)
    with pytest.raises(Unavailable):
        steps.send([])


def test_what_counts_is_the_decision() -> None:
    """Somebody else has ended it, or has committed it, as the same request did before."""
    steps = committing.commit(T1, WORK)
    next(steps)
    steps.send([GONE, b"", b""])
    assert all(ask.content == Finish(T1, True) for ask in steps.send([[True, [["c", 4, 1]]]]).asks)
    steps.send([[["c", 0, 1]], [["c", 2, 1]]])
    with pytest.raises(StopIteration) as stop:
        steps.send([])
    assert stop.value.value == {"p-1": [["c", 0, 1]], "p-0": [["c", 4, 1]], "p-2": [["c", 2, 1]]}


def test_a_home_that_refuses_is_not_asked_again() -> None:
    steps = committing.commit(T1, WORK)
    next(steps)
    assert all(ask.content == Finish(T1, False) for ask in steps.send([Deadlock("It has changed."), b"", b""]).asks)
    with pytest.raises(Deadlock):
        steps.send([])


def test_of_a_transaction_whose_home_is_gone_nothing_is_stored() -> None:
    steps = committing.resolve(T1, "p-0", "p-1")
    assert next(steps).asks == (Ask("p-0", Decide(T1, False), T1),)
    assert steps.send([CollectionNotFound("p-0")]).asks == (Ask("p-1", Finish(T1, False), T1),)
