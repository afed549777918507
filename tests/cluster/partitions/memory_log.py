"""The logs of `tests.cluster.partitions.memory`: see there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from threading import Condition, Lock, RLock, Thread
from typing import TYPE_CHECKING, Any

from blockdb.cluster.events import ClusterEvent
from blockdb.cluster.replicated_log import Command, LogStatus, MemberStatus, StateMachine
from blockdb.cluster.waiting import Watermark, answer, refuse, unanswered
from blockdb.errors import BlockDBError, InvalidData, StorageError, Unavailable
from blockdb.format.consensus import Member, Members, Role

if TYPE_CHECKING:
    from tests.cluster.partitions.memory import World

CLUSTER = "memory"


class Partition:
    """What was decided in one log, and who holds it. Guarded by the world's lock."""

    def __init__(self, name: str, holders: Members, replicas: int, lock: RLock) -> None:
        self.changed = Condition(lock)
        self.name = name
        self.roster = holders
        self.replicas = replicas
        self.commands: list[Command] = []
        self.last = 0
        self.led_by = ""
        self.is_removed = False
        self.joining: dict[str, Future[int]] = {}

    @property
    def first(self) -> int:
        """The first index that the log still has."""
        return self.last - len(self.commands) + 1


class MemoryLog:
    """A `ReplicatedLog` of one holder. One thread applies."""

    def __init__(self, world: World, partition: Partition, own: Member) -> None:
        self.id = own.id
        self.applied = Watermark()
        self.uncertain = 0
        self.snapshots = 0
        """How many snapshots it has taken over."""
        self._world, self._partition, self._own = world, partition, own
        self._applying = Lock()
        self._machine: Any = None
        self._thread: Thread | None = None
        self._error: BlockDBError | None = Unavailable("The log was not started yet.")
        self._is_over = False

    @property
    def is_running(self) -> bool:
        """Whether it was started, and neither closed nor stopped."""
        return self._error is None

    @property
    def needs_copy(self) -> bool:
        """Whether only a snapshot makes its machine good again."""
        return getattr(self._machine, "needs_copy", False)

    def start(self, machine: StateMachine) -> None:
        self._machine, self._error = machine, None
        self.applied.advance(machine.applied_index)
        with self._world.lock:
            self._world.logs[self.id, self._partition.name] = self
            self._world.heard.add((self.id, self._partition.name))
        self._thread = Thread(target=self._run, name=f"apply-{self.id}-{self._partition.name}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while self._wait_for_work():
                with self._applying:
                    if self._is_over:
                        return
                    self._work()
        except BaseException as error:
            self._stop(error if isinstance(error, StorageError) else Unavailable(f"It has stopped: {error!r}"))

    def _wait_for_work(self) -> bool:
        with self._partition.changed:
            while not self._is_over and not self._has_work():
                self._partition.changed.wait(1)
            return not self._is_over

    def _has_work(self) -> bool:
        if self.id in self._world.apart or self._partition.is_removed:
            return False
        if self._is_late():
            return self._world.source_of(self._partition.name, self.id) is not None
        member = self._partition.roster.get(self.id)
        is_learner = member is not None and member.role is Role.LEARNER
        return self._partition.last > self.applied.index or is_learner

    def _is_late(self) -> bool:
        return self.needs_copy or self._machine.applied_index + 1 < self._partition.first

    def _work(self) -> None:
        with self._world.lock:
            is_late, first = self._is_late(), self._partition.first
            todo = [] if is_late else self._partition.commands[self._machine.applied_index + 1 - first :]
        if is_late:
            source = self._world.source_of(self._partition.name, self.id)
            if source is not None:
                self._machine.restore(source._machine.snapshot())
                self.snapshots += 1
        elif todo:
            self._machine.apply(todo)
        self.applied.advance(self._machine.applied_index)
        if self.applied.index >= self._partition.last:
            self._world.promote(self._partition.name, self.id)

    def make_durable(self) -> int:
        """Have what was applied durable."""
        with self._applying:
            index: int = self._machine.make_durable()
            return index

    @contextmanager
    def held_up(self) -> Iterator[None]:
        """Have nothing applied meanwhile."""
        with self._applying:
            yield

    def _usable(self) -> BlockDBError | None:
        if self._error is not None:
            return self._error
        if self._partition.is_removed:
            return Unavailable(f"The log of {self._partition.name} was removed.")
        try:
            self._world.reach(self.id, self._partition.name)
        except Unavailable as error:
            return error
        return None

    def append(self, commands: Sequence[bytes]) -> Future[int]:
        if not commands:
            raise InvalidData("There is nothing to append: give one command at least.")
        future: Future[int] = unanswered()
        with self._world.lock:
            error = self._usable()
            index = 0 if error is not None else self._world.put(self._partition, commands)
            if error is None and self.uncertain:
                self.uncertain -= 1
                error = Unavailable("Nobody can tell whether that was decided.")
        if error is None:
            answer(future, index)
        else:
            refuse(future, error)
        return future

    def barrier(self) -> Future[int]:
        future: Future[int] = unanswered()
        with self._world.lock:
            error, last = self._usable(), self._partition.last
        if error is None:
            answer(future, last)
        else:
            refuse(future, error)
        return future

    def wait_applied(self, index: int, timeout_s: float) -> None:
        self.applied.wait(index, timeout_s)

    def members(self) -> Members:
        return self._world.rosters(self.id).get(self._partition.name, Members())

    def add_member(self, member: Member) -> Future[int]:
        return self._change(lambda: self._world.add(self._partition.name, member))

    def remove_member(self, id_: str) -> Future[int]:
        return self._change(lambda: self._world.dismiss(self._partition.name, id_))

    def _change(self, change: Callable[[], Future[int]]) -> Future[int]:
        error = self._usable()
        if error is None:
            return change()
        future: Future[int] = unanswered()
        refuse(future, error)
        return future

    def transfer(self, id_: str | None = None) -> Future[str]:
        voters = sorted(self._partition.roster.voters)
        target = id_ or next((each for each in voters if each != self._world.leader(self._partition)), voters[0])
        if target not in voters:
            raise InvalidData(f"There is no voter '{target}' that could lead.")
        self._partition.led_by = target
        future: Future[str] = unanswered()
        answer(future, target)
        return future

    def status(self) -> LogStatus:
        with self._world.lock:
            leader, last = self._world.leader(self._partition), self._partition.last
            members = tuple(self._member(member, leader, last) for member in self.members().all)
            own = next((each.state for each in members if each.member.id == self.id), "Removed")
            first = self._partition.first
        state = own if self._error is None else "Stopped"
        why = "" if self._error is None else str(self._error)
        return LogStatus(
            CLUSTER, self.id, "memory", state, 1, leader, last, last, self.applied.index, first, members, stopped=why
        )

    def _member(self, member: Member, leader: str, last: int) -> MemberStatus:
        log = self._world.logs.get((member.id, self._partition.name))
        is_there = log is not None and log.is_running and member.id not in self._world.apart
        at = log.applied.index if log is not None else 0
        state = "Leader" if member.id == leader else {0: "Follower", 1: "Learner", 2: "Replica"}[member.role]
        return MemberStatus(
            member,
            state if is_there else "Unreachable",
            int((member.id, self._partition.name) in self._world.heard),
            match=at,
            commit=last,
            applied=at,
            lag=last - at,
        )

    def subscribe(self, listener: Callable[[ClusterEvent], None]) -> Callable[[], None]:
        return lambda: None

    def _stop(self, error: BlockDBError) -> None:
        with self._partition.changed:
            self._error = self._error or error
            self._partition.changed.notify_all()
        self.applied.stop(self._error)

    def close(self) -> None:
        self._is_over = True
        self._stop(Unavailable("The log was closed."))
        if self._thread is not None:
            self._thread.join()
        with self._world.lock:
            if self._world.logs.get((self.id, self._partition.name)) is self:
                del self._world.logs[self.id, self._partition.name]
