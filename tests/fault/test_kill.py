"""A process that is killed (-9) at any moment: everything acknowledged is there, and the chain goes on from it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

import blockdb
from tests.fault.family import Child, Family, family
from tests.fault.support import assert_prefix, assert_whole, open_database

QUICK_KILLS = 40
TORTURE_KILLS = 300
KILLS_IN_ONE_DIRECTORY = 8
MOMENTS = ("opening", "opened", "stored", "stored", "stored", "batch", "closing", "closed")


@pytest.fixture(scope="module")
def server() -> Iterator[Family]:
    with family() as forks:
        yield forks


class Story:
    """What the children of one directory said, all in all."""

    def __init__(self) -> None:
        self.acknowledged = 0
        self.batches: list[range] = []
        self.hashes: list[bytes] = []

    def hear(self, child: Child) -> None:
        for word, *numbers in child.said:
            if word == "stored":
                self.acknowledged = max(self.acknowledged, int(numbers[0]))
            elif word == "batch":
                first, size = map(int, numbers)
                self.batches.append(range(first, first + size))
            elif word == "opened":
                found = int(numbers[0])
                assert found >= self.acknowledged, "a child that opened it again missed a record"
                assert_whole(self.batches, found)
                self.batches = []  # what was lost of them is issued anew

    def check(self, path: Path, batch_size: int) -> None:
        """Open the directory as the next process would."""
        if self.acknowledged:
            report = blockdb.verify(path)
            assert report.valid, f"before opening: {report.problems[:3]}"
        with open_database(path, blockchain_batch_size=batch_size) as db:
            found = assert_prefix(db, self.acknowledged)
            assert_whole(self.batches, found)
            hashes = [block.hash for block in db.blocks()]
            assert len(hashes) == found // batch_size, "opening it seals what is full"
            assert hashes[: len(self.hashes)] == self.hashes, "the hash of a sealed block changed"
            report = db.verify()
            assert report.valid, report.problems[:3]
            assert report.records == found
        self.hashes = hashes


def kill_once(server: Family, path: Path, rng: Random, batch_size: int) -> Child:
    """Start a child, kill it at a moment that is drawn by lot, and return what it said."""
    child = server.start(
        "write",
        path,
        seed=rng.randrange(1 << 30),
        wal_sync_interval=rng.choice((0, 1, 20, 1000)),
        blockchain_batch_size=batch_size,
    )
    moment = rng.choice(MOMENTS)
    child.wait_for(moment, times=rng.randrange(1, 150) if moment == "stored" else rng.randrange(1, 3))
    child.listen(rng.choice((0, rng.random() / 1000, rng.random() / 100)))
    child.kill()
    return child


def survive(server: Family, directory: Path, seed: int, kills: int) -> None:
    rng = Random(seed)
    path, story, batch_size = directory / "db", Story(), rng.randrange(10, 100)
    for number in range(kills):
        story.hear(kill_once(server, path, rng, batch_size))
        if rng.random() < 0.5 or number == kills - 1:
            story.check(path, batch_size)


@pytest.mark.parametrize("seed", range(QUICK_KILLS // KILLS_IN_ONE_DIRECTORY))
def test_killed_at_any_moment(server: Family, tmp_path: Path, seed: int) -> None:
    survive(server, tmp_path, seed, KILLS_IN_ONE_DIRECTORY)


@pytest.mark.torture
@pytest.mark.parametrize("seed", range(1000, 1000 + TORTURE_KILLS // KILLS_IN_ONE_DIRECTORY + 1))
def test_killed_at_any_moment_again_and_again(server: Family, tmp_path: Path, seed: int) -> None:
    survive(server, tmp_path, seed, KILLS_IN_ONE_DIRECTORY)
