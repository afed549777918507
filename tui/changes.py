"""Changes as they come: the newest of them in memory, so many and no more, read by a thread of their own.

A change stream reads the chain and keeps no queue. So while nobody looks nothing is read, and who comes back after a
long time begins near the end; how many were passed over is counted.
"""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import blockdb

from .contact import OUT_OF_TOUCH
from .listing import PREVIEW_BYTES, REDACTED

if TYPE_CHECKING:
    from blockdb import AnyCollection, AnyFeed, Change

__all__ = ["KEPT_CHANGES", "Changed", "Newest", "Stream"]

KEPT_CHANGES = 2_000
BACKLOG = 200
BURST = 500
IDLE_S = 0.1
BREATH_S = 0.005
AGAIN_S = 1.0


@dataclass(frozen=True)
class Changed:
    """What is kept of a change: the key, the beginning of the value, and its place in the chain.

    `number` counts what came, from 0. `leaf` is the leaf hash, `index` the place in the block.
    """

    number: int
    collection: str
    key: bytes
    preview: bytes
    size: int
    trouble: str
    sequence: int
    block: int
    index: int
    leaf: bytes
    time_ms: int


class Stream:
    """The newest changes of some collections. `stop` may be called from any thread, and waits for nothing."""

    def __init__(
        self, collections: Mapping[str, AnyCollection], then: Mapping[str, tuple[int, ...]] | None = None
    ) -> None:
        """With `then`, how many records each partition of each collection had at a moment, no more than those."""
        self.passed_over = 0
        """How many changes were not shown, because too many had come while nobody looked."""
        self.came = 0
        self.trouble: Exception | None = None
        """What ended the stream, if anything did."""
        self._collections = collections
        self._then = then
        self._ended: defaultdict[str, set[int]] = defaultdict(set)
        self._kept: deque[Changed] = deque(maxlen=KEPT_CHANGES)
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._looked_at = threading.Event()
        self._thread = threading.Thread(target=self._run, name="explorer-changes", daemon=True)

    def start(self) -> None:
        """Begins to read, with the newest that are there already."""
        self._looked_at.set()
        self._thread.start()

    def look(self, looking: bool) -> None:
        """Reads on, or lets the stream be for as long as nobody looks at it."""
        self._looked_at.set() if looking else self._looked_at.clear()

    def stop(self) -> None:
        """Ends the stream."""
        self._stopped.set()
        self._looked_at.set()

    def newest(self) -> tuple[int, Sequence[Changed]]:
        """How many came, and those that are kept, the newest first."""
        with self._lock:
            return self.came, tuple(reversed(self._kept))

    # ── the thread ──

    def _run(self) -> None:
        try:
            positions: dict[str, int | str] = dict.fromkeys(self._collections, -1)
            while not self._stopped.is_set():
                self._looked_at.wait()
                try:
                    self._follow(positions)
                except OUT_OF_TOUCH:  # the server is not there; what comes meanwhile is in its chain
                    self._stopped.wait(AGAIN_S)
        except (blockdb.BlockDBError, OSError) as error:
            self.trouble = error

    def _follow(self, positions: dict[str, int | str]) -> None:
        """Reads for as long as somebody looks; `positions` are the last records that were read, by collection."""
        feeds: dict[str, AnyFeed] = {}
        try:
            while self._looked_at.is_set() and not self._stopped.is_set():
                taken = sum(self._taken(name, feeds, positions) for name in list(positions))
                self._stopped.wait(BREATH_S if taken else IDLE_S)
        finally:
            for feed in feeds.values():
                feed.stop()  # a server keeps a connection for each

    def _taken(self, name: str, feeds: dict[str, AnyFeed], positions: dict[str, int | str]) -> int:
        """Reads what has come of one collection; one of several that breaks is left out from then on."""
        try:
            return self._read(name, feeds, positions)
        except OUT_OF_TOUCH:
            raise
        except blockdb.BlockDBError:
            if len(positions) == 1:
                raise
            del positions[name]  # it was dropped, or it broke: the others are followed all the same
            return 0

    def _read(self, name: str, feeds: dict[str, AnyFeed], positions: dict[str, int | str]) -> int:
        """Takes what has come of one collection, up to so many. Returns how many."""
        if name not in feeds:
            feeds[name] = self._feed(name, positions[name])
        feed, taken = feeds[name], 0
        while taken < BURST and (change := feed.take(0)) is not None:
            if self._was_there(name, change):
                self._keep(name, change)
            elif self._is_past_all(name, change):
                del positions[name]
                return taken
            taken += 1
        positions[name] = feed.position
        return taken

    def _feed(self, name: str, position: int | str) -> AnyFeed:
        """The stream of one collection from a record on; from near its end, where too much has come since."""
        collection = self._collections[name]
        if isinstance(position, str):
            return collection.watch(after=position)
        counts = collection.record_counts() if self._then is None else self._then[name]
        backlog = BACKLOG if self._then is None else KEPT_CHANGES // len(self._collections)
        begins = [max(position, count - backlog // len(counts) - 1, -1) for count in counts]
        if position >= 0:
            self.passed_over += sum(begins) - position
        return collection.watch(after=begins[0] if len(begins) == 1 else ".".join(map(str, begins)))

    def _was_there(self, name: str, change: Change) -> bool:
        """Whether a change had come at the moment that is looked at."""
        if self._then is None:
            return True
        own, partition = divmod(change.sequence, len(self._then[name]))
        return own < self._then[name][partition]

    def _is_past_all(self, name: str, change: Change) -> bool:
        """Whether a change that came later is the first such one of the last partition: all had come by then."""
        assert self._then is not None
        several = len(self._then[name])
        self._ended[name].add(change.sequence % several)
        return len(self._ended[name]) == several

    def _keep(self, name: str, change: Change) -> None:
        record = change.record
        changed = Changed(
            number=self.came,
            collection=name,
            key=record.key,
            preview=record.value[:PREVIEW_BYTES],
            size=len(record.value),
            trouble=REDACTED if record.redacted else "",
            sequence=record.sequence,
            block=change.block,
            index=change.index,
            leaf=change.leaf,
            time_ms=record.time_ms,
        )
        with self._lock:
            self._kept.append(changed)
            self.came += 1


class Newest:
    """The changes that are kept, the newest first, as a table lists them."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._came = 0
        self._rows: Sequence[Changed] = ()

    def count(self) -> int:
        self._came, self._rows = self._stream.newest()
        return len(self._rows)

    def fetch(self, first: int, limit: int, count: int) -> Sequence[Changed]:
        return self._rows[first : first + limit]

    def locate(self, row: Changed, count: int) -> int:
        return self._came - 1 - row.number
