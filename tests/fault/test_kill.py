"""A process that is killed (-9) at any moment: everything acknowledged is there, and the chain goes on from it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from random import Random
from threading import Lock

import pytest

import blockdb
from blockdb.format import packed as packed_format
from blockdb.storage import log
from blockdb.storage import packed as packing
from tests.fault.doors import FaultyDoor
from tests.fault.family import ROOT, Child, Family, family
from tests.fault.support import assert_prefix, assert_whole, copy_of, items, one, open_database
from tests.storage.doors import until
from tests.tally import KILLS, tally
from tests.tiers import tiers

QUICK_KILLS = 16
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
    tally(KILLS, kills)


@pytest.mark.parametrize("seed", tiers([0], range(1, QUICK_KILLS // KILLS_IN_ONE_DIRECTORY)))
def test_killed_at_any_moment(server: Family, tmp_path: Path, seed: int) -> None:
    survive(server, tmp_path, seed, KILLS_IN_ONE_DIRECTORY)


@pytest.mark.torture
@pytest.mark.parametrize("seed", range(1000, 1000 + TORTURE_KILLS // KILLS_IN_ONE_DIRECTORY + 1))
def test_killed_at_any_moment_again_and_again(server: Family, tmp_path: Path, seed: int) -> None:
    survive(server, tmp_path, seed, KILLS_IN_ONE_DIRECTORY)


# ── while it packs ───────────────────────────────────────────────────────────────────────────────────────────────

RECORDS = 60


class DeadlyDoor(FaultyDoor):
    """Kills its process at the system call with number `at`, counted from 0."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self._left = at
        self._dying = Lock()

    def _enter(self, kind: str) -> None:
        with self._dying:
            if not self._left:
                os.kill(os.getpid(), signal.SIGKILL)
            self._left -= 1


def make_small() -> None:
    """Chain files of a few kilobytes, packed in chunks of a few records."""
    vars(log)["PACKED_SEGMENT_BYTES"] = 2_500
    vars(packed_format)["CHUNK_BYTES"] = 300


def pack_and_be_killed(original: str, directory: str, first: int, step: int) -> None:
    """Run as a program. Forks processes that pack copies of a database, and are killed at one call after another."""
    make_small()
    for at in count(first, step):
        path = copy_of(Path(original), Path(directory) / f"{at:04d}")
        child = os.fork()
        if not child:
            pack_until_killed(path, at)
        status = os.waitpid(child, 0)[1]
        if not os.WIFSIGNALED(status):
            sys.exit(os.WEXITSTATUS(status))


def pack_until_killed(path: Path, at: int) -> None:
    try:
        with open_database(path, DeadlyDoor(at), compression_enabled=True) as db:
            db.put(*items(RECORDS, 1)[0])
            db.compact()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def run_program(call: str) -> None:
    """Run a function of this module in a process of its own."""
    program = f"from tests.fault import test_kill; test_kill.{call}"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=600)


def survive_packing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: int, step: int) -> int:
    """How many kills were survived: nothing is lost, the next writer cleans up, and packs."""
    for module, name in ((log, "PACKED_SEGMENT_BYTES"), (packed_format, "CHUNK_BYTES")):
        monkeypatch.setattr(module, name, getattr(module, name))  # so that it is undone
    make_small()
    with open_database(tmp_path / "original") as db:  # of one file, which is full as soon as files are small
        db.put_many(items(0, RECORDS // 2))
        db.flush()
        for item in items(RECORDS // 2, RECORDS // 2):
            db.put(*item)
    directory = tmp_path / "killed"
    run_program(f"pack_and_be_killed({str(tmp_path / 'original')!r}, {str(directory)!r}, {first}, {step})")
    kills = sorted(directory.iterdir())
    for path in kills:
        check_after_kill(path)
    tally(KILLS, len(kills))
    return len(kills)


def check_after_kill(path: Path) -> None:
    """Open what a killed packer left behind."""
    chain = one(path, "collections/*/chain")
    names = sorted(file.name for file in chain.iterdir())
    with open_database(path, read_only=True) as reader:
        found = assert_prefix(reader, RECORDS)
    assert found in (RECORDS, RECORDS + 1)
    with open_database(path, compression_enabled=True) as db:
        assert not [file.name for file in chain.iterdir() if file.name.endswith(".tmp") and file.name in names]
        assert assert_prefix(db, found) == found
        db.compact()
        suffixes = sorted(file.name[8:] for file in chain.iterdir())
        assert suffixes == [".chain"] + [".chain.zst"] * (len(suffixes) - 1)
        assert assert_prefix(db, found) == found
        db.put(*items(found, 1)[0])
    report = blockdb.verify(path)
    assert report.valid, report.problems[:3]


@pytest.mark.torture
def test_killed_while_it_packs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert survive_packing(tmp_path, monkeypatch, first=1, step=9) > 5


@pytest.mark.torture
def test_killed_at_each_call_while_it_packs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert survive_packing(tmp_path, monkeypatch, first=0, step=1) > 50


def start_packing_and_die(path: str) -> None:
    """Run as a program. Is killed as soon as the process that packs has started, which goes on alone."""

    def start_and_die(module: str, argument: str, _: bytes) -> bool:
        program = f"import sys; from {module} import main; main(sys.argv[1])"
        subprocess.Popen([sys.executable, "-c", program, argument], cwd=ROOT, start_new_session=True)
        os.kill(os.getpid(), signal.SIGKILL)
        return False

    vars(packing).update(WORTHWHILE_BYTES=0, run_python=start_and_die)
    open_database(Path(path), compression_enabled=True).compact()


@pytest.mark.torture
def test_the_process_that_packs_outlives_its_writer(tmp_path: Path) -> None:
    """What it still writes is a file that nobody reads, and that the writer after the next removes at the latest."""
    path = tmp_path / "db"
    with open_database(path) as db:
        db.put_many(items(0, RECORDS))
    with pytest.raises(subprocess.CalledProcessError):
        run_program(f"start_packing_and_die({str(path)!r})")
    for _ in range(2):
        with open_database(path) as db:
            assert assert_prefix(db, RECORDS) == RECORDS
        until(lambda: list(path.glob("collections/*/chain/*.tmp")) or not _packers_of(path))
    until(lambda: not _packers_of(path))
    with open_database(path, compression_enabled=True) as db:
        assert not list(path.glob("collections/*/chain/*.tmp"))
        db.compact()
        assert assert_prefix(db, RECORDS) == RECORDS


def _packers_of(path: Path) -> list[str]:
    """The processes that pack a file of this database."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            command = process.read_bytes()
            if b"storage.packed" in command and str(path).encode() in command:
                found.append(process.parent.name)
    return found
