"""A node whose machine is damaged, or has another history than the others: it gets a copy of the leader's.

Its log is sound, so it goes on to vote and to keep entries. It applies none before the copy is there, and serves
nobody until then.
"""

from __future__ import annotations

from asyncio import Task, sleep
from typing import TYPE_CHECKING

from blockdb.cluster.consensus.membership import Change
from blockdb.errors import BlockDBError, Unavailable
from blockdb.format.consensus import Member
from blockdb.raft.messages import SnapshotHead

if TYPE_CHECKING:
    from blockdb.cluster.consensus.driving import Driver

__all__ = ["Rebuilding"]


class Rebuilding:
    """Belongs to the loop."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._error: BlockDBError | None = None
        """Why nobody is served."""
        self._task: Task[None] | None = None

    @property
    def is_needed(self) -> bool:
        """Whether a copy is waited for."""
        return self._error is not None

    def begin(self, why: str) -> None:
        """Serve nobody, and ask for a copy until there is one."""
        driver = self._driver
        if self._error is None:
            self._error = Unavailable(f"This node does not serve: {why}. It gets a copy of another; ask that one.")
            driver.applying.hold()
            driver.proposals.stop(self._error)
            driver.reads.stop(self._error)
            self._task = driver.loop.create_task(self._ask())

    def stop(self) -> None:
        """Ask no longer."""
        if self._task is not None:
            self._task.cancel()

    def would_help(self, head: SnapshotHead) -> bool:
        """Whether such a snapshot is waited for: the log has to have what follows it."""
        return self.is_needed and head.index >= self._driver.view.head.index

    def done(self) -> None:
        """The machine has taken a copy over: go on behind that."""
        error, self._error = self._error, None
        self.stop()
        if error is not None and not self._driver.is_stopped:
            self._driver.pulses.agree()
            self._driver.proposals.go_on(error)
            self._driver.reads.go_on(error)
            self._driver.applying.go_on()
            self._driver.watching.tell("mended", what="a copy took the place of what was here")

    async def _ask(self) -> None:
        driver = self._driver
        while True:
            own, leader = driver.settings.own.id, driver.raft.leader
            if leader == own:
                driver.changes.ask(Change("transfer", Member(""), own))
            elif leader and driver.peers is not None:
                try:
                    await driver.peers.ask(leader, "copy")
                except BlockDBError as error:
                    driver.watching.tell("snapshot", other=leader, what=f"was asked for in vain: {error}")
            await sleep(driver.settings.pulse_s)
