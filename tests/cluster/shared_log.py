"""A replicated log that several machines of this process share: what is appended anywhere is decided at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from threading import Condition, Lock, Thread

from blockdb.cluster.events import ClusterEvent
from blockdb.cluster.replicated_log import Command, LogStatus, StateMachine
from blockdb.cluster.waiting import Watermark
from blockdb.errors import Unavailable
from blockdb.format.consensus import Member, Members

LEADER = "node0"


class SharedLog:
    """What was decided."""

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.grown = Condition()

    def append(self, commands: Sequence[bytes]) -> int:
        """Decide commands. Returns the index of the last one."""
        with self.grown:
            for data in commands:
                self.commands.append(Command(len(self.commands) + 1, 1, data))
            self.grown.notify_all()
            return len(self.commands)


class SharedLogMember:
    """A `ReplicatedLog` of one node. It can be held up, and made to leave open what became of a command."""

    def __init__(self, shared: SharedLog, id_: str) -> None:
        self._shared = shared
        self._id = id_
        self._applied = Watermark()
        self._applying = Lock()
        self._is_over = False
        self._thread: Thread | None = None
        self.uncertain = 0
        """Of so many more appends it says that nobody can tell, though they are decided."""

    def start(self, machine: StateMachine) -> None:
        self._applied.advance(machine.applied_index)
        self._thread = Thread(target=self._apply, args=(machine,), daemon=True)
        self._thread.start()

    def _apply(self, machine: StateMachine) -> None:
        while True:
            with self._shared.grown:
                while len(self._shared.commands) <= self._applied.index and not self._is_over:
                    self._shared.grown.wait()
            with self._applying:
                if self._is_over:
                    return
                todo = self._shared.commands[self._applied.index :]
                machine.apply(todo)
                self._applied.advance(todo[-1].index)

    @contextmanager
    def held_up(self) -> Iterator[None]:
        """Have nothing applied meanwhile."""
        with self._applying:
            yield

    def append(self, commands: Sequence[bytes]) -> Future[int]:
        future: Future[int] = Future()
        index = self._shared.append(commands)
        if self.uncertain:
            self.uncertain -= 1
            future.set_exception(Unavailable("The leader is gone."))
        else:
            future.set_result(index)
        return future

    def barrier(self) -> Future[int]:
        future: Future[int] = Future()
        future.set_result(len(self._shared.commands))
        return future

    def wait_applied(self, index: int, timeout_s: float) -> None:
        self._applied.wait(index, timeout_s)

    def members(self) -> Members:
        return Members((Member(self._id),))

    def add_member(self, member: Member) -> Future[int]:
        raise NotImplementedError

    def remove_member(self, id_: str) -> Future[int]:
        raise NotImplementedError

    def transfer(self, id_: str | None = None) -> Future[str]:
        raise NotImplementedError

    def status(self) -> LogStatus:
        last = len(self._shared.commands)
        state = "Leader" if self._id == LEADER else "Follower"
        return LogStatus("c", self._id, "shared", state, 1, LEADER, last, last, self._applied.index, 1, ())

    def subscribe(self, listener: Callable[[ClusterEvent], None]) -> Callable[[], None]:
        return lambda: None

    def close(self) -> None:
        with self._shared.grown:
            self._is_over = True
            self._shared.grown.notify_all()
        self._applied.stop(Unavailable("The log was closed."))
        if self._thread is not None:
            self._thread.join()
