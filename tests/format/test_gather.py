"""Records gathered by numpy are those that are read one by one; and so is what is wrong with them."""

import random
from array import array
from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from blockdb.format import gather, record
from blockdb.format.bulk import FEWEST, LONG, WORTHWHILE, Readings
from blockdb.format.frame import BadFrame, with_check
from blockdb.format.place import place_of

SALT = bytes(range(16))

plain = st.builds(record.encode, st.just(7), st.binary(min_size=1, max_size=9), st.binary(max_size=12))
large = st.builds(record.encode, st.just(7), st.just(b"large"), st.just(bytes(gather.LARGEST)))
alike = st.builds(record.encode, st.just(7), st.binary(min_size=4, max_size=4), st.binary(min_size=5, max_size=5))
redactable = st.builds(record.encode_redactable, st.just(7), st.just(b"key"), st.binary(max_size=9), st.just(SALT))
bodies = st.lists(alike, min_size=1, max_size=30) | st.lists(
    plain | alike | large | redactable | redactable.map(record.redacted), min_size=1, max_size=30
)


def laid_out(bodies: Sequence[bytes], files: int) -> tuple[list[bytes], list[int]]:
    """Files with these records, one after the other in each, and where each of them is."""
    buffers, places = [bytearray(b"head") for _ in range(files)], []
    for number, body in enumerate(bodies):
        file = number * files // len(bodies)
        places.append(place_of(file, len(buffers[file])))
        buffers[file] += with_check(body)
    return list(map(bytes, buffers)), places


@given(bodies, st.integers(1, 3), st.randoms(use_true_random=False), st.binary(max_size=40))
@example([record.encode(7, b"ab", b"c"), record.encode(7, b"a", b"bc")], 1, random.Random(1), b"")
def test_records_of_all_kinds_come_in_the_order_asked_for(
    bodies: list[bytes], files: int, chance: random.Random, after: bytes
) -> None:
    buffers, places = laid_out(bodies, files)
    buffers = [buffer + after for buffer in buffers]
    chance.shuffle(places)
    assert gather.items_at(buffers, places) == record.each_at(buffers, places)


@given(bodies, st.data())
def test_a_changed_byte_is_noticed_wherever_it_is(bodies: list[bytes], data: st.DataObject) -> None:
    (buffer,), places = laid_out(bodies, 1)
    offset, bit = data.draw(st.integers(len("head"), len(buffer) - 1)), data.draw(st.integers(0, 7))
    damaged = buffer[:offset] + bytes((buffer[offset] ^ 1 << bit,)) + buffer[offset + 1 :]
    with pytest.raises(BadFrame):
        gather.items_at([damaged], places)


ALIKE = [record.encode(7, b"key%d" % number, b"value %d" % number) for number in range(5)]
UNLIKE = [record.encode(7, b"key%d" % number, b"value" * number) for number in range(5)]


@pytest.mark.parametrize("bodies", [ALIKE, UNLIKE, [*ALIKE, record.encode_redactable(7, b"k", b"v", SALT)]])
@pytest.mark.parametrize("after", [b"", bytes(60)])
def test_every_changed_byte_of_every_record_is_noticed(bodies: list[bytes], after: bytes) -> None:
    (buffer,), places = laid_out(bodies, 1)
    for at in range(len("head"), len(buffer)):
        damaged = buffer[:at] + bytes((buffer[at] ^ 0x10,)) + buffer[at + 1 :] + after
        with pytest.raises(BadFrame):
            gather.items_at([damaged], places)


@pytest.mark.parametrize("bodies", [ALIKE, UNLIKE])
def test_a_file_that_ends_inside_a_record_or_is_not_mapped(bodies: list[bytes]) -> None:
    (buffer,), places = laid_out(bodies, 1)
    for size in range(len(buffer)):
        with pytest.raises(BadFrame):
            gather.items_at([buffer[:size]], places)
    with pytest.raises(BadFrame):
        gather.items_at([b""], places)
    for elsewhere in ([place_of(1, 4)], [*places, place_of(1, 4)]):
        with pytest.raises(IndexError):
            gather.items_at([buffer], elsewhere)


def test_places_in_slots_are_read_once_their_pages_are_checked() -> None:
    words = memoryview(b"".join(number.to_bytes(6, "little") + b"\xff\xff" for number in range(32))).cast("Q")
    slots = array("I", (9, 1, 31))
    checked, pages = bytearray((1, 0, 1, 0)), list[int]()
    found = gather.places_at(memoryview(slots), words, checked, 3, pages.append)
    assert list(found) == [9, 1, 31]
    assert all(type(place) is int for place in found)
    assert pages == [1, 3]


def test_who_reads_little_does_not_load_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.modules", {})
    readings = Readings()
    assert not any(readings.count(LONG - 1) for _ in range(2 * WORTHWHILE // LONG))
    assert not any(readings.count(LONG) for _ in range(WORTHWHILE // LONG))
    assert readings.count(LONG)
    assert not readings.count(LONG - 1)
    monkeypatch.setattr("sys.modules", {"numpy": None})
    assert Readings().count(FEWEST)
    assert not Readings().count(FEWEST - 1)
