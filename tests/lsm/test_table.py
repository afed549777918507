"""Building and reading tables, held against a dict; damaged pages are named and never believed."""

from bisect import bisect_left
from collections.abc import Callable
from operator import itemgetter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockdb.errors import Corruption
from blockdb.format import limits
from blockdb.format import table as format_table
from blockdb.format.pages import HEADER_BYTES, PAGE_BYTES
from blockdb.format.table import TableHeader
from blockdb.lsm import builder
from blockdb.lsm.bloom import key_hash
from blockdb.lsm.builder import build
from blockdb.lsm.table import FENCE_DISTANCE, GUESSES, Table
from tests.lsm.sources import DictChain

DESCRIPTION = TableHeader(bytes(16), 7, 2, 100, 0, 48, 10**6, 5, 0, 0, 0, 0, 1234, 0)

keys = st.binary(min_size=1, max_size=6)
dictionaries = st.dictionaries(keys, st.binary(max_size=9), max_size=80)

Built = tuple[Table, dict[int, tuple[bytes, bytes]]]


def build_table(
    values: dict[bytes, bytes], seals: tuple[int, ...] = (), damage: Callable[[bytes], bytes] = bytes
) -> Built:
    """A table over a chain that has the records of `values` in their order, ten bytes apart."""
    place_of = {key: 48 + 10 * number for number, key in enumerate(values)}
    chain = {place_of[key]: (key, value) for key, value in values.items()}
    ordered = sorted(values)
    data = build(DESCRIPTION, [(ordered, [place_of[key] for key in ordered])], seals)
    return Table(damage(data), "7.sst", DictChain(chain)), chain


@given(dictionaries, st.lists(keys, max_size=20))
def test_a_table_answers_like_a_dict(values: dict[bytes, bytes], others: list[bytes]) -> None:
    table, chain = build_table(values)
    assert len(table) == len(values)
    for key in [*values, *others]:
        found = table.find(key, key_hash(key))
        if key in values:
            assert found is not None
            assert chain[found[0]] == (key, values[key]) == (key, found[1])
        else:
            assert found is None


@given(dictionaries, st.integers(-3, 90), st.integers(-3, 90), keys)
def test_windows_and_positions_are_those_of_the_sorted_keys(
    values: dict[bytes, bytes], first: int, stop: int, key: bytes
) -> None:
    table, chain = build_table(values)
    ordered = sorted(values.items())
    assert table.window(first, stop) == ordered[max(first, 0) : max(stop, 0)]
    assert [chain[place] for place in table.places(first, stop)] == ordered[max(first, 0) : max(stop, 0)]
    assert table.position(key) == bisect_left(sorted(values), key)


MOST_READS = 2 + GUESSES + 2 * FENCE_DISTANCE.bit_length()
"""Two fences and some more at first, guesses, and halving."""

SPREADS: dict[str, Callable[[int], bytes]] = {
    "evenly": lambda n: bytes(reversed(n.to_bytes(2, "little"))) * 8,
    "digits": lambda n: b"%d" % n,
    "long before they differ": lambda n: bytes(40) + n.to_bytes(2, "big"),
    "ever closer": lambda n: b"\xff" * (n // 20) + b"%02d" % (n % 20),
    "ever longer": lambda n: b"a" * (n + 1),
}


@pytest.mark.parametrize("spread", SPREADS.values(), ids=SPREADS)
def test_a_search_in_a_large_table_is_short_whatever_its_keys_are_like(spread: Callable[[int], bytes]) -> None:
    ordered = sorted({spread(number) for number in range(600)})
    table, _ = build_table(dict.fromkeys(ordered, b""))
    reads: list[int] = []
    item_at = table.item_at
    table.item_at = lambda place: (reads.append(place), item_at(place))[1]
    for wanted in [*ordered, *(key + b"\0" for key in ordered), b"", b"\xff" * 50]:
        reads.clear()
        assert table.position(wanted) == bisect_left(ordered, wanted)
        assert len(reads) <= MOST_READS


@given(dictionaries, st.lists(keys, max_size=10))
def test_the_first_of_some_keys_that_it_has(values: dict[bytes, bytes], others: list[bytes]) -> None:
    table, _ = build_table(values)
    hashes = [key_hash(key) for key in others]
    assert table.first_of(others, hashes) == next((key for key in others if key in values), None)


@given(st.lists(st.integers(1, 2**48 - 1), max_size=9).map(tuple), dictionaries)
def test_it_names_the_places_of_seals(seals: tuple[int, ...], values: dict[bytes, bytes]) -> None:
    table, _ = build_table(values, seals)
    assert table.seals() == list(seals)
    assert [table.seal(ordinal) for ordinal in range(len(seals))] == list(seals)


def test_what_it_is_about_stands_in_its_header() -> None:
    table, _ = build_table({b"a": b"1", b"b": b"2"}, (99,))
    kept = ("collection", "number", "tier", "first_sequence", "first_place", "end_place", "first_block", "data_bytes")
    assert [getattr(table.header, field) for field in kept] == [getattr(DESCRIPTION, field) for field in kept]
    assert (table.header.records, table.header.seals, table.tier) == (2, 1, 2)


@given(st.dictionaries(keys, st.just(b"v"), min_size=1, max_size=80), st.integers(1, 4))
def test_keys_whose_hashes_collide_are_told_apart(values: dict[bytes, bytes], kinds: int) -> None:
    """Hashes of which only a few differ: same home, same fingerprint, and the filter knows nothing."""

    def poor_hash(key: bytes) -> int:
        return (key[0] % kinds) * 0x4000_0001_0000_0001

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builder, "key_hash", poor_hash)
        table, chain = build_table(values)
        for key, value in values.items():
            found = table.find(key, poor_hash(key))
            assert found is not None
            assert chain[found[0]] == (key, value)
        missing = b"not a key at all"
        assert table.find(missing, poor_hash(missing)) is None


