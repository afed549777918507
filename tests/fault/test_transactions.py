"""Transactions over several collections whose process is killed, whose machine loses power, or whose system fails them.

At every step of the two phases: afterwards each transaction is there in all of its collections or in none, nothing is
left in doubt, and what was acknowledged is there, as far as it was promised to survive that.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import pytest

import blockdb
from blockdb.database.transactions import committing
from blockdb.errors import BlockDBError, CollectionNotFound
from blockdb.layout import DatabaseFiles
from tests.fault.crash.disk import Disk
from tests.fault.crash.judge import NAME, assert_nothing_missed, boot_id_of, lay_out
from tests.fault.crash.lives import NEVER_MS, small_files
from tests.fault.crash.recorder import Commit, RecordingDoor
from tests.fault.crash.states import Crash, Effort, crashes
from tests.fault.doors import FaultyDoor
from tests.fault.family import ROOT
from tests.fault.test_kill import DeadlyDoor
from tests.storage.doors import open_through
from tests.tally import CRASH_STATES, FAILING_CALLS, KILLS, tally
from tests.tiers import tiers

MEMORY = Path("/dev/shm")
SETTINGS: dict[str, Any] = {"blockchain_batch_size": 4, "wal_sync_interval": NEVER_MS, "compaction_threshold": 1000}
NAMES = ("default", "users", "third")


def records_of(number: int) -> dict[str, list[tuple[bytes, bytes]]]:
    """What the transaction with this number stores: in two collections, or in three."""
    value = b"value of %d" % number
    found = {
        "default": [(b"%03d.a" % number, value), (b"%03d.b" % number, value)],
        "users": [(b"%03d" % number, value)],
    }
    if number % 3 == 2:
        found["third"] = [(b"%03d" % number, b"")]
    return found


def transact(db: blockdb.Database, number: int, sync: bool = False) -> None:
    with db.transaction() as tx:
        for name, items in records_of(number).items():
            tx.put_many(items, collection=name)
        tx.commit(sync=sync)


def parts_there(db: blockdb.Database, number: int) -> set[bool]:
    """For each record of a transaction whether it is there."""
    found = set()
    for name, items in records_of(number).items():
        for key, value in items:
            try:
                stored = db.collection(name).get(key)
            except CollectionNotFound:
                stored = None
            assert stored in (None, value)
            found.add(stored is not None)
    return found


def check_whole(db: blockdb.Database, issued: int, owed: int) -> set[int]:
    """Each is there or it is not, the first `owed` are. Returns those that are."""
    there = set()
    for number in range(issued):
        parts = parts_there(db, number)
        assert len(parts) == 1, f"transaction {number} is half done"
        if parts == {True}:
            there.add(number)
    missing = set(range(owed)) - there
    assert not missing, f"{missing} of {owed} were acknowledged"
    return there


def check_after(path: Path, issued: int, owed: int, **settings: Any) -> None:
    """Open what was left behind, look, go on, and look again."""
    with blockdb.open(path, **settings) as db:
        there = check_whole(db, issued, owed)
        report = db.verify()
        assert report.valid, report.problems[:3]
        for name in NAMES:
            if not db.has_collection(name):
                db.create_collection(name)
        transact(db, 900)
    with blockdb.open(path, **settings) as db:
        assert check_whole(db, issued, owed) == there
        assert parts_there(db, 900) == {True}
        assert db.verify().valid
    assert DatabaseFiles(path).transactions.stat().st_size < 200, "the log is emptied in the end"


# ── every state that a crash may leave ───────────────────────────────────────────────────────────────────────────


class Life:
    """A recorded database, with transactions in it, and what of them is promised."""

    def __init__(self, root: Path, settings: dict[str, Any]) -> None:
        root.mkdir()
        (root / NAME).mkdir()
        self.door = RecordingDoor(root, Disk({NAME: None}), boot_id_of(1))
        self.settings = settings
        self._path = root / NAME
        self._issued = 0
        self._plain = 0

    def open(self) -> None:
        self.db = open_through(self.door, self._path, **self.settings)
        for name in NAMES:
            if not self.db.has_collection(name):
                self.db.create_collection(name)

    def close(self) -> None:
        self.db.close()
        self._promise_everything()

    def transact(self, count: int = 1, *, sync: bool = False) -> None:
        for _ in range(count):
            number, self._issued = self._issued, self._issued + 1
            promise = self.door.promise
            commit: Commit = ((b"%d" % number, b""),)
            self.door.promises(promise._replace(commits=(*promise.commits, commit)))
            transact(self.db, number, sync)
            self.door.promises(self.door.promise._replace(acknowledged=self._issued))
            if sync or not self.settings["wal_sync_interval"]:
                self._promise_everything()

    def put(self, name: str, *, sync: bool = False) -> None:
        self._plain += 1
        self.db.collection(name).put(b"plain %d" % self._plain, b"", sync=sync)

    def flush(self) -> None:
        self.db.flush()
        self._promise_everything()

    def _promise_everything(self) -> None:
        self.door.promises(self.door.promise._replace(acknowledged=self._issued, forced=self._issued))


def unforced(life: Life) -> None:
    """Nothing is forced but what is below a lock on its own: one collection is, again and again."""
    life.open()
    life.transact(2)
    life.put("users", sync=True)
    life.transact()
    life.put("default")
    life.transact()
    life.close()


def forced(life: Life) -> None:
    """Some transactions are forced, among plain writes."""
    life.open()
    for number in range(3):
        life.put("default")
        life.transact(sync=number != 1)
        life.put("users")
    life.close()


def emptied(life: Life) -> None:
    """The log is emptied after each flush, and by closing; then the database is opened again."""
    life.open()
    life.transact(2)
    life.flush()
    life.transact()
    life.close()
    life.open()
    life.transact(2)
    life.close()


LIVES: dict[str, tuple[Callable[[Life], None], dict[str, Any]]] = {
    "unforced": (unforced, {}),
    "forced": (forced, {}),
    "each forced": (emptied, {"wal_sync_interval": 0}),
    "emptied": (emptied, {}),
    "encrypted": (emptied, {"encryption_enabled": True}),
}


def judge(crash: Crash, root: Path, settings: dict[str, Any]) -> None:
    """Open a state with the real engine, on a machine that was started anew where its power was cut."""
    lay_out(crash.disk.image(), root)
    issued = len(crash.promise.commits)
    boot_id = boot_id_of(1 + crash.rebooted)
    try:
        if any(path.endswith("/collections.toml") for path in crash.disk.names()):
            with open_through(RecordingDoor(root, crash.disk, boot_id), root / NAME, read_only=True, **settings) as db:
                db.count()  # whoever reads beside it meets no damage
        with open_through(RecordingDoor(root, crash.disk, boot_id), root / NAME, **settings) as db:
            there = check_whole(db, issued, crash.owed)
            report = db.verify()
            assert report.valid, report.problems[:3]
        with open_through(RecordingDoor(root, Disk(), boot_id), root / NAME, read_only=True, **settings) as db:
            assert check_whole(db, issued, crash.owed) == there
    except Exception as error:
        raise AssertionError(f"{crash.story}: {error!r}") from error
    finally:
        shutil.rmtree(root)


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Path]:
    """Where states are laid out: in memory, where the system has such a place."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else tmp_path) as directory:
        yield Path(directory)


