"""Several processes on one directory: one writer, any number of readers beside it, and forks."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from time import monotonic

import pytest

import blockdb
from tests.fault.family import Family, family
from tests.fault.support import assert_prefix, bounded, copy_of, items, key_of, one, open_database, value_of
from tests.tiers import tiers

SEEN_WITHIN_S = 30.0
"""A second is promised, which a crowded machine may take to let anybody run at all."""
NOBODY = 65_534


@pytest.fixture(scope="module")
def server() -> Iterator[Family]:
    with family() as forks:
        yield forks


@pytest.fixture(scope="module")
def other_server() -> Iterator[Family]:
    with family() as forks:
        yield forks


def seen_within(condition: Callable[[], bool], seconds: float = SEEN_WITHIN_S) -> None:
    deadline = monotonic() + seconds
    while not condition():
        assert monotonic() < deadline, f"not seen within {seconds} s"


def in_a_fork(work: Callable[[], object]) -> str:
    """Do it in a forked process: the name of what it raised, or what it returned."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            answer = repr(work())
        except BaseException as error:
            answer = type(error).__name__
        os.write(writing, answer.encode())
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        answer = pipe.read().decode()
    os.waitpid(child, 0)
    return answer


# ── the lock ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_second_writer_is_told_who_writes(server: Family, tmp_path: Path) -> None:
    path = tmp_path / "db"
    child = server.start("hold", path)
    child.wait_for("holding")
    with pytest.raises(blockdb.DatabaseLocked, match=rf"\b{child.pid}\b"):
        open_database(path)
    with open_database(path, read_only=True) as reader:
        assert reader.get(b"held") == b"%d" % child.pid
    child.kill()
    with open_database(path) as db:  # at once: the lock is the kernel's, and goes with the process
        assert db.get(b"held") == b"%d" % child.pid
        with pytest.raises(blockdb.DatabaseLocked, match="this process"):
            open_database(path)
        db.put(b"after", b"")


def test_a_lock_file_that_is_removed_lets_no_second_writer_in(tmp_path: Path) -> None:
    with open_database(tmp_path / "db") as db:
        db.put(b"a", b"1")
        (tmp_path / "db" / "LOCK").unlink()
        assert in_a_fork(lambda: open_database(tmp_path / "db").put(b"b", b"2")) == "DatabaseLocked"


# ── forks ────────────────────────────────────────────────────────────────────────────────────────────────────────


FORKED: dict[str, Callable[[blockdb.Database], object]] = {
    "put": lambda db: db.put(b"child", b""),
    "put_many": lambda db: db.put_many([(b"child", b"")]),
    "get": lambda db: db.get(b"a"),
    "flush": lambda db: db.flush(),
    "stats": lambda db: db.stats(),
}


@pytest.mark.parametrize("use", FORKED.values(), ids=list(FORKED))
def test_a_forked_child_cannot_use_the_parents_handle(
    tmp_path: Path, use: Callable[[blockdb.Database], object]
) -> None:
    with open_database(tmp_path / "db") as db:
        db.put(b"a", b"1")
        assert in_a_fork(lambda: use(db)) == "DatabaseClosed"
        db.put(b"b", b"2")
    with open_database(tmp_path / "db") as db:
        assert dict(db.scan()) == {b"a": b"1", b"b": b"2"}
        assert db.verify().valid


def test_a_forked_child_that_closes_does_not_close_for_the_parent(tmp_path: Path) -> None:
    with open_database(tmp_path / "db") as db:
        assert in_a_fork(db.close) == "None"
        assert in_a_fork(lambda: open_database(tmp_path / "db")) == "DatabaseLocked"
        db.put(b"a", b"1")
    assert blockdb.verify(tmp_path / "db").valid


def test_a_forked_child_does_not_keep_the_lock(tmp_path: Path) -> None:
    db = open_database(tmp_path / "db")
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(writing)
        os.read(reading, 1)  # until the parent has seen what it wants to see
        os._exit(0)
    db.close()
    try:
        open_database(tmp_path / "db").close()
    finally:
        os.close(writing)
        os.close(reading)
        os.waitpid(child, 0)


# ── readers beside a writer ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("seed", tiers([0], [1, 2]))
def test_readers_see_a_writers_records(server: Family, tmp_path: Path, seed: int) -> None:
    """Across flushes, merges, new chain files, closing, killing and opening again."""
    rng = Random(seed)
    path = tmp_path / "db"
    open_database(path).close()
    readers = [open_database(path, read_only=True) for _ in range(3)]
    stored = 0
    for _ in range(8):
        child = server.start("serve", path, records=rng.randrange(20, 250), flush_every=rng.choice((0, 20, 45)))
        for _ in range(5):
            stored = int(child.wait_for_any("stored", "closed")[1])
            for reader in readers:
                newest = key_of(stored - 1)
                seen_within(lambda reader=reader, key=newest: reader.get(key) is not None)  # type: ignore[misc]
                assert reader.get(newest) == value_of(stored - 1)
        if rng.random() < 0.5:
            child.kill()
        else:
            stored = int(child.wait_for("closed")[1])
            child.finish()
        stored = max(int(line[1]) for line in child.said if line[0] in ("stored", "closed", "serving"))
        for reader in readers:
            seen_within(lambda reader=reader, least=stored: reader.stats().records >= least)  # type: ignore[misc]
    for reader in readers:
        assert_prefix(reader, stored)
        report = reader.verify()
        assert report.valid, report.problems
        reader.close()


