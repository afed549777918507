from array import array
from bisect import bisect_left
from sys import getswitchinterval, setswitchinterval
from threading import Event, Thread

from hypothesis import given
from hypothesis import strategies as st

from blockdb.lsm.memtable import RECORD_OVERHEAD_BYTES, Memtable

items = st.lists(
    st.tuples(st.binary(min_size=1, max_size=4), st.binary(max_size=4)), unique_by=lambda item: item[0], max_size=40
)


def memtable_of(pairs: list[tuple[bytes, bytes]]) -> Memtable:
    memtable = Memtable(first_sequence=10, first_block=2, first_place=48)
    for number, (key, value) in enumerate(pairs):
        memtable.append(key, value, 48 + number)
    return memtable


def extend(memtable: Memtable, pairs: list[tuple[bytes, bytes]], place: int) -> None:
    memtable.extend(dict(pairs), array("Q", range(place, place + len(pairs))), data_bytes_of(pairs))


def data_bytes_of(pairs: list[tuple[bytes, bytes]]) -> int:
    return sum(len(key) + len(value) for key, value in pairs)


@given(items)
def test_it_keeps_commit_order_and_knows_key_order(pairs: list[tuple[bytes, bytes]]) -> None:
    memtable = memtable_of(pairs)
    assert len(memtable) == len(pairs)
    assert memtable.keys() == [key for key, _ in pairs]
    assert list(memtable.index.values()) == [value for _, value in pairs]
    assert list(memtable.places) == [48 + number for number in range(len(pairs))]
    assert memtable.window(0, len(pairs)) == sorted(key for key, _ in pairs)


@given(items, items, st.binary(max_size=4))
def test_the_order_follows_what_is_appended_later(
    pairs: list[tuple[bytes, bytes]], later: list[tuple[bytes, bytes]], key: bytes
) -> None:
    memtable = memtable_of(pairs)
    assert memtable.position(key) == bisect_left(sorted(key for key, _ in pairs), key)
    new = [item for item in later if item[0] not in memtable.index]
    extend(memtable, new, 1000)
    everything = sorted(key for key, _ in [*pairs, *new])
    assert memtable.position(key) == bisect_left(everything, key)
    assert memtable.window(0, len(everything)) == everything


@given(items, st.binary(max_size=4), st.integers(1, 9))
def test_it_is_walked_from_key_to_key(pairs: list[tuple[bytes, bytes]], key: bytes, count: int) -> None:
    memtable = memtable_of(pairs)
    ordered = sorted(key for key, _ in pairs)
    assert memtable.after(key, True, count) == [other for other in ordered if other >= key][:count]
    assert memtable.after(key, False, count) == [other for other in ordered if other > key][:count]
    assert memtable.before(key, count) == [other for other in ordered if other < key][-count:]
    assert memtable.before(None, count) == ordered[-count:]


@given(items, items, st.integers(0, 90), st.integers(0, 90))
def test_places_are_found_however_late_somebody_asks(
    pairs: list[tuple[bytes, bytes]], later: list[tuple[bytes, bytes]], low: int, high: int
) -> None:
    memtable = memtable_of(pairs)
    for turn in ([], [item for item in later if item[0] not in memtable.index]):
        extend(memtable, turn, 48 + len(memtable))
        everything = dict([*pairs, *turn])
        assert memtable.ordinals() == {key: ordinal for ordinal, key in enumerate(everything)}
        for ordinal, key in enumerate(everything):
            assert memtable.place_of(key) == 48 + ordinal
            assert memtable.has_between(key, low, high) == (low <= 48 + ordinal < high)


@given(items, st.integers(0, 45), st.none() | st.integers(0, 45))
def test_keys_come_in_commit_order_from_wherever_one_begins(
    pairs: list[tuple[bytes, bytes]], first: int, stop: int | None
) -> None:
    assert memtable_of(pairs).keys_after(first, stop) == [key for key, _ in pairs][first:stop]


class Growing(dict[bytes, bytes]):
    """A dictionary into which somebody puts one more key just after its size was told, once."""

    def __len__(self) -> int:
        size = super().__len__()
        self.setdefault(b"e", b"")
        return size


def test_the_newest_keys_are_those_of_one_moment() -> None:
    memtable = memtable_of([(bytes((letter,)), b"") for letter in b"abcd"])
    memtable.index = Growing(memtable.index)
    assert memtable.keys_after(3) == [b"d", b"e"]


def test_ordinals_are_right_beside_a_writer() -> None:
    memtable, done, wrong = Memtable(0, 0, 0), Event(), list[int]()

    def read() -> None:
        while not done.is_set():
            newest = len(memtable) - 1
            if newest >= 0 and memtable.place_of(newest.to_bytes(3)) != newest:
                wrong.append(newest)

    readers = [Thread(target=read) for _ in range(2)]
    interval_s = getswitchinterval()
    setswitchinterval(1e-6)
    try:
        for reader in readers:
            reader.start()
        for number in range(20_000):
            memtable.append(number.to_bytes(3), b"", number)
        done.set()
        for reader in readers:
            reader.join()
    finally:
        setswitchinterval(interval_s)
    assert not wrong
    assert memtable.ordinals() == {number.to_bytes(3): number for number in range(20_000)}


def test_a_reader_sees_all_of_a_batch_or_nothing() -> None:
    memtable, done, halves = Memtable(0, 0, 0), Event(), list[int]()

    def read() -> None:
        while not done.is_set():
            if len(memtable) % 100:
                halves.append(len(memtable))

    reader = Thread(target=read)
    interval_s = getswitchinterval()
    setswitchinterval(1e-6)
    try:
        reader.start()
        for first in range(0, 50_000, 100):
            keys = [number.to_bytes(3) for number in range(first, first + 100)]
            memtable.extend(dict(zip(keys, keys, strict=True)), array("Q", range(first, first + 100)), 600)
        done.set()
        reader.join()
    finally:
        setswitchinterval(interval_s)
    assert not halves


@given(items)
def test_it_knows_its_size_however_records_came(pairs: list[tuple[bytes, bytes]]) -> None:
    one = memtable_of(pairs)
    many = Memtable(10, 2, 48)
    extend(many, pairs, 48)
    data_bytes = data_bytes_of(pairs)
    assert one.data_bytes == many.data_bytes == data_bytes
    assert one.size_bytes == many.size_bytes == data_bytes + RECORD_OVERHEAD_BYTES * len(pairs)
    assert one.index == many.index


def test_readers_see_a_sorted_order_beside_a_writer() -> None:
    memtable, done, seen = Memtable(0, 0, 48), Event(), list[bool]()

    def read() -> None:
        while not done.is_set():
            window = memtable.window(0, 10_000)
            seen.append(window == sorted(window) and memtable.position(b"\xff") >= len(window))

    readers = [Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(2_000):
        memtable.append((number * 7919 % 2_000).to_bytes(2), b"", number)
    done.set()
    for reader in readers:
        reader.join()
    assert all(seen)
    assert memtable.window(0, 2_000) == [number.to_bytes(2) for number in range(2_000)]
