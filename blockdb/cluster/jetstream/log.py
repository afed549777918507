"""The replicated log over a stream of NATS JetStream: what others call.

Everything happens on the loop of the node's connection (`driving`), but for the machine, which has a thread of its own
(`blockdb.cluster.applying`). Indexes follow from the sequence numbers of messages (`numbering`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from secrets import token_bytes
from threading import Lock
from time import monotonic, time
from typing import Any, Final, TypeVar

from blockdb.cluster.applying import Applying
from blockdb.cluster.barriers import Reads
from blockdb.cluster.events import ClusterEvent
from blockdb.cluster.jetstream.driving import Driver
from blockdb.cluster.jetstream.numbering import index_of
from blockdb.cluster.jetstream.publishing import ASK_AGAIN_S, RESEND_S
from blockdb.cluster.jetstream.shared import Shared
from blockdb.cluster.proposals import Proposals
from blockdb.cluster.replicated_log import LogStatus, MemberStatus, StateMachine
from blockdb.cluster.waiting import Listeners, Room, answer, refuse, unanswered
from blockdb.errors import BlockDBError, InvalidData, ReadOnly, StorageError, Unavailable, WritesStopped
from blockdb.format.consensus import NOBODY, Member, Members, Role
from blockdb.format.raft_log import ORIGIN_BYTES
from blockdb.layout import DatabaseFiles

__all__ = ["JetStreamLog"]

_STOP_TIMEOUT_S: Final = 10.0
_LOOK_S: Final = 0.05

T = TypeVar("T")


class JetStreamLog:
    """The log of a partition on one of its holders. Safe for threads; `ReplicatedLog` says what its methods promise.

    A command is decided when this node has read and applied it. Where an answer was lost for longer than the stream
    remembers names of messages, it may get into the log twice.
    """

    def __init__(self, shared: Shared, partition: str, files: DatabaseFiles) -> None:
        settings = shared.settings
        self._shared = shared
        self._partition = partition
        self._files = files.raft
        self._listeners = Listeners()
        self._lock = Lock()
        self._proposals = Proposals(
            token_bytes(ORIGIN_BYTES),
            Room(settings.max_waiting, settings.max_waiting_bytes),
            settings.append_timeout_s,
            RESEND_S,
        )
        self._reads = Reads(settings.append_timeout_s, ASK_AGAIN_S)
        self._driver: Driver | None = None
        self._error: BlockDBError | None = None
        self._is_ended = False
        self._end_shared: Callable[[], None] = lambda: None

    # ── beginning and end ────────────────────────────────────────────────────────────────────────────────────────

    def start(self, machine: StateMachine) -> None:
        """As ReplicatedLog says; it returns before NATS was asked anything."""
        with self._lock:
            if self._driver is not None or self._error is not None:
                raise InvalidData("The log was started or closed already; make another one.")
            name = f"blockdb-apply-{self._shared.settings.own.id}-{self._partition}"
            applying = Applying(name, machine, self._proposals, self._progressed, self._fail, is_dense=False)
            driver = Driver(
                self._shared,
                self._partition,
                self._files,
                applying,
                self._proposals,
                self._reads,
                self._tell,
                self._fail,
            )
            self._driver = driver
        self._end_shared = self._shared.listeners.add(self._listeners.tell)
        applying.start(1)
        self._shared.connection.wait(driver.start(), self._shared.settings.start_timeout_s)

    def close(self) -> None:
        """As ReplicatedLog says."""
        self._stop(Unavailable("The log was closed."))
        with self._lock:
            driver, is_ended, self._is_ended = self._driver, self._is_ended, True
        if driver is None or is_ended:
            return
        self._end_shared()
        with suppress(BlockDBError):
            self._shared.connection.wait(driver.stop(), _STOP_TIMEOUT_S)
        driver.applying.close()

    def _fail(self, error: BaseException) -> None:
        """Something that must not fail did: take part no longer. From any thread.

        What is wrong with this node's disk is not what a request failed of: others can do it.
        """
        is_disk = isinstance(error, (StorageError, WritesStopped))
        is_told = isinstance(error, BlockDBError) and not is_disk and not isinstance(error, Unavailable)
        failure = error if is_told and isinstance(error, BlockDBError) else _failure(error)
        with self._lock:
            is_new = self._error is None
        self._stop(failure)
        driver = self._driver
        if driver is not None and is_new:
            self._tell("stopped", what=str(failure))
            with suppress(RuntimeError):
                driver.loop.call_soon_threadsafe(lambda: asyncio.ensure_future(driver.stop()))

    def _stop(self, error: BlockDBError) -> None:
        """Serve nobody any more."""
        with self._lock:
            self._error = self._error or error
        self._proposals.stop(error)
        self._reads.stop(error)
        if self._driver is not None:
            self._driver.applying.stop(error)

    def _wake(self) -> None:
        driver = self._driver
        if driver is not None:
            driver.wake_from_outside()

    def _progressed(self) -> None:
        """Something was applied; the loop need not hear of it unless somebody waits for that there."""
        driver = self._driver
        if driver is not None and (driver.reading.is_held or self._proposals.has_unsent):
            driver.wake_from_outside()

    def _tell(self, kind: str, index: int = 0, other: str = "", what: str = "") -> None:
        driver, own = self._driver, self._shared.settings.own.id
        term = driver.term if driver is not None else 0
        self._listeners.tell(ClusterEvent(int(time() * 1000), own, kind, term, index, other, what))

    # ── what others call ─────────────────────────────────────────────────────────────────────────────────────────

    def append(self, commands: Sequence[bytes]) -> Future[int]:
        """As ReplicatedLog says. Raises ReadOnly in a read-only copy of a cluster."""
        if self._shared.settings.mirror_of:
            raise ReadOnly(
                "This is a read-only copy of a cluster in another place: write there; what is written arrives here."
            )
        future = self._proposals.add(commands)
        self._wake()
        return future

    def barrier(self) -> Future[int]:
        """As ReplicatedLog says; a read-only copy of a cluster cannot promise that, and refuses."""
        if self._shared.settings.mirror_of:
            future: Future[int] = unanswered()
            refuse(
                future,
                Unavailable("A read-only copy may be behind the cluster: ask for a Local read, or ask the cluster."),
            )
            return future
        future = self._reads.add()
        self._wake()
        return future

    def wait_applied(self, index: int, timeout_s: float) -> None:
        """As ReplicatedLog says."""
        self._running().applying.reached.wait(index, timeout_s)

    def members(self) -> Members:
        """As ReplicatedLog says."""
        return self._shared.rosters.all().get(self._partition, NOBODY)

    def add_member(self, member: Member) -> Future[int]:
        """As ReplicatedLog says: the new one counts as soon as it finds that it has caught up."""
        newcomer = member if member.role is Role.REPLICA else Member(*_names(member), role=Role.LEARNER)

        def change(roster: Members | None) -> Members:
            known = (roster or NOBODY).get(member.id)
            return (roster or NOBODY).with_member(newcomer if known is None or known.role != member.role else member)

        return self._begin(self._change(change, lambda: self._counts(member)))

    def remove_member(self, id_: str) -> Future[int]:
        """As ReplicatedLog says."""

        def change(roster: Members | None) -> Members:
            known = roster or NOBODY
            if id_ not in known:
                raise InvalidData(f"There is no member '{id_}': {', '.join(each.id for each in known.all)} are.")
            if known.voters == {id_}:
                raise InvalidData(f"'{id_}' is the last member that counts, so it cannot be removed.")
            return known.without(id_)

        return self._begin(self._change(change, lambda: id_ not in self.members()))

    async def _change(self, change: Callable[[Members | None], Members | None], is_done: Callable[[], bool]) -> int:
        await asyncio.to_thread(self._shared.rosters.change, self._partition, change)
        await self._until(is_done, "The members were changed, and the change does not count yet.")
        return index_of(self._running().last)

    def _counts(self, member: Member) -> bool:
        found = self.members().get(member.id)
        return found is not None and found.role is member.role

    def transfer(self, id_: str | None = None) -> Future[str]:
        """As ReplicatedLog says: the server of another node leads the stream."""
        return self._begin(self._transfer(id_))

    async def _transfer(self, id_: str | None) -> str:
        driver, voters = self._running(), self.members().voters
        if id_ is not None and id_ not in voters:
            raise InvalidData(f"There is no voter '{id_}' that could lead: {', '.join(sorted(voters))} are.")
        await driver.look()
        before = driver.leader
        if before == id_ or len(voters) == 1:
            return before
        await asyncio.to_thread(self._shared.streams.step_down, self._partition, id_ or "")

        def is_done() -> bool:
            driver.look_soon()
            return driver.leader == id_ if id_ is not None else driver.leader not in {"", before}

        await self._until(is_done, f"'{id_ or 'another voter'}' does not lead yet.")
        return driver.leader

    async def _until(self, is_done: Callable[[], bool], late: str) -> None:
        deadline = monotonic() + self._shared.settings.change_timeout_s
        while not is_done():
            if monotonic() > deadline:
                raise Unavailable(late)
            await asyncio.sleep(_LOOK_S)

    def _begin(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Have something done on the loop, unless the log has stopped."""
        future: Future[T] = unanswered()
        if self._error is not None or self._driver is None:
            work.close()
            refuse(future, self._error or Unavailable("The log was not started yet."))
            return future

        def pass_on(done: Future[T]) -> None:
            error = Unavailable("The log was closed.") if done.cancelled() else done.exception()
            with suppress(InvalidStateError):
                if error is not None:
                    refuse(future, error)
                else:
                    answer(future, done.result())

        self._shared.connection.run(work).add_done_callback(pass_on)
        return future

    def status(self) -> LogStatus:
        """As ReplicatedLog says: as of now."""
        driver, error = self._driver, self._error
        if driver is not None:
            return driver.watching.status("" if error is None else str(error))
        settings = self._shared.settings
        state = "Starting" if error is None else "Stopped"
        members = (MemberStatus(settings.own, state, 0, 0),)
        return LogStatus(settings.cluster_id, settings.own.id, "jetstream", state, 0, "", 0, 0, 0, 1, members)

    def subscribe(self, listener: Callable[[ClusterEvent], None]) -> Callable[[], None]:
        """As ReplicatedLog says."""
        return self._listeners.add(listener)

    def _running(self) -> Driver:
        if self._driver is None:
            raise Unavailable("The log was not started yet.")
        return self._driver


def _names(member: Member) -> tuple[str, str, str]:
    return member.id, member.address, member.peer_address


def _failure(error: BaseException) -> BlockDBError:
    what = str(error).rstrip(".") if isinstance(error, BlockDBError) else repr(error)
    return Unavailable(f"This node has stopped: {what}. What it acknowledged is safe; start it again.")
