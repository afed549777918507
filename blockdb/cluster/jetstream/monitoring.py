"""The Raft groups of NATS: that of all servers, and one for each stream, as this node saw them last."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterable
from contextlib import suppress
from time import monotonic
from typing import Any, Final

from nats import errors

from blockdb.cluster.jetstream.connection import Connection
from blockdb.cluster.jetstream.managed import ManagedServer
from blockdb.cluster.jetstream.serverconfig import ACCOUNT, GROUP_SUBJECT
from blockdb.cluster.jetstream.streams import PARTITION, Streams, state_of
from blockdb.cluster.jetstream.telling import ANSWER_S, tell_of
from blockdb.cluster.jetstream.troubles import ApiError, ours
from blockdb.nodes import GroupPeer, StreamGroup

__all__ = ["META", "Monitoring"]

META: Final = "meta"
ROSTERS: Final = "rosters"
"""What the bucket's group is shown as."""
LOOK_S: Final = 2.0
LEADER_S: Final = 0.5
RESIZE_S: Final = 10.0
"""How often it is tried to bring streams to as many servers as they should be on."""
BLIND_RESIZE_S: Final = 60.0
"""The same where it is not known how many servers there are."""

_log = logging.getLogger("blockdb.cluster.jetstream")


class Monitoring:
    """Looks every two seconds, on the loop. What it knows is cheap to ask for, from any thread."""

    def __init__(self, connection: Connection, streams: Streams, server: ManagedServer | None, own: str) -> None:
        """`server` is this node's own; None where it has none."""
        self._connection = connection
        self._streams = streams
        self._server = server
        self._own = own
        self._groups: tuple[StreamGroup, ...] = ()
        self._by_partition: dict[str, StreamGroup] = {}
        self._resize_at = 0.0
        self._looking: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look from now on."""
        self._connection.wait(self._begin(), 2 * ANSWER_S)

    async def _begin(self) -> None:
        self._looking = asyncio.get_running_loop().create_task(self._look_always())

    def groups(self) -> tuple[StreamGroup, ...]:
        """All of them, the servers' own first."""
        return self._groups

    def group(self, partition: str) -> StreamGroup | None:
        """That of a partition's stream; None where it was not seen yet."""
        return self._by_partition.get(partition)

    async def _look_always(self) -> None:
        while True:
            with suppress(errors.Error, ApiError, OSError, TimeoutError):
                await self.look()
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Look now. Raises errors of NATS."""
        found = await asyncio.wait_for(self._streams.all(), ANSWER_S)
        meta, terms = await self._of_server()
        groups = [_group(each, terms) for each in found]
        self._by_partition = {group.partition: group for group in groups}
        self._groups = (*meta, *sorted(groups, key=lambda group: group.partition))
        await self._resize(found, meta)

    async def _of_server(self) -> tuple[list[StreamGroup], dict[str, Any]]:
        """The group of all servers, and what this server says of those groups that it takes part in."""
        if self._server is None:
            return [], {}
        monitor = self._server.monitor
        self._server.look()
        try:
            about, system, groups = await asyncio.gather(
                self._of_all(monitor), tell_of(monitor, "/raftz"), tell_of(monitor, f"/raftz?acc={ACCOUNT}")
            )
        except (OSError, TimeoutError, ValueError):
            return [], {}
        raft: dict[str, Any] = next((each["_meta_"] for each in system.values() if "_meta_" in each), {})
        return [_meta(about, raft)] if about else [], groups.get(ACCOUNT, {})

    async def _of_all(self, monitor: tuple[str, int]) -> dict[str, Any]:
        """What the leader of all servers says of them; what this one says where none leads."""
        try:
            answer = await self._connection.client.request(GROUP_SUBJECT, b'{"leader_only": true}', timeout=LEADER_S)
            found: dict[str, Any] = json.loads(answer.data)["data"]
        except errors.Error:
            found = await tell_of(monitor, "/jsz")
        return found.get("meta_cluster") or {}

    async def _resize(self, found: list[dict[str, Any]], meta: list[StreamGroup]) -> None:
        """Bring streams to more servers where there are more now: who leads all servers does it, for all."""
        if monotonic() < self._resize_at or (meta and meta[0].leader != self._own):
            return
        self._resize_at = monotonic() + (RESIZE_S if meta else BLIND_RESIZE_S)
        online = sum(peer.is_online for group in meta for peer in group.peers)
        for state in map(state_of, found):
            if state.replicas >= state.wanted or (meta and online <= state.replicas):
                continue
            try:
                new = await self._streams.resize(state.name, state.wanted)
            except (errors.Error, ApiError, OSError, TimeoutError) as error:
                _log.warning("%s stays on %d servers for now: %s", state.name, state.replicas, ours(error))
            else:
                if new.replicas != state.replicas:
                    _log.info("%s is kept on %d servers from now on", state.name, new.replicas)

    def close(self) -> None:
        """Look no more. Idempotent."""
        looking, self._looking = self._looking, None
        if looking is not None:
            with suppress(RuntimeError):
                self._connection.loop.call_soon_threadsafe(looking.cancel)


def _peers(cluster: dict[str, Any], leader: str) -> Iterable[GroupPeer]:
    if leader:
        yield GroupPeer(leader, is_current=True, is_online=True, active_ms=0, lag=0)
    for peer in cluster.get("replicas") or ():
        if peer["name"] != leader:
            yield GroupPeer(
                peer["name"],
                is_current=bool(peer.get("current")),
                is_online=not peer.get("offline", False),
                active_ms=peer.get("active", 0) // 1_000_000,
                lag=peer.get("lag", 0),
            )


def _meta(cluster: dict[str, Any], raft: dict[str, Any]) -> StreamGroup:
    leader = cluster.get("leader", "")
    return StreamGroup(
        partition=META,
        name="_meta_",
        leader=leader,
        term=raft.get("term", 0),
        committed=raft.get("committed", 0),
        applied=raft.get("applied", 0),
        peers=tuple(_peers(cluster, leader)),
    )


def _group(found: dict[str, Any], terms: dict[str, Any]) -> StreamGroup:
    state, cluster = state_of(found), found.get("cluster") or {}
    raft = terms.get(cluster.get("raft_group", ""), {})
    return StreamGroup(
        partition=(found["config"].get("metadata") or {}).get(PARTITION, ROSTERS),
        name=cluster.get("raft_group") or state.name,
        leader=state.leader,
        term=raft.get("term", 0),
        committed=raft.get("committed", 0),
        applied=raft.get("applied", 0),
        peers=tuple(_peers(cluster, state.leader)),
        first_sequence=state.first_sequence,
        last_sequence=state.last_sequence,
        messages=state.messages,
        bytes=state.bytes,
        mirror_lag=state.mirror_lag if state.is_mirror else None,
        mirror_silent_ms=state.mirror_silent_ms if state.is_mirror else None,
    )
