"""The transaction log alone: deciding, taking back, emptying, and what is left of it after a crash."""

import errno
from contextlib import suppress
from pathlib import Path

import pytest

from blockdb.errors import Corruption, StorageError, WritesStopped
from blockdb.format import mark as mark_format
from blockdb.format.keyring import DataKeys
from blockdb.format.mark import Mark
from blockdb.format.transaction import HEADER_BYTES, Decision, Writes
from blockdb.layout import DatabaseFiles
from blockdb.storage.door import Door
from blockdb.storage.sealed_door import SealedDoor
from blockdb.storage.transaction_log import Decisions, TransactionLog, load
from tests.storage.doors import ShortDoor, StillDoor, TroubledDoor, copy_of

DATABASE = bytes(range(16))
ONE = (Writes(b"a" * 16, ((b"key", b"value"),)), Writes(b"b" * 16, ((b"key", b""),)))
TWO = (Writes(b"a" * 16, ((b"more", b"value"),)),)
KEYS = DataKeys([(bytes(8), bytes(32))], bytes(8))


def plain() -> Door:
    return StillDoor()


def sealed() -> Door:
    return SealedDoor(StillDoor(), KEYS)


def log_at(root: Path, door: Door | None = None) -> TransactionLog:
    return TransactionLog(door or StillDoor(), DatabaseFiles(root), DATABASE)


def change_mark(root: Path, **fields: object) -> Mark:
    file = DatabaseFiles(root).transactions_mark
    mark = mark_format.decode(file.read_bytes())._replace(**fields)  # type: ignore[arg-type]
    file.write_bytes(mark_format.encode(mark))
    return mark


@pytest.fixture(params=[plain, sealed])
def door(request: pytest.FixtureRequest) -> Door:
    made: Door = request.param()
    return made


def again(door: Door) -> Door:
    return sealed() if isinstance(door, SealedDoor) else plain()


def test_there_is_no_file_before_there_is_a_decision(tmp_path: Path, door: Door) -> None:
    log = log_at(tmp_path, door)
    log.recover()
    log.force()
    log.close()
    assert list(tmp_path.iterdir()) == []
    assert not log.has(1)
    assert not Decisions(door, DatabaseFiles(tmp_path), DATABASE).has(1)


def test_what_was_decided_survives_a_killed_process(tmp_path: Path, door: Door) -> None:
    (tmp_path / "db").mkdir()
    log = log_at(tmp_path / "db", door)
    first, second = log.decide(ONE), log.decide(TWO)
    assert first == HEADER_BYTES
    copy_of(tmp_path / "db", tmp_path / "killed")
    log.close()
    after = log_at(tmp_path / "killed", again(door))
    assert after.unfinished == (Decision(first, ONE), Decision(second, TWO))
    assert not after.was_closed
    assert after.has(first)
    assert after.has(second)
    assert not after.has(first + 1)
    assert not after.has(second + 1)
    after.recover()
    assert after.decide(TWO) > second
    after.close()


def test_what_was_emptied_stays_decided(tmp_path: Path, door: Door) -> None:
    log = log_at(tmp_path, door)
    decisions = Decisions(again(door), DatabaseFiles(tmp_path), DATABASE)
    numbers = []
    for _ in range(3):
        numbers += [log.decide(ONE), log.decide(TWO)]
        assert all(map(decisions.has, numbers))
        assert log.size
        log.empty()
        assert not log.size
    assert numbers == sorted(set(numbers))
    log.close()
    after = log_at(tmp_path, again(door))
    assert (after.unfinished, after.was_closed) == ((), True)
    assert all(map(after.has, numbers))
    assert all(map(decisions.has, numbers))
    assert not after.has(numbers[-1] + 1_000)
    assert after.has(after.decide(ONE))
    after.close()


def test_a_decision_is_taken_back_as_if_it_had_never_been(tmp_path: Path, door: Door) -> None:
    log = log_at(tmp_path, door)
    first = log.decide(ONE)
    log.force()
    second = log.decide(TWO)
    log.retract(second)
    assert log.decide(ONE) == second
    log.close()
    found = load(again(door), DatabaseFiles(tmp_path), DATABASE)
    assert found is not None
    assert found.decisions == (Decision(first, ONE), Decision(second, ONE))