@pytest.mark.parametrize("name", tiers([], LIVES))
def test_a_crash_at_any_operation(work: Path, name: str) -> None:
    assert try_life(work, name, Effort(cuts=3, outcomes=6)) > 1000


def test_a_crash_at_some_operations(work: Path) -> None:
    assert try_life(work, "unforced", Effort(cuts=0, outcomes=1), every=30) > 20


def try_life(work: Path, name: str, effort: Effort, every: int = 1) -> int:
    """Crash a life everywhere, or at every so manyth state; how many there were."""
    script, more = LIVES[name]
    settings = {**SETTINGS, **more}
    tried = 0
    with small_files(1 << 20), patch.object(committing, "EMPTY_AT_BYTES", 300):
        life = Life(work / "life", settings)
        with life.door.beside():
            script(life)
        assert_nothing_missed(life.door)
        for number, crash in enumerate(crashes(life.door.start, life.door.journal, effort, Random(1))):
            if number % every == 0:
                judge(crash, work / "state", settings)
                tried += 1
    tally(CRASH_STATES, tried)
    return tried


# ── the process is killed ────────────────────────────────────────────────────────────────────────────────────────


def live(path: Path, door: Any, told: Callable[[int], object]) -> None:
    """Transactions until something comes in between; `told` hears of each that is acknowledged."""
    with open_through(door, path, blockchain_batch_size=4) as db:
        for name in NAMES:
            if not db.has_collection(name):
                db.create_collection(name)
        for number in range(6):
            db["users"].put(b"plain %d" % number, b"")
            transact(db, number, sync=number == 2)
            told(number)
            if number == 3:
                db.flush()


