"""Databases that earlier versions wrote must open for ever, and hold what they held."""

import json
from pathlib import Path
from typing import Any

import pytest

import blockdb
from blockdb.cluster.consensus.disk import DiskLog
from blockdb.format.audit_log import shortened
from blockdb.format.consensus import Entry, HardState, Kind
from blockdb.layout import DatabaseFiles
from blockdb.raft.messages import SnapshotHead
from blockdb.storage.door import Door
from tests.database.independent import check_ledger
from tests.database.indexed import check_index
from tests.golden.make import AUDITED, GOLDEN_MEMBERS, INDEXED, MASTER_KEY, REPLICATED, SETTINGS, describe
from tests.storage.doors import copy_of
from tests.storage.redacting import answer, redactions_in

HERE = Path(__file__).parent
GOLDEN = sorted(path.with_suffix("") for path in HERE.glob("v*/*.json"))
EVENTS = 3
"""How many events there are in a journal, where there is one, each in a block of its own."""

BLOCK = SETTINGS["blockchain_batch_size"]


@pytest.fixture(autouse=True)
def _master_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLOCKDB_MASTER_KEY", MASTER_KEY.hex())


@pytest.fixture(params=GOLDEN, ids=lambda path: f"{path.parent.name}/{path.name}")
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """A copy of a golden database, and what is in it."""
    source: Path = request.param
    return copy_of(source, tmp_path / "db"), json.loads(source.with_suffix(".json").read_text())


def test_there_are_golden_databases_of_every_version() -> None:
    names = ["encrypted", "killed", "packed", "plain", "proven", "redactable", "redacted", "reserved"]
    assert [path.relative_to(HERE).as_posix() for path in GOLDEN] == [f"v1/{name}" for name in names]


def test_it_is_read(golden: tuple[Path, dict[str, Any]]) -> None:
    path, expected = golden
    with blockdb.open(path, read_only=True) as db:
        assert describe(db) == expected
        for record in expected["records"]:
            expected_answer = blockdb.Redacted if record.get("redacted") else bytes.fromhex(record["value"])
            assert answer(db.get, bytes.fromhex(record["key"])) == expected_answer
        assert list(db.keys()) == sorted(bytes.fromhex(record["key"]) for record in expected["records"])


def test_it_is_verified(golden: tuple[Path, dict[str, Any]]) -> None:
    path, expected = golden
    report = blockdb.verify(path)
    assert report.valid, report.problems
    journaled = EVENTS * (len(list((path / "collections").iterdir())) - 1)
    assert (report.records, report.blocks) == (
        len(expected["records"]) + journaled,
        len(expected["blocks"]) + journaled,
    )


def test_what_was_redacted_is_explained(tmp_path: Path) -> None:
    with blockdb.open(copy_of(HERE / "v1" / "redacted", tmp_path / "db")) as db:
        assert [[entry["sequence"] for entry in event["records"]] for event in redactions_in(db)] == [[1, 5], [9], [6]]
        with pytest.raises(blockdb.Redacted, match=r"by the keeper \(asked for by the person\)"):
            db.get(b"long")


def test_what_was_decided_is_finished(tmp_path: Path) -> None:
    """A log of transactions, and batches of theirs in two collections; the last two are missing in one."""
    path = copy_of(HERE / "v1" / "decided", tmp_path / "db")
    assert blockdb.verify(path).valid
    with blockdb.open(path, read_only=True) as db:
        assert (db.count(), db["users"].count()) == (10, 3)
    for _ in range(2):
        with blockdb.open(path) as db:
            assert list(db.keys()) == [b"%d.%d" % (number, part) for number in range(5) for part in range(2)]
            assert list(db["users"].scan()) == [(b"%d" % number, b"in users") for number in range(5)]
            assert db.verify().valid


