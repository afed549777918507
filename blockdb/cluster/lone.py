"""The replicated log of a single node that keeps nothing of its own: the database under it is what lasts."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from threading import Lock
from typing import Final

from blockdb.cluster.events import ClusterEvent
from blockdb.cluster.replicated_log import Command, LogStatus, MemberStatus, StateMachine
from blockdb.cluster.waiting import Listeners, Room, Watermark, answer, refuse, unanswered
from blockdb.cluster.worker import Worker
from blockdb.errors import BlockDBError, InvalidData, StorageError, Unavailable
from blockdb.format.consensus import Member, Members

__all__ = ["LoneLog"]

_TERM: Final = 1
_MAX_WAITING: Final = 10_000
_MAX_WAITING_BYTES: Final = 256 * 1024 * 1024

_Append = tuple[int, tuple[bytes, ...], "Future[int]"]
"""The index of its first command, the commands, and who waits."""


class LoneLog:
    """Decides at once and applies in that order, on a thread of its own. Its indexes follow the machine's."""

    def __init__(
        self,
        node: Member,
        cluster_id: str = "",
        max_waiting: int = _MAX_WAITING,
        max_waiting_bytes: int = _MAX_WAITING_BYTES,
    ) -> None:
        self._node = node
        self._cluster_id = cluster_id
        self._lock = Lock()
        self._room = Room(max_waiting, max_waiting_bytes)
        self._applied = Watermark()
        self._listeners = Listeners()
        self._worker = Worker(f"blockdb-apply-{node.id}", self._failed)
        self._waiting: deque[_Append] = deque()
        self._machine: StateMachine | None = None
        self._first = self._last = 0
        self._error: BlockDBError | None = Unavailable("The log was not started yet.")

    def start(self, machine: StateMachine) -> None:
        """As ReplicatedLog says."""
        self._machine = machine
        self._last = machine.applied_index
        self._first = self._last + 1
        self._applied.advance(self._last)
        self._error = None
        self._worker.start()

    def append(self, commands: Sequence[bytes]) -> Future[int]:
        """As ReplicatedLog says; decided is applied here."""
        kept = tuple(commands)
        if not kept:
            raise InvalidData("There is nothing to append: give one command at least.")
        sizes = [len(command) for command in kept]
        future: Future[int] = unanswered()
        with self._lock:
            if self._error is not None:
                future.set_exception(self._error)
                return future
            self._room.enter(len(kept), sum(sizes), max(sizes))
            self._waiting.append((self._last + 1, kept, future))
            self._last += len(kept)
            if len(self._waiting) == 1:
                self._worker.do(self._apply)
        return future

    def _apply(self) -> None:
        """Apply what waits, with one call."""
        with self._lock:
            appends = list(self._waiting)
            self._waiting.clear()
        commands = [Command(index, _TERM, data) for first, all_, _ in appends for index, data in enumerate(all_, first)]
        try:
            if commands and self._machine is not None:
                self._machine.apply(commands)
        except BaseException as error:
            for append in appends:
                refuse(append[2], _stopped(error))
            raise
        self._room.leave(len(commands), sum(len(command.data) for command in commands))
        self._applied.advance(commands[-1].index if commands else 0)
        for first, all_, future in appends:
            answer(future, first + len(all_) - 1)

    def _failed(self, error: BaseException) -> None:
        self._stop(_stopped(error))

    def _stop(self, error: BlockDBError) -> None:
        with self._lock:
            self._error = self._error or error
            undecided = list(self._waiting)
            self._waiting.clear()
        self._applied.stop(error)
        for _, _, future in undecided:
            refuse(future, error)

    def barrier(self) -> Future[int]:
        """As ReplicatedLog says: the last index that was given."""
        future: Future[int] = unanswered()
        with self._lock:
            if self._error is not None:
                future.set_exception(self._error)
            else:
                future.set_result(self._last)
        return future

    def wait_applied(self, index: int, timeout_s: float) -> None:
        """As ReplicatedLog says."""
        self._applied.wait(index, timeout_s)

    def members(self) -> Members:
        """This node alone."""
        return Members((self._node,))

    def add_member(self, member: Member) -> Future[int]:
        """Raises InvalidData: there is nobody to share the log with."""
        raise InvalidData(
            f"This database belongs to no cluster, so that '{member.id}' cannot join it; "
            "start its server with --bootstrap first."
        )

    def remove_member(self, id_: str) -> Future[int]:
        """Raises InvalidData: this node is the only one."""
        raise InvalidData(f"'{id_}' cannot be removed: this database belongs to no cluster.")

    def transfer(self, id_: str | None = None) -> Future[str]:
        """Its own id; raises InvalidData where another one is asked for."""
        if id_ not in (None, self._node.id):
            raise InvalidData(f"There is no voter '{id_}' that could lead: this database belongs to no cluster.")
        future: Future[str] = unanswered()
        future.set_result(self._node.id)
        return future

    def status(self) -> LogStatus:
        """As ReplicatedLog says."""
        last, applied = self._last, self._applied.index
        state = "Leader" if self._error is None else "Stopped"
        own = MemberStatus(self._node, state, 0, match=last, commit=last, applied=applied, lag=last - applied)
        return LogStatus(
            self._cluster_id,
            self._node.id,
            "lone",
            state,
            _TERM,
            self._node.id,
            last_index=last,
            commit=last,
            applied=applied,
            first_index=self._first,
            members=(own,),
        )

    def subscribe(self, listener: Callable[[ClusterEvent], None]) -> Callable[[], None]:
        """As ReplicatedLog says; nothing ever happens here."""
        return self._listeners.add(listener)

    def close(self) -> None:
        """As ReplicatedLog says."""
        self._stop(Unavailable("The log was closed."))
        self._worker.close()


def _stopped(error: BaseException) -> BlockDBError:
    """What those are told who wait on a node that cannot go on."""
    if isinstance(error, StorageError):
        return error
    return Unavailable(f"This node has stopped, since a command could not be applied: {error!r}. Start it again.")
