"""Replication: what the leader sends, what a follower takes, and what is committed (thesis, 3.5 and 3.6)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from blockdb.format.consensus import Entry, Kind
from blockdb.raft import quorum
from blockdb.raft.core import State
from blockdb.raft.errors import Broken, NotLeader, TooMuch
from blockdb.raft.mending import Mending
from blockdb.raft.messages import (
    Append,
    AppendAnswer,
    Heartbeat,
    HeartbeatAnswer,
    Propose,
    SnapshotAnswer,
    SnapshotHead,
    SnapshotOffer,
)
from blockdb.raft.progress import Pace, Progress

__all__ = ["Replication"]


class Replication(Mending):
    """How entries get from the leader's log to the others'."""

    # ── the leader ───────────────────────────────────────────────────────────────────────────────────────────────

    def propose(self, commands: Sequence[bytes]) -> int:
        """Put commands into the log, and give the index of the last one. Raises NotLeader, TooMuch."""
        if self.state is not State.LEADER:
            raise NotLeader(self.leader)
        if self._transferee:
            raise TooMuch(f"leadership is about to move to {self._transferee!r}: try again")
        size = sum(map(len, commands))
        if self._uncommitted_bytes and self._uncommitted_bytes + size > self.config.max_uncommitted_bytes:
            raise TooMuch(f"{self._uncommitted_bytes} bytes of commands wait to be committed already: try again")
        index = self._append_own(Kind.COMMAND, *commands)
        self._uncommitted.append((index, size))
        self._uncommitted_bytes += size
        return index

    def _on_propose(self, message: Propose) -> None:
        with suppress(NotLeader, TooMuch):  # nothing was promised: whoever asked asks again
            self.propose(message.commands)

    def _commit_own_term(self) -> None:
        """Commit what a majority of the voters in force has forced, if that reaches an entry of this term.

        Entries of earlier terms are committed with it, and never by counting (thesis, 3.6.2; figure 8).
        """
        progress, own = self.progress, self.id
        index = quorum.reached(
            self.forced_index if voter == own else progress[voter].match for voter in self.roll.voters
        )
        if index >= self._term_start:
            self._advance(index)

    def _send_appends(self) -> None:
        """Send each member what it may be sent; those who are equally far get the same message."""
        made: dict[int, tuple[Append, int]] = {}
        last, commit = self.log.last_index, self.commit
        for id_, progress in self.progress.items():
            while progress.can_send and (
                progress.next <= last
                or progress.commit_sent < commit
                or progress.is_nudged
                or progress.pace is Pace.PROBING
            ):
                if progress.next <= self.log.head.index:
                    self._want_snapshot(id_, progress)
                    break
                if progress.next not in made:
                    made[progress.next] = self._make_append(progress.next)
                append, size = made[progress.next]
                self._send(id_, append)
                progress.sent(append.previous_index + len(append.entries), size, commit)

    def _make_append(self, first: int) -> tuple[Append, int]:
        """What comes from `first` on, and how many bytes the entries have."""
        previous, last = first - 1, self.log.last_index
        entries = self.log.entries(first, last, self.config.max_append_bytes) if first <= last else ()
        append = Append(self.id, self.term, previous, self.log.term(previous), self.commit, entries)
        return append, sum(len(entry.data) for entry in entries)

    def _want_snapshot(self, id_: str, progress: Progress) -> None:
        """Only a snapshot helps a member; one who is not there gets none."""
        if self._is_active(progress):
            progress.await_snapshot()
            self._wants_snapshot.append(id_)
        else:
            progress.probe(progress.next, is_paused=True)

    def _is_active(self, progress: Progress) -> bool:
        return self.now - progress.heard_tick < self.config.election_ticks

    def _send_heartbeats(self) -> None:
        self._heartbeat_elapsed = 0
        for id_, progress in self.progress.items():
            self._send(id_, Heartbeat(self.id, self.term, min(progress.match, self.commit), self._rounds.last))

    def _heard(self, sender: str) -> Progress | None:
        """The progress of a member that has answered, if this node leads."""
        progress = self.progress.get(sender)
        if progress is not None:
            progress.heard_tick = self.now
            self._has_work = True
        return progress

    def _on_append_answer(self, answer: AppendAnswer) -> None:
        progress = self._heard(answer.sender)
        if progress is None:
            return
        if not answer.is_refused:
            self._note_match(progress, answer.index)
            return
        agrees_at = self.log.last_of(answer.hint_term, answer.hint_index)
        if answer.is_mending and progress.match > answer.hint_index:
            progress.forget(agrees_at)
        else:
            progress.refused(answer.index, agrees_at)

    def _note_match(self, progress: Progress, index: int) -> None:
        if index > self.log.last_index:
            return  # nobody can agree with what is not there
        progress.acknowledged(index)
        if progress.pace is Pace.SNAPSHOT and progress.match >= self.log.head.index:
            progress.stream()

    def _on_heartbeat_answer(self, answer: HeartbeatAnswer) -> None:
        progress = self._heard(answer.sender)
        if progress is not None:
            progress.round = max(progress.round, answer.round)
            progress.nudge(self.log.last_index)

    def _on_snapshot_answer(self, answer: SnapshotAnswer) -> None:
        progress = self._heard(answer.sender)
        if progress is None:
            return
        if not answer.is_refused:
            self._note_match(progress, answer.index)
        elif progress.pace is Pace.SNAPSHOT:
            progress.probe(is_paused=True)

    def snapshot_sent(self, id_: str, ok: bool) -> None:
        """The snapshot for a member that `Ready.wants_snapshot` named went out as a whole, or did not."""
        progress = self.progress.get(id_)
        if progress is not None and progress.pace is Pace.SNAPSHOT:
            progress.probe(self.log.head.index + 1 if ok else 0, is_paused=True)

    def unreachable(self, id_: str) -> None:
        """Messages to a member were lost: it is probed before more is sent."""
        progress = self.progress.get(id_)
        if progress is not None:
            progress.patience = 0
            if progress.pace is Pace.STREAMING:
                progress.probe(is_paused=True)

    # ── the follower ─────────────────────────────────────────────────────────────────────────────────────────────

    def _follow(self, leader: str) -> None:
        """The leader of this term was heard."""
        if self.state is not State.FOLLOWER or self.leader != leader:
            if self.state is State.LEADER:
                raise Broken(f"{leader!r} leads in term {self.term}, in which this node leads")
            self._become_follower(self.term, leader)
        self._election_elapsed = 0

    def _on_append(self, append: Append) -> None:
        self._follow(append.sender)
        previous, entries = append.previous_index, append.entries
        last = previous + len(entries)
        if entries and (entries[0].index != previous + 1 or entries[-1].index != last):
            return  # no leader sends that
        if previous >= self.commit:
            if not self.log.agrees(previous, append.previous_term):
                self._refuse(append)
                return
        else:  # what is committed agrees with every later leader's log, so nothing of it need be compared
            entries = entries[self.commit - previous :]
        self._take(entries)
        before, agrees_at = self.commit, max(last, self.commit) if previous < self.commit else last
        self._advance(min(append.commit, last))
        if append.entries or self.commit == before or agrees_at != self._told_match:
            self._acknowledge(agrees_at)  # else it only said what is committed: should an answer be lost, it asks again

    def _refuse(self, append: Append) -> None:
        hint = max(self.log.last_of(append.previous_term, append.previous_index), self.commit)
        self._answer(append.sender, self._refusal(append.previous_index, hint))

    def _take(self, entries: Sequence[Entry]) -> None:
        """Store entries that follow what agrees. What is there already stays, and what is behind it (a late Append)."""
        log = self.log
        for position, entry in enumerate(entries):
            if entry.index > log.last_index:
                self._store(entries[position:])
                return
            if log.term(entry.index) != entry.term:
                self._cut(entry.index)
                self._store(entries[position:])
                return

    def _cut(self, index: int) -> None:
        """Drop what contradicts the leader, with the lists of members in it."""
        if index <= self.commit:
            raise Broken(f"the leader of term {self.term} contradicts entry {index}, which is committed")
        self.log.cut(index)
        self.roll.cut(index)
        self._forget_forced(index)

    def _store(self, entries: Sequence[Entry]) -> None:
        self.log.append(entries)
        for entry in entries:
            if entry.kind is Kind.MEMBERS:
                self.roll.add(entry)

    def _on_heartbeat(self, heartbeat: Heartbeat) -> None:
        self._follow(heartbeat.sender)
        if heartbeat.commit > self.log.last_index:
            self._begin_mending(heartbeat.commit)
        self._ask_how_far()
        self._advance(min(heartbeat.commit, self.log.last_index))
        round_ = 0 if self.is_mending else heartbeat.round
        self._answer(heartbeat.sender, HeartbeatAnswer(self.id, self.term, round_))

    def _on_snapshot_offer(self, offer: SnapshotOffer) -> None:
        self._follow(offer.sender)
        if not self.needs(offer.head):
            self._promise(offer.sender, SnapshotAnswer(self.id, self.term, self.commit))

    def needs(self, head: SnapshotHead) -> bool:
        """Whether a snapshot that was offered would bring this node forward: else it need not be taken over."""
        return head.index > self.commit

    def restored(self, head: SnapshotHead, sender: str = "") -> None:
        """The state machine has taken over a checked snapshot, which `sender` offered (it is told once that is forced).

        What of the log contradicts it is dropped: see `Ready.snapshot`. Entries up to its index that were handed out
        before are to be passed over by whoever applies.
        """
        if self.needs(head):
            if self.log.agrees(head.index, head.term):
                self._advance(head.index)
            else:
                self._begin_behind(head)
            self.handed = max(self.handed, head.index)
        if sender:
            self._promise(sender, SnapshotAnswer(self.id, self.term, self.commit))

    def _begin_behind(self, head: SnapshotHead) -> None:
        """The log contradicts the snapshot, or ends before it: nothing of it stays."""
        if self.state is State.LEADER:
            raise Broken(f"the log of the leader does not have entry {head.index}, which a snapshot says is committed")
        self._forget_forced(1)
        self.log.begin(head)
        self.roll.begin(head)
        self.commit = head.index
        self._snapshot = head
