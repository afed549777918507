"""The change stream beside a writer that is killed and started again: every record once, none missing, in order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from threading import Thread

import pytest

import blockdb
from blockdb.storage.door import Door
from blockdb.storage.feed import Feed
from tests.fault.family import Family, family
from tests.fault.support import items, open_database
from tests.storage.doors import until
from tests.tally import KILLS, tally
from tests.tiers import tiers

KILLS_OF_A_WRITER = 3


@pytest.fixture(scope="module")
def server() -> Iterator[Family]:
    with family() as forks:
        yield forks


class Watcher:
    """Follows a database beside its writers, and goes on with another feed now and then."""

    def __init__(self, path: Path, forced_only: bool) -> None:
        self.db = open_database(path, read_only=True)
        self.seen: list[tuple[int, bytes, bytes]] = []
        self._forced_only = forced_only
        self._feed = self._next()
        self._is_ended = False
        self._thread = Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _next(self) -> Feed:
        return Feed(self.db._reader, after=len(self.seen) - 1, forced_only=self._forced_only)

    def _watch(self) -> None:
        while not self._is_ended:
            for change in self._feed:
                self.seen.append((change.sequence, change.record.key, change.record.value))
            self._feed = self._next()

    def begin_anew(self) -> None:
        """As after a crash of the watcher: go on after the last record that was seen."""
        self._feed.stop()

    def end(self, count: int) -> None:
        """Come to the end once it saw so many."""
        until(lambda: len(self.seen) >= count)
        self._is_ended = True
        self._feed.stop()
        self._thread.join(20)
        assert not self._thread.is_alive()
        self.db.close()


def is_free(path: Path) -> bool:
    """Whether nobody has the lock: what was about to become a helper of one that was killed may, for a moment."""
    door = Door()
    try:
        door.unlock(door.lock(path / "LOCK"))
    except blockdb.DatabaseLocked:
        return False
    return True


@pytest.mark.parametrize("seed", tiers([0], range(1, 30)))
def test_a_writer_that_is_killed_and_comes_again(server: Family, tmp_path: Path, seed: int) -> None:
    chance, path = Random(seed), tmp_path / "db"
    interval = (1000, 0)[seed % 2]
    open_database(path, wal_sync_interval=interval).close()
    watcher = Watcher(path, forced_only=not interval)
    acknowledged = 0
    for _ in range(KILLS_OF_A_WRITER):
        child = server.start("write", path, seed=chance.random(), wal_sync_interval=interval, blockchain_batch_size=10)
        child.wait_for("stored", chance.randrange(1, 60))
        if chance.random() < 0.5:
            watcher.begin_anew()
        child.kill()
        until(lambda: is_free(path))
        acknowledged = max(int(line[-1]) for line in child.said if line[0] in ("stored", "opened", "closed"))
    with open_database(path) as db:
        db.put_many(items(db.stats().records, 5))
        count = db.stats().records
        assert db.verify().valid
    watcher.end(count)
    tally(KILLS, KILLS_OF_A_WRITER)
    assert count >= acknowledged > 0
    assert watcher.seen == [(number, *item) for number, item in enumerate(items(0, count))]
