"""Processes that build tables: the same tables as without them, one process for many of them, and none in the end."""

import os
import signal
import subprocess
import sys
from array import array
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

import blockdb
from blockdb.format.pages import HEADER_BYTES
from blockdb.format.record import RecordFrame
from blockdb.format.table import TableHeader, decode_header
from blockdb.layout import CollectionFiles
from blockdb.lsm import columns
from blockdb.lsm.bloom import key_hash
from blockdb.lsm.key_filter import MARK_MASK
from blockdb.process import start_python
from blockdb.storage import maintenance, table_makers, table_process
from blockdb.storage.chain import Chain
from blockdb.storage.door import Door
from blockdb.storage.table_makers import Source, TableMakers
from tests.storage.doors import collection_of, pairs, until

Started = list[subprocess.Popen[bytes]]
PATIENCE_S = 60


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    """The processes that were started for tables."""
    found: Started = []

    def start(*job: Any) -> subprocess.Popen[bytes]:
        found.append(start_python(*job))
        return found[-1]

    monkeypatch.setattr(table_makers, "start_python", start)
    return found


@pytest.fixture
def closed(tmp_path: Path) -> CollectionFiles:
    """A collection of 400 records and two tables."""
    with blockdb.open(tmp_path / "db", compaction_threshold=9, blockchain_batch_size=50) as db:
        for start in (0, 200):
            db.put_many(pairs(range(start, start + 200)))
            db.flush()
    return collection_of(tmp_path / "db")


def headers(files: CollectionFiles) -> list[TableHeader]:
    return [decode_header(path.read_bytes()) for path in sorted(files.tables.iterdir())]


def source_of(files: CollectionFiles, header: TableHeader) -> Source:
    """The places that a writer knows of the records and the seals of a table."""
    chain, places, seals = Chain(Door(), files, header.collection), array("Q"), array("Q")
    for place, _, frame in chain.walk(header.first_place, header.end_place):
        (places if isinstance(frame, RecordFrame) else seals).append(place)
    return Source(places, seals)


def record_by_record(db: blockdb.Database, start: int) -> None:
    for key, value in pairs(range(start, start + 120)):
        db.put(key, value)


def in_batches(db: blockdb.Database, start: int) -> None:
    for first in range(start, start + 120, 30):
        db.put_many(pairs(range(first, first + 30)))
        db.put(b"user:%d" % first, b"")


def in_one_batch(db: blockdb.Database, start: int) -> None:
    db.put_many(pairs(range(start, start + 5000)))


def in_transactions(db: blockdb.Database, start: int) -> None:
    if not start:
        db.create_collection("other")
    for first in range(start, start + 60, 3):
        with db.transaction() as transaction:
            transaction.put(b"to another%d" % first, b"", collection="other")
            for key, value in pairs(range(first, first + 3)):
                transaction.put(key, value)


@pytest.mark.parametrize("settings", [{}, {"redactable": True}, {"compression_enabled": True}], ids=str)
@pytest.mark.parametrize("fill", [record_by_record, in_batches, in_one_batch, in_transactions])
def test_the_tables_are_those_that_a_writer_builds_itself(tmp_path: Path, settings: dict[str, Any], fill: Any) -> None:
    path = tmp_path / "db"
    with blockdb.open(path, compaction_threshold=9, blockchain_batch_size=50, **settings) as db:
        for start in (0, 10_000, 20_000):
            fill(db, start)
            db.flush()
        files, door = collection_of(path), Door()
        assert len(headers(files)) == 3
        for header in headers(files):
            expected = files.table(header.number).read_bytes()
            assert table_process.table_of_chain(door, files, header) == expected
            assert table_process.table_of_places(door, files, header, source_of(files, header)).data == expected
        numbers = [header.number for header in headers(files)]
        parts = [files.table(number).read_bytes() for number in numbers]
        db.compact()
        [merged] = headers(files)
        expected = files.table(merged.number).read_bytes()
        for number, part in zip(numbers, parts, strict=True):
            files.table(number).write_bytes(part)
        assert table_process.table_of_chain(door, files, merged) == expected
        assert table_process.table_of_tables(door, files, merged, numbers) == expected
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(columns, "MAX_KEYS_BYTES", 100)
            assert table_process.table_of_tables(door, files, merged, numbers) == expected


def test_a_table_has_as_many_records_as_its_parts(closed: CollectionFiles) -> None:
    header = headers(closed)[0]
    for records in (199, 201):
        with pytest.raises(ValueError, match=f"200 records, and should be {records}"):
            table_process.table_of_chain(Door(), closed, header._replace(records=records))
        with pytest.raises(ValueError, match=f"200 records, and should be {records}"):
            table_process.table_of_places(Door(), closed, header._replace(records=records), source_of(closed, header))


def make(makers: TableMakers, files: CollectionFiles, header: TableHeader) -> bytes | None:
    target = files.root / "made"
    target.unlink(missing_ok=True)
    said = makers.make(Door(), files, header, target, source_of(files, header))
    return None if said is None else target.read_bytes()


@pytest.fixture
def makers() -> Iterator[TableMakers]:
    made = TableMakers()
    made.enter("a user")
    yield made
    made.leave("a user")


def test_a_process_waits_for_the_next_table(makers: TableMakers, closed: CollectionFiles, started: Started) -> None:
    expected = [path.read_bytes() for path in sorted(closed.tables.iterdir())]
    assert [make(makers, closed, header) for header in headers(closed)] == expected
    [process] = started
    assert process.poll() is None
    maps = Path(f"/proc/{process.pid}/maps")
    assert not maps.exists() or ".chain" not in maps.read_text(), "nothing of what it read is kept"
    makers.enter("another user")
    makers.leave("a user")
    assert process.poll() is None
    makers.leave("another user")
    assert process.returncode == 0


