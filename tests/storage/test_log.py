"""The log alone: appending, taking back what failed, forcing, beginning new files."""

import errno
import os
from collections.abc import Callable
from mmap import mmap
from pathlib import Path
from random import Random
from threading import Thread
from typing import Any

import pytest

import blockdb
from blockdb import machine
from blockdb.errors import StorageError, WritesStopped
from blockdb.format import mark as mark_format
from blockdb.format import segment
from blockdb.format.mark import Mark
from blockdb.format.place import place_of
from blockdb.format.segment import SegmentHeader
from blockdb.layout import CollectionFiles
from blockdb.storage import log as log_module
from blockdb.storage.door import Door
from blockdb.storage.log import Log
from blockdb.storage.marked_log import LEAST_RESERVED_BYTES, MOST_RESERVED_BYTES, MOST_STORED_BYTES
from tests.storage.doors import ShortDoor, TroubledDoor

COLLECTION = bytes(range(16))
FIRST = segment.HEADER_BYTES

OpenLog = Callable[..., Log]


@pytest.fixture
def files(tmp_path: Path) -> CollectionFiles:
    files = CollectionFiles(tmp_path)
    files.chain.mkdir()
    files.segment(0).write_bytes(segment.encode(SegmentHeader(COLLECTION, 0, 0)))
    return files


@pytest.fixture
def open_log(files: CollectionFiles) -> OpenLog:
    def open_log(door: Door, end: int = FIRST, forced: int = FIRST, torn_bytes: int = 0) -> Log:
        return Log(door, files, COLLECTION, end, forced, torn_bytes)

    return open_log


def content(files: CollectionFiles, number: int = 0) -> bytes:
    return files.segment(number).read_bytes()[FIRST:]


def mark_of(files: CollectionFiles) -> Mark:
    return mark_format.decode(files.mark.read_bytes())


def test_a_commit_is_in_the_file_and_in_the_mark_when_append_returns(files: CollectionFiles, open_log: OpenLog) -> None:
    log = open_log(Door())
    assert log.append(b"one") == FIRST
    assert log.append(b"three") == FIRST + 3
    assert content(files).rstrip(b"\0") == b"onethree"
    assert log.end == FIRST + 8
    mark = mark_of(files)
    assert (mark.collection, mark.boot_id, mark.clean) == (COLLECTION, Door().boot_id(), False)
    assert (mark.written, mark.forced) == (FIRST + 8, FIRST)
    log.close()


def test_closing_forces_and_leaves_a_mark_that_says_so(files: CollectionFiles, open_log: OpenLog) -> None:
    door = TroubledDoor()
    log = open_log(door)
    log.append(b"one")
    door.calls.clear()
    log.close()
    assert "force" in door.calls
    mark = mark_of(files)
    assert (mark.written, mark.forced, mark.clean) == (FIRST + 3, FIRST + 3, True)


def test_what_is_forced_is_written_into_space_that_was_reserved(files: CollectionFiles, open_log: OpenLog) -> None:
    log = open_log(Door())
    for number in range(3):
        log.reserve()
        log.append(b"%d" % number)
        log.force()
        assert files.segment(0).stat().st_size == FIRST + LEAST_RESERVED_BYTES
    assert content(files).rstrip(b"\0") == b"012"
    log.close()
    assert content(files) == b"012"


class WindowDoor(TroubledDoor):
    """A system that maps what is reserved, however the disk is called."""

    commits_before_windows = 0

    def can_map_ahead(self, descriptor: int) -> bool:
        return True

    def map_part(self, descriptor: int, offset: int, size: int) -> mmap:
        self._pass("map_part")
        return super().map_part(descriptor, offset, size)


def test_commits_are_stored_without_a_call_of_the_system(files: CollectionFiles, open_log: OpenLog) -> None:
    door = WindowDoor()
    log = open_log(door)
    log.append(b"first")
    assert door.calls[-2:] == ["reserve", "map_part"]
    door.calls.clear()
    for _ in range(100):
        log.append(b"more")
    assert door.calls == []
    assert content(files).rstrip(b"\0") == b"first" + 100 * b"more"
    door.calls.clear()
    log.close()
    assert door.calls == ["truncate", "force"], "once is enough"
    assert content(files) == b"first" + 100 * b"more"


