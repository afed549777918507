"""Who belongs to the group: one member at a time (thesis, 4.1), and only after a commit in the leader's own term."""

from __future__ import annotations

from blockdb.errors import InvalidData
from blockdb.format.consensus import Kind, Member, Members, Role, encode_members
from blockdb.raft.core import Core, State
from blockdb.raft.errors import NotLeader, TooMuch
from blockdb.raft.messages import SnapshotHead, TimeoutNow
from blockdb.raft.progress import Pace, Progress

__all__ = ["Membership"]


class Membership(Core):
    """Changes of the group."""

    @property
    def members(self) -> Members:
        """Who belongs to the group: the newest list in the log, committed or not."""
        return self.roll.members

    def change(self, members: Members) -> int:
        """Put a new list of members into the log, and give its index; at most one of them may be another.

        A new voter becomes a learner first; the leader makes a voter of it once it has caught up. Raises NotLeader,
        TooMuch (a change is under way, or nothing of this term is committed yet), InvalidData.
        """
        if self.state is not State.LEADER:
            raise NotLeader(self.leader)
        wanted = Members(tuple(self._as_newcomer(member) for member in members.all))
        if wanted == self.roll.members:
            return self.roll.index
        if not wanted.voters:
            raise InvalidData("a cluster cannot do without voters: add another one before the last one goes")
        before, after = set(self.roll.members.all), set(wanted.all)
        if len({member.id for member in before ^ after}) > 1:
            raise InvalidData("members come, go and change one at a time")
        self._refuse_change_now()
        return self._append_members(wanted)

    def add(self, member: Member) -> int:
        """`change`, for one who comes or whose addresses or role change."""
        return self.change(self.roll.members.with_member(member))

    def remove(self, id_: str) -> int:
        """`change`, for one who goes."""
        if id_ not in self.roll.members:
            raise InvalidData(f"{id_!r} is no member; members: {', '.join(each.id for each in self.roll.members.all)}")
        return self.change(self.roll.members.without(id_))

    def _as_newcomer(self, member: Member) -> Member:
        if member.role is Role.VOTER and member.id not in self.roll.voters:
            return Member(member.id, member.address, member.peer_address, Role.LEARNER)
        return member

    @property
    def _may_change(self) -> bool:
        return self.roll.index <= self.commit and self._is_own_term_committed and not self._transferee

    def _refuse_change_now(self) -> None:
        if not self._is_own_term_committed:
            raise TooMuch("the leader has not committed an entry of its term yet: try again")
        if not self._may_change:
            raise TooMuch("a change of members, or of the leader, is under way: try again once it is done")

    def _append_members(self, members: Members) -> int:
        """From here on the new list counts, also for committing itself. Who goes is kept up to date until then."""
        index = self._append_own(Kind.MEMBERS, encode_members(members))
        self.roll.add(self.log.entries(index, index, 0)[0])
        for member in members.all:
            if member.id != self.id and member.id not in self.progress:
                self.progress[member.id] = self._new_progress()
        return index

    def _promote_learners(self) -> None:
        """Make a voter of a learner that got all that the log had at one time within an election timeout (4.2.1)."""
        for id_ in self.roll.learners:
            if id_ in self.progress and self._has_caught_up(self.progress[id_]) and self._may_change:
                self._append_members(_with_voter(self.roll.members, id_))
                return

    def _has_caught_up(self, progress: Progress) -> bool:
        if progress.pace is not Pace.STREAMING or progress.match < progress.target or not progress.match:
            return False
        if progress.target and self.now - progress.target_tick <= self.config.election_ticks:
            return True
        progress.target, progress.target_tick = self.log.last_index, self.now
        return progress.match >= progress.target

    def _part(self) -> None:
        """Let go of those whom a committed list no longer has; a leader of whom that is true has done its last duty."""
        if self._parted_index == self.roll.index or self.roll.index > self.commit:
            return
        self._parted_index = self.roll.index
        members = self.roll.members
        for id_ in [id_ for id_ in self.progress if id_ not in members]:
            del self.progress[id_]
        if not self.is_voter:
            self._resign()

    def _resign(self) -> None:
        """Lead no longer, and have whoever is furthest stand at once, so that nobody waits for a timeout."""
        successor = max(self.roll.voters, key=lambda voter: self.progress[voter].match)
        self._send(successor, TimeoutNow(self.id, self.term))
        self._become_follower(self.term, "")

    def head_at(self, index: int) -> SnapshotHead:
        """What a snapshot of the state after `index` stands for: index (not after what is handed out), term, members.

        Raises IndexError where the log does not have it any more, or where it is not committed.
        """
        if not self.log.head.index <= index <= min(self.commit, self.handed):
            raise IndexError(
                f"entry {index} is not between {self.log.head.index}, behind which the log begins, and what is "
                f"committed and handed out ({min(self.commit, self.handed)})"
            )
        return SnapshotHead(index, self.log.term(index), self.roll.at(index))

    def compacted(self, head: SnapshotHead) -> None:
        """The LogView now begins behind `head` (as `head_at` gave it, at most what is applied)."""
        if head.index > self.log.head.index:
            self.log.head = head
            self.roll.compact(head)


def _with_voter(members: Members, id_: str) -> Members:
    return Members(
        tuple(
            Member(each.id, each.address, each.peer_address, Role.VOTER) if each.id == id_ else each
            for each in members.all
        )
    )
