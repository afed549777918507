"""The change stream: every record once, in commit order, each with its place; beside writers, and over their ends."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from random import Random
from threading import Thread
from time import monotonic
from typing import Any

import pytest

import blockdb
import blockdb.storage.log as log_module
from blockdb import Change
from blockdb.storage.feed import PAGE_RECORDS, Feed
from tests.fault.support import bounded
from tests.storage.doors import TroubledDoor, open_through, pairs, until
from tests.storage.test_write_group import SlowDoor, together
from tests.tiers import tiers

BLOCK = 5


@pytest.fixture(params=[pytest.param(1000, id="written"), pytest.param(0, id="forced", marks=pytest.mark.torture)])
def both(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[blockdb.Database, blockdb.Database]]:
    """A writer that acknowledges what is written, or what is forced, and a reader beside it."""
    with (
        open_through(
            TroubledDoor(), tmp_path / "db", blockchain_batch_size=BLOCK, wal_sync_interval=request.param
        ) as writer,
        blockdb.open(writer.path, read_only=True) as reader,
    ):
        yield writer, reader


def feed_of(db: blockdb.Database, prefix: bytes = b"", after: int | None = None, **options: Any) -> Feed:
    options.setdefault("forced_only", not db._config.wal_sync_interval)
    return Feed(db._reader, prefix, after, **options)


def taken(feed: Feed, count: int) -> list[Change]:
    """The next changes, all of them there within a bounded time."""
    found: list[Change] = []
    bounded(lambda: found.extend(itertools.islice(feed, count)))
    return found


def sequences(changes: list[Change]) -> list[int]:
    return [change.sequence for change in changes]


def check(db: blockdb.Database, changes: list[Change]) -> None:
    """Every change stands where the chain has it."""
    db.flush()
    whole = [db.block_records(number) for number in range(db.stats().blocks + 1)]
    leaves = [db.block_leaves(number) for number in range(db.stats().blocks + 1)]
    for change in changes:
        record = whole[change.block][change.index]
        assert record.sequence == change.sequence == change.record.sequence
        assert (record.key, record.value, record.time_ms) == (
            change.record.key,
            change.record.value,
            change.record.time_ms,
        )
        assert change.leaf == leaves[change.block][change.index]
        assert change.record.block in (None, change.block)


Both = tuple[blockdb.Database, blockdb.Database]


@pytest.mark.parametrize("beside", [False, True])
def test_each_record_comes_once_in_order_with_its_place(both: Both, beside: bool) -> None:
    writer, _ = both
    feed = feed_of(both[beside], after=-1)
    assert feed.take(0) is None
    for number in range(0, 40, 4):
        writer.put(*pairs([number])[0])
        writer.put_many(pairs(range(number + 1, number + 4)))
        if number == 16:
            writer.flush()
        changes = taken(feed, 4)
        assert sequences(changes) == list(range(number, number + 4))
        assert [(c.record.key, c.record.value) for c in changes] == pairs(range(number, number + 4))
        assert [(c.block, c.index) for c in changes] == [divmod(s, BLOCK) for s in range(number, number + 4)]
        assert feed.position == number + 3
        check(writer, changes)
    assert feed.take(0) is None


@pytest.mark.parametrize("beside", [False, True])
def test_a_feed_begins_where_it_is_told_to(both: Both, beside: bool) -> None:
    writer, _ = both
    writer.put_many(pairs(range(32)))
    writer.flush()
    db = both[beside]
    live = feed_of(db)
    for after in (-1, 0, 3, 4, 5, 29, 30, 31):
        feed = feed_of(db, after=after)
        assert feed.position == after
        changes = taken(feed, 31 - after)
        assert sequences(changes) == list(range(after + 1, 32))
        check(writer, changes)
        assert feed.take(0) is None
    writer.put(b"new", b"")
    assert sequences(taken(live, 1)) == [32]


@pytest.mark.parametrize("after", [-2, 3, 100])
def test_a_feed_cannot_go_on_after_what_is_not_there(both: Both, after: int) -> None:
    writer, _ = both
    writer.put_many(pairs(range(3)))
    with pytest.raises(blockdb.InvalidData, match=f"no record {after} to go on after: there are 3"):
        feed_of(writer, after=after)


def test_only_keys_with_the_prefix_are_given(both: Both) -> None:
    writer, _ = both
    writer.put_many([(b"%s:%d" % (kind, number), b"") for number in range(2 * PAGE_RECORDS) for kind in (b"a", b"b")])
    for db in both:
        feed = feed_of(db, b"b:", after=-1)
        assert sequences(taken(feed, 2 * PAGE_RECORDS)) == list(range(1, 4 * PAGE_RECORDS, 2))
        writer.put(b"a:%d" % id(db), b"")
        assert feed.take(0.001) is None
        assert feed.position == writer.stats().records - 1  # what was passed over need not be looked at again


def test_the_values_that_were_erased_are_gone_from_the_feed_too(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db", redactable=True, blockchain_batch_size=BLOCK) as db:
        db.put_many(pairs(range(8)))
        with blockdb.open(db.path, read_only=True) as reader:
            feeds = [feed_of(db, after=-1), feed_of(reader, after=-1)]
            for feed in feeds:
                taken(feed, 2)  # it is in the middle of a page
            db.redact_many([key for key, _ in pairs(range(4, 6))], reason="asked")
            reader.get(b"a")  # whoever looks is told
            for feed in feeds:
                changes = taken(feed, 6)
                assert [c.record.redacted for c in changes] == [False, False, True, True, False, False]
                assert changes[2].record.value is blockdb.REDACTED
                check(db, changes)


def test_what_has_expired_is_in_the_feed(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db") as db:
        db.put(b"a", b"1")
        db._reader.ttl_ms = 0
        until(lambda: db.get(b"a") is None)
        assert taken(feed_of(db, after=-1), 1)[0].record.value == b"1"


# ── waiting ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("end", ["stop", "close"])
def test_who_waits_is_let_go(both: Both, beside: bool, end: str) -> None:
    db = both[beside]
    db_feed = feed_of(db)
    waiting = Thread(target=list, args=(db_feed,), daemon=True)
    waiting.start()
    if end == "stop":
        db_feed.stop()
    else:
        db.close()
    waiting.join(20)
    assert not waiting.is_alive()
    assert db_feed.take() is None


@pytest.mark.parametrize("beside", [False, True])
def test_a_feed_ends_when_nothing_comes_in_time(both: Both, beside: bool) -> None:
    writer, _ = both
    writer.put_many(pairs(range(3)))
    start = monotonic()
    assert sequences(list(feed_of(both[beside], after=0, timeout_s=0.05))) == [1, 2]
    assert 0.05 <= monotonic() - start < 20


def test_a_write_that_is_refused_wakes_nobody_for_nothing(both: Both) -> None:
    writer, _ = both
    writer.put(b"a", b"")
    feed = feed_of(writer)
    for _ in range(3):
        with pytest.raises(blockdb.DuplicateKey):
            writer.put(b"a", b"")
        assert feed.take(0.001) is None
    writer.put(b"b", b"")
    assert sequences(taken(feed, 1)) == [1]


def test_a_put_does_not_even_look_while_nobody_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with blockdb.open(tmp_path / "db", wal_sync_interval=3_600_000) as db:  # the first write after forcing looks, too
        store = db._store
        assert store is not None
        db.put(b"first", b"")
        looks: list[object] = []
        attend = store._attend
        monkeypatch.setattr(store, "_attend", lambda keys=(): (looks.append(keys), attend(keys)))
        feed = feed_of(db, after=0)
        for item in pairs(range(50)):
            db.put(*item)
        assert not looks
        assert len(taken(feed, 50)) == 50
        assert feed.take(0.001) is None
        for item in pairs(range(50, 100)):
            db.put(*item)
        assert len(looks) == 1


def test_several_feeds_beside_many_writers_see_one_order(both: Both) -> None:
    writer, reader = both
    count = 8 * 40
    feeds = [feed_of(db, after=-1) for db in (writer, writer, reader)]
    seen: list[list[Change]] = [[] for _ in feeds]
    watching = [
        Thread(target=lambda into, feed: into.extend(itertools.islice(feed, count)), args=pair, daemon=True)
        for pair in zip(seen, feeds, strict=True)
    ]
    for thread in watching:
        thread.start()
    stored = together(lambda name: [writer.put(b"%d-%d" % (name, number), b"") for number in range(40)], 8)
    for thread in watching:
        thread.join(30)
        assert not thread.is_alive()
    records = list(writer.records())
    assert sorted(itertools.chain.from_iterable(stored)) == list(range(count))  # type: ignore[arg-type]
    for changes in seen:
        assert [change.record.key for change in changes] == [record.key for record in records]
        check(writer, changes)


def test_only_what_is_on_the_disk_is_given_where_that_is_what_counts(tmp_path: Path) -> None:
    door = SlowDoor()
    with (
        open_through(door, tmp_path / "db", wal_sync_interval=0) as db,
        blockdb.open(db.path, read_only=True) as beside,
    ):
        db.put(b"a", b"")
        feed, feed_beside = feed_of(db), feed_of(beside, after=0, forced_only=True)
        door.open.clear()
        try:
            writing = Thread(target=db.put, args=(b"b", b""))
            writing.start()
            until(lambda: beside.get(b"b") is not None)
            assert feed_beside.take(0.01) is None
            changes: list[Change] = []
            watching = Thread(target=lambda: changes.extend(itertools.islice(feed, 1)))
            watching.start()
            watching.join(0.1)
            assert watching.is_alive()  # it waits for the disk, as the writer does
        finally:
            door.open.set()
        for thread in (writing, watching):
            thread.join(20)
        assert sequences(changes) == sequences(taken(feed_beside, 1)) == [1]


# ── the chain below it ───────────────────────────────────────────────────────────────────────────────────────────


def test_over_chain_files_that_are_begun_and_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "PACKED_SEGMENT_BYTES", 4096)
    path = tmp_path / "db"
    settings: dict[str, Any] = {"compression_enabled": True, "blockchain_batch_size": BLOCK}
    with blockdb.open(path, **settings) as db, blockdb.open(path, read_only=True) as reader:
        feeds = [feed_of(db), feed_of(reader)]
        for number in range(0, 300, 30):
            db.put_many([(key, bytes(50)) for key, _ in pairs(range(number, number + 30))])
            if number % 90 == 0:
                db.compact()
            for feed in feeds:
                changes = taken(feed, 30)
                assert sequences(changes) == list(range(number, number + 30))
        assert len(list(db.path.glob("collections/*/chain/*.zst"))) > 2
        check(db, changes)
        for handle in (db, reader):
            assert sequences(taken(feed_of(handle, after=7), 292)) == list(range(8, 300))


def test_what_is_encrypted_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "SEALED_SEGMENT_BYTES", 4096)
    path, secret = tmp_path / "db", {"master_key": b"\1" * 32}
    settings: dict[str, Any] = {"encryption_enabled": True, "blockchain_batch_size": BLOCK, **secret}
    with blockdb.open(path, **settings) as db, blockdb.open(path, read_only=True, **secret) as reader:
        feeds = [feed_of(db), feed_of(reader)]
        for number in range(0, 90, 30):
            db.put_many([(key, bytes(50)) for key, _ in pairs(range(number, number + 29))])
            db.put(*pairs([number + 29])[0])
            for feed in feeds:
                changes = taken(feed, 30)
                assert sequences(changes) == list(range(number, number + 30))
                check(db, changes)


def test_blocks_that_are_full_of_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with blockdb.open(tmp_path / "db") as db:
        feed = feed_of(db)
        db.put_many([(b"%d" % number, bytes(3 * 1024 * 1024)) for number in range(7)])
        changes = taken(feed, 7)
        assert db.stats().blocks == 2
        check(db, changes)
        assert [change.block for change in changes] == [0, 0, 0, 1, 1, 1, 2]


def test_places_are_told_also_where_sealing_lags_behind(tmp_path: Path) -> None:
    """A busy writer has its blocks closed beside it; what block a record is in does not depend on that."""
    with blockdb.open(tmp_path / "db", blockchain_batch_size=2) as db:
        feed = feed_of(db)
        for item in pairs(range(500)):
            db.put(*item)
        changes = taken(feed, 500)
        assert [(change.block, change.index) for change in changes] == [divmod(number, 2) for number in range(500)]
        check(db, changes)


@pytest.mark.parametrize("seed", tiers(range(1), range(1, 60)))
def test_whatever_the_writer_does_every_record_comes_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Flushes, merges, full and packed files, erased values, other handles; read in pieces meanwhile."""
    chance = Random(seed)
    for limit in ("SEGMENT_SOFT_BYTES", "PACKED_SEGMENT_BYTES"):
        monkeypatch.setattr(log_module, limit, 3000)
    settings: dict[str, Any] = {"compression_enabled": chance.random() < 0.5, "redactable": chance.random() < 0.5}
    settings |= {"blockchain_batch_size": chance.randrange(1, 9), "wal_sync_interval": chance.choice((0, 1000))}
    path, number, redacted = tmp_path / "db", 0, set[bytes]()
    seen: list[list[Change]] = [[], []]
    for _ in range(2):
        with blockdb.open(path, **settings) as db, blockdb.open(path, read_only=True, **settings) as reader:
            feeds = [feed_of(handle, after=len(so_far) - 1) for handle, so_far in zip((db, reader), seen, strict=True)]
            for _ in range(60):
                match chance.randrange(8):
                    case 0 | 1 | 2:
                        db.put_many([(key, bytes(chance.randrange(90))) for key, _ in pairs(range(number, number + 7))])
                        number += 7
                    case 3 | 4:
                        db.put(*pairs([number])[0], sync=chance.random() < 0.5)
                        number += 1
                    case 5:
                        chance.choice((db.flush, db.compact))()
                    case 6 if settings["redactable"] and number:
                        key = pairs([chance.randrange(number)])[0][0]
                        if key not in redacted:
                            db.redact(key, reason="asked")
                            redacted.add(key)
                    case _:
                        which = chance.randrange(2)
                        taken_now = (feeds[which].take(0) for _ in range(chance.randrange(1, 30)))
                        seen[which] += filter(None, taken_now)
            for feed, so_far in zip(feeds, seen, strict=True):
                so_far += taken(feed, number - len(so_far))
                check_places(db, so_far)


def check_places(db: blockdb.Database, changes: list[Change]) -> None:
    """They are all there, in order, at their places."""
    db.stats()  # full blocks are sealed now
    places = [
        (record.sequence, record.key, block, index, leaf)
        for block in range(db.stats().blocks + 1)
        for index, (record, leaf) in enumerate(zip(db.block_records(block), db.block_leaves(block), strict=True))
    ]
    assert [(c.sequence, c.record.key, c.block, c.index, c.leaf) for c in changes] == places
