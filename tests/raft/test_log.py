"""The log over its view, against a list."""

from hypothesis import given, settings
from hypothesis import strategies as st

from blockdb.format.consensus import Entry, Kind, Members
from blockdb.raft.log import Log
from blockdb.raft.messages import SnapshotHead
from blockdb.raft.ready import Ready
from tests.raft.group import Disk

HEAD = SnapshotHead(3, 2, Members())


def entries(first: int, *terms: int, size: int = 1) -> list[Entry]:
    return [Entry(index, term, Kind.COMMAND, b"x" * size) for index, term in enumerate(terms, first)]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 3)),
        st.tuples(st.just("cut"), st.integers(0, 5)),
        st.tuples(st.just("take"), st.none()),
        st.tuples(st.just("term"), st.none()),
    ),
    max_size=20,
)


@settings(max_examples=30)
@given(STEPS)
def test_it_is_what_was_appended_whatever_was_handed_out(steps: list[tuple[str, int | None]]) -> None:
    disk = Disk(HEAD, entries(4, 2, 3, 3))
    log, model, term = Log(disk), entries(4, 2, 3, 3), 3
    for step, count in steps:
        if step == "append":
            new = entries(log.last_index + 1, *[term] * (count or 1))
            log.append(new)
            model += new
        elif step == "cut" and len(model) > (count or 0):
            term += 1
            model = model[: count or 0]
            log.cut(4 + len(model))
            new = entries(log.last_index + 1, term)
            log.append(new)
            model += new
        elif step == "term":
            term += 1
        elif step == "take":
            disk.take(Ready(1, entries=log.take()))
            assert disk.kept == model
        last = 3 + len(model)
        assert (log.last_index, log.last_term) == (last, model[-1].term)
        assert [log.term(index) for index in range(3, last + 1)] == [2, *(entry.term for entry in model)]
        assert list(log.entries(4, last, 1 << 20)) == model
        for first in range(4, last + 1):
            assert list(log.entries(first, last, 2)) == model[first - 4 : first - 2]


@settings(max_examples=30)
@given(st.lists(st.integers(2, 9)).map(sorted), st.integers(1, 10), st.integers(0, 15))
def test_the_last_entry_that_may_agree_is_found(terms: list[int], term: int, up_to: int) -> None:
    log = Log(Disk(HEAD, entries(4, *terms)))
    known = {3: 2, **dict(enumerate(terms, 4))}
    fitting = [index for index in known if index <= up_to and known[index] <= term]
    assert log.last_of(term, up_to) == (up_to if up_to < 3 else max(fitting, default=2))


def test_what_is_handed_out_is_the_views_from_then_on() -> None:
    disk = Disk(HEAD)
    log = Log(disk)
    log.append(entries(4, 5, 5))
    assert log.has_tail
    disk.take(Ready(1, entries=log.take()))
    assert not log.has_tail
    assert log.entries(4, 5, 100) == tuple(entries(4, 5, 5))


def test_one_entry_is_given_even_if_it_is_too_large() -> None:
    disk = Disk(HEAD, entries(4, 5, size=100))
    log = Log(disk)
    log.append(entries(5, 5, 5, size=100))
    assert [entry.index for entry in log.entries(4, 6, 10)] == [4]
    assert [entry.index for entry in log.entries(5, 6, 10)] == [5]
    assert [entry.index for entry in log.entries(4, 6, 200)] == [4, 5]
    assert [entry.index for entry in log.entries(4, 6, 300)] == [4, 5, 6]


def test_a_log_that_begins_anew_keeps_nothing() -> None:
    log = Log(Disk(HEAD, entries(4, 5, 5)))
    log.append(entries(6, 5))
    log.begin(SnapshotHead(5, 9, Members()))
    assert (log.last_index, log.last_term, log.has_tail) == (5, 9, False)
    assert log.agrees(5, 9)
    assert not log.agrees(6, 5)


def test_the_newer_log_is_the_one_of_the_later_term_then_the_longer_one() -> None:
    log = Log(Disk(HEAD, entries(4, 5, 5)))
    assert log.is_up_to_date(1, 6)
    assert log.is_up_to_date(5, 5)
    assert not log.is_up_to_date(4, 5)
    assert not log.is_up_to_date(100, 4)
