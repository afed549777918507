"""Holders of a partition that come late, lost something, or have another history: over one server that they share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from os import urandom
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest

from blockdb.cluster.jetstream import pieces, reading
from blockdb.cluster.jetstream.driving import Driver, Stream
from blockdb.cluster.jetstream.log import JetStreamLog
from blockdb.cluster.jetstream.numbering import PLACES
from blockdb.errors import ConfigError, InvalidData, ReadOnly, Unavailable
from blockdb.format import stream_message
from blockdb.format.consensus import Role
from tests.cluster.conformance import TIMEOUT_S, settle, unique, until
from tests.cluster.jetstream.streamed import NAMES, Place, Streamed, needs_nats
from tests.cluster.recorder import Recorder
from tests.cluster.test_falling_out import Chain, Damaged, Stubborn

pytestmark = needs_nats

Make = Callable[..., Streamed]
KEPT = 5


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    made = Place(tmp_path_factory.mktemp("place"), 3, spare=1, servers=1)
    yield made
    made.close()


@pytest.fixture
def make(place: Place, tmp_path: Path) -> Iterator[Make]:
    """Makes partitions whose holders force after two dozen commands."""
    made: list[Streamed] = []

    def new(**settings: Any) -> Streamed:
        made.append(Streamed(place, tmp_path, **{"compact_entries": 24, "keep_entries": KEPT, **settings}))
        return made[-1]

    yield new
    for streamed in made:
        streamed.close()


def same(nodes: Streamed) -> None:
    """All have the same commands."""
    settle(nodes)
    first, *rest = (machine.commands for machine in nodes.machines.values())
    assert all(other == first for other in rest)


def append(nodes: Streamed, commands: list[bytes], id_: str = "node1") -> int:
    """Have each of them decided, as many at a time as there are."""
    futures = [nodes.logs[id_].append([command]) for command in commands]
    return max(future.result(TIMEOUT_S) for future in futures)


def fill(nodes: Streamed, messages: int, id_: str = "node1") -> int:
    """Have so many commands decided, each in a message of its own."""
    return [nodes.logs[id_].append([command]).result(TIMEOUT_S) for command in unique(messages)][-1]


def is_trimmed(nodes: Streamed) -> bool:
    """Whether the stream begins late."""
    return nodes.logs["node1"].status().first_index > 20 * PLACES


def publish(place: Place, nodes: Streamed, *messages: bytes) -> None:
    """Put messages into the stream, past the logs."""
    connection = place.connections["node1"]
    for message in messages:
        connection.wait(connection.streams.publish(NAMES.subject("log", nodes.name), message), TIMEOUT_S)


def purge(place: Place, nodes: Streamed, first: int) -> None:
    """Remove the messages before that one."""
    place.streams("node1").trim(nodes.name, first)


def test_a_node_joins_and_counts_once_it_has_everything(make: Make) -> None:
    nodes = make()
    commands = unique(30)
    append(nodes, commands)
    log = nodes.join("node4")
    member = log.members().get("node4")
    assert member is not None
    assert member.role is Role.VOTER
    same(nodes)
    assert log.append(unique(1)).result(TIMEOUT_S)
    assert log.remove_member("node4").result(TIMEOUT_S)
    until(lambda: log.status().state == "Removed", "it knows")
    assert "node4" not in nodes.logs["node1"].members()


def test_a_replica_stays_one(make: Make) -> None:
    nodes = make()
    log = nodes.join("node4", Role.REPLICA)
    append(nodes, unique(3), "node4")
    same(nodes)
    assert log.status().state == "Replica"
    with pytest.raises(InvalidData, match="no voter"):
        log.transfer("node4").result(TIMEOUT_S)


def test_the_stream_is_trimmed_behind_all_holders_and_no_further(make: Make) -> None:
    nodes = make()
    fill(nodes, 10)
    nodes.stop("node3")
    fill(nodes, 70)
    until(lambda: min(notes(nodes, id_) for id_ in ("node1", "node2")) > 40, "two have forced it")
    assert nodes.logs["node1"].status().first_index == 1
    nodes.start("node3")
    fill(nodes, 40, "node3")
    until(lambda: nodes.logs["node1"].status().first_index > 50 * PLACES, "the stream was trimmed")
    least = min(notes(nodes, id_) for id_ in nodes.logs)
    assert nodes.logs["node1"].status().first_index <= (least - KEPT) * PLACES + 1
    same(nodes)


def notes(nodes: Streamed, id_: str) -> int:
    """What a node has noted that it has on its disk."""
    return nodes.place.rosters.noted("durable", nodes.name).get(id_, 0)


def test_who_comes_when_the_stream_was_trimmed_gets_a_copy(make: Make) -> None:
    nodes = make()
    fill(nodes, 60)
    until(lambda: is_trimmed(nodes), "the stream was trimmed")
    nodes.join("node4")
    same(nodes)
    assert nodes.machines["node4"].restored == 1
    append(nodes, unique(5), "node4")
    nodes.stop("node4")
    nodes.start("node4")
    same(nodes)
    assert nodes.machines["node4"].restored == 0
    kinds = [(event.kind, event.what) for event in nodes.events if event.kind == "snapshot" and event.other == "node4"]
    assert ("snapshot", "is being sent") in kinds


def test_a_node_rebuilt_from_nothing_has_it_all_again(make: Make) -> None:
    nodes = make()
    fill(nodes, 60)
    until(lambda: is_trimmed(nodes), "the stream was trimmed")
    nodes.stop("node2")
    rmtree(nodes.root / "node2")
    nodes.machines["node2"] = Recorder()
    nodes.start("node2")
    append(nodes, unique(5), "node2")
    same(nodes)


def test_a_command_that_came_with_a_copy_is_decided(make: Make) -> None:
    nodes = make(append_timeout_s=5.0)
    last = fill(nodes, 60)
    until(lambda: is_trimmed(nodes), "the stream was trimmed")
    nodes.stop("node2")
    nodes.machines["node2"] = Recorder()
    log = nodes.make("node2")
    futures = [log.append([command]) for command in [*unique(3), urandom(3 << 20)]]
    log.start(nodes.machines["node2"])
    results = [future.result(TIMEOUT_S) for future in futures]
    assert min(results) > last
    same(nodes)
    assert nodes.machines["node2"].restored  # twice, if the first copy ended between two pieces


def test_what_is_missing_in_the_stream_is_not_passed_over(make: Make, place: Place) -> None:
    nodes = make()
    fill(nodes, 8)
    settle(nodes)
    nodes.stop("node3")
    nodes.machines["node3"] = Recorder()
    fill(nodes, 8)
    purge(place, nodes, 12)
    nodes.start("node3")
    same(nodes)
    assert nodes.machines["node3"].restored == 1


def test_a_gap_that_nobody_told_of_is_not_passed_over(
    make: Make, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = Driver.look

    async def stale(driver: Driver) -> Stream:
        return (await look(driver))._replace(first=1)

    nodes = make()
    fill(nodes, 8)
    settle(nodes)
    nodes.stop("node3")
    nodes.machines["node3"] = Recorder()
    purge(place, nodes, 5)
    monkeypatch.setattr(Driver, "look", stale)
    nodes.start("node3")
    same(nodes)
    assert nodes.machines["node3"].restored == 1


def test_who_has_another_history_stops_and_says_where(make: Make) -> None:
    nodes = make(machine=Stubborn)
    append(nodes, unique(5))
    settle(nodes)
    nodes.machines["node2"].commands[3] = (5, b"tampered with")
    append(nodes, unique(3))
    until(lambda: nodes.logs["node2"].status().diverged == "block 3", "it sees that it is alone")
    machine = nodes.machines["node2"]
    assert isinstance(machine, Chain)
    assert machine.told == ["block 3"]
    for future in (nodes.logs["node2"].append(unique(1)), nodes.logs["node2"].barrier()):
        with pytest.raises(Unavailable, match="block 3"):
            future.result(TIMEOUT_S)
    append(nodes, unique(1))
    right = nodes.logs["node1"]
    until(lambda: {each.agrees for each in right.status().members} == {None, True, False}, "the others know it")
    assert not right.status().diverged


def test_who_has_another_history_gets_that_of_the_others(make: Make) -> None:
    nodes = make(machine=Damaged)
    append(nodes, unique(5))
    settle(nodes)
    nodes.machines["node1"].commands[2] = (4, b"tampered with")
    append(nodes, unique(2), "node2")
    until(lambda: nodes.machines["node1"].restored, "it gets a copy")
    until(lambda: not nodes.logs["node1"].status().diverged, "it serves again")
    append(nodes, unique(1), "node1")
    same(nodes)


def test_who_is_damaged_gets_a_copy(make: Make) -> None:
    nodes = make(machine=Damaged)
    append(nodes, unique(5))
    settle(nodes)
    nodes.stop("node2")
    nodes.machines["node2"] = Damaged(is_damaged=True)
    nodes.start("node2")
    with pytest.raises(Unavailable, match="is damaged"):
        nodes.logs["node2"].append(unique(1)).result(TIMEOUT_S)
    append(nodes, unique(2))
    until(lambda: nodes.machines["node2"].restored, "it gets a copy")
    until(lambda: nodes.logs["node2"].status().state == "Follower", "it serves again")
    append(nodes, unique(1), "node2")
    same(nodes)


def test_a_long_command_comes_in_pieces(make: Make) -> None:
    nodes = make()
    long = [urandom(3_500_000), urandom(5_000_000)]
    futures = [nodes.logs[id_].append([command]) for id_, command in zip(("node1", "node2"), long, strict=True)]
    futures += [nodes.logs["node3"].append([command]) for command in unique(20)]
    assert len({future.result(TIMEOUT_S) for future in futures}) == 22
    same(nodes)
    assert set(long) <= set(nodes.machines["node3"].data)


def test_who_begins_between_the_pieces_of_a_command_looks_back(make: Make, place: Place) -> None:
    nodes = make()
    append(nodes, unique(3))
    command = urandom(300)
    first, second, third = stream_message.encode_commands(b"anybodys", 1, [command], stream_message.MESSAGE_BYTES + 110)
    publish(place, nodes, first, second)
    append(nodes, unique(3))
    settle(nodes)
    nodes.machines["node2"].make_durable()
    nodes.stop("node2")
    nodes.start("node2")
    publish(place, nodes, third)
    append(nodes, unique(3), "node2")
    same(nodes)
    assert nodes.machines["node2"].data.count(command) == 1


def test_a_message_that_cannot_be_read_stops_the_node(make: Make, place: Place) -> None:
    nodes = make()
    append(nodes, unique(1))
    publish(place, nodes, b"no message of ours")
    until(lambda: "message 2 of" in nodes.logs["node1"].status().stopped, "it stops and says why")


def test_a_stream_that_was_made_again_is_another_one(make: Make, place: Place) -> None:
    nodes = make()
    append(nodes, unique(5))
    settle(nodes)
    nodes.machines["node3"].make_durable()
    nodes.stop("node3")
    streams = place.streams("node1")
    streams.remove(nodes.name)
    streams.create(nodes.name, 1)
    until(lambda: "made again" in nodes.logs["node1"].status().stopped, "who runs notices")
    nodes.start("node3")
    until(lambda: "made again" in nodes.logs["node3"].status().stopped, "who is started notices")
    with pytest.raises(ConfigError, match="set the directory aside"):
        nodes.logs["node3"].append(unique(1)).result(TIMEOUT_S)


def test_a_stream_that_was_removed_stops_its_nodes(make: Make, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blockdb.cluster.jetstream.driving._GONE_S", 0.3)
    nodes = make()
    append(nodes, unique(5))
    place.streams("node1").remove(nodes.name)
    until(lambda: "was removed" in nodes.logs["node2"].status().stopped, "it stops")


def test_what_an_answer_was_lost_of_is_there_once(make: Make, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = make()
    log = nodes.logs["node1"]
    nodes.machines["node1"].may_go_on.clear()
    driver = log._driver
    assert driver is not None
    with monkeypatch.context() as patched:
        patched.setattr(driver.publishing, "seen", lambda _: None)  # nor is it read again, so far
        commands = unique(50)
        futures = [log.append([command]) for command in commands]
        settle_one(nodes.logs["node2"])
        before = last_message(place, nodes)
        for _ in range(3):
            driver.loop.call_soon_threadsafe(driver.publishing.publish_again)
            settle_one(nodes.logs["node2"])
        assert last_message(place, nodes) == before + 3, "the barriers alone: the stream knows what it has by its name"
    nodes.machines["node1"].may_go_on.set()
    assert len({future.result(TIMEOUT_S) for future in futures}) == 50
    same(nodes)
    assert nodes.machines["node2"].data == commands


def last_message(place: Place, nodes: Streamed) -> int:
    """The number of the last message that the stream has taken."""
    state = place.streams("node1").state(nodes.name)
    assert state is not None
    return state.last_sequence


def settle_one(log: JetStreamLog) -> None:
    log.wait_applied(log.barrier().result(TIMEOUT_S), TIMEOUT_S)


def test_a_consumer_that_is_taken_away_is_replaced(make: Make, place: Place) -> None:
    nodes = make()
    append(nodes, unique(3))
    connection = place.connections["node1"]
    stream = NAMES.stream(nodes.name)
    consumers = connection.wait(connection.streams.consumers_info(stream), TIMEOUT_S)
    for consumer in consumers:
        connection.wait(connection.streams.delete_consumer(stream, consumer.name), TIMEOUT_S)
    append(nodes, unique(3), "node2")
    same(nodes)


def test_a_message_that_is_lost_on_the_way_is_read_again(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    lost: list[int] = []
    numbers = reading._numbers

    def losing(reply: str) -> tuple[int, int]:
        sequence, at = numbers(reply)
        if sequence % 7 == 3 and sequence not in lost:
            lost.append(sequence)
            return sequence + 1, at + 1
        return sequence, at

    monkeypatch.setattr(reading, "_numbers", losing)
    nodes = make()
    fill(nodes, 20)
    same(nodes)
    assert lost


def test_a_copy_for_readers_refuses_to_be_written_to(make: Make) -> None:
    nodes = make()
    append(nodes, unique(2))
    nodes.stop("node2")
    nodes._settings["mirror_of"] = ("elsewhere:1",)
    nodes.start("node2")
    log = nodes.logs["node2"]
    until(lambda: log.status().applied >= 2, "it reads")
    with pytest.raises(ReadOnly, match="read-only copy"):
        log.append(unique(1))
    with pytest.raises(Unavailable, match="Local read"):
        log.barrier().result(TIMEOUT_S)


def test_who_has_too_much_to_apply_lets_no_more_come(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_MOST_WAITING_BYTES", 1 << 20)
    nodes = make()
    nodes.machines["node2"].may_go_on.clear()
    index = append(nodes, [urandom(500_000) for _ in range(40)])
    nodes.machines["node2"].may_go_on.set()
    nodes.logs["node2"].wait_applied(index, TIMEOUT_S)
    same(nodes)


def test_a_log_is_started_once(make: Make) -> None:
    nodes = make()
    with pytest.raises(InvalidData, match="already"):
        nodes.logs["node1"].start(Recorder())
    log = nodes.make("node1")
    assert log.status().state == "Starting"
    with pytest.raises(Unavailable, match="not started"):
        log.transfer().result(TIMEOUT_S)
    log.close()
    assert log.status().state == "Stopped"


def test_the_window_is_what_the_page_says() -> None:
    assert pieces.WINDOW == 4_096