def test_large_commits_are_written_into_what_is_mapped(files: CollectionFiles, open_log: OpenLog) -> None:
    door = WindowDoor()
    log = open_log(door)
    large = bytes(range(1, 129)) * 64
    assert len(large) > MOST_STORED_BYTES
    for expected in (["reserve", "map_part", "write"], ["write"]):
        door.calls.clear()
        log.append(large)
        log.append(b"small")
        assert door.calls == expected
    door.failing["write"] = errno.EIO
    with pytest.raises(StorageError):
        log.append(large)
    door.failing.clear()
    log.append(b"after")
    log.close()
    assert content(files) == 2 * (large + b"small") + b"after"


LARGE = [size + more for size in (LEAST_RESERVED_BYTES, MOST_RESERVED_BYTES) for more in (0, 1)]


def test_a_quiet_log_is_written(files: CollectionFiles, open_log: OpenLog) -> None:
    door = WindowDoor()
    door.commits_before_windows = 3
    log = open_log(door)
    door.calls.clear()
    for number in range(3):
        log.append(b"%d" % number)
        assert content(files) == b"0123"[: number + 1], "nothing is reserved"
    assert door.calls == 3 * ["write"]
    log.append(b"3")
    log.append(b"4")
    assert door.calls == [*3 * ["write"], "reserve", "map_part"]
    assert content(files).rstrip(b"\0") == b"01234"
    log.close()
    assert content(files) == b"01234"


SIZES = [1, MOST_STORED_BYTES + 1, 100, *LARGE]


@pytest.mark.parametrize("seed", range(8))
def test_whatever_can_be_mapped_all_is_there(files: CollectionFiles, open_log: OpenLog, seed: int) -> None:
    """Small commits and large ones, while the system refuses now this and now that."""
    rng, door, held = Random(seed), WindowDoor(), bytearray()
    log = open_log(door)
    for number in range(40):
        door.failing = {call: errno.ENOMEM for call in ("reserve", "map_part", "write") if rng.random() < 0.2}
        commit = bytes([number + 1]) * rng.choice(SIZES if rng.random() < 0.1 else SIZES[:3])
        if rng.random() < 0.1:
            log.take_back(FIRST)
            held.clear()
        try:
            assert log.append(commit) == FIRST + len(held)
        except StorageError:
            assert "write" in door.failing
        else:
            held += commit
        assert content(files)[: len(held)] == held
        assert not content(files)[len(held) :].strip(b"\0")
        assert mark_of(files).written == log.end == FIRST + len(held)
    door.failing = {}
    log.roll(1)
    assert content(files) == held
    log.append(b"next")
    log.close()
    assert (content(files), content(files, 1)) == (held, b"next")


def test_what_is_encrypted_is_not_mapped(tmp_path: Path) -> None:
    path = tmp_path / "db"
    with blockdb.open(path, encryption_enabled=True, master_key=bytes(range(32))) as db:
        db.put(b"key", b"a value in clear")
        assert b"a value in clear" not in b"".join(file.read_bytes() for file in path.rglob("*.chain"))


def test_only_where_a_reserved_block_is_kept_it_is_mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = f"{os.major(tmp_path.stat().st_dev)}:{os.minor(tmp_path.stat().st_dev)}"
    monkeypatch.setattr(machine, "STORES_IN_ORDER", True)
    monkeypatch.setattr(machine, "MOUNTS", tmp_path / "mounts")
    with (tmp_path / "file").open("wb") as file:
        cases = {"ext4 b rw": True, "tmpfs b rw,size=1k": True, "btrfs b rw": False, "overlay b rw": False, "": False}
        for mounted, may in {**cases, "ext4 b rw,nodelalloc": False, "ext4 b rw,data=journal": False}.items():
            machine.MOUNTS.write_text(f"21 1 999:1 / /x rw - ext4 a rw\n22 1 {numbers} / / rw shared:1 - {mounted}\n")
            assert Door().can_map_ahead(file.fileno()) == may
        machine.MOUNTS.unlink()
        assert not Door().can_map_ahead(file.fileno())
        machine.MOUNTS.write_text(f"22 1 {numbers} / / rw - ext4 b rw\n")
        monkeypatch.setattr(machine, "STORES_IN_ORDER", False)
        assert not Door().can_map_ahead(file.fileno())


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EOPNOTSUPP, errno.EINTR])
def test_where_nothing_can_be_reserved_it_is_written_all_the_same(
    files: CollectionFiles, open_log: OpenLog, error: int
) -> None:
    door = TroubledDoor()
    door.failing["reserve"] = error
    log = open_log(door)
    for number in range(3):
        log.reserve()
        log.append(b"%d" % number)
        log.force()
    assert content(files) == b"012"
    assert door.calls.count("reserve") == 1, "it is not tried at each write"
    log.close()


