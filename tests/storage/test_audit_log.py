"""The audit log alone: appending, new files, what is left of it after a crash, and reading beside who writes."""

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blockdb.errors import Corruption, StorageError, WritesStopped
from blockdb.format import mark as mark_format
from blockdb.format.audit_log import FIRST, HEADER_BYTES, encode
from blockdb.format.keyring import DataKeys
from blockdb.layout import AuditLogFiles
from blockdb.ledger.act_log import LogHead
from blockdb.storage import audit_log
from blockdb.storage.audit_log import ActReader, AuditLog, newest_first
from blockdb.storage.door import Door
from blockdb.storage.sealed_door import SealedDoor
from blockdb.types import Act
from tests.storage.doors import ShortDoor, StillDoor, TroubledDoor, copy_of

DATABASE = bytes(range(16))
KEYS = DataKeys([(bytes(8), bytes(32))], bytes(8))
SMALL_FILE = 1_000


def plain() -> Door:
    return StillDoor()


def sealed() -> Door:
    return SealedDoor(StillDoor(), KEYS)


@pytest.fixture(params=[plain, sealed])
def new_door(request: pytest.FixtureRequest) -> Callable[[], Door]:
    made: Callable[[], Door] = request.param
    return made


@pytest.fixture(autouse=True)
def _small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_log, "FILE_BYTES", SMALL_FILE)


def act(number: int, **fields: Any) -> Act:
    made = Act(number, f"who {number % 3}", "", "127.0.0.1", "http", "put", "users", b"%d" % number, 1, 1, "ok", "")
    return made._replace(**fields)


