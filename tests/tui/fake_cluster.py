"""A cluster that is the same every time: three minutes in which a leader is killed, a node cut off, and all mended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import blockdb
from blockdb.commands.recordings.events import Happening
from blockdb.commands.recordings.lanes import Lane, Sample
from blockdb.commands.recordings.reading import Recording
from blockdb_tui.cluster.scene import Scene
from blockdb_tui.cluster.story import Story
from blockdb_tui.cluster.watch import Watch
from blockdb_tui.replay import Replay
from tests.tui.fake import NOW_MS

STEP_MS = 250
SAMPLES = 240


@dataclass
class Member:
    """A member as a node tells of it."""

    id: str
    state: str = "Follower"
    role: str = "voter"
    address: str = ""
    last_heard_ms: int = 0
    match: int = 0
    commit: int = 0
    applied: int = 0
    lag: int = 0
    head: str = ""
    agrees: bool | None = None


@dataclass
class Said:
    """What a node says."""

    node_id: str
    state: str = "Follower"
    term: int = 1
    leader: str = "node1"
    last_index: int = 0
    commit: int = 0
    applied: int = 0
    diverged: str = ""
    cluster_id: str = "demo"
    engine: str = "raft"
    members: list[Member] = field(default_factory=list)


def ids(count: int) -> list[str]:
    return [f"node{number}" for number in range(1, count + 1)]


def story(count: int = 3) -> Story:
    """A minute of a cluster of so many nodes, which ends now."""
    told = Story()
    for number in range(SAMPLES):
        told.add(_sample(number, count))
    for at, node, kind, term, other, what in EVENTS:
        told.add(Happening(_time(at), node, kind, term, other=other, what=what))
    return told


def _time(number: int) -> int:
    return NOW_MS - (SAMPLES - 1 - number) * STEP_MS


KILLED, STANDS, LEADS, BACK, CUT, HEALED = 100, 106, 108, 150, 180, 220
EVENTS = (
    (2, "node1", "election", 1, "", ""),
    (3, "node2", "vote", 1, "node1", ""),
    (3, "node1", "leader", 1, "node1", ""),
    (KILLED, "node1", "fault", 0, "", "killed"),
    (KILLED + 2, "node2", "contact", 0, "node1", "lost"),
    (STANDS, "node2", "election", 2, "", ""),
    (STANDS + 1, "node3", "vote", 2, "node2", ""),
    (LEADS, "node2", "leader", 2, "node2", ""),
    (BACK, "node1", "fault", 0, "", "started again"),
    (BACK + 4, "node2", "contact", 0, "node1", "reached"),
    (BACK + 5, "node2", "snapshot", 2, "node1", "sent"),
    (CUT, "node3", "fault", 0, "", "cut off"),
    (CUT + 3, "node2", "contact", 0, "node3", "lost"),
    (HEALED, "node3", "fault", 0, "", "all connected again"),
    (HEALED + 1, "node2", "contact", 0, "node3", "reached"),
)


def _sample(number: int, count: int) -> Sample:
    return Sample(_time(number), tuple(_lane(id_, number) for id_ in ids(count)))


def _lane(id_: str, number: int) -> Lane:
    term = 2 if number >= LEADS else 1
    leader = "node2" if number >= LEADS else "node1"
    fault = "killed" if id_ == "node1" and KILLED <= number < BACK else ""
    fault = "cut off" if id_ == "node3" and CUT <= number < HEALED else fault
    commit = 1_200_000 + 14 * number
    behind = 14 * (number - (KILLED if id_ == "node1" else CUT)) if fault else 0
    state = "Leader" if id_ == leader else "Follower"
    if number < 3 or (id_ == "node2" and STANDS <= number < LEADS):
        state = "Candidate"
    if fault == "killed":
        state = "Unreachable"
    return Lane(
        id_,
        state,
        role="replica" if id_ == "node5" else "voter",
        address=f"127.0.0.1:{8080 + int(id_[-1])}",
        term=0 if fault == "killed" else term,
        last=commit - behind,
        commit=commit - behind,
        applied=commit - behind,
        lag=behind,
        head=f"col_default {41 + number // 8} 3f2a9c01de55aa17",
        agrees=None if number < 8 else id_ != "node4",
        heard_ms=_time(number) - (250 * (number - KILLED) if fault == "killed" else 40),
        fault=fault,
    )


class Quiet(Watch):
    """A watch that asks nobody: the story is there already."""

    def __init__(self, told: Story) -> None:
        super().__init__(told, (), lambda: NOW_MS)

    def start(self) -> None:
        pass

    def look(self, faults: Mapping[str, str] | None = None) -> None:
        while self._told:
            self.story.add(self._told.popleft())


class FakeStage:
    """Notes what is done to the nodes."""

    def __init__(self) -> None:
        self.done: list[tuple[str, str]] = []
        self.wrong: dict[str, str] = {}

    def faults(self) -> dict[str, str]:
        return self.wrong

    def _do(self, deed: str, id_: str = "") -> None:
        if deed == "restart" and self.wrong.get(id_) != "killed":
            raise blockdb.InvalidData(f"{id_} is running; kill it first.")
        self.done.append((deed, id_))

    def kill(self, id_: str) -> None:
        self._do("kill", id_)

    def restart(self, id_: str) -> None:
        self._do("restart", id_)

    def pause(self, id_: str) -> None:
        self._do("pause", id_)

    def resume(self, id_: str) -> None:
        self._do("resume", id_)

    def isolate(self, id_: str) -> None:
        self._do("isolate", id_)

    def split(self, id_: str) -> tuple[str, ...]:
        self._do("split", id_)
        return (id_,)

    def heal(self) -> None:
        self._do("heal")

    def transfer(self, id_: str) -> None:
        self._do("transfer", id_)


def replayed(count: int = 3) -> Replay:
    """A recording of a cluster alone, at its end."""
    told = story(count)
    replay = Replay(Recording.of_items([*told.samples, *told.events], "cluster.jsonl"))
    replay.playhead.toggle()
    replay.playhead.to_last()
    return replay


def live(count: int = 3) -> Scene:
    """The scene of a demonstration."""
    told = story(count)
    return Scene(told, Quiet(told), FakeStage())
