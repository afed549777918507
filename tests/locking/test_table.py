import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockdb.locking.table import GRANTED, LockTable, Outcome
from tests.locking.naive import UNIVERSE, Ask, NaiveTable, keys_between

OWNERS = range(1, 6)
SPACES = ("one", "two")

asks = st.tuples(
    st.just("ask"),
    st.sampled_from(OWNERS),
    st.sampled_from(SPACES),
    st.sampled_from(UNIVERSE),
    st.sampled_from(["point", None, *UNIVERSE]),
    st.booleans(),
)
ends = st.tuples(st.sampled_from(["release", "withdraw"]), st.sampled_from(OWNERS))


class Both:
    """The table and the naive one, which must say the same of everything."""

    def __init__(self) -> None:
        self.table = LockTable()
        self.naive = NaiveTable()

    def ask(self, owner: int, space: str, start: bytes, stop: bytes | str | None, exclusive: bool) -> None:
        if self.table.waits(owner):
            return
        if isinstance(stop, str):
            ask = Ask(owner, space, frozenset([start]), exclusive)
            outcome = self.table.lock_key(owner, space, start, exclusive)
        else:
            ask = Ask(owner, space, keys_between(start, stop), exclusive)
            outcome = self.table.lock_range(owner, space, start, stop, exclusive)
        is_granted, woken = self.naive.ask(ask), set[int]()
        for victim in outcome.victims:
            assert victim in {max(cycle) for cycle in self.naive.cycles_through(owner)}
            woken |= self.naive.release(victim)
        assert outcome.is_granted == (is_granted or owner in woken)
        assert set(outcome.woken) == woken - {owner}

    def release(self, owner: int) -> None:
        assert set(self.table.release(owner)) == self.naive.release(owner)

    def withdraw(self, owner: int) -> None:
        assert set(self.table.withdraw(owner)) == self.naive.withdraw(owner)

    def check(self) -> None:
        """Both know the same, and nothing is as it should not be."""
        naive = self.naive
        granted = naive.granted
        assert not any(one.conflicts(other) for one in granted for other in granted), "two have what one can have"
        assert {owner: self.table.waits_for(owner) for owner in OWNERS if self.table.waits(owner)} == naive.edges()
        assert all(naive.edges().values()), "somebody waits for nobody"
        assert not any(list(naive.cycles_through(owner)) for owner in OWNERS), "some wait for each other"
        for space in SPACES:
            for key in UNIVERSE:
                is_held = any(ask.space == space and key in ask.keys for ask in granted)
                assert self.table.is_locked(space, key) == is_held
        held, waiting = self.table.snapshot().held, self.table.snapshot().waiting
        assert set(held) == {ask.owner for ask in granted if ask.keys}
        assert {owner: set(found.blockers) for owner, found in waiting.items()} == naive.edges()


@given(st.lists(st.one_of(asks, asks, ends), max_size=30))
def test_it_says_what_a_naive_table_says(steps: list[tuple]) -> None:  # type: ignore[type-arg]
    both = Both()
    for name, *arguments in steps:
        getattr(both, name)(*arguments)
        both.check()
    for owner in OWNERS:
        both.release(owner)
    assert both.table.snapshot().held == {}
    assert not any(both.table.is_locked(space, key) for space in SPACES for key in UNIVERSE)


def test_readers_share_and_a_writer_waits_for_all_of_them() -> None:
    table = LockTable()
    assert table.lock_key(1, "s", b"k", False) == GRANTED
    assert table.lock_key(2, "s", b"k", False) == GRANTED
    assert table.lock_key(3, "s", b"k", True) == Outcome(is_granted=False)
    assert table.waits_for(3) == {1, 2}
    assert table.release(1) == ()
    assert table.release(2) == (3,)


def test_a_reader_who_comes_after_a_waiting_writer_waits_too() -> None:
    table = LockTable()
    table.lock_key(1, "s", b"k", False)
    table.lock_key(2, "s", b"k", True)
    assert not table.lock_key(3, "s", b"k", False).is_granted
    assert table.release(1) == (2,)
    assert table.release(2) == (3,)


