"""What is computed for many records at once is what is computed for each of them."""

import subprocess
import sys
from array import array
from operator import index
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rbloom import Bloom

import blockdb
from blockdb.audit import columns
from blockdb.audit.columns import FilterBits, beginnings_of, homes_of, numbers, positions, slots_of, words_of
from blockdb.audit.doubt import Doubt
from blockdb.format.table import home_slot, word
from tests.storage.doors import pairs

HASHES = st.integers(0, 2**64 - 1)


@given(st.lists(st.tuples(HASHES, st.integers(1, 2**48 - 1)), min_size=1), st.integers(1, 2**32 - 2))
def test_slots_and_words_are_computed_as_the_format_says(rows: list[tuple[int, int]], count: int) -> None:
    hashes = numbers(array("Q", [hashed for hashed, _ in rows]))
    places = positions(array("q", [place for _, place in rows]))
    assert homes_of(hashes, count).tolist() == [home_slot(hashed, count) for hashed, _ in rows]
    assert words_of(hashes, places).tolist() == [word(*row) for row in rows]


def walked(words: list[int], home: int, wanted: int) -> int | None:
    """Where a single lookup ends."""
    for slot in range(home, len(words)):
        if words[slot] == wanted:
            return slot
        if not words[slot]:
            return None
    return None


@given(st.lists(st.integers(0, 5), min_size=1, max_size=40), st.data())
def test_lookups_in_columns_come_to_where_single_ones_do(words: list[int], data: st.DataObject) -> None:
    lookups = st.tuples(st.integers(0, len(words) - 1), st.integers(1, 5))
    asked = data.draw(st.lists(lookups, max_size=20))
    alone = [walked(words, *one) for one in asked]
    columns_of = np.array(asked, np.int64).reshape(-1, 2)
    table, homes, wanted = numbers(array("Q", words)), columns_of[:, 0].copy(), columns_of[:, 1].astype(np.uint64)
    if None in alone:
        with pytest.raises(Doubt):
            slots_of(table, homes, wanted)
    else:
        assert slots_of(table, homes, wanted).tolist() == alone


@given(st.lists(HASHES, min_size=1, max_size=300), st.lists(HASHES, max_size=50), st.sampled_from([0.5, 0.01, 1e-9]))
def test_a_filter_says_what_rbloom_says(has: list[int], others: list[int], false_positives: float) -> None:
    bloom = Bloom(len(has), false_positives, index)
    bloom.update(has)
    bits = FilterBits(memoryview(bloom.save_bytes()))
    assert bits.has(numbers(array("Q", has)))
    for hashed in others:
        assert bits.has(numbers(array("Q", [hashed]))) == (hashed in bloom)


@pytest.mark.parametrize("at", range(10))
def test_a_filter_that_denies_one_of_many_says_so(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """However many are asked for at a time."""
    monkeypatch.setattr(columns, "ASKED_HASHES", 3)
    hashes = list(range(1, 11))
    bloom = Bloom(10, 1e-9, index)
    bloom.update(hashes)
    bits = FilterBits(memoryview(bloom.save_bytes()))
    assert bits.has(numbers(array("Q", hashes)))
    hashes[at] = 99
    assert not bits.has(numbers(array("Q", hashes)))


KEYS = st.lists(st.binary(max_size=12).map(lambda rest: b"both" + rest), min_size=1)
"""With zeros, and with keys that others begin with."""


@given(KEYS, st.sampled_from([b"", b"b", b"both"]))
def test_of_two_keys_the_one_with_the_lower_beginning_is_the_lower_one(keys: list[bytes], common: bytes) -> None:
    beginnings = beginnings_of(keys, common).tolist()
    width = len(common) + 8
    assert beginnings == [int.from_bytes(key[len(common) : width].ljust(8, b"\0")) for key in keys]
    for one, first in zip(keys, beginnings, strict=True):
        assert all(one < other for other, second in zip(keys, beginnings, strict=True) if first < second)


@given(KEYS, st.integers(0, 3), st.integers(1, 255))
def test_a_key_that_begins_otherwise_is_in_doubt(keys: list[bytes], at: int, change: int) -> None:
    other = bytearray(keys[0])
    other[at] ^= change
    with pytest.raises(Doubt):
        beginnings_of([*keys, bytes(other)], b"both")


def test_a_small_database_is_audited_without_numpy(tmp_path: Path) -> None:
    """It takes as long to load as thousands of records to audit."""
    with blockdb.open(tmp_path / "db") as db:
        db.put_many(pairs(range(100)))
        db.flush()
    program = (
        "import blockdb, sys; assert blockdb.verify(sys.argv[1]).records == 100; assert 'numpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program, db.path], check=True)


@given(st.lists(st.binary(max_size=20), max_size=30), st.binary(max_size=3))
def test_beginnings_are_the_eight_bytes_behind_what_is_common(rests: list[bytes], common: bytes) -> None:
    keys = [common + rest for rest in rests]
    expected = [int.from_bytes(rest[:8].ljust(8, b"\0"), "big") for rest in rests]
    assert beginnings_of(keys, common).tolist() == expected
    if common:
        with pytest.raises(Doubt):
            beginnings_of([*keys, b"\xff" + common[1:] if common[0] != 255 else b"\0" + common[1:]], common)
