"""A disk of its own, an image of ext4: full, read-only after an error, without power; nobody is killed by a store."""

from __future__ import annotations

import fcntl
import gc
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from random import Random

import pytest

import blockdb
from blockdb.storage.door import Door
from tests.fault.family import ROOT, Family, family
from tests.fault.support import assert_prefix, items, key_of, open_database, value_of
from tests.storage.doors import change_mark, until
from tests.tally import KILLS, tally
from tests.tiers import tiers

SHUT_DOWN = 0x8004587D  # FS_IOC_SHUTDOWN
AT_ONCE = 2  # what the journal has in memory is lost, too
SIZE_MIB = 24
OTHER_BOOT = b"another boot id!"


@pytest.fixture(scope="module")
def server() -> Iterator[Family]:
    with family() as forks:
        yield forks


@contextmanager
def mounted(image: Path, options: str = "defaults") -> Iterator[Path]:
    disk = image.with_suffix(".disk")
    disk.mkdir(exist_ok=True)
    done = subprocess.run(
        ["mount", "-o", f"loop,errors=remount-ro,{options}", image, disk], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("mounting an image is not allowed here")
    try:
        yield disk
    finally:
        gc.collect()  # what is mapped is not let go of before
        until(lambda: runs("umount", disk))  # the processes that helped a writer end a little later than it does


def runs(*command: object) -> bool:
    """Whether a command succeeds."""
    return not subprocess.run([*map(str, command)], capture_output=True, check=False).returncode


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """An empty file system."""
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("there is no mkfs.ext4 here")
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(SIZE_MIB << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
    return image


@pytest.mark.parametrize("seed", tiers([0, 1], range(2, 40)))
def test_the_power_is_cut(image: Path, server: Family, seed: int) -> None:
    """The file system is shut down below a writer; mounting it again is the restart of the machine."""
    rng = Random(seed)
    interval = (0, 1, 0, 1000)[seed % 4]
    with mounted(image) as disk:
        child = server.start(
            "write", disk / "db", seed=seed, wal_sync_interval=interval, blockchain_batch_size=rng.randrange(10, 100)
        )
        child.wait_for("stored", times=rng.randrange(1, 400))
        child.listen(rng.random() / 50)
        shut_down(disk)
        child.kill(may_fail_with=("StorageError", "WritesStopped"))
        acknowledged = sum(word == "stored" for word, *_ in child.said)
    tally(KILLS)
    with mounted(image) as disk:
        change_mark(disk / "db", boot_id=OTHER_BOOT)
        found = goes_on(disk / "db")
    assert interval or found >= acknowledged, "what was forced is not there"


def goes_on(path: Path) -> int:
    """How many records there are; it is valid before and after one more is stored."""
    report = blockdb.verify(path)
    assert report.valid, report.problems[:3]
    with open_database(path) as db:
        found = assert_prefix(db, 0)
        db.put(key_of(found), value_of(found))
        assert db.verify().valid
    return found


def shut_down(disk: Path) -> None:
    """Nothing more reaches the disk."""
    descriptor = os.open(disk, os.O_RDONLY)
    try:
        fcntl.ioctl(descriptor, SHUT_DOWN, struct.pack("I", AT_ONCE))
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("options", ["defaults", "nodelalloc"])
@pytest.mark.parametrize("trouble", ["fill", "break_down"])
def test_a_disk_that_fails_below_a_writer_kills_nobody(image: Path, trouble: str, options: str) -> None:
    with mounted(image, options) as disk:
        with (disk / "mapped").open("wb") as file:
            assert Door().can_map_ahead(file.fileno()) == (options == "defaults")
        program = f"from tests.fault import test_real_disk as it; it.write_on({str(disk)!r}, it.{trouble})"
        done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False, timeout=120, capture_output=True)
        assert not done.returncode, done.stderr.decode()
        stored = int(done.stdout)
    with mounted(image, options) as disk:
        (disk / "filler").unlink(missing_ok=True)
        if trouble == "break_down":  # what was not forced is gone: it is as after a restart
            change_mark(disk / "db", boot_id=OTHER_BOOT)
        assert goes_on(disk / "db") >= stored


def write_on(disk: Path, trouble: object) -> None:
    """Run as a program: write until the disk fails. Reads go on then; all that was forced is there for the next one."""
    assert callable(trouble)
    db = open_database(Path(disk) / "db", wal_sync_interval=1)
    db.put_many(items(0, 100), sync=True)
    trouble(Path(disk))
    with suppress(blockdb.StorageError):
        for number in count(100):
            db.put(key_of(number), value_of(number))
    for number in range(100):
        assert db.get(key_of(number)) == value_of(number)
    print(assert_prefix(db, 100) if trouble is fill else 100)
    with suppress(blockdb.StorageError):
        db.close()


def fill(disk: Path) -> None:
    """Leave no block free."""
    with (disk / "filler").open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 10, 1):
            with suppress(OSError):
                while file.write(bytes(size)):
                    pass


def break_down(disk: Path) -> None:
    """Have the file system find an error, and go read-only."""
    device = os.stat(disk).st_dev
    name = Path(os.readlink(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")).name
    Path(f"/sys/fs/ext4/{name}/trigger_fs_error").write_text("for a test")
