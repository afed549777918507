"""Who belongs to the group, as the log says it: each list is in force from its entry on, and goes with its entry."""

from __future__ import annotations

from blockdb.format.consensus import Entry, Members, Role, decode_members
from blockdb.raft.errors import Broken
from blockdb.raft.messages import SnapshotHead

__all__ = ["Roll"]


class Roll:
    """The lists of members in a log, oldest first: that of the log's head, and those of its entries."""

    __slots__ = ("_lists", "index", "learners", "members", "voters", "voters_before")

    def __init__(self, head: SnapshotHead) -> None:
        self._lists: list[tuple[int, Members]] = []
        self.begin(head)

    def begin(self, head: SnapshotHead) -> None:
        """The log begins anew behind `head`."""
        self._lists = [(head.index, head.members)]
        self._use_last()

    def _use_last(self) -> None:
        self.index, self.members = self._lists[-1]
        self.voters = _voters(self.members)
        self.voters_before = _voters(self._lists[-2][1]) if len(self._lists) > 1 else self.voters
        self.learners = tuple(member.id for member in self.members.all if member.role is Role.LEARNER)

    def add(self, entry: Entry) -> None:
        """An entry with a list was put into the log. Raises Broken where it is not one."""
        try:
            members = decode_members(entry.data)
        except ValueError as error:
            raise Broken(f"entry {entry.index} should say who the members are: {error}") from None
        self._lists.append((entry.index, members))
        self._use_last()

    def cut(self, index: int) -> None:
        """The log was cut off from `index` on."""
        if self.index >= index:
            self._lists = [each for each in self._lists if each[0] < index]
            self._use_last()

    def compact(self, head: SnapshotHead) -> None:
        """The log begins behind `head` now, which agrees with it."""
        self._lists = [(head.index, head.members), *(each for each in self._lists if each[0] > head.index)]
        self._use_last()

    def at(self, index: int) -> Members:
        """Who belonged to the group after the entry at `index`."""
        return next(members for first, members in reversed(self._lists) if first <= index)

    def uncommitted(self, commit: int) -> int:
        """How many lists come after `commit`."""
        return sum(index > commit for index, _ in self._lists)


def _voters(members: Members) -> tuple[str, ...]:
    """In the members' order, so that whatever is done for each of them is done in the same order everywhere."""
    return tuple(member.id for member in members.all if member.role is Role.VOTER)