def test_who_reads_and_then_writes_goes_before_those_who_wait_for_him() -> None:
    table = LockTable()
    table.lock_key(1, "s", b"k", False)
    assert not table.lock_key(2, "s", b"k", True).is_granted
    assert table.lock_key(1, "s", b"k", True) == GRANTED
    assert table.release(1) == (2,)


def test_two_who_read_and_want_to_write_are_a_deadlock_and_the_younger_gives_way() -> None:
    for first, second in ((1, 2), (2, 1)):
        table = LockTable()
        table.lock_key(1, "s", b"k", False)
        table.lock_key(2, "s", b"k", False)
        table.lock_key(first, "s", b"k", True)
        outcome = table.lock_key(second, "s", b"k", True)
        assert outcome.victims == (2,)
        assert not table.waits(1)
        assert table.held_by(2) == 0
        assert outcome == (Outcome(False, (2,), (1,)) if second == 2 else Outcome(True, (2,), ()))


def test_a_range_holds_up_who_adds_a_key_to_it_and_nobody_else() -> None:
    table = LockTable()
    assert table.lock_range(1, "s", b"b", b"d", False) == GRANTED
    assert table.lock_key(2, "s", b"a", True) == GRANTED
    assert table.lock_key(2, "s", b"d", True) == GRANTED
    assert table.lock_key(2, "s", b"c", False) == GRANTED
    assert table.lock_key(2, "other", b"c", True) == GRANTED
    assert not table.lock_key(2, "s", b"bb", True).is_granted
    assert table.release(1) == (2,)
    assert not table.lock_range(3, "s", b"", None, False).is_granted


def test_a_range_without_keys_is_nobodys() -> None:
    table = LockTable()
    assert table.lock_range(1, "s", b"b", b"b", True) == GRANTED
    assert table.snapshot().held == {}


def test_a_cycle_over_several_spaces_is_broken_where_it_is_youngest() -> None:
    table = LockTable()
    for owner in (1, 2, 3):
        table.lock_key(owner, owner, b"k", True)
    assert not table.lock_key(3, 1, b"k", True).is_granted
    assert not table.lock_key(2, 3, b"k", True).is_granted
    assert table.lock_key(1, 2, b"k", False).victims == (3,)
    assert table.waits_for(1) == {2}
    assert not table.waits(2)


def test_who_stops_waiting_makes_way_and_keeps_what_he_has() -> None:
    table = LockTable()
    table.lock_key(1, "s", b"k", False)
    table.lock_key(2, "s", b"other", True)
    table.lock_key(2, "s", b"k", True)
    table.lock_key(3, "s", b"k", False)
    assert table.withdraw(2) == (3,)
    assert table.held_by(2) == 1
    assert table.withdraw(2) == ()


def test_who_waits_cannot_ask_for_more() -> None:
    table = LockTable()
    table.lock_key(1, "s", b"k", True)
    table.lock_key(2, "s", b"k", True)
    with pytest.raises(ValueError, match="waits"):
        table.lock_key(2, "s", b"k", False)


def test_a_crowd_at_one_key_is_served_in_the_order_in_which_it_came() -> None:
    table = LockTable()
    table.lock_key(0, "s", b"k", True)
    for owner in range(1, 100):
        assert not table.lock_key(owner, "s", b"k", True).is_granted
    assert [table.release(owner) for owner in range(99)] == [(owner,) for owner in range(1, 100)]


def test_ranges_that_follow_each_other_are_two() -> None:
    table = LockTable()
    assert table.lock_range(1, "s", b"b", b"c", True) == GRANTED
    assert table.lock_range(2, "s", b"a", b"b", True) == GRANTED
    assert table.lock_range(3, "s", b"c", None, True) == GRANTED


def test_who_closes_two_cycles_at_once_costs_a_victim_each() -> None:
    table = LockTable()
    table.lock_key(1, "s", b"mine", True)
    for owner in (2, 3):
        table.lock_key(owner, "s", b"theirs", False)
        assert not table.lock_key(owner, "s", b"mine", False).is_granted
    assert table.lock_key(1, "s", b"theirs", True) == Outcome(True, (2, 3), ())
