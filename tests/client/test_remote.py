"""What is the remote database's own: pages, pieces, connections that break, errors that come over."""

import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

import blockdb
from blockdb.client.plans import plan, records
from blockdb.client.wiring import asked_of
from blockdb.server.handlers import records as handlers
from blockdb.wire.messages.records import Get
from tests.client.fakes import free_address
from tests.client.served import Served, served

names = iter(range(1_000_000))


@pytest.fixture
def users(remote: blockdb.RemoteDatabase) -> blockdb.RemoteCollection:
    """An empty collection."""
    return remote.create_collection(f"users{next(names)}")


def pairs(count: int) -> list[tuple[bytes, bytes]]:
    return [(b"key%05d" % number, b"value%d" % number) for number in range(count)]


# ── connecting ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_connection_says_what_it_is_of(server: Served, remote: blockdb.RemoteDatabase) -> None:
    assert (remote.name, remote.id, remote.read_only) == ("default", server.database.id, False)
    assert (remote.url, remote.path) == (server.url, server.database.path)
    assert repr(remote) == f"<RemoteDatabase 'default' of {server.url}>"
    assert remote.public_key == server.database.public_key
    assert remote.verifier_key() == server.database.verifier_key()


def test_nobody_is_there() -> None:
    address = free_address()
    with pytest.raises(blockdb.Unavailable, match=address):
        blockdb.connect(address, attempts=1)


def test_one_of_several_servers_is_enough(server: Served) -> None:
    with blockdb.connect([free_address(), server.url], attempts=1) as remote:
        assert remote.collection_names()


@pytest.mark.parametrize("options", [{"timeout": 5}, {"attempts": 0}, {"certificate": ("a", "b")}])
def test_options_that_are_none(options: dict[str, Any]) -> None:
    with pytest.raises(blockdb.ConfigError, match=next(iter(options))):
        blockdb.connect("http://127.0.0.1:1", **options)


def test_after_its_end_everything_says_so(server: Served) -> None:
    with blockdb.connect(server.url) as remote:
        other = remote.create_collection(f"users{next(names)}")
        scan = other.scan()
    for use in (
        lambda: remote.get(b"key"),
        lambda: remote.put(b"key", b""),
        lambda: other.get(b"key"),
        remote.stats,
        remote.watch,
        remote.transaction,
    ):
        with pytest.raises(blockdb.DatabaseClosed):
            use()
    assert list(scan) == []
    remote.close()


@pytest.mark.torture
def test_connecting_loads_no_engine() -> None:
    program = "import sys, blockdb.client.opening; print(*sys.modules)"
    answer = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    rooms = {".".join(name.split(".")[:2]) for name in answer.split() if name.startswith("blockdb.")}
    assert not rooms & {"blockdb.database", "blockdb.storage", "blockdb.audit", "blockdb.server", "blockdb.lsm"}


# ── errors ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_errors_come_over_with_what_they_have(remote: blockdb.RemoteDatabase, users: blockdb.RemoteCollection) -> None:
    users.put(b"key", b"value")
    with pytest.raises(blockdb.DuplicateKey) as duplicate:
        users.put(b"key", b"other")
    assert duplicate.value.key == b"key"
    assert pickle.loads(pickle.dumps(duplicate.value)).key == b"key"
    with pytest.raises(blockdb.QueryError) as query:
        users.find("age >")
    assert (query.value.text, query.value.position) == ("age >", 5)
    with pytest.raises(blockdb.CollectionNotFound) as missing:
        remote["nowhere"]
    assert missing.value.name == "nowhere"
    with pytest.raises(blockdb.KeyNotFound) as unknown:
        users.prove(b"unknown")
    assert unknown.value.key == b"unknown"


def test_violations_come_over(remote: blockdb.RemoteDatabase) -> None:
    schema = {"fields": {"age": {"field_type": "Integer"}}, "required_fields": ["age"]}
    people = remote.create_collection(f"people{next(names)}", schema=schema)
    with pytest.raises(blockdb.ValidationError) as caught:
        people.put(b"anna", {"age": "thirty"})
    (violation,) = caught.value.violations
    assert isinstance(violation, blockdb.Violation)
    assert (violation.path, violation.rule, caught.value.key) == ("age", "Type", b"anna")


def test_what_is_done_where_the_database_is(remote: blockdb.RemoteDatabase, tmp_path: Path) -> None:
    for use in (
        lambda: remote.add_anchor(tmp_path / "anchor"),
        lambda: remote.remove_anchor("anchor"),
        lambda: remote.export_tiles(tmp_path),
        lambda: remote.part(),
    ):
        with pytest.raises(blockdb.InvalidData, match="where the database is, not over the network"):
            use()
    with pytest.raises(blockdb.InvalidData, match="anchors: a server holds"):
        remote.verify(anchors=[blockdb.Anchor("file")])
    with pytest.raises(blockdb.InvalidData, match="by: over the network"):
        remote.redact(b"key", reason="because", by="somebody else")
    with pytest.raises(blockdb.AppendOnly):
        remote.delete(b"key")


