"""What a node shows of the log of a partition: status and events."""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING

from blockdb.cluster.comparing import shown
from blockdb.cluster.jetstream.numbering import PLACES, index_of, whole_messages
from blockdb.cluster.replicated_log import LogStatus, MemberStatus
from blockdb.format.consensus import NOBODY, Member, Members, Role

if TYPE_CHECKING:
    from blockdb.cluster.jetstream.driving import Driver

__all__ = ["Watching"]


class Watching:
    """`look` belongs to the loop; `status` may be asked for on any thread."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._leader = self._state = ""
        self._members: Members = NOBODY
        self._elections = self._last_election_ms = 0

    def look(self) -> None:
        """Tell what has changed."""
        driver = self._driver
        leader, state, members = driver.leader, driver.state, driver.members
        if leader != self._leader:
            self._leader = leader
            if leader:
                self._elections += 1
                self._last_election_ms = _now_ms()
            driver.tell("leader", other=leader, what="" if leader else "nobody leads")
        if state != self._state:
            self._state = state
            driver.tell("state", what=state)
        if members != self._members:
            self._members = members
            driver.tell("members", what=", ".join(f"{each.id} ({each.role.name.lower()})" for each in members.all))

    def status(self, stopped: str = "") -> LogStatus:
        """How it stands now. O(members)."""
        driver = self._driver
        applied, commit, first = driver.applied, index_of(driver.last), index_of(driver.first - 1) + 1
        last = commit + index_of(driver.source_lag)
        return LogStatus(
            driver.settings.cluster_id,
            driver.own.id,
            "jetstream",
            "Stopped" if stopped else driver.state,
            driver.term,
            driver.leader,
            last,
            commit,
            applied,
            first,
            tuple(self._member(member, last) for member in driver.members.all),
            self._last_election_ms,
            self._elections,
            driver.pulses.comparing.diverged,
            stopped,
            PLACES,
        )

    def _member(self, member: Member, last: int) -> MemberStatus:
        driver, comparing = self._driver, self._driver.pulses.comparing
        if member.id == driver.own.id:
            applied = driver.applied
            return MemberStatus(
                member, driver.state, _now_ms(), applied, last, applied, _lag(last, applied), comparing.shown
            )
        heard_ms, pulse = driver.pulses.heard.get(member.id, (0, None))
        applied, head = (pulse.applied, shown(pulse.head)) if pulse is not None else (0, "")
        return MemberStatus(
            member,
            self._state_of(member, pulse.state if pulse is not None else ""),
            heard_ms,
            applied,
            min(last, index_of(pulse.last) if pulse is not None else 0),
            applied,
            _lag(last, applied),
            head,
            comparing.agrees.get(member.id),
        )

    def _state_of(self, member: Member, told: str) -> str:
        if not self._driver.pulses.is_present(member.id):
            return "Unreachable"
        if told == "Mending":
            return told
        if member.role is not Role.VOTER:
            return "Replica" if member.role is Role.REPLICA else "Learner"
        return "Leader" if member.id == self._driver.leader else "Follower"


def _lag(last: int, applied: int) -> int:
    """How many messages somebody is behind."""
    return max(0, whole_messages(last) - whole_messages(applied))


def _now_ms() -> int:
    return int(time() * 1000)