def test_merging_has_a_process_of_its_own(makers: TableMakers, closed: CollectionFiles, started: Started) -> None:
    header = headers(closed)[0]
    assert make(makers, closed, header)
    assert make(makers, closed, header._replace(tier=1))
    assert len(started) == 2


def test_another_takes_the_place_of_one_that_is_gone(
    makers: TableMakers, closed: CollectionFiles, started: Started
) -> None:
    header = headers(closed)[0]
    assert make(makers, closed, header)
    started[0].kill()
    started[0].wait(PATIENCE_S)
    assert make(makers, closed, header)
    assert len(started) == 2


def test_of_one_that_has_ended_nothing_is_left(makers: TableMakers, closed: CollectionFiles, started: Started) -> None:
    assert make(makers, closed, headers(closed)[0])
    assert makers.count_idle() == 1
    started[0].kill()
    until(lambda: makers.count_idle() == 0)
    assert started[0].returncode == -signal.SIGKILL


def test_it_is_looked_for_such_after_a_while(tmp_path: Path, started: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "WORTHWHILE_RECORDS", 1)
    with blockdb.open(tmp_path / "db") as db:
        db.put(b"key", b"")
        db.flush()
        merger = db._store.upkeep._merger

        def is_due_later() -> bool:
            return merger.due is not None and merger.due > monotonic() + table_makers.IDLE_S / 2

        until(is_due_later)
        merger.wake()  # what comes between does not make it be forgotten
        until(is_due_later)
        started[0].kill()
        os.waitid(os.P_PID, started[0].pid, os.WEXITED | os.WNOWAIT)  # it has ended, and the trace of it is left
        merger.wake()  # which nobody does in that while
        until(lambda: started[0].returncode is not None)


def test_a_writer_is_told_the_marks_of_the_keys(makers: TableMakers, closed: CollectionFiles) -> None:
    header = headers(closed)[0]
    source = source_of(closed, header)
    marks = makers.make(Door(), closed, header, closed.root / "made", source)
    chain = Chain(Door(), closed, header.collection)
    keys = [key for key, _ in chain.items_at(source.places)]
    assert sorted(array("Q", marks or b"")) == sorted(key_hash(key) & MARK_MASK for key in keys)


@pytest.mark.parametrize("section", ["slots", "order"])
def test_of_a_damaged_table_no_other_is_made(
    section: str, tmp_path: Path, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "WORTHWHILE_RECORDS", 1)
    with blockdb.open(tmp_path / "db", compaction_threshold=9) as db:
        for start in (0, 2000):
            db.put_many(pairs(range(start, start + 2000)))
            db.flush()
    files = collection_of(tmp_path / "db")
    first = headers(files)[0]
    with blockdb.open(tmp_path / "db", compaction_threshold=9) as db:
        with files.table(first.number).open("r+b") as file:
            file.seek(HEADER_BYTES if section == "slots" else first.order_offset)
            file.write(b"?")
        with pytest.raises(blockdb.Corruption, match=r"\.sst"):
            db.compact()
        assert len(db.stats().tables) == 2
    assert started[-1].returncode == 1


def test_where_nobody_is_left_none_waits(closed: CollectionFiles, started: Started) -> None:
    assert make(TableMakers(), closed, headers(closed)[0])
    assert [process.returncode for process in started] == [0]


def test_what_cannot_be_built_is_said_and_leaves_no_process(
    makers: TableMakers, closed: CollectionFiles, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = headers(closed)[0]
    assert make(makers, closed, header._replace(records=5)) is None
    assert [process.returncode for process in started] == [1]

    def refuse(*_: object) -> None:
        raise OSError("no process")

    monkeypatch.setattr(table_makers, "start_python", refuse)
    assert make(makers, closed, header) is None


def test_damage_is_met_by_whoever_builds_the_table_then(
    tmp_path: Path, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "WORTHWHILE_RECORDS", 1)
    with blockdb.open(tmp_path / "db", compaction_threshold=9) as db:
        for start in (0, 200):
            db.put_many(pairs(range(start, start + 200)))
            db.flush()
        path = collection_of(tmp_path / "db").segment(0)
        data = bytearray(path.read_bytes())
        data[data.index(pairs(range(300, 301))[0][0])] ^= 1
        with path.open("r+b") as file:
            file.write(data)
        with pytest.raises(blockdb.Corruption, match=r"\.chain"):
            db.compact()
        assert len(db.stats().tables) == 2
    assert [process.returncode for process in started] == [0, 1]


@pytest.mark.torture
def test_a_process_whose_writer_was_killed_ends_though_a_child_holds_the_pipe() -> None:
    program = "from blockdb.storage import table_process as process; process.IDLE_S = 1; process.main('0')"
    process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(bytes(4))  # no secret
    process.stdin.flush()
    assert process.wait(PATIENCE_S) == -signal.SIGALRM
    process.stdin.close()


def test_writers_need_no_numpy(tmp_path: Path) -> None:
    """Importing it takes longer than most programs run."""
    program = (
        "import sys, blockdb; from blockdb.storage import maintenance; maintenance.WORTHWHILE_RECORDS = 1\n"
        f"with blockdb.open({str(tmp_path / 'db')!r}) as db:\n"
        "    for n in range(4): db.put(b'key%d' % n, b''); db.flush()\n"
        "    db.compact(); assert db.count() == 4\n"
        "print([name for name in sys.modules if name.startswith('numpy')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=PATIENCE_S)
    assert done.stdout.split() == [b"[]"]