# ── pages and pieces ─────────────────────────────────────────────────────────────────────────────────────────────


def test_pages_are_of_one_moment(users: blockdb.RemoteCollection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "FIRST_PAGE", 3)
    monkeypatch.setattr(plan, "GROWTH", 2)
    items = pairs(40)
    users.put_many(items)
    scans: list[tuple[Iterator[Any], list[Any]]] = [
        (users.scan(), items),
        (users.scan(reverse=True), items[::-1]),
        (users.scan(limit=10, offset=5), items[5:15]),
        (users.scan(prefix=b"key0001"), items[10:20]),
        (users.keys(start=b"key00030", reverse=True), [key for key, _ in items[30:]][::-1]),
        (users.find(order="_key desc"), []),
    ]
    users.put(b"key000005", b"it came later")
    for found, wanted in scans:
        assert list(found) == wanted
    assert [record.key for record in users.records(5, 30)] == [key for key, _ in items[5:35]]
    assert [block.number for block in users.blocks(reverse=True)] == [*range(9, -1, -1)]
    assert [block.number for block in users.blocks(4, reverse=True)] == [4, 3, 2, 1, 0]
    assert [block.number for block in users.blocks(2, 5)] == [2, 3, 4, 5, 6]


def test_a_page_ends_where_it_has_many_bytes(users: blockdb.RemoteCollection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handlers, "MOST_BYTES", 50)
    items = [(key, value * 10) for key, value in pairs(20)]
    users.put_many(items)
    assert list(users.scan()) == items
    assert list(users.scan(reverse=True, limit=7)) == items[:-8:-1]
    assert [record.sequence for record in users.records()] == [*range(20)]
    assert len([*users.keys()]) == 20


def test_a_query_is_looked_at_though_there_is_nothing_to_find(users: blockdb.RemoteCollection) -> None:
    with pytest.raises(blockdb.QueryError):
        users.find("age >")
    assert list(users.find("age > 3")) == []


def test_queries_have_cursors_everywhere(users: blockdb.RemoteCollection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "FIRST_PAGE", 3)
    monkeypatch.setattr(plan, "GROWTH", 1)
    users.put_many((b"%02d" % number, {"n": number, "m": 1}) for number in range(10))
    for taken in range(1, 10):
        results = users.find("m = 1", order="n desc", fields="n, m")
        assert results.cursor is None
        first = [next(results).value["n"] for _ in range(taken)]
        users.put(b"later%d" % taken, {"n": 100 + taken, "m": 2})
        cursor = results.cursor
        rest = [found.value["n"] for found in users.find("m = 1", order="n desc", after=cursor)]
        assert first + rest == [*range(9, -1, -1)]
        assert first + [found.value["n"] for found in results] == [*range(9, -1, -1)]
    document = next(users.find("n = 3"))
    assert (document.sequence, document.schema_version) == (3, None)
    assert document == users.document(b"03")


def test_a_large_batch_goes_in_pieces_and_is_stored_as_a_whole(
    users: blockdb.RemoteCollection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "AT_ONCE_RECORDS", 10)
    monkeypatch.setattr(records, "PIECE_RECORDS", 7)
    monkeypatch.setattr(records, "PIECE_BYTES", 60)
    items = pairs(50)
    assert users.put_many(items[:20]) == range(20)
    with pytest.raises(blockdb.DuplicateKey) as caught:
        users.put_many([*items[20:45], items[3], *items[45:]])
    assert caught.value.key == items[3][0]
    assert users.count() == 20
    assert users.put_many(items[20:], sync=True) == range(20, 50)
    assert list(users.scan()) == items


def test_keys_that_fit_into_no_path(users: blockdb.RemoteCollection) -> None:
    keys = [b".", b"..", b"a/../b", b"%2e", b"+ &=?#", "schlüssel".encode(), bytes(range(1, 256)), b"\0", b"k" * 65535]
    for number, key in enumerate(keys):
        assert users.put(key, b"%d" % number) == number
    for number, key in enumerate(keys):
        assert users.get(key) == b"%d" % number
        assert users.exists(key)
        record = users.record(key)
        assert record is not None
        assert record.key == key
        assert list(users.keys(prefix=key, limit=1)) == [key]
        assert users.prove(key).key == key
    assert not users.exists(b"k" * 65534)


def test_what_is_sent_has_a_key_of_its_own(users: blockdb.RemoteCollection) -> None:
    sent = [asked_of(plan.Ask("put", records.records.Put(key=b"a", value=b""))) for _ in range(2)]
    keys = [asked.key for asked in sent]
    assert None not in keys
    assert len(set(keys)) == 2
    assert asked_of(plan.Ask("get", Get(key=b"a"))).key is None


