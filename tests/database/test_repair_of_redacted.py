"""Repair of databases in which values were erased, or were about to be: no value comes back."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

import blockdb
from blockdb.layout import CollectionFiles
from blockdb.storage.door import Door
from blockdb.storage.redaction import load
from tests.storage.doors import StillDoor, TroubledDoor, collection_of, open_through
from tests.storage.redacting import REASON, SETTINGS, Ledger, answer, assert_gone, key_of, redactions_in, secret

GONE = [2, 9]


@pytest.fixture(params=[False, pytest.param(True, marks=pytest.mark.torture)], ids=["plain", "packed"])
def path(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    with open_through(StillDoor(), tmp_path / "db", **SETTINGS, compression_enabled=request.param) as db:
        for number in range(14):
            db.put(key_of(number), secret(number))
        db.compact()
        db.redact_many([key_of(number) for number in GONE], reason=REASON)
    return tmp_path / "db"


def salvaged_in(path: Path) -> dict[bytes, bytes]:
    lines = [line for file in path.rglob("salvaged.jsonl") for line in file.read_text().splitlines()]
    entries = [json.loads(line) for line in lines]
    return {base64.b64decode(entry["key"]): base64.b64decode(entry["value"]) for entry in entries}


def pending(path: Path, number: int) -> None:
    """Leave a redaction behind that was begun and not finished."""
    door = TroubledDoor()
    door.failing["open_append", ".chain.tmp"] = door.failing["create", ".zst.tmp"] = 28
    with open_through(door, path) as db, pytest.raises(blockdb.StorageError):
        db.redact(key_of(number), reason=REASON)


def damage(path: Path) -> CollectionFiles:
    """Damage the second record of the first chain file, where it is not packed."""
    files = collection_of(path)
    if not files.segment(0).exists():
        pytest.skip("in a packed file no record is found by its bytes")
    data = bytearray(files.segment(0).read_bytes())
    data[data.index(secret(1))] ^= 1
    files.segment(0).write_bytes(data)
    return files


def test_redacted_records_stay_what_they_are(path: Path) -> None:
    with blockdb.open(path, read_only=True) as db:
        before = Ledger(db)
    collection_of(path).manifest.unlink()
    assert blockdb.repair(path).after.valid
    with blockdb.open(path) as db:
        before.check(db)
        for number in range(14):
            assert answer(db.get, key_of(number)) == (blockdb.Redacted if number in GONE else secret(number))
    assert_gone(path, [secret(number) for number in GONE])


def test_what_is_salvaged_is_what_had_a_value(path: Path) -> None:
    """A redactable record after the damage can be imported again; a redacted one has nothing to import."""
    damage(path)
    result = blockdb.repair(path)
    assert result.after.valid, result.after.problems
    found = salvaged_in(path)
    with blockdb.open(path, read_only=True) as db:
        kept = {record.key for record in db.records()}
    assert not found.keys() & kept
    assert not found.keys() & {key_of(number) for number in GONE}
    assert all(value == secret(int(key[7:])) for key, value in found.items())
    assert result.salvaged == len(found) > 0
    assert "left 2 redacted records out: they have nothing to be imported again" in result.actions


def test_what_is_under_way_is_finished_after_the_repair(path: Path) -> None:
    pending(path, 5)
    collection_of(path).mark.unlink()
    assert blockdb.repair(path).after.valid
    with blockdb.open(path) as db:
        assert answer(db.get, key_of(5)) is blockdb.Redacted
        assert [entry["sequence"] for event in redactions_in(db) for entry in event["records"]] == [2, 9, 5]
    assert_gone(path, [secret(5)])


def test_what_is_under_way_beyond_the_damage_is_not_salvaged(path: Path) -> None:
    pending(path, 5)
    files = damage(path)
    assert blockdb.repair(path).after.valid
    assert key_of(6) in salvaged_in(path)
    assert key_of(5) not in salvaged_in(path)
    with blockdb.open(path) as db:
        assert db.get(key_of(5)) is None
        assert db.verify().valid
    assert not load(Door(), files, files.root.name).event


def test_a_damaged_note_of_what_is_under_way(path: Path) -> None:
    files = collection_of(path)
    files.redactions.write_bytes(files.redactions.read_bytes().replace(b"finished = 1", b"finished = 2"))
    with pytest.raises(blockdb.Corruption, match="checksum"):
        blockdb.open(path)
    assert [problem.path.endswith("redactions.toml") for problem in blockdb.verify(path).problems] == [True]
    result = blockdb.repair(path)
    assert result.after.valid
    assert any("make it again" in action for action in result.actions)
    blockdb.open(path).close()
