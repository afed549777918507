"""A node whose disk lost entries that it had acknowledged: it counts as one that is down until it has them again.

The idea is that of Alagappan et al., "Protocol-Aware Recovery for Consensus-Based Storage" (FAST 2018). While it mends
it takes entries, and acknowledges truly what it has. It neither stands nor votes, and confirms no reads.
"""

from __future__ import annotations

from blockdb.raft.core import Core
from blockdb.raft.messages import AppendAnswer, ReadAnswer, ReadRequest

__all__ = ["Mending"]


class Mending(Core):
    """How it gets them again, and when it has them."""

    def _refusal(self, index: int, hint: int) -> AppendAnswer:
        """There is nothing at `index` here that agrees with the leader; up to `hint` it may."""
        return AppendAnswer(self.id, self.term, index, True, hint, self.log.term(hint), self.is_mending)

    def _begin_mending(self, index: int) -> None:
        """The leader knows this node to have had `index`, and it is not there: its disk lost what was forced."""
        if not self.is_mending:
            self.is_mending = True
            self._mend_to = 0
            self._mend_after_term = self.term
            self._next_asked += 1
            self._mend_number = self._next_asked
        self._answer(self.leader, self._refusal(index, self.log.last_index))

    def _ask_how_far(self) -> None:
        """What this node acknowledged is in the log of this leader, or was never committed: so that is far enough."""
        if self.is_mending and not self._mend_to:
            self._send(self.leader, ReadRequest(self.id, self.term, self._mend_number, is_mending=True))

    def _on_how_far(self, answer: ReadAnswer) -> None:
        if self.is_mending and not self._mend_to:
            self._mend_to = answer.index
            self._note_mended()

    def _note_mended(self) -> None:
        """Take part again once the log has all that this node may have acknowledged.

        That is so when everything up to `mend_to` is known to be committed and is here; or when a leader of a later
        term than the damage has committed an entry of its own, and this node has everything up to it: whatever this
        node had helped to commit is before that entry (Leader Completeness; this node did not vote for that leader).
        """
        if not self.is_mending or self.forced_index < self.commit:
            return
        covers = 0 < self._mend_to <= self.commit
        is_later = self.term > self._mend_after_term and self.log.term(self.commit) == self.term
        if covers or is_later:
            self.is_mending = False
            if not self.vote:
                self.vote = self.leader