def test_a_new_file_begins_once_the_old_one_has_no_reserve(files: CollectionFiles, open_log: OpenLog) -> None:
    door = TroubledDoor()
    log = open_log(door)
    log.reserve()
    log.append(b"one")
    door.failing["force"] = errno.EIO
    with pytest.raises(WritesStopped):
        log.force()
    door.failing.clear()
    log = open_log(door, end=FIRST + 3, torn_bytes=1)
    log.reserve()
    door.calls.clear()
    log.roll(1)
    assert content(files) == b"one"
    assert door.calls.index("truncate") < door.calls.index("create")
    log.append(b"two")
    log.close()
    assert content(files, 1) == b"two"


def test_what_a_cut_write_left_behind_is_cut_off(files: CollectionFiles, open_log: OpenLog) -> None:
    with files.segment(0).open("ab") as file:
        file.write(b"wholetorn to pieces")
    log = open_log(Door(), end=FIRST + 5, torn_bytes=14)
    log.append(b"next")
    assert content(files).rstrip(b"\0") == b"wholenext", "also of a longer one"
    log.close()
    assert content(files) == b"wholenext"


@pytest.mark.parametrize("most", [1, 2, 3])
def test_short_writes_are_gone_on_with(most: int, files: CollectionFiles, open_log: OpenLog) -> None:
    log = open_log(ShortDoor(most))
    log.append(b"one commit")
    assert log.append(b"another") == FIRST + 10
    assert content(files) == b"one commitanother"
    log.close()


@pytest.mark.parametrize("written", range(10))  # of the ten bytes of the commit
def test_a_write_that_fails_part_of_the_way_is_taken_back(
    written: int, files: CollectionFiles, open_log: OpenLog
) -> None:
    door = ShortDoor(4)
    log = open_log(door)
    log.append(b"one")
    door.left = written
    with pytest.raises(StorageError, match="free some space") as caught:
        log.append(b"one commit")
    assert type(caught.value) is StorageError
    assert content(files) == b"one"
    assert (log.end, mark_of(files).written) == (FIRST + 3, FIRST + 3)
    door.left = None
    assert log.append(b"two") == FIRST + 3
    assert content(files) == b"onetwo"
    log.close()


def test_where_it_cannot_be_taken_back_nothing_more_is_written(files: CollectionFiles, open_log: OpenLog) -> None:
    door = ShortDoor(4)
    log = open_log(door)
    door.left, door.failing["truncate"] = 6, errno.EIO
    with pytest.raises(StorageError):
        log.append(b"one commit")
    door.left = None
    door.failing.clear()
    with pytest.raises(WritesStopped):
        log.append(b"two")
    assert content(files) == b"one co"
    with pytest.raises(WritesStopped):
        log.close()
    assert not mark_of(files).clean


def test_one_force_serves_all_who_wait_for_it(open_log: OpenLog) -> None:
    door = TroubledDoor()
    log = open_log(door)
    places = [log.append(b"commit") for _ in range(8)]
    door.calls.clear()
    waiting = [Thread(target=log.force, args=(place + 1,)) for place in places]
    for thread in waiting:
        thread.start()
    for thread in waiting:
        thread.join()
    assert door.calls.count("force") == log.latency.count == 1
    log.append(b"more")
    log.force(log.end)
    assert door.calls.count("force") == 2
    log.close()
    assert door.calls.count("force") == 2, "nothing was left to force"


@pytest.mark.parametrize("system", [TroubledDoor, WindowDoor])
def test_after_a_failed_force_nothing_more_is_written_or_stored(
    files: CollectionFiles, open_log: OpenLog, system: type[TroubledDoor]
) -> None:
    door = system()
    log = open_log(door)
    log.append(b"one")
    door.failing["force"] = errno.EIO
    with pytest.raises(WritesStopped, match="open the database again"):
        log.force()
    assert content(files).rstrip(b"\0") == b"one"
    door.failing.clear()
    for _ in range(2):
        with pytest.raises(WritesStopped):
            log.append(b"two")
    assert content(files).rstrip(b"\0") == b"one"
    with pytest.raises(WritesStopped):
        log.close()


def test_a_failed_force_is_never_tried_again_and_believed(files: CollectionFiles, open_log: OpenLog) -> None:
    """The system drops what it could not write: the next force succeeds, and proves nothing."""
    door = TroubledDoor()
    log = open_log(door)
    log.append(b"one")
    door.failing["force"] = errno.EIO
    with pytest.raises(WritesStopped):
        log.force()
    door.failing.clear()
    with pytest.raises(WritesStopped):
        log.force()
    assert log.forced == mark_of(files).forced == FIRST
    with pytest.raises(WritesStopped):
        log.close()
    mark = mark_of(files)
    assert (mark.forced, mark.clean) == (FIRST, False)


