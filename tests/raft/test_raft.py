"""Bounds, refusals and edges of the core that no transcript shows."""

import pytest

from blockdb.errors import InvalidData
from blockdb.format.consensus import Entry, HardState, Kind, Member, Members, Role
from blockdb.raft import Broken, NotLeader, Raft, RaftConfig, TooMuch
from blockdb.raft.messages import Append, AppendAnswer, Heartbeat, Propose, ReadAnswer, ReadRequest, SnapshotHead
from tests.raft.group import Disk, Fixed, Group, Node

ABC = Members(tuple(Member(id_) for id_ in "abc"))


def led(**config: int) -> Group:
    """A group whose node a leads and has committed its first entry."""
    group = Group(ABC, **config)
    raft = group.nodes["a"].raft
    while not raft.is_leader:
        raft.tick()
        settle(group)
    return group


def settle(group: Group) -> None:
    while group.wire or any(node.raft.has_ready for node in group.nodes.values()):
        for id_, node in group.nodes.items():
            if node.raft.has_ready:
                group.handle(id_)
        wire, group.wire = group.wire, []
        for envelope in wire:
            group.deliver(*envelope)


def follower(*terms: int, term: int = 5) -> Node:
    kept = [Entry(index, each, Kind.COMMAND) for index, each in enumerate(terms, 1)]
    return Node(RaftConfig("b"), 0, Disk(SnapshotHead(0, 0, ABC), kept, HardState(term)))


def commands(first: int, *terms: int) -> tuple[Entry, ...]:
    return tuple(Entry(index, term, Kind.COMMAND, b"x") for index, term in enumerate(terms, first))


def test_a_leader_takes_no_more_than_its_bound_until_some_is_committed() -> None:
    group = led(max_uncommitted_bytes=100)
    raft = group.nodes["a"].raft
    raft.propose([b"x" * 60])
    with pytest.raises(TooMuch, match="60 bytes"):
        raft.propose([b"x" * 60])
    raft.propose([b"x" * 40])
    settle(group)
    raft.propose([b"x" * 1000])  # one that is larger than the bound goes alone
    settle(group)
    assert raft.commit == raft.log.last_index == 4


def test_what_followers_pass_on_is_dropped_where_it_is_too_much() -> None:
    group = led(max_uncommitted_bytes=100)
    raft = group.nodes["a"].raft
    for _ in range(3):
        raft.step(Propose("b", 1, (b"x" * 60,)))
    raft.step(Propose("b", 1, ()))
    group.nodes["b"].raft.step(Propose("c", 1, (b"lost",)))
    settle(group)
    assert raft.commit == 2


def test_only_the_leader_proposes_and_says_who_leads() -> None:
    group = led()
    with pytest.raises(NotLeader) as caught:
        group.nodes["b"].raft.propose([b"x"])
    assert caught.value.leader == "a"
    for ask in (lambda raft: raft.remove("c"), lambda raft: raft.transfer("c")):
        with pytest.raises(NotLeader):
            ask(group.nodes["b"].raft)


def test_a_member_is_sent_no_more_than_its_window() -> None:
    group = led(max_in_flight=2, max_append_bytes=1)
    node = group.nodes["a"]
    for number in range(8):
        node.raft.propose([b"%d" % number])
    group.handle("a")
    sent = [message for _, to, message in group.wire if to == "b"]
    assert len(sent) == 2
    settle(group)
    assert {each.raft.commit for each in group.nodes.values()} == {9}


def test_applying_that_lags_is_not_run_over() -> None:
    config = RaftConfig("b", max_committed_bytes=2, max_unapplied_bytes=3)
    disk = Disk(SnapshotHead(0, 0, ABC), list(commands(1, *[5] * 10)))
    raft = Raft(config, HardState(5), disk, Fixed(0))
    raft.step(Heartbeat("a", 5, 10))
    handed: list[int] = []
    while raft.has_ready:
        handed += [entry.index for entry in raft.ready().committed]
    assert handed == [1, 2, 3, 4]
    raft.applied(2)
    assert [entry.index for entry in raft.ready().committed] == [5, 6]


def test_reads_that_wait_are_bounded() -> None:
    group = led(max_reads=2)
    raft = group.nodes["a"].raft
    for number in (1, 2, 3):
        raft.read(number)
    assert raft.ready().confirmed == ((3, 0),)
    raft = group.nodes["b"].raft
    for number in (1, 2, 3):
        raft.read(number)
    assert raft.ready().confirmed == ((3, 0),)


def test_changes_that_make_no_sense_are_refused() -> None:
    group = led()
    raft = group.nodes["a"].raft
    with pytest.raises(InvalidData, match="no member"):
        raft.remove("x")
    with pytest.raises(InvalidData, match="one at a time"):
        raft.change(Members((Member("a"),)))
    with pytest.raises(InvalidData, match="without voters"):
        raft.change(Members(tuple(Member(id_, role=Role.REPLICA) for id_ in "abc")))
    assert raft.add(Member("b")) == raft.roll.index == 0, "that is so already"
    moved = raft.add(Member("b", "new:1", "new:2"))
    settle(group)
    assert raft.commit == moved
    assert raft.members.get("b") == Member("b", "new:1", "new:2"), "a voter that moves stays a voter"