def live_and_be_killed(directory: str, first: int, step: int, last: int) -> None:
    """Run as a program. Forks processes that live, and are killed at one call of the system after another."""
    for at in range(first, last, step):
        path = Path(directory) / f"{at:04d}"
        path.mkdir()
        child = os.fork()
        if not child:
            live_until_killed(path, at)
        status = os.waitpid(child, 0)[1]
        if not os.WIFSIGNALED(status):
            shutil.rmtree(path)
            sys.exit(os.WEXITSTATUS(status))


def live_until_killed(path: Path, at: int) -> None:
    told = os.open(path / "told", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        live(path / "db", DeadlyDoor(at), lambda number: os.write(told, b"."))
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


@pytest.mark.parametrize(
    ("first", "step"), [(40, 80), *(pytest.param(n, 4, marks=pytest.mark.torture) for n in range(4))]
)
def test_killed_at_any_call(work: Path, first: int, step: int) -> None:
    call = f"live_and_be_killed({str(work)!r}, {first}, {step}, 1000)"
    program = f"from tests.fault import test_transactions; test_transactions.{call}"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=600)
    killed = sorted(work.iterdir())
    assert len(killed) > 2
    tally(KILLS, len(killed))
    for path in killed:
        if (path / "db" / "global_metadata" / "collections.toml").exists():
            check_after(path / "db", 6, (path / "told").stat().st_size)


# ── calls of the system fail ─────────────────────────────────────────────────────────────────────────────────────


KINDS = ("write", "force", "open", "create", "rename", "map", "size", "read", "directory")


@pytest.mark.torture
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lasting", [False, True])
def test_a_call_that_fails(work: Path, kind: str, lasting: bool) -> None:
    """Each call of a kind in turn: what was acknowledged is there, and nothing is half done."""
    assert fail_each(work, kind, lasting=lasting, step=1) > 0


def test_some_writes_that_fail(work: Path) -> None:
    assert fail_each(work, "write", lasting=False, step=9) > 3


def fail_each(work: Path, kind: str, *, lasting: bool, step: int) -> int:
    """Fail one call in each life. Returns how many failed."""
    for at in range(0, 1000, step):
        path, acknowledged = work / f"{at}", list[int]()
        door = FaultyDoor(kind, at, errno.ENOSPC if kind == "write" else errno.EIO, lasting=lasting)
        with suppress(BlockDBError):
            live(path, door, acknowledged.append)
        if not door.failed:
            return at // step
        tally(FAILING_CALLS)
        if (path / "global_metadata" / "collections.toml").exists():
            check_after(path, 6, len(acknowledged))
        shutil.rmtree(path, ignore_errors=True)
    raise AssertionError("it does not come to its end")


def test_what_cannot_be_decided_is_not_there_and_the_next_one_is(work: Path) -> None:
    door = FaultyDoor("write", at=-1)
    with open_through(door, work / "db") as db:
        for name in NAMES[1:]:
            db.create_collection(name)
        transact(db, 0)
        for later in range(1, 4):  # the decision, then the first batch of those
            door.kind, door.at, door.error, door.lasting = (
                "write",
                door.calls["write"] + (later - 1) // 2,
                errno.ENOSPC,
                False,
            )
            with pytest.raises(blockdb.StorageError):
                transact(db, later)
            assert parts_there(db, later) == {False}
            with blockdb.open(shutil.copytree(db.path, work / f"killed {later}")) as after:
                assert parts_there(after, later) == {False}
            transact(db, later)
    check_after(work / "db", 4, 4)


def test_what_is_decided_and_cannot_be_stored_is_finished_by_the_next_process(work: Path) -> None:
    door = FaultyDoor("write", at=-1)
    db = open_through(door, work / "db")
    for name in NAMES[1:]:
        db.create_collection(name)
    transact(db, 0)
    door.kind, door.at, door.error = "write", door.calls["write"] + 2, errno.ENOSPC  # the second batch
    with pytest.raises(blockdb.WritesStopped, match="decided"):
        transact(db, 1)
    door.heal()
    assert parts_there(db, 1) == {True, False}
    with pytest.raises(blockdb.WritesStopped):
        transact(db, 2)
    with suppress(BlockDBError):
        db.close()
    with blockdb.open(work / "db") as db:
        assert parts_there(db, 1) == {True}
        assert parts_there(db, 2) == {False}
        transact(db, 2)
    check_after(work / "db", 3, 3)
