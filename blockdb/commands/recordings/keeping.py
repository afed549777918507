"""Keeping a recording: a new file that grows line by line, and can be read whenever whoever writes it is killed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

import blockdb
from blockdb.alerts import Alert

from .changes import notes_between
from .events import Alarms, Event
from .lanes import Moment, Sample
from .snapshots import packed, patch_of

if TYPE_CHECKING:
    from blockdb.statistics import Statistics

__all__ = [
    "FORMAT",
    "MOST_BYTES",
    "MOST_BYTES_PER_S",
    "VERSION",
    "Head",
    "Keeper",
    "LeftOut",
    "Metrics",
    "keep_cluster",
]

FORMAT: Final = "blockdb recording"
VERSION: Final = 2
MOST_BYTES: Final = 64 << 20
"""So long a recording becomes, and no longer."""
MOST_BYTES_PER_S: Final = 16 << 10
"""What comes faster than this, for long, is left out and counted."""
_BURST_BYTES: Final = 256 << 10
_SLOT_MS: Final = 250
"""Of samples of a kind, one in each quarter of a second is kept."""
_FIGURES: Final = frozenset(
    (
        "certificate_expiring",
        "damage",
        "disk_space",
        "error_rate",
        "no_leader",
        "node_unreachable",
        "put_latency",
        "replication_lag",
    )
)
"""The alerts whose words are figures and names of nodes. Those of others may name a key, and are not kept."""


class Head(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="line", tag="recording"):
    """The first line."""

    format: str
    version: int
    program: str = ""
    """The version of BlockDB that kept it."""
    of: str = ""
    """The directory, or the address of the server."""
    time_ms: Moment = 0


class Metrics(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="line", tag="metrics"):
    """A snapshot of a collection: whole where it is named, else what changed since the line of metrics before."""

    time_ms: Moment
    statistics: dict[str, Any]
    collection: str = ""


class LeftOut(msgspec.Struct, frozen=True, tag_field="line", tag="left_out"):
    """So many lines were not kept, because they came too fast."""

    time_ms: Moment
    lines: int


_encoder = msgspec.json.Encoder()


class Keeper:
    """Writes a recording. For one thread; whatever it is given, it never waits but for the disk."""

    def __init__(self, path: Path, of: str = "", time_ms: int = 0, *, is_bounded: bool = True) -> None:
        """Begins a new file that nobody else may read. Raises FileExistsError, OSError.

        Without `is_bounded` lines may come as fast as they like, and as many.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._file = open(os.open(path, flags, 0o600), "wb", buffering=0)  # noqa: SIM115
        self.path = path
        self.size_bytes = 0
        self.is_full = False
        """Whether no more is taken."""
        self._is_bounded = is_bounded
        self._allowed = float(_BURST_BYTES if is_bounded else MOST_BYTES)
        self._last_ms = time_ms
        self._left_out = 0
        self._slots: dict[type, int] = {}
        self._collection = ""
        self._plain: dict[str, Any] = {}
        self._statistics: Statistics | None = None
        self._alerts: tuple[Alert, ...] = ()
        self._write(Head(FORMAT, VERSION, blockdb.__version__, of, time_ms), time_ms)

    def take_statistics(self, time_ms: int, collection: str, statistics: Statistics) -> None:
        """A snapshot of a collection, and what the engine must have done since the last one. Raises OSError."""
        if not self._is_due(Metrics, time_ms):
            return
        plain = packed(statistics)
        is_same = collection == self._collection and statistics.collection_id == self._plain.get("collection_id")
        before = self._statistics if is_same else None
        for note in notes_between(time_ms, collection, before, statistics):
            self.take_event(note)
        change = patch_of(self._plain, plain) if is_same else plain
        if self._write(Metrics(time_ms, change, "" if is_same else collection), time_ms):
            self._plain, self._collection, self._statistics = plain, collection, statistics

    def take_sample(self, sample: Sample) -> None:
        """The lanes of a cluster. Raises OSError."""
        if self._is_due(Sample, sample.time_ms):
            self._write(sample, sample.time_ms)

    def take_event(self, event: Event) -> None:
        """Something that happened. Raises OSError."""
        self._write(event, event.time_ms)

    def take_alerts(self, time_ms: int, alerts: Sequence[Alert]) -> None:
        """All alerts that are on; they are written where they are others than before. Raises OSError."""
        told = tuple(map(_without_words, alerts))
        if told != self._alerts and self._write(Alarms(time_ms, told), time_ms):
            self._alerts = told

    def close(self) -> None:
        """Ends it. Idempotent. Raises OSError."""
        self._file.close()

    def _is_due(self, kind: type, time_ms: int) -> bool:
        slot = time_ms // _SLOT_MS
        is_new = not self._is_bounded or self._slots.get(kind) != slot
        self._slots[kind] = slot
        return is_new

    def _write(self, line: msgspec.Struct, time_ms: int) -> bool:
        """Says whether it was written."""
        if self.is_full:
            return False
        if self._is_bounded:
            earned = max(0, time_ms - self._last_ms) * MOST_BYTES_PER_S / 1000
            self._allowed = min(_BURST_BYTES, self._allowed + earned)
        self._last_ms = max(time_ms, self._last_ms)
        data = _encoder.encode(line) + b"\n"
        if self._left_out and len(data) <= self._allowed:
            data = _encoder.encode(LeftOut(max(time_ms, 0), self._left_out)) + b"\n" + data
        self.is_full = self.size_bytes + len(data) > MOST_BYTES
        if self.is_full or len(data) > self._allowed:
            self._left_out += 1
            return False
        self._left_out = 0
        self._allowed -= len(data)
        self.size_bytes += len(data)
        while data:
            data = data[self._file.write(data) :]
        return True


def _without_words(alert: Alert) -> Alert:
    if alert.name in _FIGURES:
        return alert
    return replace(alert, message="See blockdb alerts: its words are not recorded.")


def keep_cluster(path: Path, samples: Sequence[Sample], events: Sequence[Event]) -> int:
    """Keeps what was seen of a cluster in a new file, all at once, and gives its size in bytes.

    Raises FileExistsError, OSError.
    """
    keeper = Keeper(path, time_ms=samples[0].time_ms if samples else 0, is_bounded=False)
    try:
        for item in sorted([*samples, *events], key=attrgetter("time_ms")):
            if isinstance(item, Sample):
                keeper.take_sample(item)
            else:
                keeper.take_event(item)
    finally:
        keeper.close()
    return keeper.size_bytes
