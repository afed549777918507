"""What concerns a whole database concerns each of its collections: audit, repair, keys, exports, the tamper lab."""

from __future__ import annotations

from pathlib import Path

import pytest

import blockdb
from blockdb.audit.auditor import audit
from blockdb.audit.collection import Options
from blockdb.database import encryption
from blockdb.database.repairing.repair import repair
from blockdb.masterkey import MasterKeySource
from blockdb.tampering.lab import Lab
from blockdb.tampering.tamperings import TAMPERINGS
from tests.storage.doors import pairs

NAMES = ("default", "orders", "users")
MASTER, OTHER = b"m" * 32, b"o" * 32


def make(path: Path, **settings: object) -> dict[str, str]:
    """A database with some collections; gives their ids by name."""
    with blockdb.open(path, blockchain_batch_size=4, **settings) as db:
        for name in NAMES[1:]:
            db.create_collection(name)
        for name in NAMES:
            db[name].put_many(pairs(range(30)))
            db[name].flush()
            db[name].put_many(pairs(range(30, 40)))
        db.checkpoint()
        return {name: db[name].id for name in NAMES}


def assert_all(db: blockdb.Database) -> None:
    for name in NAMES:
        assert list(db[name].scan()) == pairs(range(40))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "db"


def flip(file: Path, offset: int) -> None:
    data = bytearray(file.read_bytes())
    data[offset] ^= 1
    file.write_bytes(data)


def test_an_audit_names_the_collection_in_which_something_is_wrong(path: Path) -> None:
    ids = make(path)
    for name in ("users", "orders"):
        flip(path / "collections" / ids[name] / "chain" / "00000000.chain", 300)
    report = audit(path)
    assert {problem.path.split("/")[1] for problem in report.problems} == {ids["users"], ids["orders"]}
    assert ids["default"] in {good.collection for good in report.last_good}
    alone = audit(path, options=Options(only=ids["users"]))
    assert {problem.path.split("/")[1] for problem in alone.problems} == {ids["users"]}
    assert audit(path, options=Options(only=ids["default"])).valid


def test_a_repair_mends_what_is_damaged_and_leaves_the_others_alone(path: Path) -> None:
    ids = make(path)
    collections = path / "collections"
    for table in (collections / ids["users"] / "tables").iterdir():
        flip(table, 200)
    whole = {file: file.stat().st_mtime_ns for name in NAMES[:2] for file in (collections / ids[name]).rglob("*")}
    result = repair(path)
    assert result.after.valid, result.after.problems
    assert any("collection users" in action for action in result.actions)
    assert not any("collection orders" in action or "collection default" in action for action in result.actions)
    assert {file: file.stat().st_mtime_ns for file in whole} == whole
    with blockdb.open(path) as db:
        assert_all(db)


def test_a_repair_finds_the_names_of_all_collections(path: Path) -> None:
    make(path)
    (path / "global_metadata" / "collections.toml").write_text("rubbish")
    result = repair(path)
    assert result.after.valid, result.after.problems
    with blockdb.open(path) as db:
        assert db.collection_names() == NAMES
        assert_all(db)


def test_a_repair_tells_of_a_directory_that_is_gone(path: Path) -> None:
    ids = make(path)
    (path / "collections" / ids["orders"]).rename(path.with_name("gone"))
    result = repair(path)
    assert any("collection orders" in action and "is gone" in action for action in result.actions)
    assert ["orders" in problem.what for problem in result.after.problems] == [True], "the journal misses it"
    with blockdb.open(path) as db:
        assert db.collection_names() == ("default", "users")
        assert db["users"].count() == 40


def test_keys_are_those_of_all_collections(path: Path) -> None:
    key = {"master_key": MASTER}
    with blockdb.open(path, blockchain_batch_size=4, encryption_enabled=True, **key) as db:  # type: ignore[arg-type]
        for name in NAMES[1:]:
            db.create_collection(name)
        for name in NAMES:
            db[name].put_many(pairs(range(30)))
            db[name].flush()
    encryption.new_data_key(path, MasterKeySource(key=MASTER))
    encryption.rewrap(path, MasterKeySource(key=MASTER), MasterKeySource(key=OTHER))
    with blockdb.open(path, master_key=OTHER) as db:
        for name in NAMES:
            store = db[name]._reader
            db[name].put_many(pairs(range(30, 40)))
            assert name == "default" or store.park()
        assert_all(db)
        assert db.verify().valid
        db.rotate_key()
        db["users"].put_many(pairs(range(40, 50)))
        db.drop_collection("orders")
    keys = encryption.keys_for_audit(path, MasterKeySource(key=OTHER))
    report = audit(path, options=Options(data_keys=keys))
    assert report.valid, report.problems
    for file in (path / "collections").rglob("*.*"):
        assert b"value7" not in file.read_bytes()


def test_values_are_redacted_in_the_collection_that_was_named(path: Path) -> None:
    make(path, redactable=True)
    with blockdb.open(path) as db:
        db["users"].redact(b"key00003", reason="it was to go")
        with pytest.raises(blockdb.Redacted, match="it was to go"):
            db["users"].get(b"key00003")
        assert db["orders"].get(b"key00003") == db.get(b"key00003") == b"value3"
        assert db.verify().valid


def test_each_collection_is_exported(path: Path, tmp_path: Path) -> None:
    make(path)
    with blockdb.open(path) as db:
        for name in NAMES:
            checkpoint = db[name].export_tiles(tmp_path / name)
            assert (checkpoint.size, checkpoint.root) == (40, db.root_at(40, name))


def test_the_lab_copies_all_collections(path: Path) -> None:
    make(path)
    tampering = next(each for each in TAMPERINGS if each.name == "edit-value")
    with Lab(path) as lab:
        outcome = lab.run(tampering)
        assert outcome.caught_by
        assert all(problem.path.startswith("collections/") for problem in audit(outcome.path).problems)
        with blockdb.open(outcome.path, read_only=True) as db:
            assert list(db["users"].scan()) == pairs(range(40))


def test_compacting_a_database_compacts_collections_that_nobody_has_opened(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db") as db:
        other = db.create_collection("other")
        for n in range(3):
            other.put(b"%d" % n, b"value")
            other.flush()
        assert len(other.stats().tables) == 3
    with blockdb.open(tmp_path / "db") as db:
        db.compact()
    with blockdb.open(tmp_path / "db", read_only=True) as db:
        assert len(db["other"].stats().tables) == 1
