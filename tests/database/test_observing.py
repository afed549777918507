import errno
from pathlib import Path

import pytest

import blockdb
from blockdb.database.observing import Observer
from blockdb.statistics import ServerStatistics
from tests.storage.doors import TroubledDoor, open_through


def test_a_snapshot_of_all_that_is_open(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db") as db:
        db.put(b"key", b"value")
        db.create_collection("users").put(b"a", b"1")
        found = Observer(db).look(lambda: ServerStatistics(in_flight=1), 5)
        assert {"default", "users"} <= set(found.collections) <= {"default", "users", "_journal"}
        assert found.database is not None
        assert (found.database.puts, found.collections["users"].puts, found.collections_total) == (1, 1, 2)
        assert 0 < found.disk_free_bytes < found.disk_size_bytes
        assert (found.server, found.certificate_expires_ms) == (ServerStatistics(in_flight=1), 5)


def test_nothing_is_opened_and_nothing_forgotten(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db", open_collections_limit=8) as db:
        observer = Observer(db)
        for number in range(12):
            db.create_collection(f"c{number}").put(b"key", b"value")
            observer.look()
        parked = set(db.collection_names()) - set(db.open_collections())
        assert len(parked) >= 4
        found = observer.look()
        assert all(found.collections[f"c{number}"].puts == 1 for number in range(12))
        assert set(db.collection_names()) - set(db.open_collections()) == parked
        db.drop_collection("c0")
        assert "c0" not in observer.look().collections


def test_a_look_that_is_young_enough_is_taken_again(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db") as db:
        observer = Observer(db)
        first = observer.look()
        assert observer.look(max_age_s=60) is first
        assert observer.look() is not first


def test_a_handle_that_reads(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db") as db:
        db.put(b"key", b"value")
        with blockdb.open(tmp_path / "db", read_only=True) as reader:
            found = Observer(reader).look().database
            assert found is not None
            assert (found.records, found.read_only, found.writes_stopped) == (1, True, None)


def test_a_database_that_was_closed(tmp_path: Path) -> None:
    db = blockdb.open(tmp_path / "db")
    observer = Observer(db)
    db.close()
    with pytest.raises(blockdb.DatabaseClosed):
        observer.look()


def test_writes_that_stopped(tmp_path: Path) -> None:
    door = TroubledDoor()
    db = open_through(door, tmp_path / "db", wal_sync_interval=0)
    door.failing["force"] = errno.EIO
    with pytest.raises(blockdb.WritesStopped):
        db.put(b"key", b"value")
    found = Observer(db).look().database
    assert found is not None
    assert "takes no more writes" in str(found.writes_stopped)
    with pytest.raises(blockdb.WritesStopped):
        db.close()
