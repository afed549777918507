"""Listings of moments of the past against a naive model, on random databases: here, served and over partitions."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import blockdb
from blockdb import AnyCollection, AsOf, Record
from blockdb.commands.moment import as_option, moment
from blockdb.commands.standing import Standing, standing_at
from blockdb_tui import course, past_listing
from blockdb_tui.changes import Stream
from blockdb_tui.listing import BlockRecords, NewestFirst, Row
from blockdb_tui.past_listing import END, ByKeyThen, End
from blockdb_tui.querying import Found, Plan, Search, plan_of
from blockdb_tui.reading import GONE, _expired_since
from tests.cluster.partitions.spread import over
from tests.server.restartable import Restartable
from tests.storage.doors import until
from tests.tiers import tiers

PREFIXES = (b"", b"a", b"ab", b"\xff", b"zz")


def fill(collection: AnyCollection, seed: int, count: int) -> None:
    """Random keys of few letters in random batches."""
    chance = random.Random(seed)
    keys = {bytes(chance.choices(b"ab\xff", k=chance.randint(1, 6))) for _ in range(count)}
    waiting = chance.sample(sorted(keys), len(keys))
    while waiting:
        size = chance.randint(1, 9)
        batch, waiting = waiting[:size], waiting[size:]
        collection.put_many([(key, b'{"n": %d}' % chance.randrange(3)) for key in batch])


@pytest.fixture(scope="module")
def collections(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, AnyCollection]]:
    path = tmp_path_factory.mktemp("model")
    server = Restartable(path / "served")
    with ExitStack() as stack:
        found: dict[str, AnyCollection] = {}
        for seed, count in enumerate((0, 1, 30, 150)):
            found[f"here {seed}"] = stack.enter_context(blockdb.open(path / str(seed), blockchain_batch_size=7))
            fill(found[f"here {seed}"], seed, count)
        served = server.up()
        stack.callback(server.down)
        fill(served, 4, 60)
        found["served"] = stack.enter_context(blockdb.connect(server.url))
        parts = [stack.enter_context(blockdb.open(path / f"part{n}", blockchain_batch_size=5)) for n in range(3)]
        found["parts"] = whole = over(parts)
        fill(whole, 5, 90)
        yield found


@pytest.fixture(autouse=True)
def few_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past_listing, "MARK_ROWS", 8)


def moments_of(collection: AnyCollection, records: Sequence[Record], chance: random.Random) -> list[AsOf]:
    """Moments of every kind: blocks, records, and times before, between and after."""
    moments = [AsOf(block=block.number) for block in collection.blocks()]
    moments += [AsOf(sequence=record.sequence) for record in records]
    moments += [AsOf(time_ms=record.time_ms + shift) for record in records for shift in (-1, 0)]
    of_a_record = [AsOf(time_ms=record.time_ms) for record in records[len(records) // 2 :][:1]]
    return [*chance.sample(moments, min(6, len(moments))), *of_a_record, AsOf(time_ms=0), AsOf(time_ms=2**45)]


def was_there(collection: AnyCollection, as_of: AsOf, records: Sequence[Record]) -> list[Record]:
    """The naive model: a partition is seen up to the one that is named, the others up to the time of that."""
    several = len(collection.record_counts())
    if as_of.time_ms is not None:
        return [record for record in records if record.time_ms <= as_of.time_ms]
    block = None if as_of.block is None else collection.block(as_of.block)
    last = block.last_sequence if block is not None else as_of.sequence
    assert last is not None
    time_ms = next(record.time_ms for record in records if record.sequence == last)
    return [
        record
        for record in records
        if (record.sequence <= last if record.sequence % several == last % several else record.time_ms <= time_ms)
    ]


def pages(listing: Any) -> list[Row]:
    """All rows of a listing, a few at a time."""
    count = listing.count()
    return [row for first in range(0, count, 5) for row in listing.fetch(first, 5, count)]


@pytest.mark.parametrize("name", tiers(["here 3", "parts"], ["here 0", "here 1", "here 2", "served"]))
def test_listings_of_then_are_those_of_the_model(collections: dict[str, AnyCollection], name: str) -> None:
    collection, chance = collections[name], random.Random(name)
    records = list(collection.records())
    for as_of in moments_of(collection, records, chance):
        seen = was_there(collection, as_of, records)
        standing = standing_at(collection, as_of)
        assert standing.records == len(seen)
        assert [record for record in records if standing.saw(record.sequence)] == seen
        assert standing.next_sequence == max((record.sequence + 1 for record in seen), default=0)
        newest = NewestFirst(collection, standing)
        assert [row.sequence for row in pages(newest)] == [record.sequence for record in reversed(seen)]
        for prefix in PREFIXES:
            check_by_key(ByKeyThen(collection, as_of, prefix), seen, prefix)
            keys = [key for key in (b"a", b"ab", b"b\xff", b"\xff" * 9) if key.startswith(prefix)]
            at = chance.choice((END, *keys))
            check_from_the_middle(ByKeyThen(collection, as_of, prefix, at), seen, prefix, at)
        check_blocks(collection, standing, seen)


def check_by_key(listing: ByKeyThen, seen: Sequence[Record], prefix: bytes) -> None:
    wanted = sorted(record.key for record in seen if record.key.startswith(prefix))
    assert listing.count() == min(len(wanted), 8)
    for key in (b"a", b"ab", b"b\xff", b"\xff\xff\xff\xff\xff\xff\xff"):
        assert listing.position(key) == sum(other < key for other in wanted)
    listing.walk()
    assert listing.done
    assert [row.key for row in pages(listing)] == wanted
    assert [listing.locate(Row(key), len(wanted)) for key in wanted] == list(range(len(wanted)))


def check_from_the_middle(listing: ByKeyThen, seen: Sequence[Record], prefix: bytes, at: bytes | End) -> None:
    """It begins where it is asked to, and what is walked meanwhile moves no row that is looked at."""
    wanted = sorted(record.key for record in seen if record.key.startswith(prefix))
    before = len(wanted) if isinstance(at, End) else sum(key < at for key in wanted)
    first = listing.count()
    assert first == min(before, 8) + min(len(wanted) - before, 8), "a stretch on each side, and no more"
    assert isinstance(at, End) or listing.position(at) == min(before, 8)
    around = wanted[max(0, before - 8) : before + 8]
    assert [row.key for row in listing.fetch(0, first, first)] == around
    listing.walk()
    assert (listing.done, listing.has_top, listing.has_end) == (True, True, True)
    assert [row.key for row in listing.fetch(0, first, first)] == around, "numbered as they were then"
    assert [listing.locate(Row(key), first) for key in around] == list(range(len(around)))
    assert [row.key for row in pages(listing)] == wanted
    assert [listing.locate(Row(key), len(wanted)) for key in wanted] == list(range(len(wanted)))
    assert [listing.position(key) for key in wanted] == list(range(len(wanted)))


def check_blocks(collection: AnyCollection, standing: Standing, seen: Sequence[Record]) -> None:
    whole = [block for block in collection.blocks() if standing.saw(block.last_sequence)]
    assert standing.blocks == len(whole)
    assert standing.covered == sum(block.count for block in whole)
    if len(standing.counts) == 1:
        assert standing.head == (whole[-1] if whole else None)
        rows = pages(BlockRecords(collection, standing.blocks, standing.covered, standing.records))
        assert [row.sequence for row in rows] == [record.sequence for record in seen[standing.covered :]]


@pytest.mark.parametrize("name", ["here 3", "parts"])
def test_changes_and_queries_of_then(collections: dict[str, AnyCollection], name: str) -> None:
    collection = collections[name]
    records = list(collection.records())
    as_of = AsOf(sequence=records[len(records) // 2].sequence)
    seen, standing = was_there(collection, as_of, records), standing_at(collection, as_of)
    stream = Stream({"": collection}, {"": standing.counts})
    stream.start()
    until(lambda: stream.newest()[0] >= len(seen))
    stream.stop()
    assert sorted(change.sequence for change in stream.newest()[1]) == [record.sequence for record in seen]
    plan = plan_of(collection, "n = 1", as_of)
    assert isinstance(plan, Plan)
    search = Search(collection, "n = 1", plan, standing)
    search.start()
    until(lambda: search.done)
    found = {row.key for row in Found(collection, search).fetch(0, 1000, len(search.keys))}
    assert found == {record.key for record in seen if record.value == b'{"n": 1}'}


@pytest.mark.parametrize("prefix", [b"", b"a", b"zz"])
@pytest.mark.parametrize("most", [2, 256])
def test_the_course_of_a_prefix(
    collections: dict[str, AnyCollection], prefix: bytes, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(course, "MOST_BLOCKS", most)
    collection = collections["here 3"]
    records = list(collection.records())
    found = course.Course(collection, prefix)
    found.look()
    fitting = [record for record in records if record.key.startswith(prefix)]
    ends = [stretch.end for stretch in found.stretches]
    assert [0, *ends[:-1]] == [stretch.first for stretch in found.stretches]
    assert ends[-1] == len(records)
    assert found.span_ms == (records[0].time_ms, records[-1].time_ms)
    assert found.is_sample == (most == 2 and bool(prefix))
    if not found.is_sample:
        assert found.count == len(fitting)
    for width in (1, 7, 80):
        for parts in (found.by_time(width), found.by_block(width)):
            assert len(parts) == width
            assert sum(parts) == pytest.approx(found.count, abs=0.51)
    before = found.stretches
    found.look()
    assert found.stretches == before


def test_many_chains_have_no_one_course(collections: dict[str, AnyCollection]) -> None:
    found = course.Course(collections["parts"])
    found.look()
    assert found.has_many_chains
    assert (found.stretches, found.count, found.by_time(3)) == ((), 0, [0.0, 0.0, 0.0])


@pytest.mark.parametrize("as_of", [AsOf(block=7), AsOf(sequence=0), AsOf(time_ms=1_750_000_000_123)])
def test_a_moment_can_be_copied_and_typed_again(as_of: AsOf) -> None:
    assert moment(as_option(as_of)[1]) == as_of


@pytest.mark.parametrize(
    ("text", "as_of"),
    [
        ("42", AsOf(block=42)),
        ("block 1,042", AsOf(block=1042)),
        ("seq 1000", AsOf(sequence=1000)),
        ("record:3", AsOf(sequence=3)),
        ("-5m", AsOf(time_ms=700_000)),
        ("1m30s ago", AsOf(time_ms=910_000)),
        ("-1w", AsOf(time_ms=0)),
        ("19700102", AsOf(time_ms=moment("1970-01-02").time_ms)),
    ],
)
def test_moments_as_they_are_typed(text: str, as_of: AsOf) -> None:
    assert moment(text, lambda: 1_000_000) == as_of


def test_what_has_expired_since_is_told_with_its_value(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db") as database:
        short = database.create_collection("short", settings={"ttl_seconds": 1})
        short.put(b"a", b"first\nlines")
        then = standing_at(short, AsOf(sequence=0))
        until(lambda: short.get(b"a") is None)
        listing = ByKeyThen(short, then.as_of)
        assert [row.preview for row in listing.fetch(0, 5, listing.count())] == [b"first\nlines"]
        assert _expired_since(short, b"a", then).endswith("first\nlines")
        assert _expired_since(short, b"b", then) == GONE
