"""Records gathered by their places are those that stand there, or damage is met: no other key gets into a table."""

from array import array
from collections.abc import Sequence
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockdb.errors import Corruption
from blockdb.format import batch, record
from blockdb.format.pages import HEADER_BYTES
from blockdb.format.place import place_of
from blockdb.lsm import builder, columns, gather
from blockdb.lsm.columns import Columns
from blockdb.lsm.gather import gather_table
from blockdb.lsm.table import Table
from tests.lsm.sources import DictChain
from tests.lsm.test_table import DESCRIPTION

START = 48
SEGMENTS = 3

Chain = tuple[list[bytes], dict[bytes, int]]
"""Chain files, and the place of each key."""

sizes = st.sampled_from([0, 1, 100, 100, 100, 5000])
items = st.dictionaries(st.binary(min_size=1, max_size=30), sizes, min_size=1, max_size=80)


def chain_of(values: dict[bytes, int], redactable: bool = False) -> Chain:
    """Records with values of these sizes, one after the other in several files."""
    files, places = [b"?" * START] * SEGMENTS, {}
    encode, _ = batch.encoders(redactable, lambda: b"s" * record.SALT_BYTES)
    for ordinal, (key, size) in enumerate(values.items()):
        number = ordinal * SEGMENTS // len(values)
        places[key] = place_of(number, len(files[number]))
        files[number] += encode(ordinal, key, bytes(size))
    return files, places


def gathered(files: Sequence[bytes], places: Sequence[int], *, is_checked: bool = False) -> list[tuple[bytes, int]]:
    made = Columns()
    wanted = np.array(places, np.uint64)
    order = gather.gather(made, wanted, lambda number: (files[number], len(files[number])), is_checked=is_checked)
    assert wanted[order].tolist() == made.places.tolist()
    ends = np.cumsum(np.frombuffer(made.lengths, np.uint16), dtype=np.int64).tolist()
    keys = [bytes(made.keys[start:end]) for start, end in zip([0, *ends], ends, strict=False)]
    assert list(map(columns.key_hash, keys)) == made.hashes.tolist()
    return list(zip(keys, made.places.tolist(), strict=True))


def table_of(places: dict[bytes, int]) -> bytes:
    ordered = sorted(places)
    return builder.build(DESCRIPTION, [(ordered, [places[key] for key in ordered])], ())


def gathered_from_table(files: Sequence[bytes], data: bytes) -> Columns:
    made = Columns()
    table = Table(data, "7.sst", DictChain({}))
    gather_table(made, table, lambda number: (files[number], len(files[number])))
    return made


@given(items, st.booleans(), st.randoms(use_true_random=False))
def test_the_keys_at_any_places_are_found(values: dict[bytes, int], redactable: bool, chance: Random) -> None:
    files, places = chain_of(values, redactable)
    wanted = list(places.items())
    chance.shuffle(wanted)
    for is_checked in (False, True):
        assert sorted(gathered(files, [place for _, place in wanted], is_checked=is_checked)) == sorted(wanted)


@pytest.mark.parametrize("values", [{b"%08d" % n: 10 for n in range(3000)}, {b"%d" % n: n % 700 for n in range(3000)}])
def test_so_are_many(values: dict[bytes, int], monkeypatch: pytest.MonkeyPatch) -> None:
    files, places = chain_of(values)
    assert sorted(gathered(files, list(places.values()))) == sorted(places.items())
    monkeypatch.setattr(gather, "_FRAMES", 100)
    monkeypatch.setattr(gather, "_PIECE_BYTES", 2000)
    assert sorted(gathered(files, list(places.values()))) == sorted(places.items())