@pytest.mark.parametrize("boot_id", [None, b"another boot id!"])
def test_a_decision_that_was_cut_anywhere_is_forgotten(tmp_path: Path, boot_id: bytes | None) -> None:
    log = log_at(tmp_path)
    first = log.decide(ONE)
    log.force(first)
    mark = mark_format.decode(DatabaseFiles(tmp_path).transactions_mark.read_bytes())
    second = log.decide(TWO)
    log.close()
    data = DatabaseFiles(tmp_path).transactions.read_bytes()
    DatabaseFiles(tmp_path).transactions_mark.write_bytes(mark_format.encode(mark))
    if boot_id is not None:
        change_mark(tmp_path, boot_id=boot_id, written=second + 99)
    for size in range(second, len(data)):
        for rest in ("", "zeros") if boot_id else ("",):
            DatabaseFiles(tmp_path).transactions.write_bytes(data[:size] + bytes(99 if rest else 0))
            after = log_at(tmp_path)
            assert after.has(first)
            assert not after.has(second)
            assert after.unfinished == (Decision(first, ONE),)


def test_what_the_mark_vouches_for_must_be_there(tmp_path: Path) -> None:
    log = log_at(tmp_path)
    second = log.decide(ONE) and log.decide(TWO)
    log.force()
    copy_of(tmp_path, tmp_path / "killed")
    log.close()
    for root, boot_id in ((tmp_path, None), (tmp_path / "killed", None), (tmp_path / "killed", b"another boot id!")):
        file = DatabaseFiles(root).transactions
        data = file.read_bytes()
        if boot_id:
            change_mark(root, boot_id=boot_id)
        for damaged in (data[:-1], data[:second], data[:second] + b"?" + data[second + 1 :], data[:HEADER_BYTES]):
            file.write_bytes(damaged)
            with pytest.raises(Corruption, match=r"transactions\.log"):
                log_at(root)
        file.write_bytes(data)
        assert len(log_at(root).unfinished) == 2


def test_a_log_that_was_closed_ends_where_it_ended(tmp_path: Path) -> None:
    log = log_at(tmp_path)
    log.decide(ONE)
    log.close()
    with DatabaseFiles(tmp_path).transactions.open("ab") as file:
        file.write(b"?")
    with pytest.raises(Corruption, match="closed"):
        log_at(tmp_path)


def test_another_databases_log_is_refused(tmp_path: Path) -> None:
    log_at(tmp_path).decide(ONE)
    with pytest.raises(Corruption, match="another database"):
        TransactionLog(StillDoor(), DatabaseFiles(tmp_path), bytes(16))


@pytest.mark.parametrize("call", ["create", "rename", "open_append", "force"])
def test_an_emptying_that_fails_leaves_one_log_or_the_other(tmp_path: Path, call: str) -> None:
    """Killed at once after it, and gone on with."""
    door = TroubledDoor()
    (tmp_path / "db").mkdir()
    log = log_at(tmp_path / "db", door)
    number = log.decide(ONE)
    door.failing[call] = errno.EIO
    with suppress(StorageError):
        log.empty()
    copy_of(tmp_path / "db", tmp_path / "killed")
    assert log_at(tmp_path / "killed").has(number)
    door.failing.clear()
    if call == "force":  # the disk may have anything
        with pytest.raises(WritesStopped):
            log.decide(TWO)
        return
    second = log.decide(TWO)
    assert second > number
    copy_of(tmp_path / "db", tmp_path / "later")
    after = log_at(tmp_path / "later")
    assert after.has(number)
    assert after.has(second)
    log.close()


@pytest.mark.parametrize("written", range(0, 60, 7))
def test_a_decision_that_cannot_be_written_is_none(tmp_path: Path, written: int) -> None:
    door = ShortDoor(9)
    log = log_at(tmp_path, door)
    log.decide(ONE)
    door.left = written
    with pytest.raises(StorageError):
        log.decide(ONE)
    door.left = None
    log.decide(TWO)
    log.close()
    found = load(StillDoor(), DatabaseFiles(tmp_path), DATABASE)
    assert found is not None
    assert [decision.writes for decision in found.decisions] == [ONE, TWO]


@pytest.mark.parametrize("call", ["truncate", "force"])
def test_where_a_decision_cannot_be_taken_back_nothing_more_is_decided(tmp_path: Path, call: str) -> None:
    door = TroubledDoor()
    log = log_at(tmp_path, door)
    number = log.decide(ONE)
    door.failing[call] = errno.EIO
    with pytest.raises(WritesStopped):
        log.retract(number)
    door.failing.clear()
    with pytest.raises(WritesStopped):
        log.decide(TWO)
