"""Repair of a damaged log of transactions: what was decided is done, and what the collections have counts."""

from pathlib import Path

import pytest

import blockdb
from blockdb.format.transaction import HEADER_BYTES
from blockdb.layout import DatabaseFiles
from tests.storage.doors import StillDoor, copy_of, open_through
from tests.tiers import tiers

RECORDS = [b"%d" % number for number in range(4)]


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """Four transactions, of which the last two are missing in one collection; the log has four decisions."""
    with open_through(StillDoor(), tmp_path / "db", blockchain_batch_size=3) as db:
        users = db.create_collection("users")
        chain = DatabaseFiles(db.path).collection(users.id)
        for number, key in enumerate(RECORDS):
            with db.transaction() as tx:
                tx.put(key, b"one")
                tx.put(key, b"other", collection="users")
            if number == 1:
                copy_of(chain.root, tmp_path / "early")
        copy_of(db.path, tmp_path / "killed")
    late = DatabaseFiles(tmp_path / "killed").collection(users.id)
    for path in (late.segment(0), late.mark):
        path.write_bytes((tmp_path / "early" / path.relative_to(late.root)).read_bytes())
    return tmp_path / "killed"


def test_without_damage_the_next_writer_finishes_it(killed: Path) -> None:
    check(killed, RECORDS)


@pytest.mark.parametrize("damage", tiers(["end"], ["header", "mark", "missing mark and end"]))
def test_what_is_intact_of_a_damaged_log_is_decided_anew(killed: Path, damage: str) -> None:
    files = DatabaseFiles(killed)
    data = bytearray(files.transactions.read_bytes())
    data[{"header": HEADER_BYTES - 1}.get(damage, -1)] ^= 1
    if damage != "mark":
        files.transactions.write_bytes(data)
    if damage == "mark":
        files.transactions_mark.write_bytes(b"?")
    if damage.startswith("missing"):
        files.transactions_mark.unlink()
    assert not blockdb.verify(killed).valid
    result = blockdb.repair(killed)
    assert result.after.valid, result.after.problems
    assert any("log of transactions" in action for action in result.actions)
    assert any(path.name.startswith("transactions") for path in files.quarantine.rglob("*"))
    check(killed, RECORDS[: {"header": 2, "mark": 4}.get(damage, 3)])


def check(path: Path, users: list[bytes]) -> None:
    for _ in range(2):
        with blockdb.open(path) as db:
            assert list(db.keys()) == RECORDS
            assert list(db["users"].keys()) == users
            assert db.verify().valid
            with db.transaction() as tx:
                assert not tx.exists(b"more")
    with blockdb.open(path) as db, db.transaction() as tx:
        tx.put(b"more", b"")
        tx.put(b"more", b"", collection="users")
    with blockdb.open(path) as db:
        assert db.count() == 5
        assert db["users"].count() == len(users) + 1
        assert db.verify().valid
