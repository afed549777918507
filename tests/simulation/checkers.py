"""What must hold after every event. Each check looks at what the event changed, so that it costs next to nothing.

That logs match follows by induction from one look at each entry as it is stored: two entries of one index and term
are the same, and so are the terms before them. Leader completeness follows from that and from the last committed
entry being in each new leader's log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from blockdb.format.consensus import Entry, Kind, Members, decode_members
from blockdb.raft.messages import Append, AppendAnswer, Heartbeat, Message, SnapshotHead, VoteAnswer, VoteRequest
from blockdb.raft.ready import Ready
from tests.simulation.plan import ELECTION_TICKS
from tests.simulation.world import Wrong

if TYPE_CHECKING:
    from tests.simulation.driver import Driver

PATIENCE_TICKS = 3 * ELECTION_TICKS
"""How long a leader may go on without hearing from a majority."""


def must(holds: bool, what: str) -> None:
    """Raise Wrong unless something holds."""
    if not holds:
        raise Wrong(what)


class Checkers:
    """What is known about the cluster by somebody who sees everything."""

    def __init__(self, members: Members) -> None:
        self.members = members
        """Who belongs to the cluster, as far as that is committed."""
        self.committed: list[tuple[int, int, str]] = [(0, 0, "")]
        """By index: the term of the committed entry, the term in which it was committed, and who knew first."""
        self.leaders: dict[int, str] = {}
        """Who led each term."""
        self._stored: dict[tuple[int, int], tuple[Entry, int]] = {}
        """By index and term: the entry, and the term before it."""
        self._votes: dict[tuple[str, int], str] = {}
        self._chains: list[int] = [0]

    @property
    def commit(self) -> int:
        """How far anyone knows the log to be committed."""
        return len(self.committed) - 1

    # ── what goes to the disk and to others ──────────────────────────────────────────────────────────────────────

    def stores(self, node: Driver, ready: Ready) -> None:
        """Log matching: look at entries that were just written."""
        log = node.disk.seen
        for entry in ready.entries:
            before = log.term(entry.index - 1)
            other, before_other = self._stored.setdefault((entry.index, entry.term), (entry, before))
            must(other is entry or other == entry, f"two entries {entry.index} of term {entry.term}: {other}, {entry}")
            must(before == before_other, f"entry {entry.index} of term {entry.term} follows two terms")
            must(before <= entry.term, f"{node.id} has entry {entry.index} of term {entry.term} after term {before}")
            if entry.kind is Kind.MEMBERS and other is entry:
                self._changes_members(node, entry)

    def _changes_members(self, node: Driver, entry: Entry) -> None:
        """A leader begins a change: only after a commit in its own term, and one at a time (Ongaro, raft-dev, 2015)."""
        in_term = self.committed[self.commit][1]
        must(in_term >= entry.term, f"{node.id} changes the members before a commit in its term")
        others = [other.index for other in node.disk.seen.changes if other.index < entry.index]
        must(max(others, default=0) <= self.commit, f"{node.id} changes the members twice at once")

    def forces(self, node: Driver, ready: Ready) -> None:
        """A vote that is on the disk stays; one that never got there may be another after a crash."""
        state = ready.hard_state
        if state is not None:
            must(state.term >= node.disk.forced.hard_state.term, f"{node.id} forgets its term for {state.term}")
            self._vote(node.id, state.term, state.vote)

    def sends(self, node: Driver, to: str, message: Message) -> None:
        """What is promised is on the disk."""
        forced = node.disk.forced
        must(message.sender == node.id, f"{node.id} sends as {message.sender}")
        if isinstance(message, AppendAnswer):
            if not message.is_refused:
                last = forced.last_index
                is_over = (
                    forced.hard_state.term > message.term
                )  # one force may cover what it stored, and what replaced it
                must(is_over or message.index <= last, f"{node.id} acknowledges {message.index}; its disk has {last}")
                must(forced.hard_state.term >= message.term, f"{node.id} acknowledges in a term not forced")
        elif isinstance(message, VoteAnswer):
            if message.is_granted and not message.is_pre:
                self._votes_for(node, message.term, to)
        elif isinstance(message, VoteRequest):
            if not message.is_pre:
                self._votes_for(node, message.term, node.id)
        elif isinstance(message, Append | Heartbeat):
            must(message.commit <= self.commit, f"{node.id} says that {message.commit} is committed, which is not")
            must(forced.hard_state.term >= message.term, f"{node.id} leads term {message.term}, which is not forced")

    def _votes_for(self, node: Driver, term: int, vote: str) -> None:
        self._vote(node.id, term, vote)
        state = node.disk.forced.hard_state
        must(
            state.term > term or (state.term == term and state.vote == vote),
            f"{node.id} tells of its vote for {vote} in term {term}; its disk has {state}",
        )

    def _vote(self, voter: str, term: int, vote: str) -> None:
        if vote:
            other = self._votes.setdefault((voter, term), vote)
            must(other == vote, f"{voter} votes for {other} and for {vote} in term {term}")

    # ── what it is ───────────────────────────────────────────────────────────────────────────────────────────────

    def observe(self, node: Driver) -> None:
        """Look at a node after something happened to it."""
        raft = node.raft
        assert raft is not None
        if raft.term != node.term:
            must(raft.term > node.term, f"{node.id} goes back from term {node.term} to {raft.term}")
            node.term = raft.term
        if raft.commit != node.commit:
            must(raft.commit > node.commit, f"{node.id} takes back that {node.commit} is committed: {raft.commit}")
            self._commits(node, node.commit, raft.commit)
            self._follows_its_log(node)
            node.commit = raft.commit
        if raft.is_leader:
            if self.leaders.get(raft.term) != node.id:
                self._elects(node)
        else:
            node.led_ticks = 0

    def _elects(self, node: Driver) -> None:
        term, log = node.term, node.disk.seen
        other = self.leaders.setdefault(term, node.id)
        must(other == node.id, f"term {term} has two leaders: {other} and {node.id}")
        index = self.commit
        while self.committed[index][1] >= term:  # in a later term, which this one has not heard of yet
            index -= 1
        known, in_term, _ = self.committed[index]
        must(log.covers(index, known), f"{node.id} leads term {term} without {index}, committed in term {in_term}")
        voters = log.members.voters
        votes = sum(voter == node.id or self._votes.get((voter, term)) == node.id for voter in voters)
        must(2 * votes > len(voters), f"{node.id} leads term {term} by {votes} votes of {len(voters)}")
        self._follows_its_log(node)
        must(not node.is_mending, f"{node.id} leads term {term}, and lacks what it acknowledged")
        node.is_elected()

    def _commits(self, node: Driver, before: int, commit: int) -> None:
        log = node.disk.seen
        must(commit <= log.last_index, f"{node.id} says that {commit} is committed; its log ends at {log.last_index}")
        if commit > self.commit:
            must(log.term(commit) == node.term, f"{node.id} commits {commit} by counting, which is not of its term")
        for index in range(max(before + 1, log.head.index), commit + 1):
            term = log.term(index)
            if index > self.commit:
                self._newly(node, index, term)
            known, _, first = self.committed[index]
            must(known == term, f"{node.id} has {index} of term {term} committed, {first} of term {known}")

    def _newly(self, node: Driver, index: int, term: int) -> None:
        """Someone is the first to know that an entry is committed: the leader who committed it, in its term."""
        must(index == self.commit + 1, f"{node.id} takes over a snapshot up to {index}, beyond what is committed")
        self.committed.append((term, node.term, node.id))
        entry = self._stored[index, term][0]
        if entry.kind is Kind.MEMBERS:
            self.members = decode_members(entry.data)
        voters = node.disk.seen.members.voters
        have = [id_ for id_ in sorted(voters) if node.others[id_].has_forced(index, term)]
        must(2 * len(have) > len(voters), f"{node.id} commits {index}; of {sorted(voters)} only {have} have it forced")
        for other in node.others.values():
            raft = other.raft
            if raft is not None and raft.is_leader and raft.term > node.term:
                must(other.disk.seen.covers(index, term), f"{index} is committed; {other.id} leads later without it")

    def _follows_its_log(self, node: Driver) -> None:
        raft, members = node.raft, node.disk.seen.members
        assert raft is not None
        must(raft.members == members, f"{node.id} goes by the members {raft.members}; its log says {members}")

    def leads(self, node: Driver) -> None:
        """A leader goes on only while a majority answers. Called at each tick of a leader's clock."""
        node.led_ticks += 1
        if node.led_ticks % ELECTION_TICKS == 0 and node.led_ticks > PATIENCE_TICKS:
            voters = node.disk.seen.members.voters
            since = node.ticks - PATIENCE_TICKS
            heard = sum(voter == node.id or node.heard.get(voter, 0) >= since for voter in voters)
            must(2 * heard > len(voters), f"{node.id} goes on leading, and hears of {heard} of {len(voters)}")

    # ── what is applied and read ─────────────────────────────────────────────────────────────────────────────────

    def applies(self, node: Driver, index: int, chain: int) -> None:
        """The same entry at the same index, everywhere."""
        must(index <= node.commit, f"{node.id} applies {index}; committed is {node.commit}")
        if index == len(self._chains):
            self._chains.append(chain)
        must(index < len(self._chains), f"{node.id} applies {index} where {len(self._chains)} comes next")
        must(self._chains[index] == chain, f"{node.id} has applied something else up to {index}")

    def restores(self, node: Driver, head: SnapshotHead, chain: int) -> None:
        """A snapshot is what everyone else had at its index."""
        log, index = node.disk.seen, head.index
        must(log.covers(head.index, head.term), f"{node.id} takes over a snapshot, and keeps a log that contradicts it")
        must(index < len(self._chains), f"{node.id} takes over a snapshot of {index}, which nobody has applied")
        must(self._chains[index] == chain, f"{node.id} takes over a snapshot that is not what others have at {index}")

    def hears(self, node: Driver, append: Append, before: int) -> None:
        """What an Append has a follower take for committed is no more than what it compared."""
        compared = append.previous_index + len(append.entries)
        assert node.raft is not None
        must(
            node.raft.commit <= max(before, compared), f"{node.id} commits beyond {compared}, which is all it compared"
        )

    def confirms(self, node: Driver, index: int, floor: int) -> None:
        """A read is as new as what was committed before it began."""
        must(index >= floor, f"{node.id} may read at {index}, and {floor} was committed before it asked")
