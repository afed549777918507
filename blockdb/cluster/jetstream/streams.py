"""The streams of partitions: made, changed, looked at, trimmed and removed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final, TypeVar

from nats import errors

from blockdb.cluster.jetstream.connection import Connection
from blockdb.cluster.jetstream.names import Names
from blockdb.cluster.jetstream.settings import MOST_REPLICAS
from blockdb.cluster.jetstream.troubles import IN_USE, NOT_FOUND, TOO_FEW_SERVERS, ApiError
from blockdb.errors import ConfigError, InvalidData

__all__ = ["PARTITION", "WANTED", "StreamState", "Streams", "state_of"]

LEAST_VERSION: Final = (2, 10)
DUPLICATES_S: Final = 120
"""How long a message of the same id is not taken a second time."""
PAUSE_S: Final = 0.1
WANTED: Final = "blockdb.replicas"
"""In a stream's metadata: on how many servers it should be, if there were as many."""
PARTITION: Final = "blockdb.partition"
"""There too: whose it is."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StreamState:
    """A stream, as its leader knows it."""

    name: str
    """What NATS calls it."""
    first_sequence: int
    last_sequence: int
    """0: nothing was ever in it."""
    messages: int
    bytes: int
    replicas: int
    """On how many servers it is to be."""
    wanted: int
    """On how many it should be, if there were as many."""
    leader: str
    """The name of the server that leads it, which is a node's id where nodes start theirs; empty: none known."""
    followers: tuple[tuple[str, bool, int], ...]
    """Name, whether it is current, and how many operations it is behind, of each other server of the stream."""
    is_mirror: bool = False
    mirror_lag: int = 0
    """How many messages a mirror is behind its source, as far as it knows; 0 otherwise."""
    mirror_silent_ms: int = 0
    """How long ago a mirror heard of its source."""


class Streams:
    """Of one cluster. Safe for threads, not for the loop's own: there, take the coroutines.

    All raise Unavailable where NATS does not answer in time, or has no leader for it.
    """

    def __init__(self, connection: Connection, names: Names, timeout_s: float = 5.0) -> None:
        """Each of its methods may take `timeout_s`."""
        self._connection = connection
        self._names = names
        self._timeout_s = timeout_s

    def _wait(self, work: Callable[[], Awaitable[T]], timeout_s: float | None = None) -> T:
        limit_s = timeout_s or self._timeout_s
        return self._connection.wait(_patiently(work, limit_s), limit_s + 1)

    def check_version(self) -> None:
        """Raises ConfigError where the server is older than what is needed (2.10), or has no JetStream."""
        version = self._connection.client.connected_server_version
        if (version.major, version.minor) < LEAST_VERSION:
            least = ".".join(map(str, LEAST_VERSION))
            raise ConfigError(f"The NATS server is {version.major}.{version.minor}: BlockDB needs {least} or newer.")
        if not self._connection.has_jetstream:
            raise ConfigError("The NATS server has no JetStream for this user: enable it (`jetstream {}`, `-js`).")

    def create(self, partition: str, replicas: int) -> StreamState:
        """Make the stream of a partition, unless there is one: on so many servers, or on as many as there are."""
        wanted = max(1, min(replicas, MOST_REPLICAS))
        return self._wait(lambda: self._create(self._config(partition, wanted)))

    def _config(self, partition: str, wanted: int) -> dict[str, Any]:
        return {
            "name": self._names.stream(partition),
            "subjects": [self._names.subject("log", partition)],
            "retention": "limits",
            "storage": "file",
            "discard": "new",
            "max_consumers": -1,
            "max_msgs": -1,
            "max_bytes": -1,
            "num_replicas": wanted,
            "duplicate_window": DUPLICATES_S * 1_000_000_000,
            "deny_delete": True,
            "allow_direct": True,
            "metadata": {WANTED: str(wanted), PARTITION: partition},
        }

    async def _create(self, config: dict[str, Any]) -> StreamState:
        name = config["name"]
        while True:
            try:
                return state_of(await self._connection.api(f"STREAM.CREATE.{name}", config))
            except ApiError as error:
                if error.number == IN_USE:
                    return state_of(await self._connection.api(f"STREAM.INFO.{name}"))
                if error.number not in TOO_FEW_SERVERS or config["num_replicas"] == 1:
                    raise
                config = {**config, "num_replicas": config["num_replicas"] - 1}

    async def mirror(self, partition: str) -> None:
        """On the loop: have a mirror of the cluster's stream of a partition, without what was trimmed there."""
        config = self._config(partition, 1)
        await self._create(mirror_of(config, self._names.domain))
        source = await self._connection.api(f"STREAM.INFO.{config['name']}", domain=self._names.domain)
        first = source["state"]["first_seq"]
        if first > 1:
            await self._unless_gone(f"STREAM.PURGE.{config['name']}", {"seq": first})

    async def unmirror(self, partition: str) -> None:
        """On the loop: remove the mirror of a stream that is gone."""
        await self._unless_gone(f"STREAM.DELETE.{self._names.stream(partition)}")

    def set_replicas(self, partition: str, replicas: int) -> StreamState:
        """Have a stream kept on so many servers, or on as many as there are. Raises InvalidData."""
        if not 1 <= replicas <= MOST_REPLICAS:
            raise InvalidData(f"A stream is kept on 1 to {MOST_REPLICAS} servers, not on {replicas}.")
        return self._wait(lambda: self.resize(self._names.stream(partition), replicas))

    async def resize(self, name: str, wanted: int) -> StreamState:
        """On the loop: `set_replicas`, by the name of the stream."""
        found = await self._connection.api(f"STREAM.INFO.{name}")
        metadata = {**(found["config"].get("metadata") or {}), WANTED: str(wanted)}
        for replicas in range(wanted, 0, -1):
            config = {**found["config"], "num_replicas": replicas, "metadata": metadata}
            if config == found["config"]:
                break
            try:
                return state_of(await self._connection.api(f"STREAM.UPDATE.{name}", config))
            except ApiError as error:
                if error.number not in TOO_FEW_SERVERS:
                    raise
        return state_of(found)

    def remove(self, partition: str) -> None:
        """Remove a stream with all that is in it. Nothing where there is none."""
        self._wait(lambda: self._unless_gone(f"STREAM.DELETE.{self._names.stream(partition)}"))

    async def _unless_gone(self, call: str, content: object = None) -> dict[str, Any] | None:
        try:
            return await self._connection.api(call, content)
        except ApiError as error:
            if error.number not in NOT_FOUND:
                raise
            return None

    def state(self, partition: str, timeout_s: float | None = None) -> StreamState | None:
        """What its leader says of it; None where there is none. Not linearizable: a leader that was may answer."""
        return self._wait(lambda: self.look(partition), timeout_s)

    async def look(self, partition: str) -> StreamState | None:
        """On the loop: `state`."""
        found = await self._unless_gone(f"STREAM.INFO.{self._names.stream(partition)}")
        return state_of(found) if found is not None else None

    async def all(self) -> list[dict[str, Any]]:
        """On the loop: what JetStream says of all streams of this cluster, the bucket of rosters among them."""
        found: list[dict[str, Any]] = []
        while True:
            page = await self._connection.api("STREAM.LIST", {"offset": len(found)})
            found += page.get("streams") or []
            if len(found) >= page.get("total", 0) or not page.get("streams"):
                break
        return [each for each in found if self._names.is_ours(each["config"]["name"])]

    def trim(self, partition: str, sequence: int) -> None:
        """Remove the messages before that one."""
        call = f"STREAM.PURGE.{self._names.stream(partition)}"
        self._wait(lambda: self._unless_gone(call, {"seq": sequence}))

    def step_down(self, partition: str, preferred: str = "") -> None:
        """Have another server lead a stream, that one if it is given and follows. Raises InvalidData."""
        state = self.state(partition)
        followers = [name for name, _, _ in state.followers] if state else []
        if preferred and preferred not in followers:
            raise InvalidData(f"{preferred} cannot lead {partition}: the stream follows on {', '.join(followers)}.")
        content = {"placement": {"preferred": preferred}} if preferred else None
        name = self._names.stream(partition)
        self._wait(lambda: self._connection.api(f"STREAM.LEADER.STEPDOWN.{name}", content))


