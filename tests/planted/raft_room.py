"""Bugs that implementations of Raft really had. `python -m tests.simulation.planted` says which seed finds each."""

from __future__ import annotations

from typing import Final

from tests.planted.planting import Bug

SEEDS: Final = ("tests/simulation/test_simulation.py::test_all_holds_in_hundreds_of_seeds",)

RAFT: Final[dict[str, Bug]] = {
    "vote-before-force": Bug(
        "blockdb/raft/election.py",
        "say = self._answer if request.is_pre else self._promise",
        "say = self._send",
        SEEDS,
        "A vote is told before it is on the disk.",
    ),
    "candidate-before-force": Bug(
        "blockdb/raft/election.py",
        "say = self._send if is_pre else self._promise",
        "say = self._send",
        SEEDS,
        "A candidate asks for votes before its own term and vote are on the disk.",
    ),
    "state-forced-apart": Bug(
        "tests/simulation/disk.py",
        "        if ready.hard_state is not None:\n",
        "        if ready.hard_state is not None and not ready.entries:\n",
        SEEDS,
        "Term and vote are not forced together with the entries.",
    ),
    "vote-forgotten-in-its-term": Bug(
        "blockdb/raft/core.py",
        "        if term > self.term:\n            self.term = term\n",
        "        if term >= self.term:\n            self.term = term\n",
        SEEDS,
        "Who steps down within a term forgets whom it voted for.",
    ),
    "votes-for-anyone": Bug(
        "blockdb/raft/election.py",
        "return is_free and self.log.is_up_to_date(request.last_index, request.last_term)",
        "return is_free",
        SEEDS,
        "Who lacks committed entries gets votes.",
    ),
    "longer-log-wins": Bug(
        "blockdb/raft/log.py",
        "return (last_term, last_index) >= (self.last_term, self.last_index)",
        "return last_index >= self.last_index",
        SEEDS,
        "Of two logs the longer one counts as newer, whatever the terms.",
    ),
    "no-beginning": Bug(
        "blockdb/raft/election.py",
        'self._term_start = self._append_own(Kind.BEGINNING, b"")',
        "self._term_start = self.log.last_index + 1",
        SEEDS,
        "A leader has no entry of its own at the start of its term.",
    ),
    "reads-before-own-commit": Bug(
        "blockdb/raft/reading.py",
        "if not self._rounds.waiting or not self._is_own_term_committed:",
        "if not self._rounds.waiting:",
        SEEDS,
        "A new leader serves reads before it knows what is committed.",
    ),
    "reads-on-a-lease": Bug(
        "blockdb/raft/reading.py",
        "last if voter == own else progress[voter].round for voter in self.roll.voters)",
        "last if voter == own or self._is_active(progress[voter]) else 0 for voter in self.roll.voters)",
        SEEDS,
        "Reads trust that whoever answered lately follows still: a lease, by a clock that may pause.",
    ),
    "late-append-cuts": Bug(
        "blockdb/raft/replication.py",
        "            if log.term(entry.index) != entry.term:\n",
        "            if log.term(entry.index) != entry.term or position == 0:\n",
        SEEDS,
        "A delayed Append cuts off entries behind those it brings.",
    ),
    "commit-beyond-match": Bug(
        "blockdb/raft/replication.py",
        "min(progress.match, self.commit)",
        "self.commit",
        SEEDS,
        "A heartbeat has a follower take entries for committed that it may have from somebody else.",
    ),
    "commit-moves-back": Bug(
        "blockdb/raft/core.py",
        "        if commit <= self.commit:\n            return\n",
        "        if commit == self.commit:\n            return\n",
        SEEDS,
        "The commit index moves back when an older message comes late.",
    ),
    "snapshot-lacks-members": Bug(
        "blockdb/raft/roll.py",
        "self._lists = [(head.index, head.members)]\n",
        "self._lists = [(head.index, self._lists[-1][1] if self._lists else head.members)]\n",
        SEEDS,
        "Who takes over a snapshot does not take over who the members are.",
    ),
    "snapshot-races-with-applying": Bug(
        "tests/simulation/node.py",
        "        if entry.index <= machine.head.index:  # a snapshot covers it\n            return\n",
        "",
        SEEDS,
        "What was handed out before a snapshot came is applied on top of it.",
    ),
    "gap-behind-a-snapshot": Bug(
        "tests/simulation/disk.py",
        "        if not image.covers(head.index, head.term):",
        "        if image is None:",
        SEEDS,
        "After a restart there is a gap between the snapshot and the log.",
    ),
    "members-not-rolled-back": Bug(
        "blockdb/raft/replication.py",
        "        self.roll.cut(index)\n",
        "",
        SEEDS,
        "A list of members stays in force when its entry is cut off.",
    ),
    "two-changes-at-once": Bug(
        "blockdb/raft/membership.py",
        "return self.roll.index <= self.commit and self._is_own_term_committed",
        "return self._is_own_term_committed",
        SEEDS,
        "A change of members begins before the last one is committed.",
    ),
    "removed-leader-counts-itself": Bug(
        "blockdb/raft/replication.py",
        "progress[voter].match for voter in self.roll.voters\n",
        "progress[voter].match for voter in {*self.roll.voters, own}\n",
        SEEDS,
        "A leader that is being removed counts itself.",
    ),
    "learner-is-a-voter": Bug(
        "blockdb/raft/roll.py",
        "if member.role is Role.VOTER)",
        "if member.role is not Role.REPLICA)",
        SEEDS,
        "A learner counts like a voter.",
    ),
    "mending-node-votes": Bug(
        "blockdb/raft/election.py",
        "        if request.term < self.term or self.is_mending:\n",
        "        if request.term < self.term:\n",
        SEEDS,
        "A node that lost entries which it had acknowledged votes as if it had never had them.",
    ),
    "mending-node-stands": Bug(
        "blockdb/raft/core.py",
        "return (self.is_voter or is_leaving) and not self.is_mending",
        "return self.is_voter or is_leaving",
        SEEDS,
        "A node that lost entries which it had acknowledged wants to lead.",
    ),
    "match-outlives-damage": Bug(
        "blockdb/raft/replication.py",
        "        if answer.is_mending and progress.match > answer.hint_index:\n",
        "        if answer.is_mending and progress.match < 0:\n",
        SEEDS,
        "The leader goes on counting what a node acknowledged before it was lost.",
    ),
    "returning-node-deposes": Bug(
        "blockdb/raft/election.py",
        '        self._become_follower(self.term if is_pre else self.term + 1, "")\n',
        '        is_pre = False\n        self._become_follower(self.term + 1, "")\n',
        SEEDS,
        "There is no pre-vote: who was cut off comes back with a higher term.",
    ),
    "no-stickiness": Bug(
        "blockdb/raft/election.py",
        "        return bool(self.leader) and self._election_elapsed < self.config.election_ticks\n",
        "        return False\n",
        SEEDS,
        "Who hears a leader votes for another all the same: no stable leader under a partial partition.",
    ),
    "no-check-quorum": Bug(
        "blockdb/raft/election.py",
        "        if not quorum.has_majority(self.roll.voters, active):\n",
        "        if not active:\n",
        SEEDS,
        "A leader without a majority leads on.",
    ),
    "single-voter-does-not-wait": Bug(
        "blockdb/raft/replication.py",
        "self.forced_index if voter == own else progress[voter].match",
        "self.log.last_index if voter == own else progress[voter].match",
        SEEDS,
        "A leader counts itself before its own disk has the entries; a single voter answers before forcing.",
    ),
    "retries-applied-twice": Bug(
        "tests/simulation/machine.py",
        "        if request not in self.outcomes:\n",
        "        if request:\n",
        SEEDS,
        "A command that comes again is applied again.",
    ),
    "unbounded-on-a-cut-off-leader": Bug(
        "blockdb/raft/replication.py",
        "if self._uncommitted_bytes and self._uncommitted_bytes + size > self.config.max_uncommitted_bytes:",
        "if self._uncommitted_bytes < 0:",
        SEEDS,
        "A leader that is cut off takes commands without bound.",
    ),
    "applying-by-chance": Bug(
        "tests/simulation/machine.py",
        "+ entry.data, self.chain)",
        "+ entry.data, self.chain + id(self) % 7)",
        SEEDS,
        "What a command does depends on the process that applies it: its clock, its memory, the order of a set.",
    ),
}
"""Those that some hundred seeds find."""

RARE: Final[dict[str, Bug]] = {
    "old-terms-by-counting": Bug(
        "blockdb/raft/replication.py",
        "        if index >= self._term_start:\n",
        "        if index:\n",
        SEEDS,
        "Entries of earlier terms are committed by counting (figure 8 of the paper).",
    ),
    "commit-beyond-new": Bug(
        "blockdb/raft/replication.py",
        "self._advance(min(append.commit, last))",
        "self._advance(min(append.commit, self.log.last_index))",
        SEEDS,
        "A follower takes entries for committed that the Append did not compare.",
    ),
    "snapshot-keeps-tail": Bug(
        "blockdb/raft/replication.py",
        "            if self.log.agrees(head.index, head.term):\n",
        "            if head.index <= self.log.last_index:\n",
        SEEDS,
        "A snapshot keeps entries that contradict it.",
    ),
    "members-before-own-commit": Bug(
        "blockdb/raft/membership.py",
        "        if not self._is_own_term_committed:\n            raise TooMuch",
        "        if self.roll.index <= self.commit:\n            return\n        if True:\n            raise TooMuch",
        SEEDS,
        "The members change before the leader has committed an entry of its term (raft-dev, 2015).",
    ),
}
"""Those that take thousands of seeds."""
