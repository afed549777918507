"""Following one write, from the moment that it is accepted to its proof and its anchors, with the time of each stage.

A database that is open for writing here tells exactly when a stage is reached. Of any other, what it shows is looked at
again and again: such a time is when the stage was first seen, and it says within how many milliseconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from blockdb.errors import BlockDBError, KeyNotFound

from .display import human_count, human_time
from .trust import FAILED, PROVEN, Prover, Trust

if TYPE_CHECKING:
    from blockdb import AnyCollection, AnyDatabase, Record
    from blockdb.nodes import ClusterState

__all__ = ["ALREADY", "Following", "Stage", "Traced"]

LOOK_S = 0.005
"""So often it is looked; a server is asked ten times less often."""
SERVED_LOOK_S = 0.05
ANCHOR_LOOK_S = 0.5
APPLIED_S = 5.0
"""A node that has not applied it after so long is not waited for: the record goes on all the same."""
TRACED = (
    ("accepted", "begun_ns", "the write has the lock: it is the next one"),
    ("logged", "logged_ns", "handed to the system: it survives a killed process"),
    ("forced", "forced_ns", "on the disk: it survives a power cut"),
    ("sealed", "sealed_ns", "its seal, signed, is that of block"),
)
ALREADY, NOW = "before", "now"


class Traced(Protocol):
    """What a database that is open for writing here tells of a write: see `blockdb.Collection.trace`."""

    sequence: int
    key: bytes
    block: int
    asked_ns: int
    begun_ns: int
    logged_ns: int
    forced_ns: int
    sealed_ns: int

    def end(self) -> None:
        """Nothing more is wanted."""


@dataclass(frozen=True)
class Stage:
    """A stage that a write has reached. Nothing in it is safe to show yet.

    `ms` counts from when it was accepted, or first seen where that is not known; None: it was reached before anybody
    followed it. `within_ms` is how exactly an observed time is known; None: it is exact.
    """

    name: str
    words: str
    ms: float | None = None
    within_ms: float | None = None
    trust: Trust | None = None
    is_now: bool = False
    """Whether it was reached only because somebody asked."""

    @property
    def when(self) -> str:
        """The time as a person reads it: `+1.24 ms`, or `+52.0 ms (seen, within 5.1 ms)`."""
        if self.ms is None:
            return NOW if self.is_now else ALREADY
        exact = f"+{self.ms:.3f} ms" if self.ms < 10 else f"+{self.ms:,.1f} ms"
        return exact if self.within_ms is None else f"{exact} (seen, within {self.within_ms:,.1f} ms)"


class Following:
    """One write on its way. `stages` gives each stage as it is reached; it waits, so call it off an event loop."""

    def __init__(
        self,
        database: AnyDatabase,
        collection: AnyCollection,
        *,
        key: bytes | None = None,
        trace: Traced | None = None,
        took_ms: float | None = None,
        waits: bool = True,
        clock: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Follow the record of `key`; without it, the next write. `trace` is what tells of it, if it was asked for.

        `took_ms` is how long whoever wrote it waited for the answer, where that is known.

        What has not happened yet is waited for, unless `waits` is false.
        """
        self.database, self.collection = database, collection
        self.key = key
        self.record: Record | None = None
        self.sequence = -1
        self._clock, self._sleep, self._waits = clock, sleep, waits
        self._look_s = LOOK_S if hasattr(collection, "trace") else SERVED_LOOK_S
        self._trace = trace
        self._took_ms = took_ms
        self._start_s: float | None = None
        self._looked_s = clock()
        self._within_s = self._look_s
        self._given_up = False

    def stop(self) -> None:
        """Ends the following; from any thread."""
        self._given_up = True
        if self._trace is not None:
            self._trace.end()

    def stages(self, timeout_s: float) -> Iterator[Stage | None]:
        """The stages in the order in which they are reached; None where nothing has come for a while.

        It ends after the last one, after `timeout_s` without a new one, and with `stop`. Raises BlockDBError: for a
        key that is not stored KeyNotFound, and Unavailable where a server goes away.
        """
        try:
            for stages in (self._written, self._decided, self._sealed, self._proven, self._anchored):
                since_s = self._clock()
                for stage in stages():
                    now_s = self._clock()
                    since_s = since_s if stage is None else now_s
                    if stage is not None or self._waits:
                        yield stage
                    if self._given_up or now_s - since_s > timeout_s:
                        return
        finally:
            if self._waits:
                self.stop()

    # ── looking ──

    def _until(self, reached: Callable[[], bool]) -> Iterator[None]:
        """Looks again and again until something is reached; at once where nothing is waited for."""
        while not reached() and self._waits and not self._given_up:
            self._sleep(self._look_s)
            now_s = self._clock()
            self._within_s, self._looked_s = now_s - self._looked_s, now_s
            yield None

    def _seen(self, name: str, words: str) -> Stage:
        """A stage that was seen at this look."""
        if self._start_s is None or not self._waits:
            return Stage(name, words)
        return Stage(name, words, (self._clock() - self._start_s) * 1e3, self._within_s * 1e3)

    # ── until it is stored ──

    def _written(self) -> Iterator[Stage | None]:
        if self._trace is None and self.key is None and not self.collection.read_only:
            ask: Any = getattr(self.collection, "trace", None)
            self._trace = None if ask is None else ask()
        if self._trace is not None:
            yield from self._traced(self._trace)
        elif self.key is not None:
            record = self._take(self.key)
            if self._took_ms is not None:
                if self.collection.stats().wal_sync_interval_ms == 0:
                    yield Stage("forced", "before it was answered: each write is, as the database is set")
                yield Stage("answered", "whoever wrote it was told so", self._took_ms)
            yield Stage("stored", f"record {human_count(record.sequence)}, at {human_time(record.time_ms)}")
        else:
            yield from self._next()

    def _traced(self, trace: Traced) -> Iterator[Stage | None]:
        """What the writer notes, in the order in which it comes about: sealing need not wait for the disk."""
        yield from self._until(lambda: trace.sequence >= 0)
        if trace.sequence < 0:
            return
        self._start_s, self.key, self.sequence = trace.begun_ns / 1e9, trace.key, trace.sequence
        waiting = {name: (field, words) for name, field, words in TRACED}
        while waiting:
            for name, (field, words) in list(waiting.items()):
                if at_ns := getattr(trace, field):
                    del waiting[name]
                    more = f"{words} {human_count(trace.block)}" if name == "sealed" else words
                    yield Stage(name, more, (at_ns - trace.begun_ns) / 1e6)
            if not waiting or not self._waits or self._given_up:
                break
            yield from self._until(lambda: any(getattr(trace, field) for field, _ in waiting.values()))
        self._take(trace.key)

    def _next(self) -> Iterator[Stage | None]:
        """The next record that is seen, whoever wrote it."""
        before = self.collection.next_sequence
        yield from self._until(lambda: self.collection.next_sequence > before)
        for found in self.collection.records(before, 1):
            self.key, self._start_s = found.key, self._looked_s
            record = self._take(found.key)
            words = f"record {human_count(record.sequence)}, at {human_time(record.time_ms)}"
            yield Stage("stored", words, 0.0, self._within_s * 1e3)

    def _take(self, key: bytes) -> Record:
        self.record = record = self.collection.record(key)
        if record is None:
            raise KeyNotFound(key)
        self.sequence = record.sequence
        return record

    # ── after that ──

    def _decided(self) -> Iterator[Stage | None]:
        """Of a cluster: which nodes have it. What one of them has answered is decided, and applied there."""
        cluster: Any = getattr(self.database, "cluster", None)
        if cluster is None or self._start_s is None:
            return
        try:
            state: ClusterState = cluster.state()
        except BlockDBError:  # whoever asks may not know; the record is followed all the same
            return
        if state.engine != "raft":
            return
        entry, here = state.applied, state.node_id
        voters = {member.id for member in state.members if member.role == "voter"}
        on_disk = sorted({member.id for member in state.members if member.match >= entry} | {here})
        where = ", ".join(on_disk) if state.leader == here else "a majority, as it is committed"
        yield self._seen("replicated", f"on the disk of {where}; there are {len(voters)} voters")
        yield self._seen("committed", f"by entry {human_count(entry)}, in term {human_count(state.term)}")
        told: set[str] = set()
        until_s = self._clock() + APPLIED_S
        while self._clock() < until_s:
            waiting = {member.id for member in state.members if member.is_active} - told
            for name in sorted(waiting & _applied(state, entry)):
                told.add(name)
                yield self._seen("applied", f"on {name}")
            if waiting <= told or not self._waits:
                break
            self._sleep(self._look_s)
            state = cluster.state()
            yield None

    def _sealed(self) -> Iterator[Stage | None]:
        if self.key is None:
            return
        if not self._is_sealed():
            yield from self._until(self._is_sealed)
        record = self._take(self.key)
        if record.block is None:
            yield Stage("open", "its block is open: it is sealed once that is full")
        elif self._trace is None or not self._trace.sealed_ns:
            yield self._seen("sealed", f"its seal, signed, is that of block {human_count(record.block)}")

    def _is_sealed(self) -> bool:
        statistics = self.collection.stats()
        if statistics.partitions > 1:
            return self._take(self.key or b"").block is not None
        return statistics.records - statistics.open_block_records > self.sequence

    def _proven(self) -> Iterator[Stage | None]:
        """The receipt, for which a checkpoint is signed where none covers the record yet."""
        record = self.record
        if record is None or (record.block is None and self._waits):
            return
        begun_s = self._clock()
        trust = Prover(self.database).trust(self.collection, record, asked=True)
        took_ms = (self._clock() - begun_s) * 1e3
        self._given_up = trust.degree is not PROVEN
        words = f"against the checkpoint of {trust.height}: {trust.words}" if trust.height else trust.words
        name = {PROVEN: "proven", FAILED: "failed"}.get(trust.degree, "not proven")
        after_ms = None if self._start_s is None or not self._waits else (self._clock() - self._start_s) * 1e3
        yield Stage(name, f"{words}, in {took_ms:.1f} ms", after_ms, trust=trust, is_now=True)

    def _anchored(self) -> Iterator[Stage | None]:
        """Which anchors have a checkpoint that covers it. A server does not tell."""
        ask: Any = getattr(self.database, "anchored", None)
        wanted = {anchor.where for anchor in self.database.anchors()} if ask is not None else set()
        told: set[str] = set()
        while told < wanted:
            for where in ask(self.sequence, self.collection.id):
                if where not in told:
                    told.add(where)
                    yield self._seen("anchored", f"a checkpoint that covers it is kept by {where}")
            if told >= wanted or not self._waits or self._given_up:
                return
            self._sleep(ANCHOR_LOOK_S)
            yield None


def _applied(state: ClusterState, entry: int) -> set[str]:
    """The nodes that have an entry in their database, as the node knows that answers."""
    others = {member.id for member in state.members if member.applied >= entry}
    return others | ({state.node_id} if state.applied >= entry else set())
