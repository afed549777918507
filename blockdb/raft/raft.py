"""The core: what one node of a Raft group does about what it is told.

Sources: Ongaro, "Consensus: Bridging Theory and Practice" (2014); the correction of single-server changes (Ongaro,
raft-dev, 2015); etcd's `raft` package, whose Ready, progress states and pre-vote this follows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from blockdb.format.consensus import Entry, HardState, Role
from blockdb.raft.core import Awaited, State
from blockdb.raft.election import Election
from blockdb.raft.errors import Broken
from blockdb.raft.membership import Membership
from blockdb.raft.messages import (
    Append,
    AppendAnswer,
    Heartbeat,
    HeartbeatAnswer,
    Message,
    Propose,
    ReadAnswer,
    ReadRequest,
    SnapshotAnswer,
    SnapshotOffer,
    TimeoutNow,
    VoteAnswer,
    VoteRequest,
)
from blockdb.raft.reading import Reading
from blockdb.raft.ready import Ready, Status
from blockdb.raft.replication import Replication

__all__ = ["Raft"]

_OF_LEADERS: Final = frozenset({Append, Heartbeat, SnapshotOffer, TimeoutNow})
_OF_ANY_TERM: Final = frozenset({VoteRequest, ReadRequest, ReadAnswer, Propose})
"""Those that say nothing about their sender's term, or whose handler sees to it."""


