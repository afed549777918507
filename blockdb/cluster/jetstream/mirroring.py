"""A read-only copy of a cluster in another place: mirrors of its streams on a NATS server of its own.

That server is a leaf node of the cluster's, with a domain of JetStream to itself. What is in the cluster's streams
arrives in its mirrors under the same numbers, as long as it can reach the cluster.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import count
from types import MappingProxyType
from typing import Any, Final

import msgspec
from nats import errors

from blockdb.cluster.jetstream.connection import Connection
from blockdb.cluster.jetstream.names import Names
from blockdb.cluster.jetstream.rosters import Rosters
from blockdb.cluster.jetstream.streams import Streams, mirror_of
from blockdb.cluster.jetstream.troubles import NOT_FOUND, ApiError
from blockdb.errors import ReadOnly
from blockdb.format.consensus import Member, Members, Role

__all__ = ["MirrorRosters"]

LOOK_S: Final = 1.0
TRIM_EVERY: Final = 60
"""After so many looks it is seen what was trimmed in the cluster."""

_log = logging.getLogger("blockdb.cluster.jetstream")


class MirrorRosters(Rosters):
    """The cluster's rosters where this node holds everything too, once there is a mirror of its stream."""

    def __init__(self, connection: Connection, names: Names, streams: Streams, own: Member, timeout_s: float) -> None:
        """Of the mirror of the cluster's bucket."""
        super().__init__(connection, names, 1, timeout_s)
        self._domain = names.domain
        self._streams = streams
        self._own = msgspec.structs.replace(own, role=Role.REPLICA)
        self._mirrored: frozenset[str] = frozenset()
        self._mirroring: asyncio.Task[None] | None = None

    async def _begin(self, timeout_s: float) -> None:
        await super()._begin(timeout_s)
        self._mirroring = asyncio.get_running_loop().create_task(self._mirror_always())

    async def _make(self) -> None:
        """Make the mirror once the cluster is reached: made before, it would try again after long pauses only."""
        call = f"STREAM.INFO.{self._stream}"
        try:
            await self._connection.api(call)
        except ApiError as error:
            if error.number not in NOT_FOUND:
                raise
            await self._connection.api(call, domain=self._domain)
            await super()._make()

    def _config(self) -> dict[str, Any]:
        return mirror_of(super()._config(), self._domain)

    def all(self) -> Mapping[str, Members]:
        """Those of partitions that are mirrored here, and this node in each of them."""
        mirrored, rosters = self._mirrored, super().all()
        return MappingProxyType(
            {name: roster.with_member(self._own) for name, roster in rosters.items() if name in mirrored}
        )

    def change(self, partition: str, change: Callable[[Members | None], Members | None]) -> Members | None:
        """Raises ReadOnly."""
        raise ReadOnly("This is a read-only copy of a cluster in another place: its rosters change there.")

    def note(self, kind: str, partition: str, node: str, value: int) -> None:
        """Nothing: the cluster does not wait for a copy."""

    async def _mirror_always(self) -> None:
        for number in count():
            try:
                await self._mirror(self._mirrored if number % TRIM_EVERY else frozenset())
            except (errors.Error, ApiError, TimeoutError, OSError) as error:
                _log.debug("the cluster is not mirrored just now: %s", error)
            await asyncio.sleep(LOOK_S)

    async def _mirror(self, done: frozenset[str]) -> None:
        """Have mirrors of all partitions but those."""
        wanted = frozenset(super().all())
        for partition in sorted(wanted - done):
            await self._streams.mirror(partition)
            self._show(self._mirrored | {partition})
        for partition in self._mirrored - wanted:
            self._show(self._mirrored - {partition})
            await self._streams.unmirror(partition)

    def _show(self, mirrored: frozenset[str]) -> None:
        if mirrored != self._mirrored:
            self._mirrored = mirrored
            self.tell()

    def close(self) -> None:
        """Be told of nothing more. Idempotent."""
        mirroring, self._mirroring = self._mirroring, None
        if mirroring is not None:
            with suppress(RuntimeError):
                self._connection.loop.call_soon_threadsafe(mirroring.cancel)
        super().close()