def test_a_gap_between_state_machine_and_log_is_refused() -> None:
    disk = Disk(SnapshotHead(5, 1, ABC), [Entry(6, 1, Kind.COMMAND)])
    with pytest.raises(Broken, match=r"everything up to entry 4.*behind entry 5"):
        Raft(RaftConfig("b"), HardState(1), disk, Fixed(0), applied=4)
    with pytest.raises(Broken, match=r"everything up to entry 7.*ends at entry 6"):
        Raft(RaftConfig("b"), HardState(1), disk, Fixed(0), applied=7)
    raft = Raft(RaftConfig("b"), HardState(1), disk, Fixed(0), applied=7, is_mending=True)
    assert (raft.commit, raft.handed, raft.status().state) == (6, 7, "Mending")


def test_what_no_leader_sends_is_passed_over() -> None:
    raft = follower(1, 1).raft
    raft.step(Append("a", 5, 2, 1, 0, (Entry(4, 5, Kind.COMMAND),)))
    raft.step(Append("a", 5, 2, 1, 0, (Entry(3, 5, Kind.COMMAND), Entry(5, 5, Kind.COMMAND))))
    raft.step(Append("b", 9, 2, 1, 2))
    assert (raft.log.last_index, raft.term) == (2, 5)


def test_who_contradicts_what_is_committed_stops_the_node() -> None:
    raft = follower(1, 1).raft
    raft.step(Append("a", 5, 2, 1, 2))
    raft.step(Append("a", 5, 0, 0, 2, (Entry(1, 4, Kind.COMMAND), Entry(2, 4, Kind.COMMAND))))
    assert raft.log.last_term == 1, "what is committed is not even compared"
    group = led()
    with pytest.raises(Broken, match="leads in term 1"):
        group.nodes["a"].raft.step(Heartbeat("b", 1, 0))
    with pytest.raises(Broken, match="who the members are"):
        raft.step(Append("a", 5, 2, 1, 2, (Entry(3, 5, Kind.MEMBERS, b"\xff"),)))


def test_an_answer_beyond_the_leaders_log_counts_for_nothing() -> None:
    raft = led().nodes["a"].raft
    raft.step(AppendAnswer("b", 1, 100))
    assert raft.status().progress["b"].match == 1


def test_a_disk_that_lost_what_was_forced_is_noticed() -> None:
    node = follower(5, 5)
    raft = node.raft
    raft.step(Heartbeat("a", 5, 4))
    assert raft.is_mending
    raft.step(Append("a", 5, 2, 5, 4, (Entry(3, 5, Kind.COMMAND), Entry(4, 5, Kind.COMMAND))))
    assert raft.is_mending, "not before they are on the disk"
    node.handle()
    assert raft.is_mending, "nor before it is certain that this is all: more may have been acknowledged"
    raft.step(Heartbeat("a", 5, 4))
    [request] = [message for _, message in node.handle()[1] if isinstance(message, ReadRequest)]
    raft.step(ReadAnswer("a", 5, request.number - 1, 4))
    assert raft.is_mending
    raft.step(ReadAnswer("a", 5, request.number, 5))
    assert raft.is_mending
    raft.step(Append("a", 5, 4, 5, 5, commands(5, 5)))
    node.handle()
    assert not raft.is_mending
    assert raft.vote == "a", "whom it voted for in this term may be lost as well, so it votes for nobody else"


def test_what_was_overwritten_on_its_way_to_the_disk_does_not_count_as_forced() -> None:
    node = follower(1)
    node.is_slow = True
    raft = node.raft
    raft.step(Append("a", 5, 1, 1, 0, commands(2, 5, 5, 5)))
    first = node.handle()[0].number
    raft.step(Append("c", 6, 1, 1, 0, commands(2, 6)))
    raft.step(Append("c", 6, 2, 6, 0, commands(3, 6, 6)))
    second = node.handle()[0].number
    raft.forced(first)
    assert raft.forced_index == 1
    raft.forced(second)
    assert raft.forced_index == 4


def test_a_term_and_the_entries_that_came_with_it_are_in_one_ready() -> None:
    raft = follower(1, term=1).raft
    raft.step(Append("a", 7, 1, 1, 1, (Entry(2, 7, Kind.COMMAND),)))
    ready = raft.ready()
    assert ready.hard_state == HardState(7, "", 1)
    assert ready.entries == (Entry(2, 7, Kind.COMMAND),)
    assert ready.after_force == (("a", AppendAnswer("b", 7, 2)),)
    assert ready.at_once == ()
    assert not raft.has_ready


@pytest.mark.parametrize(
    "settings", [{"id": ""}, {"id": "a", "heartbeat_ticks": 20}, {"id": "a", "heartbeat_ticks": 0}]
)
def test_a_configuration_that_cannot_work_is_refused(settings: dict[str, int]) -> None:
    with pytest.raises(ValueError):
        RaftConfig(**settings)


def test_a_snapshots_head_is_of_what_is_committed_and_kept() -> None:
    raft = led().nodes["a"].raft
    assert raft.head_at(1) == SnapshotHead(1, 1, ABC)
    with pytest.raises(IndexError, match="entry 2"):
        raft.head_at(2)
    raft.compacted(raft.head_at(1))
    with pytest.raises(IndexError, match="entry 0"):
        raft.head_at(0)
