"""Elections: pre-vote (thesis, 9.6), loyalty to a leader that is heard (4.2.3), check-quorum (6.2), transfer (3.10)."""

from __future__ import annotations

from blockdb.errors import InvalidData
from blockdb.format.consensus import Kind
from blockdb.raft import quorum
from blockdb.raft.core import Core, State
from blockdb.raft.errors import NotLeader, TooMuch
from blockdb.raft.messages import TimeoutNow, VoteAnswer, VoteRequest

__all__ = ["Election"]


class Election(Core):
    """Who leads."""

    def _stand(self, is_pre: bool, is_transfer: bool = False) -> None:
        """Ask for votes; a vote for oneself counts like any other, once it is forced."""
        if not self._may_stand:
            return
        self._become_follower(self.term if is_pre else self.term + 1, "")
        self._votes = {}
        if is_pre:
            self.state = State.PRE_CANDIDATE
            self._votes[self.id] = True
        else:
            self.state = State.CANDIDATE
            self.vote = self.id
        request = VoteRequest(self.id, self.term + is_pre, self.log.last_index, self.log.last_term, is_pre, is_transfer)
        say = self._send if is_pre else self._promise
        for voter in self.roll.voters:
            if voter != self.id:
                say(voter, request)
        self._count_votes()

    def _count_votes(self) -> None:
        result = quorum.outcome(self.roll.voters, self._votes)
        if result is quorum.Outcome.LOST:
            self._become_follower(self.term, "")
        elif result is quorum.Outcome.WON and self.state is State.PRE_CANDIDATE:
            self._stand(is_pre=False)
        elif result is quorum.Outcome.WON:
            self._become_leader()

    def _become_leader(self) -> None:
        self.state = State.LEADER
        self.leader = self.id
        self._heartbeat_elapsed = 0
        self._parted_index = -1
        self.progress = {member.id: self._new_progress() for member in self.roll.members.all if member.id != self.id}
        self._term_start = self._append_own(Kind.BEGINNING, b"")

    def _on_own_vote_forced(self) -> None:
        if self.state is State.CANDIDATE:
            self._votes[self.id] = True
            self._count_votes()

    def _hears_leader(self) -> bool:
        """Whether there is a leader that need not be replaced: then nobody gets a vote."""
        if self.state is State.LEADER:
            return True
        return bool(self.leader) and self._election_elapsed < self.config.election_ticks

    def _on_vote_request(self, request: VoteRequest) -> None:
        if request.term > self.term and self._hears_leader() and not request.is_transfer:
            return
        if request.term > self.term and not request.is_pre:
            self._become_follower(request.term, "")
        is_granted = self._may_vote(request)
        term = request.term if is_granted else self.term
        say = self._answer if request.is_pre else self._promise
        say(request.sender, VoteAnswer(self.id, term, is_granted, request.is_pre))
        if is_granted and not request.is_pre:
            self.vote = request.sender
            self._draw_timeout()

    def _may_vote(self, request: VoteRequest) -> bool:
        if request.term < self.term or self.is_mending:
            return False
        is_free = (
            self.vote == request.sender
            or (not self.vote and not self.leader)
            or (request.is_pre and request.term > self.term)
        )
        return is_free and self.log.is_up_to_date(request.last_index, request.last_term)

    def _on_vote_answer(self, answer: VoteAnswer) -> None:
        is_awaited = self.state is (State.PRE_CANDIDATE if answer.is_pre else State.CANDIDATE)
        if not is_awaited or answer.term != self.term + (answer.is_pre and answer.is_granted):
            return
        self._votes.setdefault(answer.sender, answer.is_granted)
        self._count_votes()

    def _on_timeout_now(self, message: TimeoutNow) -> None:
        self._stand(is_pre=False, is_transfer=True)

    def _keep_leading(self) -> None:
        """A leader that no majority was heard to follow for an election timeout leads no longer."""
        oldest = self.now - self.config.election_ticks
        active = {id_ for id_, progress in self.progress.items() if progress.heard_tick > oldest}
        active.add(self.id)
        if not quorum.has_majority(self.roll.voters, active):
            self._become_follower(self.term, "")

    # ── handing over ─────────────────────────────────────────────────────────────────────────────────────────────

    def transfer(self, to: str) -> None:
        """Have another voter lead; given up after an election timeout. Raises NotLeader, TooMuch, InvalidData."""
        if self.state is not State.LEADER:
            raise NotLeader(self.leader)
        if to not in self.roll.voters:
            raise InvalidData(f"{to!r} cannot lead, for it is not a voter; voters: {', '.join(self.roll.voters)}")
        if self._transferee and self._transferee != to:
            raise TooMuch(f"leadership is about to move to {self._transferee!r} already")
        if to != self.id:
            self._transferee = to
            self._transfer_tick = self.now
            self._has_work = True

    def _hand_over(self) -> None:
        """Tell the successor to stand once it has everything, again with every answer, for a message may be lost."""
        if self._transferee and self.progress[self._transferee].match == self.log.last_index:
            self._send(self._transferee, TimeoutNow(self.id, self.term))

    def _give_up_transfer(self) -> None:
        if self._transferee and self.now - self._transfer_tick >= self.config.election_ticks:
            self._transferee = ""
