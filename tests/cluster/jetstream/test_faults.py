"""Three servers under three logs, some of which are killed: what was acknowledged is there, and all of it once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from os import urandom
from pathlib import Path
from threading import Event, Thread

import pytest

from blockdb.cluster.waiting import MAX_COMMAND_BYTES
from blockdb.errors import RateLimited, Unavailable
from tests.cluster.conformance import TIMEOUT_S, leader, settle, unique, until
from tests.cluster.jetstream.streamed import Place, Streamed, needs_nats

pytestmark = [needs_nats, pytest.mark.torture]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    (tmp_path / "servers").mkdir()
    made = Place(tmp_path / "servers", 3)
    yield made
    made.close()


@pytest.fixture
def nodes(place: Place, tmp_path: Path) -> Iterator[Streamed]:
    made = Streamed(place, tmp_path, append_timeout_s=20.0, compact_entries=200, keep_entries=4_096)
    yield made
    made.close()


class Writers:
    """Threads that append through all nodes, and remember what was acknowledged."""

    def __init__(self, nodes: Streamed, count: int = 6) -> None:
        self.acknowledged: dict[bytes, int] = {}
        self._nodes = nodes
        self._ended = Event()
        self._threads = [Thread(target=self._write, args=(number,)) for number in range(count)]

    def __enter__(self) -> Writers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(60.0)

    def _write(self, number: int) -> None:
        count = 0
        while not self._ended.is_set():
            log = self._nodes.logs[f"node{1 + (number + count) % 3}"]
            commands = [b"%d/%d/%d" % (number, count, each) for each in range(1 + count % 3)]
            with suppress(Unavailable, RateLimited):
                self.acknowledged[commands[-1]] = log.append(commands).result(TIMEOUT_S)
            count += 1

    def more(self, count: int) -> None:
        """Wait until so many more were acknowledged."""
        wanted = len(self.acknowledged) + count
        until(lambda: len(self.acknowledged) >= wanted, "writing goes on", 60.0)


def judge(nodes: Streamed, writers: Writers) -> None:
    """All nodes have the same; all that was acknowledged is in it at its index, once; calls are in order."""
    settle(nodes)
    histories = [machine.commands for machine in nodes.machines.values()]
    assert histories[0] == histories[1] == histories[2]
    places: dict[bytes, int] = {}
    for index, data in histories[0]:
        assert data not in places, f"{data!r} is there twice"
        places[data] = index
    for command, index in writers.acknowledged.items():
        assert places[command] == index
        number, count, last = command.split(b"/")
        call = [places[b"%s/%s/%d" % (number, count, each)] for each in range(int(last) + 1)]
        assert call == list(range(index - int(last), index + 1)), "a call was torn"


def kill_leader(place: Place, nodes: Streamed) -> None:
    victim = leader(nodes)
    place.servers.kill(victim)
    place.servers.start(victim)


def kill_follower(place: Place, nodes: Streamed) -> None:
    victim = next(id_ for id_ in place.ids if id_ != leader(nodes))
    place.servers.kill(victim)
    place.servers.start(victim)


def kill_all(place: Place, nodes: Streamed) -> None:
    for id_ in place.ids:
        place.servers.kill(id_)
    for id_ in place.ids:
        place.servers.start(id_)


def restart_node(place: Place, nodes: Streamed) -> None:
    nodes.stop("node2")
    nodes.start("node2")


@pytest.mark.parametrize("harm", [kill_leader, kill_follower, kill_all, restart_node])
def test_nothing_is_lost_or_doubled(place: Place, nodes: Streamed, harm: Callable[[Place, Streamed], None]) -> None:
    with Writers(nodes) as writers:
        for _ in range(3):
            writers.more(50)
            harm(place, nodes)
            writers.more(50)
        for log in nodes.logs.values():
            log.append(unique(1)).result(60.0)
    judge(nodes, writers)


def test_the_longest_command_comes_through_while_a_server_is_killed(place: Place, nodes: Streamed) -> None:
    longest = urandom(MAX_COMMAND_BYTES)
    before, after = unique(1), unique(1)
    futures = [nodes.logs["node1"].append(commands) for commands in (before, [longest], after)]
    kill_follower(place, nodes)
    for future in futures:
        future.result(60.0)
    settle(nodes)
    for machine in nodes.machines.values():
        assert longest in machine.data
        assert len(machine.data) == 3


def test_without_a_majority_nothing_is_decided(place: Place, nodes: Streamed) -> None:
    for id_ in ("node2", "node3"):
        place.servers.kill(id_)
    nodes.logs["node1"]._proposals._timeout_s = 1.0
    for future in (nodes.logs["node1"].append(unique(1)), nodes.logs["node1"].append(unique(2))):
        with pytest.raises(Unavailable, match="no majority"):
            future.result(TIMEOUT_S)
    for id_ in ("node2", "node3"):
        place.servers.start(id_)
    until(lambda: can_append(nodes), "there is a majority again", 60.0)


def can_append(nodes: Streamed) -> bool:
    """Whether a command is decided."""
    try:
        nodes.logs["node1"].append(unique(1)).result(TIMEOUT_S)
    except Unavailable:
        return False
    return True
