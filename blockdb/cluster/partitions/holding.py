"""What this node holds: partitions are opened when their roster names it, closed and removed when it does not any more.

Rosters are watched. What has to be done about a partition is done by a few threads, one of them at a time for each, so
that one which fails, or takes long, holds up nobody else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Event, RLock, Thread
from time import monotonic
from typing import Any, Final

import msgspec

from blockdb.cluster.partitions.engine import ROOT, Engine
from blockdb.cluster.partitions.partition import Partition, Stage
from blockdb.cluster.partitions.registry import Registry, collection_of
from blockdb.config import DatabaseConfig
from blockdb.errors import BlockDBError, Unavailable
from blockdb.format.consensus import Role
from blockdb.layout import DROPPED_SUFFIX, DatabaseFiles
from blockdb.masterkey import MasterKeySource
from blockdb.storage.commons import Means
from blockdb.storage.door import Door

__all__ = ["Holdings", "Question"]

LOOK_S: Final = 0.05
"""So often it is looked after partitions that are on their way."""
CHECK_S: Final = 1.0
"""So often it is looked whether one has stopped, where nothing else is to be done."""
THREADS: Final = 4

Question = Callable[[Partition, list[Any]], bytes]
"""Answers what is asked of a partition: what comes behind the kind of a question. What it raises is nobody's."""