class Raft(Election, Replication, Membership, Reading):
    """One node of a group. Not safe for threads; nothing here waits, and everything to be done stands in `ready()`.

    It begins with what the disk has. `applied` is the last index that the state machine has for good, by entries of
    this very log or by a snapshot that it begins behind: nothing may be made durable there before it is forced here.
    `is_mending`: entries that were acknowledged were lost to damage; the node neither stands nor votes until it has
    them again. `mend_to` is the last index that it may have acknowledged; 0: unknown, then it asks the leader. Raises
    Broken where there is a gap between state machine and log.
    """

    def tick(self) -> None:
        """One unit of time has gone by."""
        self.now += 1
        if self.state is State.LEADER:
            self._tick_leader()
            return
        self._expire_reads()
        self._election_elapsed += 1
        if self._election_elapsed >= self._election_timeout and self._may_stand:
            self._stand(is_pre=True)

    def _tick_leader(self) -> None:
        self._heartbeat_elapsed += 1
        self._give_up_transfer()
        self._keep_leading()
        if self.state is State.LEADER and self._heartbeat_elapsed >= self.config.heartbeat_ticks:
            self._send_heartbeats()

    def step(self, message: Message) -> None:
        """A message came. What is out of date is passed over. Raises Broken, and nothing else."""
        kind = type(message)
        if message.sender == self.id:
            return
        if kind not in _OF_ANY_TERM and not self._is_of_this_term(message, kind):
            return
        _HANDLERS[kind](self, message)

    def _is_of_this_term(self, message: Message, kind: type) -> bool:
        """Go along with a later term; tell who leads in an earlier one that it is over."""
        if message.term > self.term:
            if isinstance(message, VoteAnswer) and message.is_pre and message.is_granted:
                return True  # of the term that was asked about
            self._become_follower(message.term, message.sender if kind in _OF_LEADERS else "")
        elif message.term < self.term:
            if kind in _OF_LEADERS:
                self._answer(message.sender, HeartbeatAnswer(self.id, self.term))
            return False
        return True

    # ── what is to be done ───────────────────────────────────────────────────────────────────────────────────────

    @property
    def has_ready(self) -> bool:
        """Whether `ready()` would have anything to do. O(1)."""
        return bool(
            self._has_work
            or self.log.has_tail
            or self._at_once
            or self._after_force
            or self._acknowledged >= 0
            or self._confirmed
            or self._has_to_apply
            or self._snapshot is not None
            or self._is_state_new
        )

    @property
    def _is_state_new(self) -> bool:
        told = self._told_state
        return self.term != told.term or self.vote != told.vote

    @property
    def _has_to_apply(self) -> bool:
        return self.commit > self.handed and self._unapplied_bytes <= self.config.max_unapplied_bytes

    def ready(self) -> Ready:
        """What is to be done now. Its entries are the LogView's from here on (see there)."""
        if self._has_work:
            self._lead()
        self._number += 1
        if self._acknowledged >= 0 and self.leader:
            self._promise(self.leader, self._acknowledgement())
        self._acknowledged = -1
        committed = self._hand_out()
        hard_state = self._new_state()
        ready = Ready(
            self._number,
            hard_state,
            self.log.take(),
            tuple(self._at_once),
            tuple(self._after_force),
            committed,
            tuple(self._confirmed),
            self._snapshot,
            tuple(self._wants_snapshot),
        )
        if hard_state is not None or ready.entries or ready.snapshot is not None:
            self._awaited.append(Awaited(self._number, self.term, self.log.last_index))
        self._at_once.clear()
        self._after_force.clear()
        self._confirmed.clear()
        self._wants_snapshot.clear()
        self._snapshot = None
        return ready

    def _lead(self) -> None:
        """All that a leader does about what it has heard since the last Ready, once for all of it."""
        self._has_work = False
        self._promote_learners()
        self._commit_own_term()
        self._confirm_rounds()
        self._begin_round()
        self._confirm_rounds()
        self._send_appends()
        self._hand_over()
        self._part()

    def _new_state(self) -> HardState | None:
        """Term and vote are forced when they change; the commit, a hint, goes along with what is written anyway."""
        is_written = self._is_state_new or self.log.has_tail or self._snapshot is not None
        if not is_written:
            return None
        state = HardState(self.term, self.vote, self.commit)
        if state == self._told_state:
            return None
        self._told_state = state
        return state

    def _hand_out(self) -> tuple[Entry, ...]:
        if not self._has_to_apply:
            return ()
        entries = self.log.entries(self.handed + 1, self.commit, self.config.max_committed_bytes)
        self.handed = entries[-1].index
        size = sum(len(entry.data) for entry in entries)
        self._unapplied.append((self.handed, size))
        self._unapplied_bytes += size
        return entries

    def forced(self, number: int) -> None:
        """Everything up to that Ready is on the disk."""
        awaited = None
        while self._awaited and self._awaited[0].number <= number:
            awaited = self._awaited.popleft()
            self.forced_index = max(self.forced_index, awaited.last_index)
        if awaited is None:
            return
        self._forced_term = awaited.term
        if awaited.term == self.term:
            self._on_own_vote_forced()
        self._note_mended()
        self._has_work = self.state is State.LEADER

    def applied(self, index: int) -> None:
        """The state machine has everything up to `index`."""
        self.applied_index = max(self.applied_index, index)
        while self._unapplied and self._unapplied[0][0] <= index:
            self._unapplied_bytes -= self._unapplied.popleft()[1]

    # ── for whoever watches ──────────────────────────────────────────────────────────────────────────────────────

    @property
    def is_leader(self) -> bool:
        """Whether this node leads."""
        return self.state is State.LEADER

    def status(self) -> Status:
        """What it is doing, for whoever watches."""
        return Status(
            self.id,
            self._state_seen(),
            self.term,
            self.vote,
            self.leader,
            self.log.head.index + 1,
            self.log.last_index,
            self.commit,
            self.applied_index,
            {id_: progress.seen(self._is_active(progress)) for id_, progress in self.progress.items()},
        )

    def _state_seen(self) -> str:
        if self.is_mending:
            return "Mending"
        member = self.members.get(self.id)
        if self.state is State.FOLLOWER and member is not None and member.role is not Role.VOTER:
            return member.role.name.capitalize()
        return self.state.value

    def check(self) -> None:
        """Raise Broken unless everything that must hold in one node does. For tests: O(members)."""
        log = self.log
        must = {
            "the log begins at or before its end": log.head.index <= log.last_index,
            "what is committed is in the log": log.head.index <= self.commit <= log.last_index,
            "no entry is of a later term than the node": log.last_term <= self.term,
            "what is forced is in the log": self.forced_index <= log.last_index,
            "what is applied was handed out": self.applied_index <= self.handed,
            "the list of members in force is in the log": self.roll.index <= log.last_index,
            "who leads or stands has voted for itself": self.state not in (State.LEADER, State.CANDIDATE)
            or self.vote == self.id,
            "who leads knows it": (self.leader == self.id) == self.is_leader,
            "only a leader keeps progress": self.is_leader or not self.progress,
        }
        if self.is_leader:
            must |= {
                "one change of members at a time": self.roll.uncommitted(self.commit) <= 1,
                "every other member has a progress": {each.id for each in self.members.all} - {self.id}
                <= self.progress.keys(),
                "nobody has more than the leader": all(
                    each.match < each.next <= log.last_index + 1 for each in self.progress.values()
                ),
            }
        for what, holds in must.items():
            if not holds:
                raise Broken(f"node {self.id} in term {self.term}: this does not hold: {what}")


_HANDLERS: Final[dict[type, Callable[[Raft, Any], None]]] = {
    VoteRequest: Raft._on_vote_request,
    VoteAnswer: Raft._on_vote_answer,
    Append: Raft._on_append,
    AppendAnswer: Raft._on_append_answer,
    Heartbeat: Raft._on_heartbeat,
    HeartbeatAnswer: Raft._on_heartbeat_answer,
    SnapshotOffer: Raft._on_snapshot_offer,
    SnapshotAnswer: Raft._on_snapshot_answer,
    ReadRequest: Raft._on_read_request,
    ReadAnswer: Raft._on_read_answer,
    Propose: Raft._on_propose,
    TimeoutNow: Raft._on_timeout_now,
}