async def _patiently(work: Callable[[], Awaitable[T]], timeout_s: float) -> T:
    """What it gives, tried again while servers have no leader or cannot be reached."""
    deadline = monotonic() + timeout_s
    while True:
        try:
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + deadline - monotonic()):
                return await work()
        except (errors.Error, ApiError, OSError) as error:
            if not _may_pass(error) or monotonic() + PAUSE_S > deadline:
                raise
        await asyncio.sleep(PAUSE_S)


def _may_pass(error: Exception) -> bool:
    return error.code >= 500 if isinstance(error, ApiError) else not isinstance(error, errors.MaxPayloadError)


def mirror_of(config: dict[str, Any], domain: str) -> dict[str, Any]:
    """The configuration of a mirror of that stream of a cluster."""
    own = {key: value for key, value in config.items() if key not in ("subjects", "duplicate_window")}
    source = {"name": config["name"], "external": {"api": f"$JS.{domain}.API", "deliver": ""}}
    return {**own, "num_replicas": 1, "mirror": source}


def state_of(found: dict[str, Any]) -> StreamState:
    """What JetStream says of a stream, as far as it matters here."""
    config, state, cluster = found["config"], found["state"], found.get("cluster") or {}
    mirror = found.get("mirror")
    return StreamState(
        name=config["name"],
        first_sequence=state["first_seq"],
        last_sequence=state["last_seq"],
        messages=state["messages"],
        bytes=state["bytes"],
        replicas=config["num_replicas"],
        wanted=int((config.get("metadata") or {}).get(WANTED, config["num_replicas"])),
        leader=cluster.get("leader", ""),
        followers=tuple(
            (peer["name"], bool(peer.get("current")), peer.get("lag", 0)) for peer in cluster.get("replicas") or ()
        ),
        is_mirror="mirror" in config,
        mirror_lag=mirror.get("lag", 0) if mirror else 0,
        mirror_silent_ms=max(mirror.get("active", 0), 0) // 1_000_000 if mirror else 0,
    )