def test_readers_in_other_processes(server: Family, other_server: Family, tmp_path: Path) -> None:
    path = tmp_path / "db"
    with open_database(path) as db:
        child = server.start("watch", path, records=300)
        other = other_server.start("watch", path, records=300)
        child.wait_for("attached")
        other.wait_for("attached")
        for number in range(300):
            db.put(key_of(number), value_of(number))
            if number % 70 == 69:
                db.flush()
        assert child.wait_for("seen") == ["seen", "300", "True"]
        assert other.wait_for("seen") == ["seen", "300", "True"]
    child.finish()
    other.finish()


@pytest.mark.parametrize(("lives", "records"), [(1, 600), pytest.param(3, 1_500, marks=pytest.mark.torture)])
def test_a_readers_verification_gives_no_false_alarm(server: Family, tmp_path: Path, lives: int, records: int) -> None:
    path = tmp_path / "db"
    open_database(path).close()
    for _ in range(lives):
        child = server.start("serve", path, records=records, flush_every=200)
        while ["dead"] not in child.said:
            assert blockdb.verify(path).problems == ()
            with open_database(path, read_only=True) as reader:
                assert reader.verify().problems == ()
            child.listen(0)


def test_attaching_where_nothing_may_be_written(server: Family, tmp_path: Path) -> None:
    path = tmp_path / "db"
    with open_database(path) as db:
        db.put_many(items(0, 25))
        db.flush()
        db.put_many(items(25, 3))
    user = NOBODY if os.geteuid() == 0 else 0
    places = [path, *path.rglob("*")]
    try:
        for place in reversed(places):
            place.chmod(0o500 if place.is_dir() else 0o400)
            if user:
                os.chown(place, user, user)
        tmp_path.chmod(0o755)
        child = server.start("attach", path, user=user)
        assert child.wait_for("records") == ["records", "28", "28", "True"]
        assert child.wait_for("writing") == ["writing", "StorageError"]
        child.finish()
    finally:
        for place in places:
            if user:
                os.chown(place, 0, 0)
            place.chmod(0o700)


# ── moments that a random kill seldom hits ───────────────────────────────────────────────────────────────────────


def test_killed_between_the_halves_of_a_change_of_the_mark(tmp_path: Path) -> None:
    """The mark says everything twice; a process may be killed when it has said it once. A word is stored at once."""
    with open_database(tmp_path / "db") as db:
        db.put_many(items(0, 25))
        mark = one(tmp_path / "db", "collections/*/log.mark")
        before = mark.read_bytes()
        db.put(*items(25, 1)[0])
        after = mark.read_bytes()
        left = copy_of(tmp_path / "db", tmp_path / "left")
    changed = [at for at in range(0, len(before), 8) if before[at : at + 8] != after[at : at + 8]]
    assert changed
    for at in changed:
        one(left, "collections/*/log.mark").write_bytes(after[: at + 8] + before[at + 8 :])
        copy = copy_of(left, tmp_path / "copy")
        assert blockdb.verify(copy).problems == ()
        with open_database(copy, read_only=True) as reader:
            assert assert_prefix(reader, 26) == 26
            assert reader.verify().problems == ()
        with open_database(copy) as opened:
            assert assert_prefix(opened, 26) == 26
            assert opened.verify().problems == ()


def test_a_batch_that_is_longer_than_blocks_is_taken_up_again(tmp_path: Path) -> None:
    """The open block begins within the batch, before the seals of the blocks that the batch filled."""
    with open_database(tmp_path / "db") as db:
        db.put_many(items(0, 25))
        db.flush()
    with open_database(tmp_path / "db") as db:
        assert (db.stats().blocks, db.stats().open_block_records) == (2, 5)
        db.put_many(items(25, 30))
        assert db.verify().problems == ()
    assert blockdb.verify(tmp_path / "db").problems == ()


def helpers() -> list[int]:
    """The processes that this one started to help it."""
    lists = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    pids = [int(pid) for path in lists for pid in path.read_text().split()]
    return [pid for pid in pids if b"blockdb.storage" in command_of(pid)]


def command_of(pid: int) -> bytes:
    """What a process runs; nothing once it is gone, as a helper may be at any moment."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


@pytest.mark.torture
@pytest.mark.skipif(not Path(f"/proc/self/task/{os.getpid()}/children").exists(), reason="the system does not tell")
def test_a_busy_writer_whose_helpers_are_killed_seals_by_itself(tmp_path: Path) -> None:
    killed = 0
    with open_database(tmp_path / "db", memtable_size_limit=16 << 20) as db:
        for number in range(0, 8_000, 50):
            db.put_many(items(number, 50))
            if number % 1_000 == 950:
                for pid in helpers():
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                        killed += 1
        bounded(db.flush)
        assert killed
        assert db.stats().blocks == 800
        assert db.verify().problems == ()
    with open_database(tmp_path / "db") as db:
        assert assert_prefix(db, 8_000) == 8_000
