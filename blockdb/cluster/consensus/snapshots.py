"""Snapshots to and from other nodes, and when the log is cut behind what the machine has on the disk."""

from __future__ import annotations

from asyncio import Event, Task, sleep, to_thread, wrap_future
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import suppress
from functools import partial
from threading import Condition
from typing import TYPE_CHECKING, Final

from blockdb.cluster.replicated_log import Snapshot, StateMachine
from blockdb.errors import BlockDBError, InvalidData, StorageError, Unavailable, WritesStopped
from blockdb.raft.messages import SnapshotHead

if TYPE_CHECKING:
    from blockdb.cluster.consensus.driving import Driver

__all__ = ["Snapshots"]

_MOST_CHUNKS: Final = 8


class Snapshots:
    """Belongs to the loop."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._tasks: set[Task[None]] = set()
        self._sending: set[str] = set()
        self._is_compacting = False
        self._erased = 0
        """Up to here commands hold values that the machine has erased since."""
        self._seen_bytes = self._seen_entries = 0
        """How much had gone through when the log was cut last."""

    def stop(self) -> None:
        """End what is under way."""
        for task in list(self._tasks):
            task.cancel()

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = self._driver.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ── to others ────────────────────────────────────────────────────────────────────────────────────────────────

    def send(self, id_: str) -> None:
        """Send a member the newest one there is."""
        if id_ not in self._sending:
            self._sending.add(id_)
            self._begin(self._send(id_))

    def on_ask(self, id_: str) -> bytes:
        """A member whose machine is damaged wants one. Raises Unavailable."""
        if not self._driver.raft.is_leader or self._driver.rebuilding.is_needed:
            raise Unavailable(f"'{self._driver.settings.own.id}' does not lead.")
        if id_ in self._driver.raft.members:
            self.send(id_)
        return b""

    async def _send(self, id_: str) -> None:
        is_sent = False
        try:
            await self._send_newest(id_)
            is_sent = True
        except (BlockDBError, IndexError) as error:
            self._driver.watching.tell("snapshot", other=id_, what=f"could not be sent: {error}")
            await sleep(self._driver.settings.pulse_s)
        finally:
            self._sending.discard(id_)
            self._driver.raft.snapshot_sent(id_, is_sent)
            self._driver.wake()

    async def _send_newest(self, id_: str) -> None:
        driver = self._driver
        if driver.peers is None or driver.rebuilding.is_needed:
            raise Unavailable("This node has nothing to give to others.")
        snapshot = await wrap_future(driver.applying.call(lambda machine: machine.snapshot()))
        try:
            head = driver.raft.head_at(snapshot.index)
            driver.watching.tell("snapshot", index=head.index, other=id_, what="is being sent")
            await driver.peers.send_snapshot(id_, head, snapshot.chunks)
            driver.watching.tell("snapshot", index=head.index, other=id_, what="was sent")
        finally:
            close = getattr(snapshot.chunks, "close", None)
            if close is not None:
                with suppress(ValueError):  # a thread is still reading it, and lets go of it then
                    await to_thread(close)

    # ── from others ──────────────────────────────────────────────────────────────────────────────────────────────

    async def receive(self, sender: str, head: SnapshotHead, chunks: AsyncIterator[bytes]) -> None:
        """Take a snapshot over, if this node needs it."""
        driver = self._driver
        if not driver.raft.needs(head) and not driver.rebuilding.would_help(head):
            return
        driver.watching.tell("snapshot", index=head.index, other=sender, what="is being received")
        bridge = _Bridge(driver)
        restored = driver.applying.call(partial(self._take_over, head, bridge))
        restored.add_done_callback(lambda _: bridge.abandon())
        try:
            async for chunk in chunks:
                await bridge.put(chunk)
            bridge.end()
        except BaseException as error:
            bridge.end(InvalidData(f"The snapshot that '{sender}' sent broke off: {error!r}."))
            raise
        await wrap_future(restored)
        driver.raft.restored(head, sender)
        driver.watching.tell("snapshot", index=head.index, other=sender, what="was taken over")
        driver.rebuilding.done()
        driver.turn()
        driver.storing.do(lambda: driver.storing.disk.restored(head.index))

    def _take_over(self, head: SnapshotHead, chunks: Iterator[bytes], machine: StateMachine) -> None:
        """Have the machine become what the snapshot holds: on the applying thread.

        From here on until the log begins behind it, what says so stands beside the log.
        """
        if machine.applied_index >= head.index and not self._driver.rebuilding.is_needed:
            return  # meanwhile the entries came after all
        disk, before = self._driver.storing.disk, machine.applied_index
        disk.restoring(head)
        try:
            machine.restore(Snapshot(head.index, chunks))
        except BaseException as error:
            if machine.applied_index == before:
                disk.restored(0)
            else:
                self._driver.fail(error)  # whoever starts it again sees what it is now
            raise
        self._driver.applying.restored(head.index, head.term)

    # ── cutting the log ──────────────────────────────────────────────────────────────────────────────────────────

    def compact_if_due(self) -> None:
        """Cut the log if much was applied since that was done."""
        applying, settings = self._driver.applying, self._driver.settings
        new_bytes, new_entries = applying.bytes - self._seen_bytes, applying.entries - self._seen_entries
        erased = getattr(applying.machine, "erased_index", 0)
        must_erase = self._erased < erased <= applying.index
        is_due = new_bytes >= settings.compact_bytes or new_entries >= settings.compact_entries or must_erase
        if is_due and not self._is_compacting:
            self._is_compacting = True
            self._seen_bytes, self._seen_entries = applying.bytes, applying.entries
            self._erased = max(self._erased, erased if must_erase else 0)
            self._begin(self._compact(min(settings.keep_entries, new_entries), self._erased))

    async def _compact(self, keep: int, erased: int) -> None:
        """Cut it behind what the machine has on the disk, but for some entries that members may still lack."""
        driver = self._driver
        try:
            durable = await wrap_future(driver.applying.call(lambda machine: machine.make_durable()))
            index = min(durable, driver.applying.index)
            self.cut(max(index - keep, min(erased, index)))
        except Unavailable:
            return
        except Exception as error:
            driver.fail(error)
        finally:
            self._is_compacting = False

    def cut(self, index: int) -> None:
        """Begin the log behind an entry that was applied."""
        driver = self._driver
        if index > driver.view.head.index:
            head = driver.raft.head_at(index)
            driver.view.compact(head)
            driver.raft.compacted(head)
            driver.storing.do(lambda: self._cut(head))

    def _cut(self, head: SnapshotHead) -> None:
        """Cut the log on the disk: on its thread. Where that fails, it is longer than need be until the next time."""
        try:
            self._driver.storing.disk.compact(head)
        except WritesStopped:
            raise
        except StorageError as error:
            what = f"the log was not cut: {error}"
            self._driver.on_loop(lambda: self._driver.watching.tell("snapshot", what=what))


class _Bridge(Iterator[bytes]):
    """Chunks from the loop to a thread, a few at a time."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._changed = Condition()
        self._chunks: deque[bytes] = deque()
        self._error: BlockDBError | None = None
        self._is_ended = self._is_abandoned = False
        self._has_room = Event()

    async def put(self, chunk: bytes) -> None:
        """Give a chunk, once there is room for it. On the loop."""
        while True:
            with self._changed:
                if self._is_abandoned:
                    return
                if len(self._chunks) < _MOST_CHUNKS:
                    self._chunks.append(chunk)
                    self._changed.notify()
                    return
                self._has_room.clear()
            await self._has_room.wait()

    def end(self, error: BlockDBError | None = None) -> None:
        """There is no more; because of an error, if there is one."""
        with self._changed:
            self._is_ended, self._error = True, error
            self._changed.notify()

    def abandon(self) -> None:
        """Nobody reads any more. On any thread."""
        with self._changed:
            self._is_abandoned = True
        self._driver.on_loop(self._has_room.set)

    def __next__(self) -> bytes:
        with self._changed:
            self._changed.wait_for(lambda: self._chunks or self._is_ended)
            if self._error is not None:
                raise self._error
            if not self._chunks:
                raise StopIteration
            chunk = self._chunks.popleft()
        self._driver.on_loop(self._has_room.set)
        return chunk
