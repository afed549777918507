"""A node whose machine is damaged, lacks what its log begins behind, or has another history: it gets the leader's.

Its log is sound, so it goes on to vote and to keep entries. It applies none before the copy is there, and serves
nobody until then.
"""

from __future__ import annotations

from asyncio import Task, sleep
from contextlib import suppress
from typing import TYPE_CHECKING

from blockdb.errors import BlockDBError, Unavailable
from blockdb.raft.errors import TooMuch
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
        self._passed_on = 0

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

    def begin_from_outside(self, why: str) -> bool:
        """The same, from any thread, if another node counts that may have a copy: whether one does."""
        driver = self._driver
        has_others = bool(driver.raft.members.voters - {driver.settings.own.id})
        if has_others:
            driver.on_loop(lambda: self.begin(why))
        return has_others

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
            self._driver.pulses.comparing.agree()
            self._driver.proposals.go_on(error)
            self._driver.reads.go_on(error)
            self._driver.applying.go_on()
            self._driver.watching.tell("mended", what="a copy took the place of what was here")

    async def _ask(self) -> None:
        driver = self._driver
        while True:
            own, leader = driver.settings.own.id, driver.raft.leader
            if leader == own:
                self._pass_on()
            elif leader and driver.peers is not None:
                try:
                    await driver.peers.ask(leader, "copy")
                except BlockDBError as error:
                    driver.watching.tell("snapshot", other=leader, what=f"was asked for in vain: {error}")
            await sleep(driver.settings.pulse_s)

    def _pass_on(self) -> None:
        """Have another node lead, one after the other: some of them may be damaged too."""
        raft = self._driver.raft
        progress = raft.status().progress
        able = sorted(id_ for id_ in raft.members.voters if id_ in progress and progress[id_].is_active)
        if able:
            self._passed_on += 1
            with suppress(TooMuch):  # it is moving already
                raft.transfer(able[self._passed_on % len(able)])
            self._driver.wake()