ENTRY = len(encode(act(0), FIRST)[0])
IN_A_FILE = -(-(SMALL_FILE - HEADER_BYTES) // ENTRY)


def noted(head: LogHead) -> str:
    return f"{head.size} {head.hash.hex()}"


def open_log(root: Path, door: Door, *known: LogHead) -> AuditLog:
    return AuditLog(door, AuditLogFiles(root), DATABASE, noted, known)


def fill(log: AuditLog, first: int, stop: int) -> None:
    for number in range(first, stop):
        assert log.append(act(number)) == number


def read(root: Path, door: Door, after: int = -1) -> list[int]:
    found = list(ActReader(door, AuditLogFiles(root), DATABASE, after).take())
    assert all(each == act(each.sequence, sequence=each.sequence) for each in found)
    return [each.sequence for each in found]


def backwards(root: Path, door: Door) -> list[int]:
    return [each.sequence for each in newest_first(door, AuditLogFiles(root), DATABASE)]


def head_at(root: Path) -> LogHead:
    size, hash_ = AuditLogFiles(root).head.read_text().split()
    return LogHead(int(size), bytes.fromhex(hash_))


def test_a_new_log_is_empty_and_says_so(tmp_path: Path, new_door: Callable[[], Door]) -> None:
    root = tmp_path / "audit"
    assert read(root, new_door()) == backwards(root, new_door()) == []
    log = open_log(root, new_door())
    assert log.head == head_at(root) == LogHead(0, FIRST)
    assert read(root, new_door()) == []
    log.close()
    open_log(root, new_door()).close()


def test_it_goes_on_over_files_and_lives(tmp_path: Path, new_door: Callable[[], Door]) -> None:
    root = tmp_path / "audit"
    for life in range(4):
        log = open_log(root, new_door(), *([head_at(root)] if life else []))
        fill(log, life * 15, life * 15 + 15)
        head = log.head
        assert read(root, new_door()) == list(range(life * 15 + 15)), "beside the writer"
        log.close()
        assert head == head_at(root)
    everything = list(range(60))
    assert len(list(root.glob("*.acts"))) > 5
    assert backwards(root, new_door()) == everything[::-1]
    for after in range(-1, 60):
        assert read(root, new_door(), after) == everything[after + 1 :]


def test_a_reader_goes_on_with_what_came_since(tmp_path: Path, new_door: Callable[[], Door]) -> None:
    root = tmp_path / "audit"
    log = open_log(root, new_door())
    reader = ActReader(new_door(), AuditLogFiles(root), DATABASE)
    for first, stop in [(0, 1), (1, 1), (1, 3), (3, 40), (40, 41)]:
        fill(log, first, stop)
        assert [each.sequence for each in reader.take()] == list(range(first, stop))
    late = ActReader(new_door(), AuditLogFiles(root), DATABASE, 40)
    assert list(late.take()) == []
    fill(log, 41, 42)
    assert [each.sequence for each in late.take()] == [41]
    log.close()


def test_what_was_appended_survives_a_killed_process(tmp_path: Path, new_door: Callable[[], Door]) -> None:
    log = open_log(tmp_path / "audit", new_door())
    for number in range(0, 20, 4):
        fill(log, number, number + 4)
        killed = copy_of(tmp_path / "audit", tmp_path / f"killed{number}")
        assert read(killed, new_door()) == list(range(number + 4))
        after = open_log(killed, new_door(), head_at(killed))
        fill(after, number + 4, number + 6)
        after.close()
        assert read(killed, new_door()) == list(range(number + 6))
    log.close()


def test_what_a_write_left_that_was_cut_short_is_cut_off(tmp_path: Path) -> None:
    root = tmp_path / "audit"
    log = open_log(root, plain())
    fill(log, 0, 3)
    whole = AuditLogFiles(root).file(0).read_bytes()
    fill(log, 3, 4)
    torn = AuditLogFiles(root).file(0).read_bytes()
    for size in (len(whole) + 1, len(whole) + 41, len(torn) - 1):
        killed = copy_of(root, tmp_path / f"killed{size}")
        files = AuditLogFiles(killed)
        files.file(0).write_bytes(torn[:size])
        change_mark(files, written=len(whole))
        assert read(killed, plain()) == [0, 1, 2]
        after = open_log(killed, plain(), head_at(killed))
        assert files.file(0).read_bytes() == whole
        fill(after, 3, 5)
        after.close()
        change_mark(files, written=files.file(0).stat().st_size + 9, clean=False)
        with pytest.raises(Corruption, match=r"it was cut|00000000\.acts"):
            read(killed, plain())
    log.close()


def change_mark(files: AuditLogFiles, **fields: Any) -> None:
    mark = mark_format.decode(files.mark.read_bytes())._replace(**fields)
    files.mark.write_bytes(mark_format.encode(mark))


def test_after_a_power_cut_what_was_not_forced_may_be_anything(tmp_path: Path) -> None:
    root = tmp_path / "audit"
    log = open_log(root, plain())
    fill(log, 0, 3)
    head = log.sign()
    fill(log, 3, 5)
    killed = copy_of(root, tmp_path / "killed")
    files = AuditLogFiles(killed)
    change_mark(files, boot_id=b"another boot id!")
    data = files.file(0).read_bytes()
    files.file(0).write_bytes(data[:-70] + bytes(70))
    assert read(killed, plain()) == [0, 1, 2, 3]
    after = open_log(killed, plain(), head)
    fill(after, 4, 6)
    after.close()
    log.close()


def test_a_new_file_that_nobody_wrote_to_does_not_count(tmp_path: Path) -> None:
    """It was made, and could not be opened; the one before went on."""
    root, door = tmp_path / "audit", TroubledDoor()
    log = open_log(root, door)
    fill(log, 0, IN_A_FILE)
    door.failing["open_append"] = errno.EMFILE
    with pytest.raises(StorageError, match="open files"):
        log.append(act(IN_A_FILE))
    assert (root / "00000001.acts").stat().st_size == HEADER_BYTES
    killed = copy_of(root, tmp_path / "killed")
    assert read(killed, plain()) == list(range(IN_A_FILE)) == backwards(killed, plain())[::-1]
    after = open_log(killed, plain(), head_at(killed))
    fill(after, IN_A_FILE, 30)
    after.close()
    assert read(killed, plain()) == list(range(30))
    door.failing.clear()
    fill(log, IN_A_FILE, IN_A_FILE + 2)
    log.close()


def test_a_new_file_that_is_closed_without_an_entry_counts(tmp_path: Path) -> None:
    root, door = tmp_path / "audit", ShortDoor(1_000)
    log = open_log(root, door)
    fill(log, 0, IN_A_FILE)
    door.left = HEADER_BYTES
    with pytest.raises(StorageError, match="free some space"):
        log.append(act(IN_A_FILE))
    door.left = None
    log.close()
    assert read(root, plain()) == list(range(IN_A_FILE))
    after = open_log(root, plain(), head_at(root))
    fill(after, IN_A_FILE, IN_A_FILE + 2)
    after.close()
    assert read(root, plain()) == list(range(IN_A_FILE + 2))


@pytest.mark.parametrize("left", range(0, 300, 70))
def test_a_full_disk_leaves_the_log_as_it_was(tmp_path: Path, left: int) -> None:
    root = tmp_path / "audit"
    open_log(root, plain()).close()
    door = ShortDoor(13)
    log = open_log(root, door, head_at(root))
    door.left = left
    done = left // ENTRY
    fill(log, 0, done)
    with pytest.raises(StorageError, match="free some space"):
        log.append(act(done))
    assert read(root, plain()) == list(range(done))
    door.left = None
    fill(log, done, done + 9)
    log.close()
    assert read(root, plain()) == list(range(done + 9))


def test_after_a_failed_force_nothing_is_written(tmp_path: Path) -> None:
    door = TroubledDoor()
    log = open_log(tmp_path / "audit", door)
    fill(log, 0, 1)
    door.failing["force"] = errno.EIO
    with pytest.raises(WritesStopped):
        log.force()
    door.failing.clear()
    for step in (lambda: log.append(act(1)), log.sign, log.close):
        with pytest.raises(WritesStopped):
            step()
    assert read(tmp_path / "audit", plain()) == [0]


# ── what does not fit is not signed ──────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def closed(tmp_path: Path) -> tuple[Path, LogHead]:
    root = tmp_path / "audit"
    log = open_log(root, plain())
    fill(log, 0, 25)
    log.close()
    return root, log.head


def test_a_log_that_is_gone_or_put_back_is_not_gone_on_with(closed: tuple[Path, LogHead], tmp_path: Path) -> None:
    root, head = closed
    copy_of(root, tmp_path / "older")
    log = open_log(root, plain(), head)
    fill(log, 25, 26)
    log.close()
    for where in (tmp_path / "older", tmp_path / "nowhere"):
        with pytest.raises(Corruption, match="does not have the 26 entries"):
            open_log(where, plain(), log.head)
    assert head_at(tmp_path / "older") == head, "nothing was signed"
    with pytest.raises(Corruption, match="has others than the 24"):
        open_log(root, plain(), LogHead(24, b"x" * 32), log.head)


def test_a_file_that_is_gone_is_named(closed: tuple[Path, LogHead]) -> None:
    root, head = closed
    files = AuditLogFiles(root)
    for path in (files.file(1), files.file(2), files.head):
        data = path.read_bytes()
        path.unlink()
        with pytest.raises(Corruption, match=path.name):
            open_log(root, plain(), head)
        path.write_bytes(data)
    files.mark.unlink()
    log = open_log(root, plain(), head)
    fill(log, 25, 26)
    log.close()


def test_files_that_were_exchanged_are_named(closed: tuple[Path, LogHead]) -> None:
    root, _ = closed
    files = AuditLogFiles(root)
    first, second = files.file(0).read_bytes(), files.file(1).read_bytes()
    files.file(1).write_bytes(first)
    with pytest.raises(Corruption, match=r"00000001\.acts at byte 0: the file belongs"):
        read(root, plain())
    files.file(0).write_bytes(second)
    with pytest.raises(Corruption, match=r"00000000\.acts"):
        read(root, plain())
    with pytest.raises(Corruption, match="belongs to another"):
        list(ActReader(plain(), files, bytes(16)).take())


def test_a_log_that_does_not_end_where_it_was_closed_is_refused(closed: tuple[Path, LogHead]) -> None:
    root, head = closed
    newest = max(root.glob("*.acts"))
    newest.write_bytes(newest.read_bytes() + b"\0")
    with pytest.raises(Corruption, match="when it was closed"):
        open_log(root, plain(), head)


@settings(max_examples=8, deadline=None)
@given(steps=st.lists(st.sampled_from(["append", "append", "append", "sign", "force", "close", "kill"]), max_size=40))
def test_it_is_what_a_list_would_be(tmp_path_factory: pytest.TempPathFactory, steps: list[str]) -> None:
    base = tmp_path_factory.mktemp("model")
    root, log, size, lives = base / "audit", None, 0, 0
    for step in [*steps, "close"]:
        log = log or open_log(root, plain(), *([head_at(root)] if root.exists() else []))
        if step == "append":
            assert log.append(act(size)) == size
            size += 1
        elif step == "kill":
            lives += 1
            killed = copy_of(root, base / f"life{lives}")
            log.close()
            root, log = killed, None
        elif step == "close":
            log.close()
            log = None
        else:
            getattr(log, step)()
        assert read(root, plain()) == list(range(size))
