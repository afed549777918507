"""Opening and closing: where a database is made and where not, who may write, and what a handle is afterwards."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

import blockdb
from blockdb.format import checked_toml
from blockdb.layout import DatabaseFiles
from blockdb.storage.door import Door
from tests.storage.doors import collection_of, open_through, pairs


def test_a_database_is_made_where_there_is_none(tmp_path: Path) -> None:
    path = tmp_path / "some" / "new" / "place"
    with blockdb.open(str(path)) as db:
        assert db.path == path
        assert not db.read_only
        db.put(b"key", b"value")
    with blockdb.open(path, create=False) as db:
        assert db.get(b"key") == b"value"
    for file in path.rglob("*"):
        assert file.stat().st_mode & 0o077 == 0, f"{file} is for its owner alone"


def test_the_default_place_is_beside_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with blockdb.open() as db:
        db.put(b"key", b"value")
    assert blockdb.verify(tmp_path / "blockdb_data").valid


def test_an_empty_directory_is_as_good_as_none(tmp_path: Path) -> None:
    with blockdb.open(tmp_path) as db:
        assert db.put(b"key", b"") == 0


@pytest.mark.parametrize("arguments", [{"create": False}, {"read_only": True}, {"read_only": True, "create": False}])
@pytest.mark.parametrize("made", [False, True], ids=["no directory", "empty directory"])
def test_there_is_no_database(tmp_path: Path, arguments: dict[str, Any], made: bool) -> None:
    path = tmp_path / "db"
    if made:
        path.mkdir()
    with pytest.raises(blockdb.DatabaseNotFound, match=rf"no database at {path}\. Check the path, or"):
        blockdb.open(path, **arguments)
    assert path.exists() == made
    with pytest.raises(blockdb.DatabaseNotFound, match="Check the path"):
        blockdb.verify(path)


@pytest.mark.parametrize("arguments", [{}, {"create": False}, {"read_only": True}], ids=str)
def test_a_directory_with_something_else_is_left_alone(tmp_path: Path, arguments: dict[str, Any]) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(blockdb.DatabaseNotFound, match=r"not empty \(it has 'letter.txt'\)\. Choose an empty or a new"):
        blockdb.open(tmp_path, **arguments)
    assert [file.name for file in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize("arguments", [{}, {"create": False}, {"read_only": True}], ids=str)
def test_a_file_is_no_database(tmp_path: Path, arguments: dict[str, Any]) -> None:
    path = tmp_path / "file"
    path.write_text("content")
    with pytest.raises(blockdb.BlockDBError) as caught:
        blockdb.open(path, **arguments)
    assert str(path) in str(caught.value)
    assert path.read_text() == "content"


def test_records_without_their_registry_are_not_taken_for_a_new_database(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db") as db:
        db.put(b"key", b"value")
    registry = DatabaseFiles(tmp_path / "db").registry
    registry.unlink()
    for arguments in ({}, {"create": False}, {"read_only": True}):
        with pytest.raises(blockdb.Corruption, match="registry is missing, and there are records") as caught:
            blockdb.open(tmp_path / "db", **arguments)
        assert caught.value.path == str(registry)


@pytest.mark.parametrize("name", ["metadata.toml", "manifest.toml"])
def test_a_missing_file_of_the_collection_is_named(tmp_path: Path, name: str) -> None:
    with blockdb.open(tmp_path / "db") as db:
        db.put(b"key", b"value")
    path = collection_of(db.path).root / name
    path.unlink()
    for read_only in (False, True):
        with pytest.raises(blockdb.Corruption, match="missing") as caught:
            blockdb.open(db.path, read_only=read_only)
        assert caught.value.path == str(path)


@pytest.mark.parametrize("name", ["metadata.toml", "manifest.toml"])
def test_a_file_of_a_newer_version_is_not_guessed_at(tmp_path: Path, name: str) -> None:
    blockdb.open(tmp_path / "db").close()
    path = collection_of(tmp_path / "db").root / name
    path.write_bytes(checked_toml.encode({**checked_toml.decode(path.read_bytes()), "format": 2}))
    for read_only in (False, True):
        with pytest.raises(
            blockdb.UnsupportedFormat, match=rf"{name} has format 2, and this version .* reads 1; upgrade"
        ):
            blockdb.open(tmp_path / "db", read_only=read_only)


def test_a_failure_to_open_leaves_the_lock_free(tmp_path: Path) -> None:
    blockdb.open(tmp_path / "db").close()
    manifest = collection_of(tmp_path / "db").manifest
    content = manifest.read_bytes()
    manifest.unlink()
    with pytest.raises(blockdb.Corruption):
        blockdb.open(tmp_path / "db")
    manifest.write_bytes(content)
    blockdb.open(tmp_path / "db").close()


class DyingDoor(Door):
    """A system on which the process dies with the call of this number; everything before happens."""

    def __init__(self, calls: int) -> None:
        self.left = calls

    def _pass(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def make_directory(self, path: Path) -> None:
        self._pass()
        super().make_directory(path)

    def create(self, path: Path, data: bytes) -> None:
        self._pass()
        super().create(path, data)

    def rename(self, old: Path, new: Path) -> None:
        self._pass()
        super().rename(old, new)


def test_whenever_the_making_of_a_database_is_cut_short_it_can_be_made_again(tmp_path: Path) -> None:
    for calls in count():
        path = tmp_path / str(calls)
        try:
            open_through(DyingDoor(calls), path).close()
        except blockdb.StorageError:
            pass
        else:
            break
        with blockdb.open(path) as db:
            db.put(b"key", b"value")
            assert db.verify().valid
    assert calls > 10


# ── one writer ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_there_is_one_writer_at_a_time(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db") as db:
        db.put(b"key", b"1")
        with pytest.raises(blockdb.DatabaseLocked, match=r"by this process.*\. Close it there first"):
            blockdb.open(tmp_path / "db")
        with blockdb.open(tmp_path / "db", read_only=True) as reader:
            assert reader.get(b"key") == b"1"
        db.put(b"other", b"2")
    with blockdb.open(tmp_path / "db") as db:
        assert db.count() == 2


def test_the_writer_may_be_another_process(tmp_path: Path) -> None:
    path = tmp_path / "db"
    program = (
        f"import blockdb; db = blockdb.open({str(path)!r}); db.put(b'key', b'1'); print('open', flush=True); input()"
    )
    writer = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"open\n"
        with pytest.raises(blockdb.DatabaseLocked, match=rf"by process {writer.pid}.*read_only=True"):
            blockdb.open(path)
        with blockdb.open(path, read_only=True) as reader:
            assert reader.get(b"key") == b"1"
        writer.kill()
    with blockdb.open(path) as db:
        assert db.get(b"key") == b"1", "what was acknowledged survives a killed process"
        assert db.stats().recovered_records == 1


# ── read-only ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_reader_refuses_to_write(db: blockdb.Database) -> None:
    db.put(b"key", b"value")
    with blockdb.open(db.path, read_only=True) as reader:
        assert reader.read_only
        for write in (
            lambda: reader.put(b"new", b""),
            lambda: reader.put(b"key", b"value"),
            lambda: reader.put_many([(b"new", b"")]),
            lambda: reader.put_many([]),
            reader.flush,
            reader.compact,
        ):
            with pytest.raises(blockdb.ReadOnly, match="open it without read_only=True to write"):
                write()
        with pytest.raises(blockdb.AppendOnly):
            reader.delete(b"key")
        assert reader.public_key == db.public_key
        assert reader.count() == 1


# ── closed ───────────────────────────────────────────────────────────────────────────────────────────────────────

CALLS: dict[str, Callable[[blockdb.Database], object]] = {
    "put": lambda db: db.put(b"new", b""),
    "put_many": lambda db: db.put_many([(b"new", b"")]),
    "put_many of nothing": lambda db: db.put_many([]),
    "flush": lambda db: db.flush(),
    "compact": lambda db: db.compact(),
    "redact": lambda db: db.redact(b"key", reason="asked for"),
    "get": lambda db: db.get(b"key"),
    "exists": lambda db: db.exists(b"key"),
    "in": lambda db: b"key" in db,
    "record": lambda db: db.record(b"key"),
    "scan": lambda db: db.scan(),
    "keys": lambda db: db.keys(),
    "count": lambda db: db.count(),
    "records": lambda db: db.records(),
    "block": lambda db: db.block(0),
    "blocks": lambda db: db.blocks(),
    "block_records": lambda db: db.block_records(0),
    "block_leaves": lambda db: db.block_leaves(0),
    "stats": lambda db: db.stats(),
    "verify": lambda db: db.verify(),
}
WRITES = {"put", "put_many", "put_many of nothing", "flush", "compact", "redact"}


@pytest.mark.parametrize("read_only", [False, True], ids=["writer", "reader"])
@pytest.mark.parametrize("name", CALLS)
def test_a_closed_handle_does_nothing(tmp_path: Path, name: str, read_only: bool) -> None:
    with blockdb.open(tmp_path / "db", blockchain_batch_size=1) as db:
        db.put(b"key", b"value")
    db = blockdb.open(tmp_path / "db", read_only=read_only)
    db.close()
    expected = blockdb.ReadOnly if read_only and name in WRITES else blockdb.DatabaseClosed
    with pytest.raises(expected, match="open it"):
        CALLS[name](db)


def test_closing_twice_is_no_error(tmp_path: Path) -> None:
    db = blockdb.open(tmp_path / "db")
    with db as same:
        assert same is db
        db.close()
    db.close()
    with blockdb.open(tmp_path / "db", read_only=True) as reader:
        reader.close()


def test_a_handle_closes_itself_when_something_goes_wrong(tmp_path: Path) -> None:
    def fail() -> None:
        with blockdb.open(tmp_path / "db") as db:
            db.put(b"key", b"value")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with blockdb.open(tmp_path / "db") as db:
        assert db.get(b"key") == b"value"


def test_what_was_written_is_there_after_closing_and_opening(tmp_path: Path) -> None:
    for number in range(0, 30, 3):
        with blockdb.open(tmp_path / "db", blockchain_batch_size=4) as db:
            db.put_many(pairs(range(number, number + 3)))
            assert list(db.scan()) == pairs(range(number + 3))
            assert db.stats().blocks == (number + 3) // 4
    assert blockdb.verify(tmp_path / "db").valid


# ── the package ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_everything_public_is_there_and_the_errors_are_one_family() -> None:
    for name in blockdb.__all__:
        assert getattr(blockdb, name) is not None
    errors = [value for name in blockdb.__all__ if isinstance(value := getattr(blockdb, name), type)]
    family = {error for error in errors if issubclass(error, Exception)}
    assert len(family) >= 23
    assert all(issubclass(error, blockdb.BlockDBError) and error.__doc__ for error in family)
    with pytest.raises(AttributeError):
        blockdb.nothing_of_the_kind  # noqa: B018


def test_a_signing_key_that_somebody_else_put_there_is_refused(tmp_path: Path) -> None:
    for name in ("ours", "theirs"):
        with blockdb.open(tmp_path / name) as db:
            db.put(b"a", b"1")
    key = Path("keys") / "signing.toml"
    (tmp_path / "ours" / key).write_bytes((tmp_path / "theirs" / key).read_bytes())
    with pytest.raises(blockdb.Corruption, match="not among the public keys"):
        blockdb.open(tmp_path / "ours")
    with blockdb.open(tmp_path / "ours", read_only=True) as db, pytest.raises(blockdb.ReadOnly, match="not among"):
        db.prove(b"a")
