"""How much a member is sent."""

from hypothesis import given, settings
from hypothesis import strategies as st

from blockdb.raft.progress import Pace, Progress


def streaming(next_: int = 11, window: int = 3) -> Progress:
    progress = Progress(next_, window, 100, 0)
    progress.acknowledged(next_ - 1)
    return progress


def test_one_append_at_a_time_until_it_is_known_where_the_logs_agree() -> None:
    progress = Progress(11, 3, 100, 0)
    assert progress.can_send
    progress.sent(15, 1, 0)
    assert not progress.can_send
    assert progress.next == 11, "what was not confirmed is sent again"
    progress.refused(10, 4)
    assert progress.can_send
    assert progress.next == 5
    progress.sent(15, 1, 0)
    assert progress.acknowledged(15)
    assert (progress.pace, progress.match, progress.next) == (Pace.STREAMING, 15, 16)


def test_many_at_once_but_not_more_than_the_window() -> None:
    progress = streaming()
    for last in (11, 12, 14):
        assert progress.can_send
        progress.sent(last, 1, 0)
    assert not progress.can_send
    assert progress.next == 15
    progress.acknowledged(12)
    assert progress.can_send
    assert progress.seen(True).in_flight == 1


def test_nor_more_than_so_many_bytes() -> None:
    progress = streaming(window=50)
    progress.sent(11, 99, 0)
    assert progress.can_send
    progress.sent(12, 1, 0)
    assert not progress.can_send
    progress.acknowledged(11)
    assert (progress.can_send, progress.in_flight_bytes) == (True, 1)
    progress.probe()
    assert progress.in_flight_bytes == 0


def test_an_empty_append_takes_no_room() -> None:
    progress = streaming()
    for _ in range(10):
        progress.sent(10, 1, 7)
    assert progress.can_send
    assert progress.commit_sent == 7


def test_a_late_refusal_changes_nothing() -> None:
    progress = streaming()
    progress.refused(9, 3)
    assert progress.pace is Pace.STREAMING
    progress.sent(12, 1, 0)
    progress.refused(12, 11)
    assert (progress.pace, progress.next) == (Pace.PROBING, 12)
    progress.refused(20, 3)
    assert progress.next == 12
    progress.refused(10, 3)
    assert progress.next == 12, "what is on its disk is never sent again"


def test_a_refusal_of_what_it_acknowledged_is_no_reason_to_ask_again_at_once() -> None:
    progress = streaming()
    progress.probe(is_paused=True)
    progress.refused(10, 4)
    assert not progress.can_send, "it would be refused again, for ever, as fast as the network is"


def test_a_member_that_lost_what_it_had_begins_anew() -> None:
    progress = streaming()
    progress.forget(4)
    assert (progress.match, progress.next, progress.pace) == (0, 5, Pace.PROBING)


def test_nothing_is_sent_while_a_snapshot_is_under_way() -> None:
    progress = streaming()
    progress.await_snapshot()
    assert not progress.can_send
    progress.refused(12, 3)
    assert progress.pace is Pace.SNAPSHOT
    progress.probe(20, is_paused=True)
    assert (progress.next, progress.can_send) == (20, False)


def test_an_answer_to_a_heartbeat_frees_what_is_stuck() -> None:
    probing, full = Progress(11, 3, 100, 0), streaming(window=1)
    probing.sent(11, 1, 0)
    full.sent(11, 1, 0)
    for progress in (probing, full):
        assert not progress.can_send
        progress.nudge(11)
        assert progress.can_send
        assert progress.is_nudged
    full.acknowledged(11)
    full.nudge(11)
    assert not full.is_nudged


def test_a_long_append_has_more_time() -> None:
    progress = Progress(11, 3, 100, 0)
    progress.sent(11, 3 << 20, 0)
    for _ in range(2):
        progress.nudge(11)
        assert not progress.can_send
    progress.nudge(11)
    assert progress.can_send


CALLS = st.lists(
    st.one_of(
        st.tuples(st.just("sent"), st.integers(0, 5)),
        st.tuples(st.just("acknowledged"), st.integers(0, 30)),
        st.tuples(st.just("refused"), st.integers(0, 30)),
        st.tuples(st.just("probe"), st.integers(0, 30)),
        st.tuples(st.just("nudge"), st.just(30)),
        st.tuples(st.just("await_snapshot"), st.just(0)),
    ),
    max_size=40,
)


@settings(max_examples=30)
@given(CALLS)
def test_what_is_sent_next_is_always_behind_what_is_known_and_what_is_known_never_shrinks(
    calls: list[tuple[str, int]],
) -> None:
    progress = Progress(5, 4, 100, 0)
    for name, number in calls:
        match = progress.match
        if name == "sent" and progress.can_send:
            progress.sent(progress.next - 1 + number, 1, 0)
        elif name == "refused":
            progress.refused(number, number // 2)
        elif name == "await_snapshot":
            progress.await_snapshot()
        elif name != "sent":
            getattr(progress, name)(number)
        assert match <= progress.match < progress.next
        assert progress.seen(True).in_flight <= 4
