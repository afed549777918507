"""Writers that wait for the disk together: one force for many, and each is told what became of its own record."""

import errno
from collections.abc import Callable, Sequence
from contextlib import suppress
from math import inf
from pathlib import Path
from signal import SIGINT, SIGUSR1, pthread_kill, signal
from threading import Barrier, Event, Thread, main_thread
from typing import Any

import pytest

import blockdb
from blockdb.storage.door import Door
from blockdb.storage.write_group import GROUP_BYTES, Item, WriteGroup
from tests.fault.doors import FaultyDoor
from tests.storage.doors import PATIENCE_S, open_through, pairs, until

THREADS = 16


def together(work: Callable[[int], object], threads: int = THREADS) -> list[object]:
    """What `work(number)` gave or raised in each of the threads, which begin at the same time."""
    barrier, outcomes = Barrier(threads), list[object]([None] * threads)

    def run(number: int) -> None:
        barrier.wait()
        try:
            outcomes[number] = work(number)
        except blockdb.BlockDBError as error:
            outcomes[number] = error

    running = [Thread(target=run, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return outcomes


class SlowDoor(Door):
    """Forces nothing until it is `open`, and then so many times as it is `good_for`."""

    def __init__(self) -> None:
        self.open = Event()
        self.open.set()
        self.good_for = inf

    def force(self, descriptor: Any) -> None:
        self.open.wait()
        if not self.good_for:
            raise OSError(errno.EIO, "the disk is broken")
        self.good_for -= 1
        super().force(descriptor)


def test_who_waits_together_shares_a_force(tmp_path: Path) -> None:
    door = SlowDoor()
    with open_through(door, tmp_path / "db", wal_sync_interval=0) as db:
        before = db.stats().forces
        door.open.clear()
        writers = [Thread(target=db.put, args=item) for item in pairs(range(THREADS))]
        writers[0].start()
        until(lambda: db.stats().records == 1)
        for writer in writers[1:]:
            writer.start()
        group = db._store._group  # type: ignore[union-attr]
        until(lambda: len(group._gathering.items) == THREADS - 1)
        door.open.set()
        for writer in writers:
            writer.join()
        assert db.stats().forces - before == 2
        assert list(db.scan()) == pairs(range(THREADS))


def test_each_gets_its_own_sequence_number(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db", wal_sync_interval=0, blockchain_batch_size=7) as db:
        sequences = together(lambda number: [db.put(b"%d:%d" % (number, n), b"v") for n in range(20)])
        found = {record.key: record.sequence for record in db.records()}
        for number, mine in enumerate(sequences):
            assert mine == [found[b"%d:%d" % (number, n)] for n in range(20)]
        assert sorted(found.values()) == list(range(20 * THREADS))
        assert db.verify().valid


def test_one_of_many_that_put_the_same_key_wins(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db") as db:
        db.put(b"there", b"before")
        for turn in range(10):
            key = b"key%d" % turn
            outcomes = together(lambda number, key=key: db.put(key, b"%d" % number, sync=True))
            [winner] = [number for number, outcome in enumerate(outcomes) if isinstance(outcome, int)]
            assert db.get(key) == b"%d" % winner
            assert all(isinstance(outcome, blockdb.DuplicateKey) for outcome in outcomes if outcome != turn + 1)
        assert all(isinstance(o, blockdb.DuplicateKey) for o in together(lambda _: db.put(b"there", b"", sync=True)))
        assert db.stats().duplicates == 11 * THREADS - 10


@pytest.mark.parametrize("kind", ["write", "force"])
def test_what_fails_fails_for_all_of_them(tmp_path: Path, kind: str) -> None:
    door = FaultyDoor(kind, at=-1)
    db = open_through(door, tmp_path / "db", wal_sync_interval=0)
    db.put(b"before", b"")
    door.fail_from_now(kind, errno.EIO)
    outcomes = together(lambda number: db.put(b"%d" % number, b""))
    assert all(isinstance(outcome, blockdb.StorageError) for outcome in outcomes), outcomes
    door.heal()
    again = together(lambda number: db.put(b"again%d" % number, b""))
    stopped = [isinstance(outcome, blockdb.WritesStopped) for outcome in again]
    assert all(stopped) if kind == "force" else not any(stopped)
    with suppress(blockdb.WritesStopped):
        db.close()
    with blockdb.open(tmp_path / "db") as db:
        assert db.get(b"before") == b""
        assert db.verify().valid
        if kind == "write":
            assert db.count() == 1 + THREADS


def test_a_force_that_fails_fails_for_all_of_a_group_but_those_that_were_refused(tmp_path: Path) -> None:
    door = SlowDoor()
    db = open_through(door, tmp_path / "db", wal_sync_interval=0)
    group = db._store._group  # type: ignore[union-attr]
    db.put(b"there", b"")

    def put(number: int) -> int:
        if not number:
            return db.put(b"leader", b"")
        until(lambda: db.stats().records == 2)
        return db.put(b"there" if number == 1 else b"%d" % number, b"")

    def break_the_disk() -> None:
        until(lambda: len(group._gathering.items) == THREADS - 1)
        door.good_for = 1
        door.open.set()

    door.open.clear()
    breaking = Thread(target=break_the_disk)
    breaking.start()
    outcomes = together(put)
    breaking.join()
    assert outcomes[0] == 1
    assert isinstance(outcomes[1], blockdb.DuplicateKey)
    assert all(isinstance(outcome, blockdb.WritesStopped) for outcome in outcomes[2:]), outcomes
    with suppress(blockdb.WritesStopped):
        db.close()


def test_after_the_close_each_is_told(tmp_path: Path) -> None:
    db = blockdb.open(tmp_path / "db", wal_sync_interval=0)
    db.close()
    outcomes = together(lambda number: db.put(b"%d" % number, b""))
    assert all(isinstance(outcome, blockdb.DatabaseClosed) for outcome in outcomes)


def test_a_leader_that_breaks_down_leaves_nobody_waiting() -> None:
    """Whatever `commit` raises, the others go on."""
    breaks, begun = [True, True, False], Event()

    def commit(items: Sequence[Item]) -> Sequence[int]:
        if len(items) == 1:
            begun.set()
            until(lambda: len(group._gathering.items) == 2 or len(breaks) == 1)
        if breaks.pop(0):
            raise KeyboardInterrupt
        return [7] * len(items)

    outcomes: dict[int, object] = {}

    def put(number: int) -> None:
        try:
            outcomes[number] = group.put(b"key", b"")
        except (KeyboardInterrupt, blockdb.StorageError) as error:
            outcomes[number] = type(error)

    group = WriteGroup(commit)
    threads = [Thread(target=put, args=(number,)) for number in range(3)]
    threads[0].start()
    begun.wait()
    for thread in threads[1:]:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes[0] is KeyboardInterrupt
    assert {outcomes[1], outcomes[2]} == {KeyboardInterrupt, blockdb.StorageError}
    assert WriteGroup(commit).put(b"key", b"") == 7


def test_one_that_is_interrupted_while_it_waits_holds_nobody_up() -> None:
    """The main thread is to lead the next group when ^C comes."""
    begun, goes_on, outcomes = Event(), Event(), list[object]()

    def commit(items: Sequence[Item]) -> Sequence[int]:
        begun.set()
        assert goes_on.wait(PATIENCE_S)
        return [7] * len(items)

    def put() -> None:
        try:
            outcomes.append(group.put(b"key", b""))
        except blockdb.StorageError as error:
            outcomes.append(str(error))

    def interrupt() -> None:
        until(lambda: len(group._gathering.items) == 1)
        second.start()
        until(lambda: len(group._gathering.items) == 2)
        pthread_kill(main_thread().ident or 0, SIGINT)

    group = WriteGroup(commit)
    first, second, interrupting = Thread(target=put), Thread(target=put), Thread(target=interrupt)
    first.start()
    begun.wait()
    interrupting.start()
    with pytest.raises(KeyboardInterrupt):
        group.put(b"key", b"")
    second.join()
    assert "was interrupted" in str(outcomes)
    goes_on.set()
    first.join()
    assert outcomes[1:] == [7]
    assert group.put(b"key", b"") == 7


def test_of_those_in_one_group_that_put_the_same_key_one_wins(tmp_path: Path) -> None:
    """The others of the group come with a key that is not stored yet, and stands in the group already."""
    door, outcomes = SlowDoor(), list[object]()
    with open_through(door, tmp_path / "db", wal_sync_interval=0) as db:

        def put(key: bytes, value: bytes) -> None:
            try:
                outcomes.append((db.put(key, value), value))
            except blockdb.DuplicateKey:
                outcomes.append(None)

        door.open.clear()
        leader = Thread(target=put, args=(b"first", b""))
        leader.start()
        until(lambda: db.stats().records == 1)
        others = [Thread(target=put, args=(b"key", b"%d" % number)) for number in range(8)]
        for thread in others:
            thread.start()
        group = db._store._group  # type: ignore[union-attr]
        until(lambda: len(group._gathering.items) == 8)
        door.open.set()
        for thread in (leader, *others):
            thread.join()
        assert outcomes.count(None) == 7
        assert (1, db.get(b"key")) in outcomes


def test_a_group_has_its_limit_in_bytes() -> None:
    """What many threads write together must not outgrow a chain file, or memory."""
    begun, all_wait, groups = Event(), Event(), list[list[int]]()

    def commit(items: Sequence[Item]) -> Sequence[int]:
        if not groups:
            begun.set()
            assert all_wait.wait(PATIENCE_S)
        groups.append([len(value) for _, value in items])
        return [7] * len(items)

    group = WriteGroup(commit)
    threads = [Thread(target=group.put, args=(b"key", b""))]
    threads[0].start()
    begun.wait()
    for size in (GROUP_BYTES // 2, GROUP_BYTES // 3, GROUP_BYTES, 5, 3 * GROUP_BYTES):
        threads.append(Thread(target=group.put, args=(b"key", bytes(size))))
        threads[-1].start()
        until(lambda size=size: [len(value) for _, value in group._gathering.items[-1:]] == [size])
    all_wait.set()
    for thread in threads:
        thread.join()
    assert sorted(groups) == [[0], [5], [GROUP_BYTES // 2, GROUP_BYTES // 3], [GROUP_BYTES], [3 * GROUP_BYTES]]


def test_a_signal_does_not_end_the_waiting() -> None:
    """The main thread is in a group when signals come whose handler raises nothing."""
    begun, goes_on, heard = Event(), Event(), list[int]()

    def commit(items: Sequence[Item]) -> Sequence[int]:
        begun.set()
        assert goes_on.wait(PATIENCE_S)
        return [7] * len(items)

    def send_signals() -> None:
        until(lambda: len(group._gathering.items) == 2)
        for count in range(1, 21):
            pthread_kill(main_thread().ident or 0, SIGUSR1)
            until(lambda count=count: len(heard) == count)
        goes_on.set()

    group = WriteGroup(commit)
    threads = [Thread(target=group.put, args=(b"key", b"")) for _ in range(2)] + [Thread(target=send_signals)]
    before = signal(SIGUSR1, lambda number, _: heard.append(number))
    try:
        threads[0].start()
        begun.wait()
        threads[1].start()
        until(lambda: len(group._gathering.items) == 1)
        threads[2].start()
        assert group.put(b"key", b"") == 7
    finally:
        for thread in threads:
            thread.join()
        signal(SIGUSR1, before)
