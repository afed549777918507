"""What a node shows of itself and of the others: status and events."""

from __future__ import annotations

from dataclasses import replace
from time import time
from typing import TYPE_CHECKING, Final

from blockdb.cluster.comparing import shown
from blockdb.cluster.events import ClusterEvent
from blockdb.cluster.replicated_log import LogStatus, MemberStatus
from blockdb.cluster.waiting import Listeners
from blockdb.format.consensus import HardState, Member, Members, Role
from blockdb.raft.ready import Status

if TYPE_CHECKING:
    from blockdb.cluster.consensus.driving import Driver

__all__ = ["Watching"]

_STALE_PULSES: Final = 3


class Watching:
    """Belongs to the loop but for `status`."""

    def __init__(self, driver: Driver, listeners: Listeners) -> None:
        self._driver = driver
        self._listeners = listeners
        self.status: LogStatus
        """What was published last; replaced as a whole, never changed."""
        self._seen: Status | None = None
        self._term = self._elections = self._last_election_ms = 0
        self._vote = ""

    def stop(self, why: str) -> None:
        """Say that this node takes part no longer."""
        self.publish()
        self.status = replace(self.status, state="Stopped", stopped=why)
        self.tell("stopped", what=why)

    # ── events ───────────────────────────────────────────────────────────────────────────────────────────────────

    def tell(self, kind: str, index: int = 0, other: str = "", what: str = "") -> None:
        """Something happened."""
        own = self._driver.settings.own.id
        self._listeners.tell(ClusterEvent(_now_ms(), own, kind, self._driver.raft.term, index, other, what))

    def hard_state(self, state: HardState) -> None:
        """Term and vote are about to be on the disk."""
        if state.term != self._term:
            self._term, self._vote = state.term, ""
            self.tell("term")
        if state.vote != self._vote:
            self._vote = state.vote
            if state.vote == self._driver.settings.own.id:
                self.tell("election")
            self.tell("vote", other=state.vote)

    def members_changed(self, members: Members, index: int) -> None:
        """A list of members was committed."""
        self.tell("members", index, what=", ".join(f"{each.id} ({each.role.name.lower()})" for each in members.all))

    def contact(self, id_: str, is_reached: bool) -> None:
        """Another node is reached, or lost."""
        self.tell("contact", other=id_, what="reached" if is_reached else "lost")

    # ── status ───────────────────────────────────────────────────────────────────────────────────────────────────

    def publish(self) -> None:
        """Say how it stands now, and tell what is new."""
        status = self._driver.raft.status()
        before, self._seen = self._seen, status
        if before is None or status.leader != before.leader:
            if status.leader:
                self._elections += 1
                self._last_election_ms = _now_ms()
            self.tell("leader", other=status.leader, what="" if status.leader else "nobody leads")
        if before is None or status.state != before.state:
            self.tell("state", what=status.state)
            if before is not None and status.state == "Mending":
                self._driver.storing.mending()
            if before is not None and before.state == "Mending":
                self.tell("mended")
                self._driver.storing.mended()
        settings = self._driver.settings
        self.status = LogStatus(
            settings.cluster_id,
            settings.own.id,
            "raft",
            "Removed" if self._is_removed() else _state(status.state, self._driver.raft.members.get(settings.own.id)),
            status.term,
            status.leader,
            status.last_index,
            status.commit,
            self._driver.applying.index or status.applied,
            status.first_index,
            tuple(self._member(member, status) for member in self._driver.raft.members.all),
            self._last_election_ms,
            self._elections,
            self._driver.pulses.comparing.diverged,
        )

    def _is_removed(self) -> bool:
        members = self._driver.raft.members
        return self._driver.pulses.is_removed or (bool(members.all) and self._driver.settings.own.id not in members)

    def _member(self, member: Member, status: Status) -> MemberStatus:
        if member.id == self._driver.settings.own.id:
            applied = self._driver.applying.index or status.applied
            state = _state(status.state, member)
            lag = status.commit - min(status.commit, applied)
            forced = self._driver.view.forced_index
            return MemberStatus(
                member, state, _now_ms(), forced, status.commit, applied, lag, self._driver.pulses.comparing.shown, None
            )
        heard_ms, pulse = self._driver.pulses.heard.get(member.id, (0, None))
        contact = self._driver.peers.contacts().get(member.id) if self._driver.peers is not None else None
        last_heard_ms = max(heard_ms, contact.last_heard_ms if contact is not None else 0)
        progress = status.progress.get(member.id)
        match = progress.match if progress is not None else 0
        commit, applied, head = (pulse.commit, pulse.applied, shown(pulse.head)) if pulse is not None else (0, 0, "")
        is_reached = _now_ms() - last_heard_ms < _STALE_PULSES * 1000 * self._driver.settings.pulse_s
        state = pulse.state if pulse is not None else ("Learner" if member.role else "Follower")
        state = "Leader" if member.id == status.leader else "Follower" if state == "Leader" else state
        return MemberStatus(
            member,
            _state(state, member) if is_reached else "Unreachable",
            last_heard_ms,
            match,
            min(commit or match, status.commit),
            applied,
            max(0, status.commit - max(match, applied)),
            head,
            self._driver.pulses.comparing.agrees.get(member.id),
        )


def _state(state: str, member: Member | None) -> str:
    """A member's state by the name that it has for people."""
    return "Replica" if state == "Learner" and member is not None and member.role is Role.REPLICA else state


def _now_ms() -> int:
    return int(time() * 1000)
