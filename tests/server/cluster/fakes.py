"""A replicated log that says what it is told to say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, TypeVar

from blockdb.cluster.replicated_log import LogStatus, MemberStatus, StateMachine
from blockdb.errors import InvalidData
from blockdb.format.consensus import Member, Members, Role
from blockdb.nodes import ClusterEvent

T = TypeVar("T")


def member(number: int, state: str = "Follower", **fields: Any) -> MemberStatus:
    at = Member(f"node{number}", f"127.0.0.1:{8000 + number}", f"127.0.0.1:{9000 + number}", Role.VOTER)
    return MemberStatus(at, state, 1_700_000_000_000 + number, 7, **fields)


def of_three() -> LogStatus:
    """Three nodes; the first leads, and is asked."""
    return LogStatus(
        cluster_id="shop",
        node_id="node1",
        engine="raft",
        state="Leader",
        term=42,
        leader="node1",
        last_index=9,
        commit=8,
        applied=8,
        first_index=2,
        members=(member(1, "Leader"), member(2, lag=3, agrees=True), member(3)),
        last_election_ms=1_700_000_000_000,
        elections=2,
    )


class FakeLog:
    """Three nodes. Everything is decided at once, unless `is_stuck`."""

    def __init__(self) -> None:
        self.now = of_three()
        self.is_stuck = False
        self.listeners: list[Callable[[ClusterEvent], None]] = []

    def start(self, machine: StateMachine) -> None:
        raise NotImplementedError

    def append(self, commands: Sequence[bytes]) -> Future[int]:
        return self._done(self.now.commit)

    def barrier(self) -> Future[int]:
        return self._done(self.now.commit)

    def wait_applied(self, index: int, timeout_s: float) -> None:
        return

    def members(self) -> Members:
        return Members(tuple(each.member for each in self.now.members))

    def add_member(self, member: Member) -> Future[int]:
        added = MemberStatus(member, "Learner", 0, 0)
        index = self.now.last_index + 1
        self.now = replace(self.now, members=(*self.now.members, added), last_index=index, commit=index)
        return Future() if self.is_stuck else self._done(index)

    def remove_member(self, id_: str) -> Future[int]:
        left = tuple(each for each in self.now.members if each.member.id != id_)
        self.now = replace(self.now, members=left)
        return self._done(self.now.last_index)

    def transfer(self, id_: str | None = None) -> Future[str]:
        if id_ is not None and id_ not in self.members():
            raise InvalidData(f"There is no node {id_}.")
        self.now = replace(self.now, leader=id_ or "node2", state="Follower")
        return self._done(self.now.leader)

    def status(self) -> LogStatus:
        return self.now

    def subscribe(self, listener: Callable[[ClusterEvent], None]) -> Callable[[], None]:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def tell(self, kind: str, **fields: Any) -> None:
        """Something happens."""
        for listener in tuple(self.listeners):
            listener(ClusterEvent(1_700_000_000_000, "node1", kind, **fields))

    def close(self) -> None:
        return

    @staticmethod
    def _done(value: T) -> Future[T]:
        future: Future[T] = Future()
        future.set_result(value)
        return future
