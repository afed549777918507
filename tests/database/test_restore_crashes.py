"""A process that is killed while it restores: the directory has its name when all of it is there, or never gets it.

And damage: whichever byte of an increment is another one, that is found.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from zstandard import ZstdCompressor, ZstdDecompressor

import blockdb
from blockdb import AsOf
from blockdb.storage.door import Door
from tests.tiers import tiers

CHANGING = ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate", "shutil.rmtree")
"""What an audit hook of the interpreter hears of, before it is done."""


@pytest.fixture
def backups(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "0", tmp_path / "1"]
    with blockdb.open(tmp_path / "db", redactable=True, blockchain_batch_size=2) as db:
        db.put_many([(b"a%d" % number, b"1") for number in range(3)])
        db.flush()
        paths[0].write_bytes(b"".join(db.backup(signing_key=True)))
        db.redact(b"a1", reason="asked for")
        db.create_collection("other").put(b"o", {"n": 1})
        db.put(b"b", b"2")
        paths[1].write_bytes(b"".join(db.backup(since=paths[0], signing_key=True)))
    return paths


def restore(backups: list[Path], target: Path) -> None:
    streams = [[path.read_bytes()] for path in backups]
    blockdb.restore(streams[0], target, increments=streams[1:], to=AsOf(sequence=3))


def is_killed_at(number: int, backups: list[Path], target: Path) -> bool:
    """Restore in a process that ends before its n-th change of the directory; says whether it came so far."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] != 0
    left = number

    def hook(event: str, about: tuple[object, ...]) -> None:
        nonlocal left
        if event in CHANGING and about and str(about[0]).startswith(str(target)):
            left -= 1
            if left < 0:
                os._exit(1)

    try:
        sys.addaudithook(hook)
        restore(backups, target)
    finally:
        os._exit(0)


def check_all_or_nothing(number: int, backups: list[Path], root: Path) -> bool:
    """Whether the process was killed; what it left is nothing, or everything."""
    was_killed = is_killed_at(number, backups, root / "copy")
    if (root / "copy").exists():
        assert blockdb.verify(root / "copy").problems == ()
        with blockdb.open(root / "copy") as db:
            assert list(db.keys()) == [b"a0", b"a1", b"a2", b"b"]
    else:
        assert was_killed
    for name in ("copy", "copy.restoring"):
        shutil.rmtree(root / name, ignore_errors=True)
    return was_killed


@pytest.mark.parametrize("number", tiers([40, 100_000], [3]))
def test_a_process_that_is_killed_leaves_all_or_nothing(backups: list[Path], tmp_path: Path, number: int) -> None:
    assert check_all_or_nothing(number, backups, tmp_path) is (number < 100_000)


@pytest.mark.torture
@pytest.mark.timeout(900)
def test_wherever_it_is_killed(backups: list[Path], tmp_path: Path) -> None:
    number = 0
    while check_all_or_nothing(number, backups, tmp_path):
        number += 1
    assert number > 60


def test_a_failure_leaves_nothing(backups: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Door, "force_directory", fail)
    with pytest.raises(blockdb.StorageError, match="free some space"):
        restore(backups, tmp_path / "copy")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1", "db"]


@pytest.mark.parametrize("step", tiers([2_003], [1]))
@pytest.mark.timeout(1800)
def test_a_changed_byte_of_an_increment_is_found(
    backups: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    monkeypatch.setattr(Door, "force", staticmethod(lambda _: None))  # nothing of it outlives the test
    data = ZstdDecompressor().decompress(backups[1].read_bytes(), max_output_size=1 << 24)
    for at in range(3, len(data), step):
        changed = data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]
        streams = [[backups[0].read_bytes()], [ZstdCompressor(level=1).compress(changed)]]
        with pytest.raises(blockdb.InvalidData):
            blockdb.restore(streams[0], tmp_path / "copy", increments=streams[1:])
        assert not (tmp_path / "copy").exists()
