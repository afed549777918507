"""Transactions as their users see them: own writes, waiting, deadlocks, time, and what is stored in the end."""

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

import blockdb
from blockdb.database.transactions.locks import Locks
from blockdb.errors import (
    CollectionNotFound,
    DatabaseClosed,
    Deadlock,
    DuplicateKey,
    InvalidData,
    ReadOnly,
    TransactionClosed,
    TransactionTimeout,
)
from tests.storage.doors import StillDoor, open_through, until

Items = list[tuple[bytes, bytes]]


@pytest.fixture
def db(tmp_path: Path) -> Iterator[blockdb.Database]:
    with open_through(StillDoor(), tmp_path / "db", blockchain_batch_size=4) as db:
        db.create_collection("users")
        yield db


class Doing:
    """Something that another thread does, and what came of it."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.result: object = None
        self.error: BaseException | None = None

        def run() -> None:
            try:
                self.result = act()
            except BaseException as error:
                self.error = error

        self._thread = Thread(target=run)
        self._thread.start()

    @property
    def is_over(self) -> bool:
        return not self._thread.is_alive()

    def end(self) -> object:
        """Its result. Raises what it raised."""
        self._thread.join(20)
        assert self.is_over
        if self.error is not None:
            raise self.error
        return self.result


def waiting(db: blockdb.Database, act: Callable[[], object]) -> Doing:
    """Something that another thread does, once it waits for a lock."""
    before = db.stats().transactions.waiting
    doing = Doing(act)
    until(lambda: db.stats().transactions.waiting > before or doing.is_over)
    return doing


# ── all or nothing ───────────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_committed_is_there_in_all_collections(db: blockdb.Database) -> None:
    with db.transaction() as tx:
        tx.put(b"a", b"1")
        tx.put_many([(b"b", b"2"), (b"c", b"3")], collection="users")
        assert (db.get(b"a"), db["users"].get(b"b")) == (None, None)
    assert db.get(b"a") == b"1"
    assert dict(db["users"].scan()) == {b"b": b"2", b"c": b"3"}
    report = db.verify()
    assert report.valid, report.problems


def test_commit_says_where_records_are_in_the_order_of_commits(db: blockdb.Database) -> None:
    db.put(b"before", b"")
    with db.transaction() as tx:
        tx.put(b"a", b"1")
        tx.put(b"b", b"2", collection="users")
        tx.put(b"c", b"3", collection=db["users"].id)
        tx.put(b"d", b"4", collection="default")
        assert tx.commit() == {"default": range(1, 3), "users": range(2)}
    assert [record.key for record in db.records()] == [b"before", b"a", b"d"]


def test_what_is_aborted_leaves_nothing(db: blockdb.Database) -> None:
    with pytest.raises(DuplicateKey), db.transaction() as tx:
        tx.put_many([(b"a", b"1"), (b"b", b"2"), (b"a", b"3")])
    with db.transaction() as tx:
        tx.put(b"a", b"1", collection="users")
        tx.abort()
    assert (db.count(), db["users"].count()) == (0, 0)
    assert db.stats().transactions.aborted == 2
    db.put(b"a", b"free")


def test_the_same_comes_out_after_reopening(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db") as db:
        db.create_collection("users")
        for number in range(50):
            with db.transaction() as tx:
                tx.put(b"%d" % number, b"one")
                tx.put(b"%d" % number, b"other", collection="users")
            if number == 25:
                db.flush()
    for read_only in (True, False):
        with blockdb.open(tmp_path / "db", read_only=read_only) as db:
            assert (db.count(), db["users"].count()) == (50, 50)
            assert db.verify().valid


def test_a_batch_of_a_transaction_is_sealed_like_any_other(tmp_path: Path) -> None:
    """Blocks are a function of the records alone, however those were written."""
    keys = [b"%d" % number for number in range(10)]
    with blockdb.open(tmp_path / "db", blockchain_batch_size=3) as db:
        db.create_collection("users")
        with db.transaction() as tx:
            for key in keys:
                tx.put(key, b"")
            tx.put(b"there", b"too", collection="users")
        db.flush()
        assert [block.count for block in db.blocks()] == [3, 3, 3]
        assert [record.key for record in db.records()] == keys
        assert db.prove(keys[4])


def test_an_attachment_sees_what_is_committed(db: blockdb.Database) -> None:
    with blockdb.open(db.path, read_only=True) as reader:
        for number in range(5):
            with db.transaction() as tx:
                tx.put(b"%d" % number, b"")
                tx.put(b"%d" % number, b"", collection="users")
            assert reader.count() == reader["users"].count() == number + 1
        with blockdb.open(db.path, read_only=True) as later:
            assert later.count() == later["users"].count() == 5


# ── own reads ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_it_sees_its_own_writes(db: blockdb.Database) -> None:
    db.put_many([(b"b", b"old"), (b"d", b"old")])
    with db.transaction() as tx:
        for key in (b"e", b"a", b"c"):
            tx.put(key, b"new")
        tx.put(b"elsewhere", b"", collection="users")
        assert tx.get(b"a") == b"new"
        assert tx.exists(b"c")
        assert not tx.exists(b"elsewhere")
        whole: Items = [(b"a", b"new"), (b"b", b"old"), (b"c", b"new"), (b"d", b"old"), (b"e", b"new")]
        assert list(tx.scan()) == whole
        assert list(tx.scan(reverse=True)) == whole[::-1]
        assert list(tx.scan(start=b"b", end=b"e")) == whole[1:4]
        assert list(tx.scan(offset=1, limit=3)) == whole[1:4]
        assert list(tx.scan(offset=1, limit=3, reverse=True)) == whole[::-1][1:4]
        assert list(tx.scan(prefix=b"c")) == whole[2:3]
        assert list(tx.scan(prefix=b"b", limit=1)) == whole[1:2]
        assert list(tx.scan(start=b"x")) == []
        assert list(db.scan()) == [(b"b", b"old"), (b"d", b"old")]


def test_a_key_is_written_once(db: blockdb.Database) -> None:
    db.put(b"stored", b"")
    with db.transaction() as tx:
        tx.put(b"a", b"1")
        for key in (b"stored", b"a"):
            with pytest.raises(DuplicateKey):
                tx.put(key, b"2")
        with pytest.raises(DuplicateKey):
            tx.put_many([(b"b", b""), (b"c", b""), (b"b", b"")])
        assert not tx.exists(b"b")
    assert dict(db.scan()) == {b"a": b"1", b"stored": b""}


@pytest.mark.parametrize(("key", "value"), [(b"", b""), ("a", b""), (b"a", "b"), (b"a", None), (b"x" * 70_000, b"")])
def test_what_cannot_be_stored_is_refused_at_once(db: blockdb.Database, key: bytes, value: bytes) -> None:
    with db.transaction() as tx:
        with pytest.raises(InvalidData):
            tx.put(key, value)
        tx.put(b"fine", b"")
    assert list(db.keys()) == [b"fine"]


def test_a_transaction_has_limits(db: blockdb.Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blockdb.database.transactions.part.MAX_BATCH_RECORDS", 3)
    monkeypatch.setattr("blockdb.database.transactions.part.MAX_BATCH_BYTES", 20)
    with db.transaction() as tx:
        with pytest.raises(InvalidData, match="Split"):
            tx.put(b"long", b"x" * 20)
        tx.put_many([(b"a", b""), (b"b", b""), (b"c", b"")])
        with pytest.raises(InvalidData, match="Split"):
            tx.put(b"d", b"")
    assert db.count() == 3


def test_a_collection_that_is_not_there_is_said_so(db: blockdb.Database) -> None:
    with db.transaction() as tx, pytest.raises(CollectionNotFound):
        tx.put(b"a", b"", collection="nowhere")


def test_collections_that_are_parked_take_part(tmp_path: Path) -> None:
    names = [f"c{number}" for number in range(20)]
    with open_through(StillDoor(), tmp_path / "db", open_collections_limit=8) as db:
        for name in names:
            db.create_collection(name)
        for number in range(60):
            with db.transaction() as tx:
                for name in (names[number % 20], names[number * 7 % 20], names[-number % 20]):
                    if not tx.exists(b"%d" % number, collection=name):
                        tx.put(b"%d" % number, b"", collection=name)
        assert sum(reader.is_parked for reader in db._core.catalog.opened()) >= 10
        found = [db[name].count() for name in names]
        db.flush()
    with blockdb.open(tmp_path / "db") as db:
        assert [db[name].count() for name in names] == found
        assert db.verify().valid


PEOPLE: list[dict[str, Any]] = [
    {"name": name, "age": age} for name, age in (("Ada", 36), ("Bo", 20), ("Cy", 20), ("Di", 51))
]


def test_documents_are_found_with_own_ones_among_them(db: blockdb.Database) -> None:
    users = db["users"]
    users.create_index("by_age", ["age"])
    users.put(b"1", PEOPLE[0])
    users.put(b"2", PEOPLE[1])
    with db.transaction() as tx:

        def names(where: str = "", **more: Any) -> list[str]:
            return [found.value["name"] for found in tx.find(where, collection="users", **more)]

        assert names(order="age") == ["Bo", "Ada"]
        tx.put(b"3", PEOPLE[2], collection="users")
        tx.put(b"4", PEOPLE[3], collection="users")
        assert names() == ["Ada", "Bo", "Cy", "Di"]
        assert names("age = 20") == ["Bo", "Cy"]
        assert names("_key >= '2' and age > 20") == ["Di"]
        assert names(order="age, name desc") == ["Cy", "Bo", "Ada", "Di"]
        assert names(order="age desc", offset=1, limit=2) == ["Ada", "Cy"]
        assert names("age > :age", parameters={"age": 30}, limit=1) == ["Ada"]
        [found] = tx.find("name = 'Di'", fields="age", collection="users")
        assert (found.key, found.value, found.sequence) == (b"4", {"age": 51}, 3)
        with pytest.raises(InvalidData):
            tx.find("age >", collection="users")
        plain = waiting(db, lambda: users.put(b"5", PEOPLE[0]))
    plain.end()
    assert [found.value["name"] for found in users.find("age = 20")] == ["Bo", "Cy"]


def test_a_document_that_is_refused_leaves_the_transaction_as_it_was(db: blockdb.Database) -> None:
    users = db["users"]
    users.create_index("by_name", ["name"], unique=True)
    with db.transaction() as tx:
        tx.put(b"1", PEOPLE[0], collection="users")
        with pytest.raises(InvalidData):
            tx.put(b"2", b"no document", collection="users")
        tx.put(b"3", PEOPLE[1], collection="users")
    assert users.count() == 2
    tx = db.transaction()
    tx.put(b"elsewhere", b"")
    tx.put(b"4", PEOPLE[0], collection="users")
    with pytest.raises(blockdb.BlockDBError, match="by_name"):
        tx.commit()
    assert (users.count(), db.count()) == (2, 0)


def test_an_index_that_is_made_meanwhile_gets_what_is_committed(db: blockdb.Database) -> None:
    users = db["users"]
    with db.transaction() as tx:
        tx.put(b"1", PEOPLE[0], collection="users")
        tx.put(b"1", b"")
        users.create_index("by_age", ["age"])
    assert [found.key for found in users.find("age = 36")] == [b"1"]
    assert db.verify().valid


# ── waiting ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_who_reads_is_not_overtaken_by_who_writes(db: blockdb.Database) -> None:
    tx = db.transaction()
    assert tx.get(b"k") is None
    plain = waiting(db, lambda: db.put(b"k", b"late"))
    assert db.put(b"other", b"free") == 0
    assert tx.get(b"k") is None
    assert db.get(b"k") is None
    tx.put(b"mine", b"")
    tx.commit()
    assert plain.end() == 2
    assert [record.key for record in db.records()] == [b"other", b"mine", b"k"]


@pytest.mark.parametrize("sync", [False, True])
def test_plain_writes_of_every_kind_wait_for_a_lock(db: blockdb.Database, sync: bool) -> None:
    tx = db.transaction()
    tx.put(b"a", b"1")
    one = waiting(db, lambda: db.put(b"a", b"2", sync=sync))
    many = waiting(db, lambda: db.put_many([(b"b", b"2"), (b"a", b"2")], sync=sync))
    tx.abort()
    until(lambda: one.is_over and many.is_over)
    assert {type(doing.error) for doing in (one, many)} == {type(None), DuplicateKey}
    assert db.get(b"a") == b"2"


def test_a_range_that_was_read_stays_as_it_was(db: blockdb.Database) -> None:
    db.put(b"b", b"")
    tx = db.transaction()
    assert list(tx.scan(start=b"b", end=b"d")) == [(b"b", b"")]
    inside = waiting(db, lambda: db.put(b"c", b"late"))
    db.put_many([(b"a", b""), (b"d", b"")])
    db["users"].put(b"c", b"elsewhere")
    assert list(tx.scan(start=b"b", end=b"d")) == [(b"b", b"")]
    assert not inside.is_over
    tx.commit()
    inside.end()
    assert list(db.keys()) == [b"a", b"b", b"c", b"d"]


def test_plain_writes_are_quick_again_once_nobody_holds_locks(db: blockdb.Database) -> None:
    with db.transaction() as tx:
        tx.get(b"a")
        store = tx._parts[None].store
        assert store.gate is not None
    db.put(b"a", b"")
    assert store.gate is None
    db.put(b"b", b"")
    assert not store._attention


def test_a_deadlock_costs_the_youngest(db: blockdb.Database) -> None:
    old, young = db.transaction(), db.transaction()
    old.put(b"a", b"old")
    young.put(b"b", b"young")
    doing = waiting(db, lambda: young.get(b"a"))
    assert old.get(b"b") is None
    with pytest.raises(Deadlock, match=f"Transaction {young.id}"):
        doing.end()
    for use in (young.commit, lambda: young.get(b"x"), lambda: young.put(b"x", b""), lambda: list(young.scan())):
        with pytest.raises(Deadlock):
            use()
    old.commit()
    assert dict(db.scan()) == {b"a": b"old"}
    assert db.stats().transactions.deadlocks == 1


def test_who_closes_the_circle_gives_way_if_it_is_the_youngest(db: blockdb.Database) -> None:
    old, young = db.transaction(), db.transaction()
    old.put(b"a", b"old")
    young.put(b"b", b"young")
    doing = waiting(db, lambda: old.get(b"b"))
    with pytest.raises(Deadlock), young:
        young.get(b"a")
    assert doing.end() is None
    old.commit()


def test_what_was_swallowed_is_said_at_the_end(db: blockdb.Database) -> None:
    old, young = db.transaction(), db.transaction()
    old.get(b"a")
    young.get(b"a")
    doing = waiting(db, lambda: old.put(b"a", b""))
    with pytest.raises(Deadlock), young, pytest.raises(Deadlock):
        young.put(b"a", b"")
    doing.end()
    old.commit()


def test_deadlocks_are_tried_again(db: blockdb.Database) -> None:
    def add(name: str) -> None:
        def run(tx: blockdb.Transaction) -> None:
            number = len(list(tx.scan(collection=name)))
            tx.put(b"%05d" % number, b"", collection=name)
            tx.put(b"%05d" % number, b"", collection="users" if name == "default" else "default")

        for _ in range(25):
            db.execute_transaction(run, attempts=1000)

    doing = [Doing(lambda name=name: add(name)) for name in ("default", "users", "default", "users")]  # type: ignore[misc]
    for each in doing:
        each.end()
    assert db.count() == db["users"].count() == 100
    assert list(map(int, db.keys())) == list(range(100))


def test_who_is_tried_again_stays_as_old_as_it_was(db: blockdb.Database) -> None:
    ids = []

    def run(tx: blockdb.Transaction) -> str:
        ids.append(tx.id)
        if len(ids) < 3:
            raise Deadlock("planted")
        tx.put(b"a", b"")
        return "done"

    assert db.execute_transaction(run) == "done"
    assert len(set(ids)) == 1
    assert db.exists(b"a")
    with pytest.raises(Deadlock):
        db.execute_transaction(lambda tx: ids.clear() or run(tx), attempts=2)  # type: ignore[func-returns-value]
    for attempts in (0, -1):
        with pytest.raises(InvalidData):
            db.execute_transaction(run, attempts=attempts)


# ── time, and those who forget ───────────────────────────────────────────────────────────────────────────────────


def test_who_takes_too_long_gives_way_to_who_waits(db: blockdb.Database) -> None:
    slow = db.transaction(timeout_s=0.3)
    slow.put(b"a", b"slow")
    db.put(b"a", b"quick")
    for use in (slow.commit, lambda: slow.get(b"x"), lambda: slow.put(b"x", b"")):
        with pytest.raises(TransactionTimeout, match=r"0\.3 seconds"):
            use()
    assert db.get(b"a") == b"quick"
    assert db.stats().transactions.timeouts == 1


def test_who_waits_too_long_gives_up(db: blockdb.Database) -> None:
    tx = db.transaction()
    tx.put(b"a", b"")
    with pytest.raises(TransactionTimeout), db.transaction(timeout_s=0.05) as late:
        late.get(b"a")
    tx.commit()
    assert db.exists(b"a")


def test_the_time_is_a_setting(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db", transaction_timeout=1) as db:
        tx = db.transaction()
        tx.put(b"a", b"slow")
        db.put(b"a", b"quick")
        assert db.get(b"a") == b"quick"
        for timeout_s in (0, -1):
            with pytest.raises(InvalidData):
                db.transaction(timeout_s=timeout_s)


def test_what_nobody_has_any_more_holds_nothing(db: blockdb.Database) -> None:
    tx = db.transaction()
    tx.put(b"a", b"")
    del tx
    gc.collect()
    assert db.transactions() == ()
    db.put(b"a", b"")


def test_what_is_collected_at_a_bad_moment_is_found_by_who_waits(
    db: blockdb.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("blockdb.database.transactions.locks.LOOK_AROUND_S", 0.01)
    tx = db.transaction()
    tx.put(b"a", b"")
    locks: Locks = tx._locks
    doing = waiting(db, lambda: db.put(b"a", b"now"))
    with locks._mutex:  # as if the collector ran while somebody is at the locks
        del tx
        gc.collect()
    doing.end()
    assert db.get(b"a") == b"now"


def test_one_that_has_ended_is_not_used_again(db: blockdb.Database) -> None:
    tx = db.transaction()
    tx.put(b"a", b"")
    tx.commit()
    for use in (
        tx.commit,
        lambda: tx.get(b"a"),
        lambda: tx.put(b"x", b""),
        lambda: tx.put(b"x", b"", collection="users"),
    ):
        with pytest.raises(TransactionClosed, match="was committed"):
            use()
    tx.abort()
    assert db.exists(b"a")


def test_closing_the_database_ends_them(tmp_path: Path) -> None:
    db = blockdb.open(tmp_path / "db")
    tx, waiter = db.transaction(), db.transaction()
    tx.put(b"a", b"")
    doing = waiting(db, lambda: waiter.get(b"a"))
    db.close()
    with pytest.raises(TransactionClosed, match="closed"):
        doing.end()
    with pytest.raises(TransactionClosed):
        tx.commit()
    with pytest.raises(DatabaseClosed):
        db.transaction()


def test_a_reader_has_none(db: blockdb.Database) -> None:
    with blockdb.open(db.path, read_only=True) as reader:
        for use in (reader.transaction, reader.begin_transaction, lambda: reader.execute_transaction(print)):
            with pytest.raises(ReadOnly):
                use()
        assert reader.transactions() == ()


def test_another_thread_may_abort_one_that_waits(db: blockdb.Database) -> None:
    tx, waiter = db.transaction(), db.transaction()
    tx.put(b"a", b"")
    doing = waiting(db, lambda: waiter.get(b"a"))
    waiter.abort()
    with pytest.raises(TransactionClosed):
        doing.end()
    tx.commit()


# ── by number, and what can be seen ──────────────────────────────────────────────────────────────────────────────


def test_they_go_by_number_too(db: blockdb.Database) -> None:
    one, other = db.begin_transaction(), db.begin_transaction(timeout_s=5)
    gc.collect()
    db.get_transaction(one).put(b"a", b"1")
    db.get_transaction(other).put(b"b", b"1")
    assert db.commit_transaction(one, sync=True) == {"default": range(1)}
    db.abort_transaction(other)
    assert dict(db.scan()) == {b"a": b"1"}
    with pytest.raises(TransactionClosed):
        db.commit_transaction(one)
    with pytest.raises(TransactionClosed, match="999"):
        db.abort_transaction(999)


def test_who_waits_for_whom_is_seen(db: blockdb.Database) -> None:
    tx, waiter = db.transaction(), db.transaction()
    tx.put(b"a", b"")
    tx.get(b"b")
    doing = waiting(db, lambda: list(waiter.scan(start=b"a", end=b"b")))
    first, second = db.transactions()
    assert (first.id, first.locks, first.waits_for, first.wanted) == (tx.id, 2, (), None)
    assert (second.id, second.locks, second.waits_for) == (waiter.id, 0, (tx.id,))
    assert second.wanted == "keys from 'a' to 'b', shared"
    assert first.age_s >= second.age_s >= 0
    found = db.stats().transactions
    assert (found.active, found.waiting, found.locks) == (2, 1, 2)
    tx.commit()
    assert doing.end() == [(b"a", b"")]
    waiter.abort()
    found = db.stats().transactions
    assert (found.active, found.committed, found.aborted, found.waits) == (0, 1, 1, 1)
    assert found.wait_latency.count == 1


def test_what_became_of_the_last_ones_is_seen(db: blockdb.Database) -> None:
    db.create_collection("other")
    with db.transaction() as tx:
        tx.put_many([(b"a", b"1"), (b"b", b"2")])
        tx.put(b"a", b"3", collection="other")
        (open_one,) = db.transactions()
        assert (open_one.collections, open_one.writes, open_one.outcome) == (("default", "other"), 3, "")
    late, other = db.transaction(timeout_s=0.5), db.transaction()
    late.get(b"x")
    with pytest.raises(TransactionTimeout):
        list(iter(lambda: late.get(b"x"), b"never"))
    other.get(b"a")
    other.abort()
    aborted, timed_out, committed = db.recent_transactions()
    assert (committed.id, committed.outcome, committed.writes, committed.locks) == (tx.id, "committed", 3, 3)
    assert (timed_out.id, timed_out.outcome, timed_out.collections) == (late.id, "timeout", ("default",))
    assert (aborted.id, aborted.outcome, aborted.locks) == (other.id, "aborted", 1)
    assert committed.ended_s >= aborted.ended_s >= 0
    for _number in range(100):
        db.transaction().abort()
    assert len(db.recent_transactions()) == 64
    with blockdb.open(db.path, read_only=True) as reader:
        assert reader.recent_transactions() == ()


def test_many_who_want_the_same_key_get_it_one_after_the_other(db: blockdb.Database) -> None:
    start = Event()

    def put(number: int) -> None:
        start.wait(20)
        with db.transaction() as tx:
            assert tx.get(b"other") is None or True
            tx.put(b"the key", b"%d" % number)

    doing = [Doing(lambda number=number: put(number)) for number in range(20)]  # type: ignore[misc]
    start.set()
    errors = []
    for each in doing:
        try:
            each.end()
        except (Deadlock, DuplicateKey) as error:
            errors.append(type(error))
    assert errors == [DuplicateKey] * 19
    assert db.count() == 1