class Holdings:
    """The partitions of this node, but for root. Safe for threads."""

    def __init__(
        self,
        engine: Engine,
        config: DatabaseConfig,
        registry: Registry,
        source: MasterKeySource | None = None,
        patience_s: float = 30.0,
    ) -> None:
        """The engine was started; root has a database."""
        self.engine = engine
        self.questions: dict[str, Question] = {}
        """What partitions answer, by the kind of the question; filled before `start`."""
        self.on_serving: Callable[[Partition], None] = lambda partition: None
        """Told of each partition that serves from now on, on the thread that opened it."""
        self._config, self._registry, self._source, self._patience_s = config, registry, source, patience_s
        self._means = Means(config)
        self._lock = RLock()  # a task may have ended before it is known to have begun
        self._partitions: dict[str, Partition] = {}
        self._busy: dict[str, Future[None]] = {}
        self._answering: dict[str, Callable[[], None]] = {}
        self._wake = Event()
        self._is_over = False
        self._pool = ThreadPoolExecutor(THREADS, "blockdb-partition")
        self._thread = Thread(target=self._run, name="blockdb-partitions", daemon=True)
        self._end_watch: Callable[[], None] = lambda: None

    # What there is.

    def get(self, name: str) -> Partition | None:
        """A partition that can be asked here: it serves, and this node is no learner, which may be far behind."""
        found = self._partitions.get(name)
        if found is None or not found.serves:
            return None
        roster = self.engine.rosters().get(name)
        member = None if roster is None else roster.get(self.engine.own.id)
        return found if member is not None and member.role is not Role.LEARNER else None

    def find(self, name: str) -> Partition | None:
        """A partition of this node, whatever its state."""
        return self._partitions.get(name)

    def all(self) -> list[Partition]:
        """All of them, in the order of their names."""
        with self._lock:
            return [self._partitions[name] for name in sorted(self._partitions)]

    def wait(self, timeout_s: float) -> bool:
        """Wait until each partition serves or has failed; whether that is so."""
        deadline, pause = monotonic() + timeout_s, Event()
        while not self._is_settled():
            if monotonic() >= deadline:
                return False
            pause.wait(LOOK_S / 5)
        return True

    def _is_settled(self) -> bool:
        found = [self._partitions.get(name) for name in self._wanted()]
        return all(each is not None and each.stage in (Stage.SERVING, Stage.FAILED) for each in found)

    def _wanted(self) -> set[str]:
        own = self.engine.own.id
        return {name for name, members in self.engine.rosters().items() if name != ROOT and own in members}

    # Watching.

    def start(self) -> None:
        """Begin to hold what the rosters say; what an earlier process has left is looked through."""
        self._end_watch = self.engine.watch(self._wake.set)
        for name in _left_behind(DatabaseFiles(Path(self._config.data_dir)).partitions):
            self._partitions[name] = self._made(name)
        self._wake.set()
        self._thread.start()

    def _made(self, name: str) -> Partition:
        return Partition(name, self.engine, self._config, self._registry, self._source, self._patience_s, self._means)

    def _run(self) -> None:
        while not self._is_over:
            self._wake.clear()
            with suppress(BlockDBError):  # it is looked again
                self._look()
            self._wake.wait(LOOK_S if self._is_waiting() else CHECK_S)

    def _is_waiting(self) -> bool:
        return any(not each.serves for each in list(self._partitions.values()))

    def _look(self) -> None:
        wanted = self._wanted()
        with self._lock:
            for name in wanted - self._partitions.keys():
                self._partitions[name] = self._made(name)
            for name, partition in self._partitions.items():
                if name in self._busy or self._is_over:
                    continue
                if name not in wanted and (partition.stage is not Stage.CLOSED or partition.is_due):
                    self._do(name, self._let_go)
                elif name in wanted and partition.is_due:
                    self._do(name, self._advance)

    def _do(self, name: str, act: Callable[[Partition], None]) -> None:
        future = self._busy[name] = self._pool.submit(act, self._partitions[name])
        future.add_done_callback(lambda _: self._done(name))

    def _done(self, name: str) -> None:
        with self._lock:
            self._busy.pop(name, None)
        if not self._is_over and (found := self._partitions.get(name)) is not None and found.serves:
            self._wake.set()

    def _advance(self, partition: Partition) -> None:
        partition.advance()
        if partition.serves and partition.name not in self._answering:
            self._answering[partition.name] = self.engine.answer(
                partition.name, lambda asked: self._answer(partition, asked)
            )
            self.on_serving(partition)
        elif not partition.serves:
            self._end_answering(partition)

    def _answer(self, partition: Partition, asked: bytes) -> bytes:
        kind, *rest = msgspec.msgpack.decode(asked)
        if not partition.serves:
            raise Unavailable(f"This node does not serve {partition.name} just now.")
        return self.questions[kind](partition, rest)

    def _end_answering(self, partition: Partition) -> None:
        self._answering.pop(partition.name, lambda: None)()

    def _let_go(self, partition: Partition) -> None:
        """Remove what other nodes hold now, or what nobody is to hold any more, once that is certain.

        A partition that has no roster though its collection is there is kept: rosters must not take data along.
        """
        with suppress(BlockDBError):
            if partition.name in self._wanted():
                return
            if partition.name not in self.engine.rosters():
                self._end_answering(partition)
                partition.close()
                partition.put_off()
                if not self._registry.is_gone(partition.collection_id):
                    return
            self._end_answering(partition)
            partition.remove()
            with self._lock:
                del self._partitions[partition.name]

    # The end.

    def close(self) -> None:
        """Close all partitions: what was applied is on the disk then. Idempotent."""
        if self._is_over:
            return
        self._end_watch()
        with self._lock:
            self._is_over = True
            busy = list(self._busy.values())
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join()
        for future in busy:
            with suppress(Exception):
                future.result()
        for partition in self._partitions.values():
            self._end_answering(partition)
        list(self._pool.map(Partition.close, self._partitions.values()))
        self._pool.shutdown()


def _left_behind(directory: Path) -> Iterable[str]:
    """The partitions that have a directory; those that were being removed are removed."""
    if not directory.is_dir():
        return
    for path in sorted(directory.iterdir()):
        if path.name.endswith(DROPPED_SUFFIX):
            Door().remove_tree(path)
            continue
        with suppress(ValueError):  # what has another name is not ours
            collection_of(path.name)
            yield path.name
