"""When the stream is trimmed: behind what all holders have on their disks, but for some messages.

Each holder forces what it has applied now and then, and notes the index where all others see it. One that is away
keeps the stream from being trimmed until it is back, or removed.
"""

from __future__ import annotations

import logging
from asyncio import to_thread, wrap_future
from typing import TYPE_CHECKING, Final

from blockdb.cluster.jetstream.numbering import PLACES, index_of, whole_messages
from blockdb.errors import BlockDBError, Unavailable

if TYPE_CHECKING:
    from blockdb.cluster.jetstream.driving import Driver

__all__ = ["Trimming"]

_log = logging.getLogger("blockdb.cluster.jetstream")

_KIND: Final = "durable"
_LEAST_PART: Final = 8
"""An eighth of what makes a node force has to go before it is worth a purge."""


class Trimming:
    """Belongs to the loop."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._durable = whole_messages(driver.applying.machine.applied_index)
        """Up to this message everything is on this node's disk."""
        self._noted = -1
        self._seen_bytes = self._seen_entries = 0
        """How much had gone through when it was forced last."""
        self._erased = 0
        """Up to this index commands hold values that the machine has erased since."""

    async def look(self) -> None:
        """Force, note and trim, where one of these is due; what NATS refuses is done later."""
        driver = self._driver
        if driver.mending is not None:
            return
        try:
            await self._force()
        except Unavailable:
            return
        except Exception as error:
            driver.fail(error)
            return
        try:
            await self._note()
            if driver.keeper == driver.own.id:
                await self._trim()
        except BlockDBError as error:
            _log.info("%s was not trimmed: %s", driver.stream, error)

    async def _force(self) -> None:
        if self._is_due():
            durable = await wrap_future(self._driver.applying.call(lambda machine: machine.make_durable()))
            self._durable = whole_messages(min(durable, self._driver.applied))

    async def _note(self) -> None:
        """Tell all others what is on this node's disk."""
        driver, durable = self._driver, self._durable
        if self._noted != durable:
            await to_thread(driver.shared.rosters.note, _KIND, driver.partition, driver.own.id, durable)
            self._noted = durable

    def _is_due(self) -> bool:
        applying, settings = self._driver.applying, self._driver.settings
        new_bytes, new_entries = applying.bytes - self._seen_bytes, applying.entries - self._seen_entries
        erased = getattr(applying.machine, "erased_index", 0)
        must_erase = self._erased < erased <= applying.index
        is_due = new_bytes >= settings.compact_bytes or new_entries >= settings.compact_entries or must_erase
        if is_due:
            self._seen_bytes, self._seen_entries = applying.bytes, applying.entries
            self._erased = max(self._erased, erased if must_erase else 0)
        return is_due

    async def _trim(self) -> None:
        """Remove what nobody needs any more; values that were erased also where a node that is away would need them."""
        driver = self._driver
        noted = driver.shared.rosters.noted(_KIND, driver.partition)
        holders = [member.id for member in driver.members.all]
        least = min((noted.get(id_, 0) for id_ in holders), default=0)
        present = min((noted.get(id_, 0) for id_ in holders if driver.pulses.is_present(id_)), default=0)
        erased = min(whole_messages(self._erased + PLACES - 1), present)
        last = max(least - driver.settings.keep_entries, erased)
        worth = driver.settings.compact_entries // _LEAST_PART if last > erased else 0
        if last > 0 and last >= driver.first + worth:
            await to_thread(driver.shared.streams.trim, driver.partition, last + 1)
            driver.tell("snapshot", index=index_of(last), what="the stream was trimmed up to here")
