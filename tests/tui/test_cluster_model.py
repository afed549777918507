"""What the view of a cluster knows, without a screen: lanes, the story, moving along it, recordings, who is asked."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import blockdb
from blockdb.commands.recordings.changes import changes_between
from blockdb.commands.recordings.events import Happening
from blockdb.commands.recordings.keeping import keep_cluster
from blockdb.commands.recordings.lanes import Lane, Sample, sample_of
from blockdb.commands.recordings.reading import read_recording
from blockdb_tui.cluster import story as stories
from blockdb_tui.cluster.playhead import Playhead
from blockdb_tui.cluster.story import Story
from blockdb_tui.cluster.watch import Watch
from tests.tui.fake import NOW_MS
from tests.tui.fake_cluster import SAMPLES, STEP_MS, Member, Said, story

# ── lanes ──


def test_each_node_speaks_for_itself_and_the_leader_for_those_that_are_silent() -> None:
    members = [
        Member("node1", "Leader", commit=90, applied=90),
        Member("node2", commit=80, applied=70, lag=20, last_heard_ms=NOW_MS - 40, agrees=True, head="c 3 abc"),
        Member("node3", "Unreachable", match=10, last_heard_ms=NOW_MS - 9_000),
    ]
    first = Said("node1", "Leader", term=4, last_index=95, commit=90, applied=90, members=members)
    second = Said("node2", term=4, last_index=93, commit=88, applied=85)
    lanes = {lane.id: lane for lane in sample_of([first, second], NOW_MS).lanes}
    assert list(lanes) == ["node1", "node2", "node3"]
    assert (lanes["node1"].state, lanes["node1"].last, lanes["node1"].agrees) == ("Leader", 95, True)
    assert (lanes["node2"].commit, lanes["node2"].lag, lanes["node2"].head) == (88, 5, "c 3 abc")
    assert lanes["node2"].heard_ms == NOW_MS - 40
    assert (lanes["node3"].state, lanes["node3"].last, lanes["node3"].term) == ("Unreachable", 10, 0)


def test_of_a_leader_that_was_not_asked_a_follower_knows_the_term() -> None:
    told = [Member("node1", "Leader"), Member("node2"), Member("node3")]
    sample = sample_of([Said("node2", term=7, leader="node1", members=told)], NOW_MS)
    assert [(lane.state, lane.term) for lane in sample.lanes] == [("Leader", 7), ("Follower", 7), ("Follower", 0)]


def test_of_two_that_lead_the_newer_term_counts() -> None:
    old, new = Said("node1", "Leader", term=4, commit=9), Said("node2", "Leader", term=5, commit=9)
    sample = sample_of([old, new], NOW_MS, {"node1": "cut off"}, ["node1", "node2", "node3"])
    assert sample.leader is not None
    assert sample.leader.id == "node2"
    assert [lane.fault for lane in sample.lanes] == ["cut off", "", ""]
    assert sample.lanes[2] == Lane("node3", "Unreachable")


def test_a_node_that_differs_says_so_whatever_others_say() -> None:
    view = Said("node2", diverged="block 3", members=[Member("node1", agrees=True)])
    leader = Said("node1", "Leader", members=[Member("node2", agrees=True), Member("node3", agrees=None)])
    assert [lane.agrees for lane in sample_of([view, leader], NOW_MS).lanes] == [True, False, None]


# ── the story ──


def test_a_story_is_in_order_however_it_comes_and_forgets_its_oldest_quarter() -> None:
    told = Story(most=100)
    for time_ms in (5, 3, 9, 7):
        told.add(Happening(time_ms, "a", "term"))
    assert [event.time_ms for event in told.events] == [3, 5, 7, 9]
    for number in range(97):
        told.add(Happening(100 + number, "a", "term"))
    assert (len(told.events), told.first_ms) == (76, 121)


def test_bands_tell_the_state_of_each_stretch_and_nothing_where_nothing_is_known() -> None:
    told = Story()
    for time_ms, state in ((10_000, "Follower"), (10_400, "Candidate"), (11_000, "Leader"), (20_000, "Follower")):
        told.add(Sample(time_ms, (Lane("a", state),)))
    states = [lane.state if lane else "" for lane in told.bands("a", 9_000, 1_000, 13)]
    assert states == ["", "Candidate", "Leader", "Leader", "Leader", *[""] * 6, "Follower", "Follower"]
    assert told.bands("nobody", 10_000, 1_000, 2) == [None, None]


def test_the_weightiest_mark_of_a_stretch_is_shown_in_the_lane_of_whom_it_is_about() -> None:
    told = Story()
    for kind, node, other in (("vote", "b", "a"), ("leader", "b", "a"), ("term", "a", "")):
        told.add(Happening(1_500, node, kind, 2, other=other))
    [mark] = [mark for mark in told.marks("a", 1_000, 250, 4) if mark]
    assert (mark.kind, told.marks("b", 1_000, 1_000, 1)[0].kind) == ("leader", "vote")  # type: ignore[union-attr]


def test_what_changed_between_two_samples_where_nobody_tells() -> None:
    before = Sample(1, (Lane("a", "Leader"), Lane("b", "Follower"), Lane("c", "Unreachable")))
    after = Sample(2, (Lane("a", "Unreachable"), Lane("b", "Leader", term=3), Lane("c", "Learner"), Lane("d", "New")))
    found = [(event.node_id, event.kind, event.what) for event in changes_between(before, after)]
    assert found == [("a", "contact", "lost"), ("b", "leader", ""), ("c", "contact", "reached")]
    assert changes_between(None, after) == []


# ── moving along it ──


def test_live_it_follows_the_end_until_one_goes_back() -> None:
    told = story()
    head = Playhead(told, is_live=True)
    assert (head.time_ms, head.start_ms(10)) == (NOW_MS, NOW_MS // 500 * 500 - 9 * 500)
    head.move(-4)
    assert (head.is_running, head.time_ms) == (False, NOW_MS - 2_000)
    told.add(Sample(NOW_MS + 700))
    assert head.time_ms == NOW_MS - 2_000
    head.to_last()
    assert (head.is_running, head.time_ms) == (True, NOW_MS + 700)
    head.toggle()
    assert (head.is_running, head.time_ms) == (False, NOW_MS + 700)


def test_a_recording_is_played_faster_slower_and_stops_at_its_end() -> None:
    told = story()
    head = Playhead(told, is_live=False)
    head.advance(1.0)
    assert head.time_ms == told.first_ms + 1_000
    head.faster(2)
    head.advance(1.0)
    assert (head.speed, head.time_ms) == (4.0, told.first_ms + 5_000)
    head.faster(-99)
    assert head.speed == 0.25
    head.faster(99)
    head.advance(60.0)
    assert (head.is_running, head.time_ms) == (False, NOW_MS)
    head.toggle()
    assert (head.is_running, head.time_ms) == (True, told.first_ms)


def test_the_stretch_moves_only_where_the_moment_would_leave_it() -> None:
    head = Playhead(story(), is_live=False)
    first = head.start_ms(20)
    head.move(19)
    assert head.start_ms(20) == first
    head.move(1)
    assert head.start_ms(20) == first + 500
    head.move(-20)
    assert head.start_ms(20) == first
    head.zoom(99)
    assert head.start_ms(20) <= head.time_ms


def test_events_are_gone_through_both_ways() -> None:
    told = story()
    head = Playhead(told, is_live=False)
    times = []
    while head.to_event(forwards=True):
        times.append(head.time_ms)
    assert times == sorted({event.time_ms for event in told.events})
    while head.to_event(forwards=False):
        pass
    assert head.time_ms == times[0]


# ── recordings ──


def test_a_recording_gives_back_what_was_seen(tmp_path: Path) -> None:
    told, path = story(5), tmp_path / "kept.jsonl"
    assert keep_cluster(path, told.samples, told.events) == path.stat().st_size
    again = read_recording(path)
    assert (again.samples, again.events) == (told.samples, told.events)
    with pytest.raises(FileExistsError):
        keep_cluster(path, told.samples, told.events)


def test_a_recording_that_was_cut_short_is_shown_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "kept.jsonl"
    keep_cluster(path, story().samples, story().events)
    path.write_bytes(path.read_bytes()[:-30])
    assert len(read_recording(path).samples) == SAMPLES - 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no recording"),
        ("hello\n", "no recording"),
        ('{"line":"recording","format":"x","version":1}\n', "no recording"),
        ('{"line":"recording","format":"blockdb cluster recording","version":9}\n', "version 9"),
        ("HEAD", "no sample"),
        ('HEAD{"line":"sample","time_ms":"x"}\n', "line 2"),
        ('HEAD{"line":"sample","time_ms":-1}\n', "line 2"),
        ('HEAD{"line":"other"}\n', "line 2"),
        ("HEAD\x80\n", "line 2"),
    ],
)
def test_what_is_no_recording_is_refused_in_words(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "kept.jsonl"
    head = '{"line":"recording","format":"blockdb cluster recording","version":1}\n'
    path.write_bytes(text.replace("HEAD", head).encode("latin-1"))
    with pytest.raises(blockdb.InvalidData, match=words):
        read_recording(path)


# ── who is asked ──


class FakeNode:
    """A node that says what it is told to, and fails while it is `away`."""

    def __init__(self, said: Said) -> None:
        self.said = said
        self.away = threading.Event()
        self.closed = threading.Event()
        self.will_tell: list[Happening] = []

    def status(self) -> Said:
        if self.away.is_set():
            raise blockdb.Unavailable("it is away")
        return self.said

    def events(self) -> Iterator[Happening]:
        yield from self.will_tell
        self.closed.wait()

    def close(self) -> None:
        self.closed.set()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_a_watch_hears_all_nodes_and_tells_of_a_leader_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blockdb_tui.cluster.watch.ASK_EVERY_S", 0.005)
    monkeypatch.setattr("blockdb_tui.cluster.watch.AGAIN_S", 0.005)
    now = [NOW_MS]
    nodes = [FakeNode(Said("node1", "Leader", term=2)), FakeNode(Said("node2", term=2))]
    for node in nodes:
        node.will_tell = [Happening(NOW_MS - 5, node.said.node_id, "leader", 2, other="node1")]
    told = Story()
    watch = Watch(told, nodes, lambda: now[0])
    watch.start()
    try:

        def states() -> list[str]:
            watch.look({})
            return [lane.state for lane in told.samples[-1].lanes] if told.samples else []

        wait_until(lambda: states() == ["Leader", "Follower"] and bool(told.events))
        nodes[0].away.set()
        now[0] += 5_000
        wait_until(lambda: states() == ["Unreachable", "Follower"])
        watch.tell(Happening(NOW_MS + 9_000, "node2", "fault", what="killed"))
        watch.look({})
        assert [(event.kind, event.time_ms) for event in told.events] == [
            ("leader", NOW_MS - 5),
            ("fault", NOW_MS + 5_000),
        ]
    finally:
        watch.stop()
    assert all(node.closed.is_set() for node in nodes)


def test_a_story_has_an_hour() -> None:
    assert stories.MOST_SAMPLES * STEP_MS == 3_600_000