@given(items, st.data())
def test_a_damaged_record_is_met(values: dict[bytes, int], data: st.DataObject) -> None:
    files, places = chain_of(values)
    number = data.draw(st.sampled_from([number for number in range(SEGMENTS) if len(files[number]) > START]))
    at = data.draw(st.integers(START, len(files[number]) - 1))
    damaged = bytearray(files[number])
    damaged[at] ^= 1 << data.draw(st.integers(0, 7))
    files[number] = bytes(damaged)
    with pytest.raises(ValueError, match="record"):
        gathered(files, list(places.values()))


@given(items, st.data())
def test_where_no_record_begins_none_is_read(values: dict[bytes, int], data: st.DataObject) -> None:
    files, places = chain_of(values)
    number = data.draw(st.integers(0, SEGMENTS - 1))
    offset = data.draw(st.integers(0, len(files[number]) + 100))
    if place_of(number, offset) not in places.values():
        with pytest.raises(ValueError, match="record"):
            gathered(files, [*places.values(), place_of(number, offset)])


def test_nothing_behind_the_last_commit_is_read() -> None:
    files, places = chain_of({b"a": 10, b"b": 10, b"c": 10})
    wanted = np.array(list(places.values()), np.uint64)
    for missing in (1, 15):
        stops = [len(file) - missing for file in files]
        with pytest.raises(ValueError, match="no record"):
            gather.gather(Columns(), wanted, list(zip(files, stops, strict=True)).__getitem__, is_checked=False)


@given(items)
def test_the_entries_of_a_table_are_gathered_with_their_keys(values: dict[bytes, int]) -> None:
    files, places = chain_of(values)
    made = gathered_from_table(files, table_of(places))
    assert dict(zip(made.hashes, made.places, strict=True)) == {
        columns.key_hash(key): place for key, place in places.items()
    }


@given(items, st.data())
def test_a_damaged_key_gets_into_no_table(values: dict[bytes, int], data: st.DataObject) -> None:
    files, places = chain_of(values)
    key = data.draw(st.sampled_from(list(places)))
    number, offset = places[key] >> 32, places[key] & 0xFFFFFFFF
    at = offset + record.HEADER_BYTES + data.draw(st.integers(0, len(key) - 1))
    damaged = bytearray(files[number])
    damaged[at] ^= 1 << data.draw(st.integers(0, 7))
    files[number] = bytes(damaged)
    with pytest.raises(ValueError, match="another key"):
        gathered_from_table(files, table_of(places))


def test_nor_does_a_key_whose_word_leads_to_another_record() -> None:
    files, places = chain_of({b"%d" % n: 10 for n in range(500)})
    data = table_of({**places, b"7": places[b"8"], b"8": places[b"7"]})
    with pytest.raises(ValueError, match="another key"):
        gathered_from_table(files, data)


def test_nor_one_that_a_search_does_not_come_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its fingerprint is right, and its slot is in use, but there is an empty one before it."""
    files, places = chain_of({b"%d" % n: 10 for n in range(500)})
    with monkeypatch.context() as patch:
        patch.setattr(builder, "key_hash", lambda key: columns.key_hash(key) ^ (1 << 63))
        data = table_of(places)
    with pytest.raises(ValueError, match="another key"):
        gathered_from_table(files, data)


@pytest.mark.parametrize("section", ["slots", "order"])
def test_a_damaged_page_of_a_table_is_named(section: str) -> None:
    files, places = chain_of({b"%d" % n: 10 for n in range(2000)})
    data = bytearray(table_of(places))
    offset = HEADER_BYTES if section == "slots" else Table(bytes(data), "", DictChain({})).header.order_offset
    data[offset + 1000] ^= 1
    with pytest.raises(Corruption, match="page"):
        gathered_from_table(files, bytes(data))


def test_the_marks_of_keys_are_the_bits_that_words_tell_of_them() -> None:
    files, places = chain_of({b"a": 1, b"b": 1})
    made = gathered_from_table(files, table_of(places))
    assert array("Q", made.marks()).tolist() == [hashed >> 48 << 48 | hashed & 0xFFFF for hashed in made.hashes]
