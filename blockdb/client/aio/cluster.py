"""The cluster that servers are nodes of, on an event loop: the twin of `blockdb.client.cluster`."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from blockdb.client.aio.link import AsyncLink
from blockdb.client.plans import cluster as plans
from blockdb.nodes import ClusterEvent, ClusterState, PartitionMove, PartitionState

__all__ = ["AsyncCluster"]


class AsyncCluster:
    """A cluster, over whichever of its nodes answers. For the tasks of one event loop."""

    def __init__(self, link: AsyncLink) -> None:
        """Use `AsyncDatabase.cluster`."""
        self._link = link

    async def state(self) -> ClusterState:
        """See `RemoteCluster.state`."""
        return await self._link.run(plans.state())

    async def partitions(self) -> tuple[PartitionState, ...]:
        """See `RemoteCluster.partitions`."""
        return tuple((await self._link.run(plans.partitions())).partitions)

    async def rebalance(self, *, dry_run: bool = False) -> tuple[PartitionMove, ...]:
        """See `RemoteCluster.rebalance`."""
        return tuple(await self._link.run(plans.rebalance(dry_run)))

    async def add(self, node_id: str, address: str, *, peer_address: str = "", replica: bool = False) -> None:
        """See `RemoteCluster.add`."""
        await self._link.run(plans.add(node_id, address, peer_address, replica))

    async def remove(self, node_id: str) -> None:
        """See `RemoteCluster.remove`."""
        await self._link.run(plans.remove(node_id))

    async def transfer(self, node_id: str | None = None) -> str:
        """See `RemoteCluster.transfer`."""
        return await self._link.run(plans.transfer(node_id))

    async def events(self, timeout_s: float | None = None) -> AsyncGenerator[ClusterEvent | None, None]:
        """See `RemoteCluster.events`."""
        stream = await self._link.stream(plans.events(timeout_s))
        async with aclosing(stream.__aiter__()) as answers:
            async for told in answers:
                yield told.event
