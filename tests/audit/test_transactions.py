"""An audit of the log of transactions."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import blockdb
from blockdb.format import mark as mark_format
from blockdb.format.transaction import HEADER_BYTES
from blockdb.layout import DatabaseFiles
from blockdb.masterkey import MasterKeySource, Secret
from blockdb.tampering.copying import copy_database
from tests.storage.doors import copy_of


@pytest.fixture(params=[{}, {"encryption_enabled": True}])
def killed(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """What a writer left who was killed while there were decisions in the log."""
    monkeypatch.setattr(MasterKeySource, "key", lambda _: Secret(bytes(32), "the test"))
    settings: dict[str, Any] = request.param
    with blockdb.open(tmp_path / "db", **settings) as db:
        db.create_collection("users")
        for number in range(3):
            with db.transaction() as tx:
                tx.put(b"%d" % number, b"")
                tx.put(b"%d" % number, b"", collection="users")
        assert db.verify().valid
        yield copy_of(db.path, tmp_path / "killed")


def test_what_a_killed_writer_left_is_no_problem(killed: Path) -> None:
    assert blockdb.verify(killed).valid
    files = DatabaseFiles(killed)
    files.transactions.write_bytes(files.transactions.read_bytes() + b"?")  # a write that was cut short
    assert blockdb.verify(killed).valid
    files.transactions_mark.unlink()
    assert blockdb.verify(killed).valid
    with blockdb.open(killed) as db:
        assert db.count() == db["users"].count() == 3


def test_every_changed_byte_is_found_and_named(killed: Path) -> None:
    file = DatabaseFiles(killed).transactions
    data = file.read_bytes()
    for at in range(0, len(data), 23):
        file.write_bytes(data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :])
        report = blockdb.verify(killed)
        assert [problem.path for problem in report.problems] == ["transactions.log"], f"byte {at}"
        with pytest.raises(blockdb.Corruption, match=r"transactions\.log"):
            blockdb.open(killed)


def test_a_log_that_was_cut_is_found(killed: Path) -> None:
    file = DatabaseFiles(killed).transactions
    data = file.read_bytes()
    for size in (len(data) - 1, len(data) // 2, HEADER_BYTES, 3):
        file.write_bytes(data[:size])
        assert [problem.path for problem in blockdb.verify(killed).problems] == ["transactions.log"]


def test_a_damaged_mark_is_found(killed: Path) -> None:
    mark = DatabaseFiles(killed).transactions_mark
    mark.write_bytes(mark.read_bytes()[:-1])
    assert [problem.path for problem in blockdb.verify(killed).problems] == ["transactions.mark"]


def test_after_a_power_cut_what_was_not_forced_may_be_anything(killed: Path) -> None:
    files = DatabaseFiles(killed)
    mark = mark_format.decode(files.transactions_mark.read_bytes())
    other = mark._replace(boot_id=b"another boot id!", forced=HEADER_BYTES)
    files.transactions_mark.write_bytes(mark_format.encode(other))
    data = files.transactions.read_bytes()
    files.transactions.write_bytes(data[:-9] + bytes(9))
    assert not [problem for problem in blockdb.verify(killed).problems if problem.path == "transactions.log"]


def test_a_copy_beside_the_writer_has_what_was_decided(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db") as db:
        db.create_collection("users")
        with db.transaction() as tx:
            tx.put(b"a", b"")
            tx.put(b"a", b"", collection="users")
        copy_database(db.path, tmp_path / "copy")
    with blockdb.open(tmp_path / "copy") as copy:
        assert copy.count() == copy["users"].count() == 1
        assert copy.verify().valid
