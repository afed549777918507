"""A forked child has its parent's handles, and must not use them."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

import blockdb
from blockdb.storage import seals
from tests.storage.doors import collection_of, pairs

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


def in_child(work: Callable[[], object]) -> str:
    """Do something in a forked child; returns what came of it."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        signal.alarm(20)  # a child that waits for a lock of its parent would wait for ever
        try:
            outcome = f"it did {work()!r}"
        except BaseException as error:
            outcome = type(error).__name__
        os.write(writing, outcome.encode())
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        outcome = pipe.read().decode()
    os.waitpid(child, 0)
    return outcome


@contextmanager
def living_child() -> Iterator[None]:
    """A forked child that does nothing, and lives on meanwhile."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(writing)
        os.read(reading, 1)
        os._exit(0)
    os.close(reading)
    yield
    os.close(writing)
    os.waitpid(child, 0)


@pytest.mark.parametrize(
    "work",
    [
        lambda db: db.put(b"child", b""),
        lambda db: db.put_many([(b"child", b"")]),
        lambda db: db.get(b"key00001"),
        lambda db: list(db.scan()),
        lambda db: db.flush(),
        lambda db: db.stats(),
    ],
    ids=["put", "put_many", "get", "scan", "flush", "stats"],
)
@pytest.mark.parametrize("read_only", [False, True], ids=["writer", "reader"])
def test_a_child_refuses(db: blockdb.Database, work: Callable[[blockdb.Database], object], read_only: bool) -> None:
    db.put_many(pairs(range(5)))
    log = collection_of(db.path).segment(0)
    before = log.read_bytes()
    handle = blockdb.open(db.path, read_only=True) if read_only else db
    assert in_child(lambda: work(handle)) in ("DatabaseClosed", "ReadOnly")
    assert log.read_bytes() == before
    assert db.put(*pairs([5])[0]) == 5
    assert db.verify().valid


def test_a_child_refuses_at_once_while_a_thread_of_its_parent_writes(db: blockdb.Database) -> None:
    """Whatever lock was held at the moment of the fork stays held in the child for ever."""
    store = db._store
    assert store is not None
    with store.writing:
        assert in_child(lambda: db.put(b"child", b"")) == "DatabaseClosed"
        assert in_child(db.close) == "it did None"


def test_a_child_may_close_what_is_its_parents(db: blockdb.Database) -> None:
    db.put_many(pairs(range(5)))
    assert in_child(db.close) == "it did None"
    assert db.put(*pairs([5])[0]) == 5
    with pytest.raises(blockdb.DatabaseLocked):
        blockdb.open(db.path)


def test_a_child_may_attach_for_itself(db: blockdb.Database) -> None:
    db.put_many(pairs(range(5)))
    assert in_child(lambda: blockdb.open(db.path, read_only=True).count()) == "it did 5"
    assert in_child(lambda: blockdb.open(db.path)) == "DatabaseLocked"


def test_a_child_that_lives_on_does_not_hold_the_lock(tmp_path: Path) -> None:
    db = blockdb.open(tmp_path / "db")
    with living_child():
        db.close()
        blockdb.open(tmp_path / "db").close()


def test_a_child_that_lives_on_does_not_keep_its_parent_from_closing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even when a busy writer has blocks closed beside it, by a process that waits for the end of a pipe."""
    monkeypatch.setattr(seals, "BUSY_BLOCKS", 2)
    monkeypatch.setattr(seals, "BUSY_S", 3600.0)
    db = blockdb.open(tmp_path / "db", blockchain_batch_size=4)
    for key, value in pairs(range(40)):
        db.put(key, value)
    with living_child():
        closer = Thread(target=db.close, daemon=True)
        closer.start()
        closer.join(60)
        closed_in_time = not closer.is_alive()
    closer.join()
    assert closed_in_time


def test_a_transaction_of_the_parent_is_not_the_childs(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db") as db:
        tx = db.transaction()
        tx.put(b"a", b"")
        assert in_child(tx.commit) == "TransactionClosed"
        assert in_child(lambda: tx.get(b"b")) == "TransactionClosed"
        assert in_child(db.transaction) == "DatabaseClosed"
        tx.commit()
        assert db.exists(b"a")
