"""Who holds which partition: a bucket of keys and values that all nodes share, changed by compare-and-set.

A bucket is a stream of NATS's own kind (`KV_<bucket>`), of which each key's newest message counts. Its keys here are
`roster.<partition>` and `note.<kind>.<partition>.<node>`; the values are MessagePack and begin with these names, which
are escaped in keys.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import count
from threading import Lock
from time import monotonic
from types import MappingProxyType
from typing import Any, Final

import msgspec
from nats import errors
from nats.js.api import ConsumerConfig, DeliverPolicy

from blockdb.cluster.jetstream.connection import Connection
from blockdb.cluster.jetstream.names import Names, escaped
from blockdb.cluster.jetstream.streams import WANTED
from blockdb.cluster.jetstream.troubles import IN_USE, NOT_FOUND, TOO_FEW_SERVERS, WRONG_REVISION, ApiError
from blockdb.errors import Unavailable
from blockdb.format.consensus import Members

__all__ = ["Rosters"]

LOOK_S: Final = 2.0
"""How often it is looked whether there is more than what was told."""
PAUSE_S: Final = 0.1
DELETED: Final = {"KV-Operation": "DEL"}

_log = logging.getLogger("blockdb.cluster.jetstream")


class _Roster(msgspec.Struct, frozen=True, array_like=True):
    partition: str
    members: Members


class _Note(msgspec.Struct, frozen=True, array_like=True):
    kind: str
    partition: str
    node: str
    value: int


_encoder: Final = msgspec.msgpack.Encoder()
_rosters: Final = msgspec.msgpack.Decoder(_Roster)
_notes: Final = msgspec.msgpack.Decoder(_Note)


class Rosters:
    """The rosters as this node knows them, and how they are changed. Safe for threads, not for the loop's own."""

    def __init__(self, connection: Connection, names: Names, replicas: int, timeout_s: float = 5.0) -> None:
        """Of a bucket that is made, if there is none, on so many servers (or on as many as there are)."""
        self._connection = connection
        self._stream = f"KV_{names.bucket}"
        self._start = f"$KV.{names.bucket}."
        self._replicas = replicas
        self._timeout_s = timeout_s
        self._lock = Lock()
        self._revisions: dict[str, int] = {}
        self._all: Mapping[str, Members] = MappingProxyType({})
        self._noted: dict[tuple[str, str], dict[str, int]] = {}
        self._seen = 0  # of what was told: what this node changed itself may be known before what others did
        self._listeners: dict[int, Callable[[], None]] = {}
        self._numbers = count()
        self._is_known: asyncio.Event | None = None
        self._following: asyncio.Task[None] | None = None

    def start(self, timeout_s: float) -> None:
        """Know all rosters when this returns, and be told of changes from then on. Raises Unavailable."""
        self._connection.wait(self._begin(timeout_s), timeout_s + 1)

    async def _begin(self, timeout_s: float) -> None:
        deadline = monotonic() + timeout_s
        while True:
            try:
                await self._make()
                break
            except (errors.Error, ApiError, TimeoutError):
                if monotonic() > deadline:
                    raise
                await asyncio.sleep(PAUSE_S)
        self._is_known = asyncio.Event()
        self._following = asyncio.get_running_loop().create_task(self._follow())
        try:
            await asyncio.wait_for(self._is_known.wait(), max(deadline - monotonic(), 1.0))
        except TimeoutError:
            raise Unavailable("The rosters of the cluster cannot be read from NATS. Try again.") from None

    async def _make(self) -> None:
        """Make the bucket."""
        config = self._config()
        while True:
            try:
                await self._connection.api(f"STREAM.CREATE.{self._stream}", config)
            except ApiError as error:
                if error.number in TOO_FEW_SERVERS and config["num_replicas"] != 1:
                    config["num_replicas"] -= 1
                    continue
                if error.number != IN_USE:
                    raise
            return

    def _config(self) -> dict[str, Any]:
        return {
            "name": self._stream,
            "subjects": [f"{self._start}>"],
            "max_msgs_per_subject": 1,
            "discard": "new",
            "storage": "file",
            "num_replicas": self._replicas,
            "allow_rollup_hdrs": True,
            "deny_delete": True,
            "allow_direct": True,
            "metadata": {WANTED: str(self._replicas)},
        }

    def all(self) -> Mapping[str, Members]:
        """All of them by their partitions, as far as this node knows. Cheap: it changes as a whole."""
        return self._all

    def change(self, partition: str, change: Callable[[Members | None], Members | None]) -> Members | None:
        """Change a roster to what `change` makes of it (None: there is none).

        It is called again where others were faster. Gives the roster that is in force then, and `all` has it when this
        returns. What `change` raises ends it. Raises Unavailable.
        """
        limit_s = 2 * self._timeout_s
        return self._connection.wait(self._change(partition, change, monotonic() + limit_s), limit_s + 1)

    async def _change(
        self, partition: str, change: Callable[[Members | None], Members | None], deadline: float
    ) -> Members | None:
        key = f"roster.{escaped(partition)}"
        while True:
            try:
                revision, old = await self._newest(key)
                new = change(old)
                if new != old:
                    value = _encoder.encode(_Roster(partition, new)) if new is not None else b""
                    self._take(key, await self._store(key, value, revision), value)
                return new
            except (errors.Error, ApiError, TimeoutError) as error:
                is_race = isinstance(error, ApiError) and error.number in WRONG_REVISION
                if not is_race and monotonic() > deadline:
                    raise
                await asyncio.sleep(0 if is_race else PAUSE_S)

    async def _newest(self, key: str) -> tuple[int, Members | None]:
        """The revision of a key and its roster, as the leader of the bucket has them."""
        try:
            found = await self._connection.api(f"STREAM.MSG.GET.{self._stream}", {"last_by_subj": self._start + key})
        except ApiError as error:
            if error.number not in NOT_FOUND:
                raise
            return 0, None
        value = base64.b64decode(found["message"].get("data", ""))
        revision = int(found["message"]["seq"])
        self._take(key, revision, value)
        return revision, _rosters.decode(value).members if value else None

    async def _store(self, key: str, value: bytes, revision: int | None = None) -> int:
        headers = dict(DELETED) if not value else {}
        if revision is not None:
            headers["Nats-Expected-Last-Subject-Sequence"] = str(revision)
        answer = await self._connection.client.request(
            self._start + key, value, timeout=self._timeout_s, headers=headers or None
        )
        found: dict[str, Any] = msgspec.json.decode(answer.data)
        if error := found.get("error"):
            raise ApiError(error.get("code", 0), error.get("err_code", 0), error.get("description", ""))
        return int(found["seq"])

    def watch(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Have `listener` told on the loop whenever `all` has changed; gives what ends that."""
        number = next(self._numbers)
        self._listeners[number] = listener

        def end() -> None:
            self._listeners.pop(number, None)

        return end

    def note(self, kind: str, partition: str, node: str, value: int) -> None:
        """Keep a number that a node tells all others about a partition: how far its disk is. Raises Unavailable."""
        self._connection.wait(self._note(_Note(kind, partition, node, value)), self._timeout_s + 1)

    async def _note(self, note: _Note) -> None:
        key = f"note.{note.kind}.{escaped(note.partition)}.{escaped(note.node)}"
        value = _encoder.encode(note)
        self._take(key, await self._store(key, value), value)

    def noted(self, kind: str, partition: str) -> Mapping[str, int]:
        """What nodes have noted about a partition, by their ids; as far as this node knows. Cheap."""
        with self._lock:
            return dict(self._noted.get((kind, partition), {}))

    def forget_notes(self, partition: str) -> None:
        """Remove what was noted about a partition. Raises Unavailable."""
        self._connection.wait(self._forget_notes(partition), self._timeout_s + 1)

    async def _forget_notes(self, partition: str) -> None:
        content = {"filter": f"{self._start}note.*.{escaped(partition)}.*"}
        await self._connection.api(f"STREAM.PURGE.{self._stream}", content)

    async def _follow(self) -> None:
        """Be told of all changes; begun anew where nothing is told though there is something."""
        while True:
            try:
                await self._read()
            except (errors.Error, ApiError, TimeoutError, OSError) as error:
                _log.debug("the rosters are read anew: %s", error)
            await asyncio.sleep(PAUSE_S)

    async def _read(self) -> None:
        streams, known = self._connection.streams, self._is_known
        assert known is not None
        last = await self._last()
        subscription = await streams.subscribe(
            f"{self._start}>",
            stream=self._stream,
            ordered_consumer=True,
            config=ConsumerConfig(deliver_policy=DeliverPolicy.LAST_PER_SUBJECT),
        )
        try:
            while True:
                if self._seen >= last and not known.is_set():
                    known.set()
                try:
                    message = await subscription.next_msg(LOOK_S)
                except TimeoutError:
                    if await self._last() > self._seen:
                        return
                    continue
                key = message.subject.removeprefix(self._start)
                self._seen = message.metadata.sequence.stream
                self._take(key, self._seen, message.data)
        finally:
            with suppress(errors.Error):
                await subscription.unsubscribe()

    async def _last(self) -> int:
        found = await self._connection.api(f"STREAM.INFO.{self._stream}")
        return int(found["state"]["last_seq"])

    def _take(self, key: str, revision: int, value: bytes) -> None:
        """Take what a key is now, unless something newer is known already."""
        with self._lock:
            if revision <= self._revisions.get(key, 0):
                return
            self._revisions[key] = revision
            if not key.startswith("roster."):
                self._take_note(value)
                return
            self._all = self._with_roster(key, value)
        self.tell()

    def tell(self) -> None:
        """Tell all who watch that something has changed."""
        for listener in list(self._listeners.values()):
            try:
                listener()
            except Exception:
                _log.exception("a listener to rosters failed")

    def _with_roster(self, key: str, value: bytes) -> Mapping[str, Members]:
        if value:
            roster = _rosters.decode(value)
            return MappingProxyType({**self._all, roster.partition: roster.members})
        gone = {partition for partition in self._all if key == f"roster.{escaped(partition)}"}
        for kind in [each for each in self._noted if each[1] in gone]:
            del self._noted[kind]
        return MappingProxyType({each: members for each, members in self._all.items() if each not in gone})

    def _take_note(self, value: bytes) -> None:
        if value:
            note = _notes.decode(value)
            self._noted.setdefault((note.kind, note.partition), {})[note.node] = note.value

    def close(self) -> None:
        """Be told of nothing more. Idempotent."""
        following, self._following = self._following, None
        if following is not None:
            with suppress(RuntimeError):
                self._connection.loop.call_soon_threadsafe(following.cancel)