def test_what_was_indexed_is_found(tmp_path: Path) -> None:
    path = copy_of(HERE / "v1" / "indexed", tmp_path / "db")
    documents = {b"%d" % number: {"n": number, "v": value} for number, value in enumerate(INDEXED)}
    assert blockdb.verify(path).valid
    for read_only in (True, False):
        with blockdb.open(path, read_only=read_only) as db:
            for index in db._ready_indexes():
                check_index(db, index.definition.name, documents)
                assert len(index.view.files) == 2
            found = [(index.name, index.fields, index.unique, index.sparse, index.entries) for index in db.indexes()]
            assert found == [("n", ("n",), True, False, 20), ("v", ("v", "v[]"), False, True, 4)]
            assert db.verify().valid


def test_what_was_audited_is_told(tmp_path: Path) -> None:
    path = copy_of(HERE / "v1" / "audited", tmp_path / "db")
    expected = [shortened(act)._replace(sequence=number) for number, act in enumerate(AUDITED)]
    report = blockdb.verify(path)
    assert (report.valid, report.notes) == (True, ())
    assert len(list((path / "audit").glob("*.acts"))) == 2
    with blockdb.open(path) as db:
        assert list(db.acts()) == expected
        db.audit_log().append(AUDITED[0])
        assert next(db.acts(reverse=True)) == AUDITED[0]._replace(sequence=len(expected))
        assert db.verify().valid


def test_what_was_replicated_is_still_known(tmp_path: Path) -> None:
    files = DatabaseFiles(copy_of(HERE / "v1" / "replicated", tmp_path / "db")).raft
    head, *entries = REPLICATED
    assert sorted(path.name for path in files.root.glob("*.log")) == [f"{number:08d}.log" for number in (2, 3, 4)]
    for count in range(2):
        log = DiskLog.open(Door(), files, "golden", "node1", must_exist=True)
        assert (log.head, log.is_damaged) == (SnapshotHead(head.index, head.term, GOLDEN_MEMBERS), False)
        assert log.entries(7, 11) == entries
        assert log.hard_state == HardState(2, "node2", 6)
        assert log.last_index == 11 + count
        log.store(None, [Entry(log.last_index + 1, 2, Kind.BEGINNING)])
        log.close()


def test_what_was_proven_once_is_proven_for_ever(tmp_path: Path) -> None:
    receipts: dict[str, tuple[str, str]] = json.loads((HERE / "v1" / "proven.receipts").read_text())
    assert receipts.keys() == {"record", "run", "range", "absent", "rotated", "database"}
    key, note = receipts.pop("database")
    for name, (vkey, text) in receipts.items():
        verified = blockdb.verify_receipt(text, vkey)
        assert len(verified.records) == {"run": 9, "range": 10, "absent": 0}.get(name, 1)
    with blockdb.open(copy_of(HERE / "v1" / "proven", tmp_path / "db"), read_only=True) as db:
        assert (db.checkpoint(), db.verifier_key()) == (note, key)
        assert db.prove(b"signed with the new key").text == receipts["rotated"][1]
        assert (db.path / "collections" / db.stats().collection_id / "tree.nodes").stat().st_size == 64 + 32


@pytest.mark.parametrize("name", ["encrypted", "killed", "packed", "plain", "reserved"])
def test_its_ledger_is_the_one_that_is_documented(name: str, tmp_path: Path) -> None:
    with blockdb.open(copy_of(HERE / "v1" / name, tmp_path / "db"), read_only=True) as db:
        check_ledger(db, BLOCK)


def test_it_is_written_on(golden: tuple[Path, dict[str, Any]]) -> None:
    path, expected = golden
    count = len(expected["records"])
    with blockdb.open(path) as db:
        assert describe(db) == expected
        with pytest.raises(blockdb.DuplicateKey):
            db.put(bytes.fromhex(expected["records"][0]["key"]), b"")
        assert db.put(b"one more", b"value") == count
        assert db.put_many([(b"more:%d" % number, b"") for number in range(4)]) == range(count + 1, count + 5)
        db.compact()
        assert db.verify().valid
        hashes = [block.hash.hex() for block in db.blocks()]
    assert hashes[: len(expected["blocks"])] == [block["hash"] for block in expected["blocks"]]
    assert len(hashes) == (count + 5) // BLOCK
    assert blockdb.verify(path).valid
