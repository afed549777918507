"""Commands of this node on their way into the log, until they are seen committed here.

Each is wrapped with the origin of this node's life and a number, by which it is recognised. What was sent to a leader
is sent again once its successor's first entry was applied here: everything that an earlier leader took is decided by
then, so that what was not seen is lost. Only where a message to the leader itself was lost a command may get into the
log twice; whoever minds names its commands.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from threading import Lock
from time import monotonic
from typing import Final

from blockdb.cluster.waiting import Room, answer, refuse, unanswered
from blockdb.errors import BlockDBError, InvalidData, Unavailable
from blockdb.format.raft_log import PROPOSAL_BYTES, wrap

__all__ = ["Proposals"]

_MOST_SENT_BYTES: Final = 16 << 20

_RESEND_BYTES_PER_S: Final = 8 << 20
"""A long command takes so much longer to be seen."""

_LATE: Final = (
    "The cluster did not decide within {timeout_s:g} s: it has no leader, or no majority. Nobody can tell whether the "
    "write will be stored: look, or try it again with the same idempotency key."
)


class _Proposal:
    """The commands of one call."""

    __slots__ = ("bytes", "deadline", "future", "last_index", "sent", "size", "undecided")

    def __init__(self, commands: int, size_bytes: int, deadline: float) -> None:
        self.future: Future[int] = unanswered()
        self.undecided = self.size = commands
        self.sent = 0
        self.bytes = size_bytes
        self.deadline = deadline
        self.last_index = 0


class _Slot:
    """One command."""

    __slots__ = ("data", "proposal", "sent_at", "sent_term")

    def __init__(self, data: bytes, proposal: _Proposal) -> None:
        self.data = data
        self.proposal = proposal
        self.sent_term = 0
        self.sent_at = 0.0


class Proposals:
    """Safe for threads. Numbers count up in the order of the calls, and so do deadlines."""

    def __init__(self, origin: bytes, room: Room, timeout_s: float, resend_s: float) -> None:
        self.origin = origin
        self._room = room
        self._timeout_s = timeout_s
        self._resend_s = resend_s
        self._lock = Lock()
        self._slots: dict[int, _Slot] = {}
        self._unsent: deque[int] = deque()
        self._taken: list[int] = []
        """What `take` gave last."""
        self._sent_bytes = 0
        """What was sent, and neither seen nor given up: more than a connection's queue may have is not sent."""
        self._next = 1
        self._error: BlockDBError | None = None

    @property
    def has_unsent(self) -> bool:
        """Whether there is anything to be sent."""
        return bool(self._unsent)

    def add(self, commands: Sequence[bytes]) -> Future[int]:
        """Take commands in. Raises InvalidData, RateLimited."""
        if not commands:
            raise InvalidData("There is nothing to append: give one command at least.")
        sizes = [len(command) for command in commands]
        proposal = _Proposal(len(commands), sum(sizes), 0.0)
        with self._lock:
            if self._error is not None:
                proposal.future.set_exception(self._error)
                return proposal.future
            self._room.enter(len(commands), proposal.bytes, max(sizes))
            proposal.deadline = monotonic() + self._timeout_s
            for number, command in enumerate(commands, self._next):
                self._slots[number] = _Slot(wrap(self.origin, number, command), proposal)
                self._unsent.append(number)
            self._next += len(commands)
        return proposal.future

    def take(self, term: int, max_bytes: int) -> list[bytes]:
        """What is to be sent to the leader of that term now, as much as `max_bytes` allow (but one at least)."""
        return [slot.data for slot in self._take(term, max_bytes, len(self._unsent))]

    def take_numbered(self, max_bytes: int, max_commands: int) -> tuple[int, list[bytes]]:
        """What is to be sent together, numbered one after the other: the number of the first, and the commands.

        Of the commands of one call, none is taken while one that was taken before it is not decided.
        """
        taken = self._take(1, max_bytes, max_commands, in_turn=True)
        return (self._taken[0] if taken else 0), [slot.data[PROPOSAL_BYTES:] for slot in taken]

    def _take(self, term: int, max_bytes: int, max_commands: int, in_turn: bool = False) -> list[_Slot]:
        taken: list[_Slot] = []
        size, now = 0, monotonic()
        begun: set[_Proposal] = set()
        with self._lock:
            self._taken.clear()
            while self._unsent and len(taken) < max_commands:
                slot = self._slots.get(self._unsent[0])
                if slot is not None:
                    size += len(slot.data)
                    is_full = self._sent_bytes > 0 and self._sent_bytes + len(slot.data) > _MOST_SENT_BYTES
                    is_behind = in_turn and slot.proposal.sent and slot.proposal not in begun
                    if is_full or is_behind or (taken and size > max_bytes):
                        break
                    self._sent_bytes += len(slot.data)
                    slot.proposal.sent += 1
                    slot.sent_term, slot.sent_at = term, now
                    begun.add(slot.proposal)
                    taken.append(slot)
                    self._taken.append(self._unsent[0])
                elif taken and in_turn:
                    break
                self._unsent.popleft()
        return taken

    def waits_for(self, first: int, count: int) -> bool:
        """Whether somebody waits for one of so many commands from a number on."""
        return any(number in self._slots for number in range(first, first + count))

    def send_again(self, before_term: int) -> None:
        """Send again what was given to leaders before that term, now that all they had is decided."""
        with self._lock:
            self._again([number for number, slot in self._slots.items() if slot.sent_term < before_term])

    def send_overdue(self) -> None:
        """Send again what was sent a while ago and not seen since: the message may be lost."""
        limit = monotonic() - self._resend_s
        with self._lock:
            overdue = [
                number
                for number, slot in self._slots.items()
                if slot.sent_term and slot.sent_at + len(slot.data) / _RESEND_BYTES_PER_S < limit
            ]
            if overdue:
                self._again(overdue)

    def put_back(self) -> None:
        """What was taken last could not be sent."""
        with self._lock:
            for number in reversed(self._taken):
                if number in self._slots:
                    self._not_sent(self._slots[number])
                    self._unsent.appendleft(number)
            self._taken.clear()

    def _again(self, numbers: Iterable[int]) -> None:
        """Have these sent with what waits for that, the oldest first."""
        again = set(numbers)
        for number in again:
            self._not_sent(self._slots[number])
        self._unsent = deque(sorted(again.union(self._unsent)))

    def _not_sent(self, slot: _Slot) -> None:
        """It is not under way, or no longer."""
        if slot.sent_term:
            slot.sent_term = 0
            slot.proposal.sent -= 1
            self._sent_bytes -= len(slot.data)

    def decided(self, indexes: Iterable[tuple[int, int]]) -> None:
        """Commands of this node, by number, were applied at these indexes."""
        done: list[_Proposal] = []
        with self._lock:
            for number, index in indexes:
                slot = self._slots.pop(number, None)
                if slot is None:
                    continue  # it was in the log twice, or nobody waits for it any longer
                self._not_sent(slot)
                proposal = slot.proposal
                proposal.undecided -= 1
                proposal.last_index = max(proposal.last_index, index)
                if not proposal.undecided:
                    done.append(proposal)
                    self._room.leave(proposal.size, proposal.bytes)
        for proposal in done:
            answer(proposal.future, proposal.last_index)

    def give_up_late(self) -> None:
        """Refuse what was not decided in time."""
        now = monotonic()
        late: set[_Proposal] = set()
        with self._lock:
            for slot in self._slots.values():
                if slot.proposal.deadline > now:
                    break
                late.add(slot.proposal)
            if late:
                for number in [number for number, slot in self._slots.items() if slot.proposal in late]:
                    self._not_sent(self._slots.pop(number))
                for proposal in late:
                    self._room.leave(proposal.size, proposal.bytes)
        for proposal in late:
            refuse(proposal.future, Unavailable(_LATE.format(timeout_s=self._timeout_s)))

    def go_on(self, error: BlockDBError) -> None:
        """Take commands again, if that is why they were refused."""
        with self._lock:
            if self._error is error:
                self._error = None

    def stop(self, error: BlockDBError) -> None:
        """Refuse everything, now and from now on."""
        with self._lock:
            self._error = error
            proposals = {slot.proposal for slot in self._slots.values()}
            self._slots.clear()
            self._unsent.clear()
            for proposal in proposals:
                self._room.leave(proposal.size, proposal.bytes)
        for proposal in proposals:
            refuse(proposal.future, error)
