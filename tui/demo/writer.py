"""A demo database that fills while somebody watches: a history first, then a gentle, uneven stream of trades.

Beside them there are three collections of a small shop, in which an order comes in now and then.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from threading import Event, Thread

import blockdb
from blockdb.scratch import Scratch

from .shop import Shop
from .sources import TRADE_PREFIX, TRADE_SEED, records, trades

__all__ = ["Demo", "bursts", "open_demo"]

# Small enough that blocks seal every few seconds and tables appear and merge within minutes.
BLOCK_RECORDS = 100
MEMTABLE_BYTES = 256 * 1024

LOAD_RECORDS = 1_000
WAVE_S = 25.0
BURSTS_PER_ORDER = 4


class Demo:
    """A database and the thread that feeds it.

    `loaded` is set once the history is in; `error` is what stopped the thread, if anything did.
    """

    def __init__(self, database: blockdb.Database, repository: Path) -> None:
        self.database = database
        self.loaded = Event()
        self.error: blockdb.BlockDBError | None = None
        self._repository = repository
        self._shop = Shop(database)
        self._stopping = Event()
        self._thread: Thread | None = None

    def start(self) -> None:
        """Begin to feed the database; returns at once, and does nothing if it is being fed."""
        if self._thread is None:
            self._stopping.clear()
            self._thread = Thread(target=self._run, name="blockdb-demo", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop feeding, and wait until the last put has returned. `start` goes on where this stopped."""
        if self._thread is not None:
            self._stopping.set()
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        try:
            self._load()
            self._shop.load()
            self._stream()
        except blockdb.BlockDBError as error:
            self.error = error

    def _load(self) -> None:
        history = records(self._repository)
        kept = self.database.stats().records > 0  # only then can a key be there already
        while not self._stopping.is_set():
            batch = list(islice(history, LOAD_RECORDS))
            if not batch:
                self.loaded.set()
                return
            self.database.put_many([pair for pair in batch if not (kept and pair[0] in self.database)])

    def _stream(self) -> None:
        fresh = islice(trades(TRADE_SEED), self.database.count(prefix=TRADE_PREFIX), None)
        for number, (size, pause_s) in enumerate(bursts(random.Random(TRADE_SEED))):
            if self._stopping.is_set():
                return
            if not number % BURSTS_PER_ORDER:
                self._shop.order()
            for key, value in islice(fresh, size):
                self.database.put(key, value)
            self._stopping.wait(pause_s)


def bursts(chance: random.Random) -> Iterator[tuple[int, float]]:
    """Endless `(records, pause in seconds after them)`: 20 to 60 records a second, in slow waves."""
    elapsed_s = 0.0
    while True:
        rate = 40 + 14 * math.sin(elapsed_s * math.tau / WAVE_S) + chance.uniform(-6, 6)
        size = chance.randint(1, 8)
        elapsed_s += size / rate
        yield size, size / rate


@contextmanager
def open_demo(directory: Path | None = None, *, repository: Path | None = None) -> Iterator[Demo]:
    """A demo database in `directory`, or in a temporary one that is removed afterwards.

    The history comes from the git repository at `repository`, by default the current directory. Nothing is
    written before `start`. Opening a kept directory again continues it.

    Raises what `blockdb.open` raises.
    """
    with ExitStack() as stack:
        if directory is None:
            directory = stack.enter_context(Scratch("blockdb-demo-")).path / "db"
        database = blockdb.open(directory, blockchain_batch_size=BLOCK_RECORDS, memtable_size_limit=MEMTABLE_BYTES)
        demo = Demo(stack.enter_context(database), repository or Path.cwd())
        stack.callback(demo.stop)
        yield demo
