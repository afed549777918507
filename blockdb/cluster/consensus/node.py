"""The replicated log over Raft: a node's threads, and what others call.

The consensus thread has a loop with the connections, the core and its ticks (`driving`); the disk thread stores and
forces (`storing`); the applying thread calls the state machine (`applying`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from random import SystemRandom
from secrets import token_bytes
from threading import Lock, Thread, current_thread
from typing import Final, TypeVar

from blockdb.cluster.applying import Applying
from blockdb.cluster.barriers import Reads
from blockdb.cluster.consensus.disk import DiskLog
from blockdb.cluster.consensus.driving import Driver
from blockdb.cluster.consensus.joining import open_log
from blockdb.cluster.consensus.membership import Change, Done
from blockdb.cluster.consensus.settings import TICKS_PER_HEARTBEAT, RaftSettings
from blockdb.cluster.consensus.storing import Storing
from blockdb.cluster.consensus.view import View
from blockdb.cluster.events import ClusterEvent
from blockdb.cluster.peers import Peers
from blockdb.cluster.proposals import Proposals
from blockdb.cluster.replicated_log import LogStatus, MemberStatus, StateMachine
from blockdb.cluster.waiting import Listeners, Room, answer, refuse, unanswered
from blockdb.errors import BlockDBError, Corruption, InvalidData, StorageError, Unavailable, WritesStopped
from blockdb.format.consensus import Member, Members
from blockdb.format.raft_log import ORIGIN_BYTES
from blockdb.layout import RaftFiles
from blockdb.raft.config import RaftConfig
from blockdb.raft.raft import Raft
from blockdb.storage.door import Door

__all__ = ["RaftLog"]

_RESEND_ELECTIONS: Final = 6
"""A command that the leader was sent and that was not seen for so many election timeouts is sent again."""
_ASK_AGAIN_ELECTIONS: Final = 2
_CLOSE_TIMEOUT_S: Final = 30.0

T = TypeVar("T")


class RaftLog:
    """The log of one node of a cluster. Safe for threads; `ReplicatedLog` says what its methods promise.

    A command is decided when this node has applied it. It may get into the log twice where messages were lost.
    """

    def __init__(self, settings: RaftSettings, door: Door, files: RaftFiles) -> None:
        self._settings = settings
        self._door = door
        self._files = files
        self._listeners = Listeners()
        self._lock = Lock()
        self._origin = token_bytes(ORIGIN_BYTES)
        self._proposals = Proposals(
            self._origin,
            Room(settings.max_waiting, settings.max_waiting_bytes),
            settings.append_timeout_s,
            _RESEND_ELECTIONS * settings.election_ms / 1000,
        )
        self._reads = Reads(settings.append_timeout_s, _ASK_AGAIN_ELECTIONS * settings.election_ms / 1000)
        self._started: Future[None] = unanswered()
        self._thread: Thread | None = None
        self._driver: Driver | None = None
        self._error: BlockDBError | None = None
        self._end: Callable[[], None] = lambda: None

    # ── beginning and end ────────────────────────────────────────────────────────────────────────────────────────

    def start(self, machine: StateMachine) -> None:
        """As ReplicatedLog says; a node that is to join does that first. Raises ConfigError, Unavailable too."""
        with self._lock:
            if self._thread is not None or self._error is not None:
                raise InvalidData("The log was started or closed already; make another one.")
            name = f"blockdb-consensus-{self._settings.own.id}"
            self._thread = Thread(target=self._run, args=(machine,), name=name, daemon=True)
            self._thread.start()
        self._started.result()

    def close(self) -> None:
        """As ReplicatedLog says."""
        self._stop(Unavailable("The log was closed."))
        self._end()
        thread = self._thread
        if thread is not None and thread is not current_thread():
            thread.join(_CLOSE_TIMEOUT_S)

    def _run(self, machine: StateMachine) -> None:
        try:
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                runner.run(self._take_part(machine))
        except BaseException as error:
            if self._started.done():
                self._fail(error)
            failure = error if isinstance(error, BlockDBError) else _failure(error)
            refuse(self._started, self._error or failure)

    async def _take_part(self, machine: StateMachine) -> None:
        """The life of the consensus thread."""
        closing = asyncio.Event()
        loop, life = asyncio.get_running_loop(), asyncio.current_task()
        with self._lock:
            self._end = lambda: _on(loop, life.cancel if life is not None else loop.stop)
            if self._error is not None:
                raise self._error
        disk, admission = await open_log(self._settings, self._door, self._files, machine.applied_index)
        self._settings = replace(self._settings, cluster_id=admission.cluster_id)
        try:
            lack = self._lack(machine, disk)
            driver = self._build(machine, disk, loop)
        except BaseException:
            disk.close()
            raise
        storing = driver.storing
        try:
            if self._settings.own.peer_address:
                driver.peers = _peers(self._settings, driver)
                driver.meet(admission.members)
                await driver.peers.start()
            storing.start()
            driver.applying.start(_applied_term(driver.view, machine))
            if lack:
                driver.rebuilding.begin(lack)
            driver.start()
            driver.pulses.start()
            with self._lock:
                self._driver = driver
                self._end = lambda: _on(loop, closing.set)
                is_closed = self._error is not None
            answer(self._started, None)
            if not is_closed:
                await closing.wait()
        finally:
            self._shut_down(driver, self._reason())
            if driver.peers is not None:
                await driver.peers.close()
            await asyncio.to_thread(_close, driver.applying, storing, disk)

    def _lack(self, machine: StateMachine, disk: DiskLog) -> str:
        """Why the machine has to get a copy before anything is applied to it; empty: it can go on.

        Raises Corruption where nobody has one.
        """
        if getattr(machine, "needs_copy", False):
            return "its database is damaged"
        disk.restored(machine.applied_index)
        applied, head = machine.applied_index, disk.head.index
        if applied >= head:
            return ""
        what = f"its database ends at entry {applied} of the log, which is here from entry {head + 1} on"
        if not disk.members().voters - {self._settings.own.id}:
            raise Corruption(str(self._files.root.parent), None, f"{what}, and no other node counts that has a copy")
        return what

    def _build(self, machine: StateMachine, disk: DiskLog, loop: asyncio.AbstractEventLoop) -> Driver:
        settings, own = self._settings, self._settings.own.id
        view = View(disk)
        raft = Raft(
            RaftConfig(own, election_ticks=settings.election_ticks, heartbeat_ticks=TICKS_PER_HEARTBEAT),
            disk.hard_state,
            view,
            SystemRandom(),
            applied=max(view.head.index, machine.applied_index),
            is_mending=disk.is_damaged,
        )
        applying = Applying(
            f"blockdb-apply-{own}",
            machine,
            self._proposals,
            lambda: driver.progressed(),
            self._fail,
            lambda error: driver.rebuilding.begin_from_outside(f"its database is damaged: {error.what}"),
        )
        driver = Driver(settings, loop, raft, view, applying, self._proposals, self._reads, self._listeners, self._fail)
        driver.storing = Storing(f"blockdb-log-{own}", disk, driver.forced, self._fail)
        return driver

    def _fail(self, error: BaseException) -> None:
        """Something that must not fail did: take part no longer. From any thread.

        What is wrong with this node's disk is not what a request failed of: others can do it.
        """
        is_disk = isinstance(error, (StorageError, WritesStopped))
        failure = error if isinstance(error, BlockDBError) and not is_disk else _failure(error)
        self._stop(failure)
        driver = self._driver
        if driver is not None:
            driver.on_loop(lambda: self._shut_down(driver, failure))

    def _reason(self) -> BlockDBError:
        return self._error or Unavailable("The log was closed.")

    def _stop(self, error: BlockDBError) -> None:
        """Serve nobody any more."""
        with self._lock:
            self._error = self._error or error
        self._proposals.stop(error)
        self._reads.stop(error)
        if self._driver is not None:
            self._driver.applying.stop(error)

    def _shut_down(self, driver: Driver, error: BlockDBError) -> None:
        """Take part no longer: on the loop."""
        if driver.stop(error) and driver.peers is not None:
            driver.closing_peers = asyncio.ensure_future(driver.peers.close())

    # ── what others call ─────────────────────────────────────────────────────────────────────────────────────────

    def append(self, commands: Sequence[bytes]) -> Future[int]:
        """As ReplicatedLog says."""
        future = self._proposals.add(commands)
        self._wake()
        return future

    def barrier(self) -> Future[int]:
        """As ReplicatedLog says."""
        future = self._reads.add()
        self._wake()
        return future

    def _wake(self) -> None:
        driver = self._driver
        if driver is not None:
            driver.wake_from_outside()

    def wait_applied(self, index: int, timeout_s: float) -> None:
        """As ReplicatedLog says."""
        self._running().applying.reached.wait(index, timeout_s)

    def members(self) -> Members:
        """As ReplicatedLog says."""
        return Members(tuple(member.member for member in self.status().members))

    def add_member(self, member: Member) -> Future[int]:
        """As ReplicatedLog says."""
        return self._change(Change("add", member), lambda done: done.index)

    def remove_member(self, id_: str) -> Future[int]:
        """As ReplicatedLog says."""
        return self._change(Change("remove", Member(id_)), lambda done: done.index)

    def transfer(self, id_: str | None = None) -> Future[str]:
        """As ReplicatedLog says."""
        return self._change(Change("transfer", Member(id_ or ""), self.status().leader), lambda done: done.leader)

    def _change(self, change: Change, result: Callable[[Done], T]) -> Future[T]:
        future: Future[T] = unanswered()

        def pass_on(done: Future[Done]) -> None:
            error = done.exception()
            if error is not None:
                refuse(future, error)
            else:
                answer(future, result(done.result()))

        if self._error is not None:
            refuse(future, self._error)
        else:
            self._running().changes.ask(change).add_done_callback(pass_on)
        return future

    def status(self) -> LogStatus:
        """As ReplicatedLog says: as of the last turn that changed anything, or some ticks ago."""
        driver = self._driver
        if driver is not None:
            return driver.watching.status
        own = self._settings.own
        state = "Starting" if self._error is None else "Stopped"
        members = (MemberStatus(own, state, 0, 0),)
        return LogStatus(self._settings.cluster_id, own.id, "raft", state, 0, "", 0, 0, 0, 1, members)

    def subscribe(self, listener: Callable[[ClusterEvent], None]) -> Callable[[], None]:
        """As ReplicatedLog says."""
        return self._listeners.add(listener)

    def _running(self) -> Driver:
        if self._driver is None:
            raise Unavailable("The log was not started yet.")
        return self._driver


def _on(loop: asyncio.AbstractEventLoop, function: Callable[[], object]) -> None:
    """Have a loop do something, unless it has ended."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(function)


def _applied_term(view: View, machine: StateMachine) -> int:
    """The term of the last entry that the machine has, as far as the log tells."""
    index = min(machine.applied_index, view.last_index)
    return view.term(index) if index > view.head.index else view.head.term


def _peers(settings: RaftSettings, driver: Driver) -> Peers:
    return Peers(
        settings.own,
        settings.cluster_id,
        driver,
        tls=settings.tls,
        insecure_public=settings.insecure_public,
        listen_address=settings.listen_address,
        limits=settings.limits,
    )


def _close(applying: Applying, storing: Storing, disk: DiskLog) -> None:
    """End the other threads, and the log on the disk last."""
    applying.close()
    storing.close()
    try:
        disk.close()
    except StorageError:
        return  # it was told when it happened: what is not on the disk was not acknowledged


def _failure(error: BaseException) -> BlockDBError:
    what = str(error).rstrip(".") if isinstance(error, BlockDBError) else repr(error)
    return Unavailable(f"This node has stopped: {what}. What it acknowledged is safe; start it again.")


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, where that is installed."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
