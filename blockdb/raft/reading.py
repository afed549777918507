"""Reads that see everything that was acknowledged before they were asked for: ReadIndex (thesis, 6.4)."""

from __future__ import annotations

from blockdb.raft import quorum
from blockdb.raft.core import State
from blockdb.raft.mending import Mending
from blockdb.raft.messages import Heartbeat, ReadAnswer, ReadRequest

__all__ = ["Reading"]


class Reading(Mending):
    """From where on a read is up to date."""

    def read(self, number: int) -> None:
        """Ask from where on reads are up to date: `Ready.confirmed` says it (index 0: ask again).

        Each number is confirmed once. A leader that cannot commit keeps the asker waiting until it can or steps down.
        """
        if self.state is State.LEADER:
            self._ask("", number)
        elif self.leader and len(self._asked) < self.config.max_reads:
            self._next_asked += 1
            self._asked[self._next_asked] = number, self.now
            self._send(self.leader, ReadRequest(self.id, self.term, self._next_asked))
        else:
            self._confirmed.append((number, 0))

    def _on_read_request(self, request: ReadRequest) -> None:
        if request.is_mending:
            self._tell_how_far(request)
        elif self.state is State.LEADER:
            self._ask(request.sender, request.number)
        else:
            self._tell_read(request.sender, request.number, 0)

    def _tell_how_far(self, request: ReadRequest) -> None:
        if self.state is State.LEADER:
            self._send(request.sender, ReadAnswer(self.id, self.term, request.number, self.log.last_index))

    def _ask(self, asker: str, number: int) -> None:
        if self._rounds.count >= self.config.max_reads:
            self._tell_read(asker, number, 0)
        else:
            self._rounds.ask(asker, number)
            self._has_work = True

    def _on_read_answer(self, answer: ReadAnswer) -> None:
        if answer.number == self._mend_number:
            self._on_how_far(answer)
        asked = self._asked.pop(answer.number, None)
        if asked is not None:
            self._confirmed.append((asked[0], answer.index))

    def _expire_reads(self) -> None:
        """Who was not answered within an election timeout asks again: the answer may be lost."""
        while self._asked:
            key, (number, tick) = next(iter(self._asked.items()))
            if self.now - tick < self.config.election_ticks:
                return
            del self._asked[key]
            self._confirmed.append((number, 0))

    def _tell_read(self, asker: str, number: int, index: int) -> None:
        if asker:
            self._send(asker, ReadAnswer(self.id, self.term, number, index))
        else:
            self._confirmed.append((number, index))

    def _begin_round(self) -> None:
        """All reads that wait share a round; before a commit in its term a leader is not certain what is committed."""
        if not self._rounds.waiting or not self._is_own_term_committed:
            return
        round_ = self._rounds.begin(self.commit)
        for voter in self.roll.voters:
            if voter != self.id:
                commit = min(self.progress[voter].match, self.commit)
                self._send(voter, Heartbeat(self.id, self.term, commit, round_))

    def _confirm_rounds(self) -> None:
        if not self._rounds.is_under_way:
            return
        last, own, progress = self._rounds.last, self.id, self.progress
        round_ = quorum.reached(last if voter == own else progress[voter].round for voter in self.roll.voters)
        for asker, number, index in self._rounds.confirmed(round_):
            self._tell_read(asker, number, index)