def test_many_threads_share_a_connection(remote: blockdb.RemoteDatabase, users: blockdb.RemoteCollection) -> None:
    def work(name: int) -> None:
        for number in range(10):
            users.put(b"%d-%d" % (name, number), b"%d" % number)
            assert users.get(b"%d-%d" % (name, number)) == b"%d" % number

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert users.count() == 80
    assert len({record.sequence for record in users.records()}) == 80


# ── streams ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_changes_come_as_they_are_stored(users: blockdb.RemoteCollection) -> None:
    users.put(b"before", b"")
    feed = users.watch()
    users.put(b"a", b"1")
    change = feed.take(10)
    assert change is not None
    assert (change.record.key, change.sequence, feed.position) == (b"a", 1, 1)
    assert feed.take(0) is None
    assert [change.record.key for change in islice(users.watch(after=-1), 2)] == [b"before", b"a"]
    assert next(users.watch(after=-1, prefix=b"a")).record.key == b"a"
    assert list(users.watch(timeout_s=0.01)) == []
    waiting = threading.Thread(target=lambda: list(feed))
    waiting.start()
    feed.stop()
    waiting.join(60)
    assert feed.is_over()
    with pytest.raises(blockdb.InvalidData, match="There is no record 99"):
        users.watch(after=99)


@pytest.mark.torture
def test_a_feed_ends_with_its_connection(server: Served) -> None:
    with blockdb.connect(server.url) as remote:
        feed = remote.watch()
        waiting = threading.Thread(target=lambda: list(feed))
        waiting.start()
    waiting.join(60)
    assert not waiting.is_alive()


def test_a_feed_that_nobody_has_any_more_is_stopped(users: blockdb.RemoteCollection) -> None:
    def readers() -> set[threading.Thread]:
        return {thread for thread in threading.enumerate() if thread.name == "blockdb-feed"}

    before = readers()
    users.put(b"key", b"")
    for _ in users.watch(after=-1):
        (reader,) = readers() - before
        break
    reader.join(60)
    assert not reader.is_alive()


@pytest.mark.torture
def test_a_feed_goes_on_once_the_server_is_back(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db") as db:
        with served(db) as first:
            remote = blockdb.connect(first.url)
            feed = remote.watch(after=-1)
            remote.put(b"a", b"")
            change = feed.take(10)
            assert change is not None
        db.put(b"b", b"")
        port = int(first.url.rpartition(":")[2])
        with served(db, port=port):
            changes = [feed.take(20)]
            assert remote.get(b"b") == b""
            remote.put(b"c", b"")
            changes.append(feed.take(20))
            assert [change.record.key for change in changes if change] == [b"b", b"c"]
            remote.close()


def test_an_audit_tells_how_far_it_is_and_can_be_given_up(remote: blockdb.RemoteDatabase) -> None:
    told: list[blockdb.Progress] = []
    report = remote.verify(told.append)
    assert report.valid
    assert not report.cancelled
    cancelled = remote.verify(cancel=lambda: True)
    assert cancelled.cancelled or cancelled.valid


@pytest.mark.torture
def test_a_backup_is_taken_over_the_wire(remote: blockdb.RemoteDatabase, tmp_path: Path) -> None:
    remote.put(b"saved", b"value")
    with remote.backup() as backup:
        blockdb.restore(backup, tmp_path / "restored")
    assert backup.done_bytes
    with blockdb.open(tmp_path / "restored", read_only=True) as restored:
        assert restored.get(b"saved") == b"value"


# ── transactions ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_transaction_over_the_wire(remote: blockdb.RemoteDatabase, users: blockdb.RemoteCollection) -> None:
    with remote.transaction() as transaction:
        transaction.put(b"a", b"1", collection=users.id)
        assert transaction.get(b"a", collection=users.id) == b"1"
        assert users.get(b"a") is None
        assert list(transaction.scan(collection=users.name)) == [(b"a", b"1")]
    assert users.get(b"a") == b"1"
    with pytest.raises(blockdb.DuplicateKey), remote.transaction() as transaction:
        transaction.put_many([(b"b", b""), (b"a", b"")], collection=users.id)
    assert not users.exists(b"b")
    with pytest.raises(blockdb.TransactionClosed, match="was aborted"):
        transaction.put(b"b", b"1")
    id_ = remote.begin_transaction()
    remote.get_transaction(id_).put(b"c", b"1", collection=users.id)
    assert remote.commit_transaction(id_) == {users.name: range(1, 2)}
    with pytest.raises(blockdb.TransactionClosed):
        remote.abort_transaction(id_)
    last = remote.recent_transactions()[0]
    assert (last.id, last.outcome, last.collections, last.writes) == (id_, "committed", (users.name,), 1)


@pytest.mark.torture
def test_a_forked_child_has_to_connect_anew(remote: blockdb.RemoteDatabase) -> None:
    child = os.fork()
    if not child:
        try:
            remote.get(b"key")
        except blockdb.DatabaseClosed:
            os._exit(0)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    remote.get(b"key")
