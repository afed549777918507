"""Two moments compared: what came between is counted, and the proof is recomputed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import blockdb
from blockdb import AsOf
from blockdb.commands import comparing
from blockdb.commands.comparing import added, compare
from blockdb.commands.trust import FAILED, PROVEN

from .conftest import Run

BATCH = 10


def make(path: Path) -> None:
    with blockdb.open(path, blockchain_batch_size=BATCH) as database:
        for first in range(0, 60, 6):
            kind = b"user" if first % 12 else b"order"
            database.put_many([(b"%s:%03d" % (kind, number), b"v" * number) for number in range(first, first + 6)])
        database.create_collection("other").put(b"a", b"1")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("diff") / "db"
    make(path)
    return path


def test_what_came_between_is_that_of_the_model(path: Path) -> None:
    with blockdb.open(path) as database:
        records = list(database.records())
        for one, other in ((0, 3), (3, 0), (2, 2), (None, 4), (None, None)):
            moments = [None if number is None else AsOf(block=number) for number in (one, other)]
            found = compare(database, database, *moments)
            ends = sorted(60 if number is None else (number + 1) * BATCH for number in (one, other))
            came = records[ends[0] : ends[1]]
            assert (found.records, found.blocks) == (len(came), len(came) // BATCH)
            assert list(added(database, found)) == came
            assert found.data_bytes == sum(len(record.key) + len(record.value) for record in came)
            assert dict(found.groups) == {
                kind: count
                for kind in (b"user:", b"order:")
                if (count := sum(record.key.startswith(kind) for record in came))
            }
            assert (found.first_ms, found.last_ms) == ((came[0].time_ms, came[-1].time_ms) if came else (None, None))
            assert found.consistency.degree is PROVEN
        narrowed = compare(database, database, AsOf(time_ms=0), None, b"user:00")
        assert [group for group, _ in narrowed.groups] == [b"user:%03d" % number for number in range(6, 10)]


def test_of_many_records_a_sample_is_taken(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "MOST_COUNTED", 20)
    monkeypatch.setattr(comparing, "STRETCH_RECORDS", 4)
    monkeypatch.setattr(comparing, "MOST_BLOCKS", 2)
    with blockdb.open(path) as database:
        found = compare(database, database, AsOf(time_ms=0), None)
        assert found.is_sample
        assert found.looked_at == 20
        assert not found.bytes_are_counted
        assert sum(count for _, count in found.groups) == pytest.approx(60, abs=2)


def test_a_history_that_was_changed_is_not_consistent(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with blockdb.open(path) as database:
        root_at = database.root_at
        for wrong in (15, 34):

            def told(_: object, size: int, name: str | None = None, wrong: int = wrong) -> bytes:
                return bytes(32) if size == wrong else root_at(size, name)

            with monkeypatch.context() as patch:
                patch.setattr(type(database), "root_at", told)
                found = compare(database, database, AsOf(sequence=14), AsOf(sequence=33))  # in the midst of blocks
                assert found.consistency.degree is FAILED
        found = compare(database, database, AsOf(block=1), AsOf(block=3))
        head = found.older.head
        assert head is not None
        other = replace(found.older, head=replace(head, root=bytes(32)))
        assert comparing._consistency(database, database, other, found.newer).degree is FAILED


def test_the_command(path: Path, run: Run) -> None:
    place = ("-d", str(path))
    ran = run(*place, "diff", "1", "3", "--format", "json")
    assert ran.code == 0
    told = json.loads(ran.out)
    assert (told["records"], told["blocks"], told["consistency"]) == (20, 2, "proven")
    assert [told["from"]["records"], told["to"]["records"]] == [20, 40]
    ran = run(*place, "diff", "seq:54", "--keys", "--format", "raw")
    assert ran.out.decode().split() == [f"user:{number:03d}" for number in range(55, 60)]
    assert "begins with the tree" in run(*place, "diff", "1").out.decode() + run(*place, "diff", "1").err
    assert run(*place, "diff", "1", "99").code != 0
    assert run(*place, "diff", "soon").code == 2
    assert run(*place, "diff", "0", "-c", "other").code != 0