def test_the_highest_hash_finds_a_slot_after_the_last_home() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builder, "key_hash", lambda key: 2**64 - 1)
        table, _ = build_table({b"%d" % n: b"" for n in range(20)})
    assert table.find(b"19", 2**64 - 1) is not None
    assert table.find(b"20", 2**64 - 1) is None


@given(st.dictionaries(keys, st.just(b"v"), max_size=20), st.integers(0, 2**64 - 1))
def test_a_key_that_the_filter_lets_through_wrongly_is_not_found(values: dict[bytes, bytes], hashed: int) -> None:
    """Wherever its home is, also after the last slot that is used, the search ends."""
    table, _ = build_table(values)
    assert table.find(b"a key that is not there", hashed) is None
    assert table.find(b"a key that is not there", hashed | 0xFFFF_FFFF << 32) is None


def test_a_table_that_cannot_count_its_slots_is_not_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder, "TABLE_MAX_SLOTS", 3)
    assert limits.TABLE_MAX_SLOTS == 2**32 - 1
    with pytest.raises(ValueError, match="too large"):
        build_table({b"a": b"", b"b": b"", b"c": b""})


# ── damage ───────────────────────────────────────────────────────────────────────────────────────────────────────

VALUES = {b"key%04d" % n: b"" for n in range(1000)}
SEALS = tuple(range(1000, 1050))


def flip(offset: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:offset] + bytes((data[offset] ^ 16,)) + data[offset + 1 :]


def test_a_damaged_page_is_named_by_whatever_needs_it() -> None:
    header = build_table(VALUES, SEALS)[0].header
    for offset in range(HEADER_BYTES, header.filter_offset, 509):
        damaged_page = (offset - HEADER_BYTES) // PAGE_BYTES
        try:
            table, _ = build_table(VALUES, SEALS, damage=flip(offset))
        except Corruption as error:  # the filter, which is read at once, is on the same page
            errors = [error]
        else:
            errors = []
            for key in VALUES:
                try:
                    assert table.find(key, key_hash(key)) is not None
                except Corruption as error:
                    errors.append(error)
            for read in (lambda table=table: table.window(0, len(VALUES)), table.seals, table.check):
                try:
                    read()
                except Corruption as error:
                    errors.append(error)
        assert errors
        assert {(error.path, error.offset) for error in errors} == {("7.sst", HEADER_BYTES + damaged_page * PAGE_BYTES)}


def test_a_damaged_header_filter_or_check_is_noticed_when_it_is_opened() -> None:
    header = build_table(VALUES, SEALS)[0].header
    offsets = [*range(0, HEADER_BYTES, 3), *range(header.filter_offset, header.file_bytes, 7)]
    for offset in offsets:
        with pytest.raises(Corruption):
            build_table(VALUES, SEALS, damage=flip(offset))


def test_a_table_that_was_cut_is_noticed_when_it_is_opened() -> None:
    size = build_table(VALUES)[0].header.file_bytes
    for stop in (0, 1, HEADER_BYTES, size - 1):
        with pytest.raises(Corruption):
            build_table(VALUES, damage=itemgetter(slice(stop)))


def test_the_words_of_a_page_are_as_many_as_the_reader_thinks() -> None:
    assert PAGE_BYTES // format_table.WORD_BYTES == 512