def test_a_new_file_begins_where_the_old_one_is_full(
    files: CollectionFiles, open_log: OpenLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "SEGMENT_SOFT_BYTES", FIRST + 10)
    log = open_log(Door())
    log.append(b"123456789")
    assert log.end < log.roll_at
    log.append(b"0")
    assert log.end >= log.roll_at
    log.roll(first_sequence=2)
    assert segment.decode(files.segment(1).read_bytes()) == (COLLECTION, 1, 2)
    assert log.end == place_of(1, FIRST) < log.roll_at
    assert mark_of(files).written == mark_of(files).forced == log.end
    assert log.append(b"more") == place_of(1, FIRST)
    assert (content(files), content(files, 1).rstrip(b"\0")) == (b"1234567890", b"more")
    log.close()
    assert content(files, 1) == b"more"
    assert mark_of(files).forced == place_of(1, FIRST + 4)


@pytest.mark.parametrize("call", ["create", "rename", "open_append"])
def test_where_no_new_file_can_be_made_the_old_one_goes_on(
    call: str, files: CollectionFiles, open_log: OpenLog
) -> None:
    door = TroubledDoor()
    log = open_log(door)
    log.append(b"one")
    door.failing[call] = errno.ENOSPC
    with pytest.raises(StorageError, match="free some space"):
        log.roll(1)
    door.failing.clear()
    log.append(b"two")
    assert content(files) == b"onetwo"
    log.roll(2)
    log.append(b"three")
    assert content(files, 1) == b"three"
    log.close()


def test_a_chain_has_so_many_files_and_no_more(open_log: OpenLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "MAX_SEGMENTS", 2)
    log = open_log(Door())
    log.roll(0)
    with pytest.raises(StorageError, match="begin a new collection"):
        log.roll(0)
    log.close()


def test_a_log_that_cannot_be_opened_says_what_to_do(open_log: OpenLog) -> None:
    door = TroubledDoor()
    door.failing["open_append"] = errno.EACCES
    with pytest.raises(StorageError, match=r"opening the log failed: .*check the permissions"):
        open_log(door)


class BusyDoor(TroubledDoor):
    """A system in which somebody writes while it forces."""

    def __init__(self) -> None:
        super().__init__()
        self.log: Log | None = None

    def force(self, descriptor: Any) -> None:
        super().force(descriptor)
        log, self.log = self.log, None
        if log is not None:
            log.append(b"later")


def test_a_force_vouches_for_nothing_that_was_written_while_it_went_on(tmp_path: Path) -> None:
    files = CollectionFiles(tmp_path)
    files.chain.mkdir()
    files.segment(0).write_bytes(segment.encode(SegmentHeader(bytes(16), 0, 0)))
    first = segment.HEADER_BYTES
    door = BusyDoor()
    log = Log(door, files, bytes(16), first, first, 0)
    place = log.append(b"one")
    door.log = log
    log.force(place + 1)
    mark = mark_format.decode(files.mark.read_bytes())
    assert (mark.written, mark.forced) == (first + 8, first + 3)
    door.calls.clear()
    log.force()
    assert door.calls == ["force"], "what came meanwhile is forced for itself"
    log.close()


def test_what_a_transaction_decided_is_on_the_disk_before_its_batch(files: CollectionFiles, open_log: OpenLog) -> None:
    door = TroubledDoor()
    log = open_log(door)
    forced: list[int] = []
    log.before_force = lambda number: forced.append(number) or door.calls.append("decision")  # type: ignore[func-returns-value]
    log.append(b"one")
    log.force()
    assert forced == []
    log.transaction = 77
    log.append(b"two")
    door.calls.clear()
    log.force()
    assert (forced, door.calls) == ([77], ["decision", "force"])
    log.force()
    assert forced == [77]
    log.append(b"three")
    log.roll(3)
    assert forced == [77, 77]
    log.close()


def test_where_a_decision_cannot_be_forced_its_batch_is_not(files: CollectionFiles, open_log: OpenLog) -> None:
    door = TroubledDoor()
    log = open_log(door)

    def refuse(number: int) -> None:
        raise WritesStopped("no")

    log.transaction, log.before_force = 77, refuse
    log.append(b"one")
    door.calls.clear()
    with pytest.raises(WritesStopped):
        log.force()
    assert door.calls == []
    assert mark_of(files).forced == FIRST
