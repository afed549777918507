"""The audit in bulk: it says yes where all is well, whatever the records are like, and else it leaves a doubt."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

import blockdb
import blockdb.storage.log as log_module
from blockdb.audit import bulk, collection, crew, cuts, recruits
from blockdb.audit.bulk import BulkAudit
from blockdb.audit.chain import ChainAudit
from blockdb.audit.doubt import Doubt
from blockdb.audit.frames import Portion, read
from blockdb.audit.stretch import Cut
from blockdb.format import segment
from blockdb.format.place import PLACE_MASK
from blockdb.format.record import encode
from blockdb.format.walk import walk
from blockdb.storage.door import Door
from blockdb.storage.metadata import load_metadata, save_metadata
from blockdb.storage.seals import Seals
from tests.audit.forgery import Forger, TableParts
from tests.fault.support import copy_of, files_of, open_database
from tests.storage.doors import collection_of, pairs
from tests.tiers import tiers

RECORDS = 3_000


def variable(number: int) -> tuple[bytes, bytes]:
    """Keys and values of all sizes, and now and then many of the same."""
    chance = Random(number // 40)
    key = b"%d/" % number + bytes(chance.randrange(20))
    return key, bytes(chance.randrange(60) if number % 3 else 0)


KINDS: dict[str, Callable[[int], tuple[bytes, bytes]]] = {
    "alike": lambda number: (Random(number).randbytes(16), bytes(100)),
    "variable": variable,
    "long beginnings": lambda number: (b"shared/" * 3 + b"%09d" % number, b"value"),
    "different after ten bytes": lambda number: (b"%d/shared/shared/%d" % (number % 2, number), b"value"),
    "like records": lambda number: (b"%d" % number, encode(time.time_ns() // 10**6, b"key", bytes(number % 3))),
    "tiny": lambda number: (number.to_bytes(1 if number < 256 else 2, "big"), b""),
}


DAILY = ["alike", "variable"]

for_helpers = pytest.mark.parametrize(
    "whole", tiers(DAILY[:1], [kind for kind in KINDS if kind != DAILY[0]]), indirect=True
)
"""What is about processes depends little on what the records are."""


def fill(db: blockdb.Database, kind: str, first: int = 0, stop: int = RECORDS) -> None:
    """In batches, which begin and end anywhere in a block, with single records between them."""
    chance, number, item = Random(first), first, KINDS[kind]
    while number < stop:
        count = min(chance.choice((1, 1, 7, 300)), stop - number)
        items = [item(n) for n in range(number, number + count)]
        if count == 1:
            db.put(*items[0])
        else:
            db.put_many(items)
        number += count


def seal_late(patch: pytest.MonkeyPatch, likelihood: float) -> None:
    """Let full blocks be closed now and then, and as many as there are: what a process does that a writer outran."""
    chance, seal = Random(3), Seals.seal

    def now_and_then(self: Seals) -> None:
        if chance.random() < likelihood:
            seal(self)

    patch.setattr(Seals, "seal", now_and_then)


@pytest.fixture(scope="module", params=tiers(DAILY, [kind for kind in KINDS if kind not in DAILY]))
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with three tables, records in no table, and several chain files. Some seals stand far behind."""
    path = tmp_path_factory.mktemp("whole") / "db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_module, "SEGMENT_SOFT_BYTES", 40_000)
        seal_late(patch, 0.1)
        with open_database(path, blockchain_batch_size=100, compaction_threshold=9) as db:
            for part in range(4):
                fill(db, request.param, part * RECORDS // 4, (part + 1) * RECORDS // 4)
                if part < 3:
                    db.flush()
    open_database(path, blockchain_batch_size=100).close()  # which closes what is full
    return path


@pytest.fixture
def no_exact_audit(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(self: ChainAudit, *_: object, **__: object) -> None:
        pytest.fail("the audit in bulk left a doubt")

    monkeypatch.setattr(ChainAudit, "run", run)


@pytest.fixture(params=[1, pytest.param(3, marks=pytest.mark.torture)], ids=["alone", "helped"])
def small_jobs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Many jobs, done by one process or by three."""
    monkeypatch.setattr(collection, "WORTHWHILE_BYTES", 0 if request.param > 1 else 1 << 60)
    monkeypatch.setattr(cuts, "STRETCH_BYTES", 3_000)
    monkeypatch.setattr(bulk, "RANGE_RECORDS", 100)
    monkeypatch.setattr(crew, "JOBS_AHEAD", 30)  # else all is done before the helpers have begun
    monkeypatch.setattr(os, "cpu_count", lambda: request.param)
    return int(request.param)


@pytest.mark.usefixtures("no_exact_audit", "small_jobs")
def test_what_is_intact_leaves_no_doubt(whole: Path) -> None:
    report = blockdb.verify(whole)
    assert (report.valid, report.records, report.blocks) == (True, RECORDS, RECORDS // 100)


@pytest.mark.usefixtures("no_exact_audit", "small_jobs")
def test_blocks_that_were_closed_late_leave_no_doubt(tmp_path: Path) -> None:
    """Their seals stand after records of later blocks, and stretches begin between the two."""
    with blockdb.open(tmp_path / "db", blockchain_batch_size=10) as db:
        db.put_many([KINDS["alike"](n) for n in range(5)])
        for first in range(5, RECORDS, 97):  # a batch closes nine blocks or ten, and none of them at its end
            db.put_many([KINDS["alike"](n) for n in range(first, min(first + 97, RECORDS))])
        db.flush()
    report = blockdb.verify(tmp_path / "db")
    assert (report.valid, report.records, report.blocks) == (True, RECORDS, RECORDS // 10)


@pytest.mark.usefixtures("no_exact_audit")
def test_a_chain_is_cut_although_all_seals_stand_at_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that outruns the process that seals leaves much to do, which several processes are to share."""
    monkeypatch.setattr(cuts, "STRETCH_BYTES", 3_000)
    monkeypatch.setattr(collection, "BULK_BYTES", 0)
    audited: list[Cut] = []
    advance = BulkAudit.advance
    monkeypatch.setattr(BulkAudit, "advance", lambda self, cuts: audited.extend(cuts) or advance(self, cuts))
    with pytest.MonkeyPatch.context() as patch:
        seal_late(patch, 0)
        with open_database(tmp_path / "db", blockchain_batch_size=100) as db:
            fill(db, "alike")
    with open_database(tmp_path / "db", blockchain_batch_size=100) as db:  # which closes the blocks
        db.flush()
    report = blockdb.verify(tmp_path / "db")
    assert (report.valid, report.records, report.blocks) == (True, RECORDS, RECORDS // 100)
    assert len(audited) > 8


@pytest.mark.usefixtures("no_exact_audit")
def test_redactable_records_leave_no_doubt(tmp_path: Path) -> None:
    open_database(tmp_path / "db").close()
    metadata = collection_of(tmp_path / "db").metadata
    save_metadata(Door(), metadata, replace(load_metadata(Door(), metadata), redactable=True))
    with open_database(tmp_path / "db") as db:
        fill(db, "variable", 0, 300)
        db.flush()
        fill(db, "variable", 300, 400)
    assert blockdb.verify(tmp_path / "db").records == 400


# ── the same findings ────────────────────────────────────────────────────────────────────────────────────────────


def findings(path: Path, *, exact: bool) -> tuple[object, ...]:
    def doubt(self: BulkAudit, cuts: object) -> None:
        raise Doubt

    with pytest.MonkeyPatch.context() as patch:
        if exact:
            patch.setattr(BulkAudit, "advance", doubt)
        report = blockdb.verify(path)
    return report.valid, report.records, report.blocks, report.problems


def damage(whole: Path, path: Path, flips: int) -> None:
    """Change bits of each file, and compare what the two audits say."""
    copy_of(whole, path)
    chance = Random(5)
    for name in files_of(path):
        if not name.endswith((".chain", ".sst", ".toml", ".mark")):
            continue
        data = (path / name).read_bytes()
        for _ in range(flips):
            changed = bytearray(data)
            changed[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
            (path / name).write_bytes(changed)
            assert findings(path, exact=False) == findings(path, exact=True)
        (path / name).write_bytes(data)


@pytest.mark.usefixtures("small_jobs")
def test_damage_is_found_as_it_is_record_by_record(whole: Path, tmp_path: Path) -> None:
    damage(whole, tmp_path / "db", flips=1)


@pytest.mark.torture
@pytest.mark.usefixtures("small_jobs")
def test_much_damage_is_found_as_it_is_record_by_record(whole: Path, tmp_path: Path) -> None:
    damage(whole, tmp_path / "db", flips=8)


@pytest.mark.usefixtures("small_jobs")
@pytest.mark.parametrize("number", tiers([700], [0, 1500, 2240]))
@pytest.mark.parametrize("likelihood", [1, 0.1])
def test_a_record_that_someone_changed_is_found_in_its_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, likelihood: float
) -> None:
    seal_late(monkeypatch, likelihood)
    with blockdb.open(tmp_path / "db", blockchain_batch_size=100) as db:
        fill(db, "alike")
        db.flush()
    forger = Forger(db.path)
    forger.change_record(number, lambda frame: frame.body[:-1] + b"\1")
    [problem] = blockdb.verify(db.path).problems
    assert problem.block == number // 100
    assert findings(db.path, exact=False) == findings(db.path, exact=True)


def test_a_word_that_leads_into_a_value_is_found(tmp_path: Path) -> None:
    """A record within a record's value has a key and a check of its own, and is none of the chain's."""
    with blockdb.open(tmp_path / "db") as db:
        db.put(b"key", b"true")
    inner = Forger(db.path).frames()[0]
    frame = Forger(db.path).chain.read_bytes()[inner[0] : inner[1]]
    with blockdb.open(tmp_path / "other") as db:
        db.put(b"key", b"false")
        db.put(b"trap", frame)
        db.flush()
    forger = Forger(db.path)
    inside = forger.chain.read_bytes().index(frame)

    def lead_astray(parts: TableParts) -> None:
        for slot, word in enumerate(parts.words):
            if word & PLACE_MASK == segment.HEADER_BYTES:
                parts.words[slot] = word >> 48 << 48 | inside

    forger.change_table(lead_astray)
    assert not blockdb.verify(db.path).valid
    assert findings(db.path, exact=False) == findings(db.path, exact=True)


@pytest.mark.parametrize("difference", [-1, 1])
def test_a_chain_file_that_says_it_begins_with_another_record_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, difference: int
) -> None:
    """Even where none of the records is in a block or in a table."""
    monkeypatch.setattr(log_module, "SEGMENT_SOFT_BYTES", 1_000)
    with blockdb.open(tmp_path / "db") as db:
        for number in range(30):
            db.put(*KINDS["alike"](number))
    last = max(db.path.glob("collections/*/chain/*.chain"))
    content = last.read_bytes()
    header = segment.decode(content)
    header = header._replace(first_sequence=header.first_sequence + difference)
    last.write_bytes(segment.encode(header) + content[segment.HEADER_BYTES :])
    [problem] = blockdb.verify(db.path).problems
    assert "begins with record" in problem.what


# ── the helpers ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """The processes that an audit starts; two of them, whatever there is to do."""
    processes: list[subprocess.Popen[bytes]] = []
    start = recruits.start_python

    def noted(*arguments: object, **others: object) -> subprocess.Popen[bytes]:
        processes.append(start(*arguments, **others))  # type: ignore[arg-type]
        return processes[-1]

    monkeypatch.setattr(recruits, "start_python", noted)
    monkeypatch.setattr(collection, "WORTHWHILE_BYTES", 0)
    monkeypatch.setattr(cuts, "STRETCH_BYTES", 3_000)
    monkeypatch.setattr(crew, "JOBS_AHEAD", 30)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    return processes


@for_helpers
@pytest.mark.usefixtures("no_exact_audit")
def test_helpers_that_die_are_done_without(whole: Path, started: list[subprocess.Popen[bytes]]) -> None:
    def kill_one(progress: blockdb.Progress) -> None:
        if progress.records_done > 500:
            for process in started[:1]:
                os.kill(process.pid, signal.SIGKILL) if process.poll() is None else None

    assert blockdb.verify(whole, kill_one).valid
    assert [process.poll() for process in started] == [-signal.SIGKILL, -signal.SIGKILL]


@for_helpers
@pytest.mark.usefixtures("no_exact_audit", "started")
@pytest.mark.parametrize("module", ["blockdb.no_such_module", "blockdb.types"])
def test_helpers_that_fail_at_once_are_done_without(whole: Path, monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    start = recruits.start_python
    monkeypatch.setattr(recruits, "start_python", lambda _, *others: start(module, *others))
    assert blockdb.verify(whole).valid


@for_helpers
@pytest.mark.usefixtures("no_exact_audit", "started")
def test_without_processes_or_shared_memory_it_is_done_alone(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise OSError

    with monkeypatch.context() as patch:
        patch.setattr(recruits, "start_python", refuse)
        assert blockdb.verify(whole).valid
    monkeypatch.setattr(os, "memfd_create", refuse)
    assert blockdb.verify(whole).valid


@for_helpers
@pytest.mark.parametrize("error", tiers([KeyboardInterrupt], [ValueError]))
def test_whatever_happens_no_process_is_left(
    whole: Path, started: list[subprocess.Popen[bytes]], error: type[BaseException]
) -> None:
    def interrupt(progress: blockdb.Progress) -> None:
        if progress.records_done > 500:
            raise error

    with pytest.raises(error):
        blockdb.verify(whole, interrupt)
    assert len(started) == 2
    assert all(process.poll() is not None for process in started)


@for_helpers
def test_a_cancelled_audit_leaves_no_process(whole: Path, started: list[subprocess.Popen[bytes]]) -> None:
    asked = iter([False])
    report = blockdb.verify(whole, cancel=lambda: next(asked, True))
    assert (report.cancelled, report.problems) == (True, ())
    assert report.records < RECORDS
    assert all(process.poll() is not None for process in started)


# ── the parts ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_frames_are_read_as_the_walk_reads_them(whole: Path) -> None:
    for path in whole.glob("collections/*/chain/*.chain"):
        data = path.read_bytes()
        expected = list(walk(data, segment.HEADER_BYTES, len(data)))
        records, seals = [], []
        for step in read(data, segment.HEADER_BYTES, len(data)):
            if isinstance(step, Portion):
                records += list(zip(step.offsets, step.keys, step.hashed, step.sizes, strict=True))
            else:
                seals.append(step)
        assert seals == [(at, frame) for at, _, frame in expected if not hasattr(frame, "key")]
        assert records == [
            (at, frame.key, frame.leaf, len(frame.key) + len(frame.value))
            for at, _, frame in expected
            if hasattr(frame, "key")
        ]


def test_frames_that_reach_beyond_the_end_leave_a_doubt(whole: Path) -> None:
    path, *_ = sorted(whole.glob("collections/*/chain/*.chain"))
    data = path.read_bytes()
    ends = [after for _, after, frame in walk(data, segment.HEADER_BYTES, len(data)) if not hasattr(frame, "key")]
    for end in ends[:2]:  # of seals
        assert list(read(data, segment.HEADER_BYTES, end))
        for stop in (end - 1, end + 1):
            with pytest.raises(Doubt):
                list(read(data, segment.HEADER_BYTES, stop))


def test_the_audit_in_bulk_comes_first(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what it leaves in doubt without reason is told by the exact one: nothing is wrong."""

    def doubt(self: BulkAudit, cuts: object) -> None:
        raise Doubt

    monkeypatch.setattr(BulkAudit, "advance", doubt)
    report = blockdb.verify(whole)
    assert (report.valid, report.records) == (True, RECORDS)


def test_every_changed_bit_of_a_packed_chain_file_is_found(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db", compression_enabled=True, blockchain_batch_size=4) as db:
        db.put_many(pairs(range(8)))
        db.compact()
    assert blockdb.verify(tmp_path / "db").valid
    [path] = collection_of(tmp_path / "db").chain.glob("*.zst")
    content = path.read_bytes()
    for at in range(len(content)):
        path.write_bytes(content[:at] + bytes((content[at] ^ 1 << at % 8,)) + content[at + 1 :])
        assert not blockdb.verify(tmp_path / "db").valid, at
