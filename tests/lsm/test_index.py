"""Index files and views, held against a sorted list; every damaged byte is noticed."""

from bisect import bisect_left
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockdb.errors import Corruption
from blockdb.format.index import GROUP, IndexHeader, place_bytes, value_of
from blockdb.format.ordered import encode
from blockdb.lsm import merge as merging
from blockdb.lsm.bloom import key_hash
from blockdb.lsm.index_file import Entry, IndexFile, build
from blockdb.lsm.index_memory import IndexMemory
from blockdb.lsm.index_view import IndexView

FAR = 1 << 48
entries_of_values = st.dictionaries(st.binary(min_size=1, max_size=4), st.integers(1, 99), max_size=GROUP * 2 + 9)
keys = st.binary(max_size=4)


def header_of(unique: bool) -> IndexHeader:
    about = {"number": 7, "tier": 2, "first_place": 48, "end_place": 999, "records": 1234}
    sizes = dict.fromkeys(("entries", "entry_bytes", "fence_bytes", "filter_bytes", "checks"), 0)
    return IndexHeader(bytes(16), bytes(range(16)), unique=int(unique), **about, **sizes)


def data_of(entries: Iterable[Entry], unique: bool = True) -> bytes:
    ordered = sorted(entries)
    return build(header_of(unique), [ordered[at : at + 5] for at in range(0, len(ordered), 5)])


def file_of(entries: Iterable[Entry], unique: bool = True) -> IndexFile:
    return IndexFile(data_of(entries, unique), "7.idx")


@given(entries_of_values, keys, st.integers(-3, 150), st.integers(-3, 150))
def test_a_file_answers_like_a_sorted_list(places: dict[bytes, int], key: bytes, first: int, stop: int) -> None:
    file, ordered = file_of(places.items()), sorted(places.items())
    assert len(file) == len(ordered)
    assert file.window(first, stop) == ordered[max(first, 0) : max(stop, 0)]
    for wanted in (key, *places):
        assert file.position(wanted) == bisect_left(ordered, wanted, key=lambda entry: entry[0])
        assert file.find(wanted) == places.get(wanted)
        assert wanted not in places or key_hash(wanted) in file.filter


def test_what_it_is_about_stands_in_its_header() -> None:
    file = file_of([(b"b", 60), (b"a", 50)])
    kept = ("collection", "index_id", "number", "tier", "first_place", "end_place", "records", "unique")
    assert [getattr(file.header, field) for field in kept] == [getattr(header_of(True), field) for field in kept]
    assert (len(file), file.header.entry_bytes, file.tier) == (2, 2, 2)


def test_every_changed_byte_of_a_file_is_noticed() -> None:
    data = data_of(((encode(f"value {n}") + place_bytes(n), n) for n in range(1, 90)), unique=False)
    for offset in range(len(data)):
        damaged = bytearray(data)
        damaged[offset] ^= 0x40
        with pytest.raises(Corruption):
            IndexFile(bytes(damaged), "7.idx").check()
    for size in (0, 9, 255, 300, len(data) - 1):
        with pytest.raises(Corruption):
            IndexFile(data[:size], "7.idx")


def test_a_damaged_page_is_never_served() -> None:
    data = bytearray(data_of((encode(n), n + 1) for n in range(2000)))
    at = data.index(encode(777))
    data[at + 2] ^= 1
    file = IndexFile(bytes(data), "7.idx")
    assert file.find(encode(5)) == 6
    for read in (lambda: file.find(encode(777)), lambda: file.window(776, 779), lambda: file.entry_at(777)):
        with pytest.raises(Corruption, match=r"7\.idx.*page of the index file"):
            read()


# ── views ────────────────────────────────────────────────────────────────────────────────────────────────────────

few_values = st.sampled_from([b"", b"a", b"aa", b"ab", b"b", b"c\xff"])
records = st.lists(st.tuples(few_values, st.integers(0, 3)), max_size=60)


@pytest.fixture
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "FIRST_WINDOW", 2)
    monkeypatch.setattr(merging, "LAST_WINDOW", 5)


def view_of(values: list[tuple[bytes, int]]) -> tuple[IndexView, list[Entry]]:
    """A view over records at places 1, 2, ...; each has a value, and says in which source its entry is."""
    entries = [(b"\6" + value + b"\0" + place_bytes(n), n) for n, (value, _) in enumerate(values, 1)]
    parts = [[entry for entry, (_, part) in zip(entries, values, strict=True) if part == n] for n in range(4)]
    memories = []
    for part in parts[2:]:
        memory = IndexMemory(0, 0)
        memory.extend(part)
        memories.append(memory)
    return IndexView(tuple(memories), tuple(file_of(part, unique=False) for part in parts[:2]), False), sorted(entries)


@pytest.mark.usefixtures("small_windows")
@given(records, keys, st.none() | keys, st.integers(0, 70), st.booleans())
def test_a_scan_is_that_of_a_sorted_list(
    values: list[tuple[bytes, int]], start: bytes, stop: bytes | None, horizon: int, reverse: bool
) -> None:
    view, ordered = view_of(values)
    start, stop = b"\6" + start, None if stop is None else b"\6" + stop
    inside = [entry for entry in ordered if entry[0] >= start and (stop is None or entry[0] < stop)]
    seen = [entry for entry in inside if entry[1] < horizon]
    assert list(view.scan(start, stop, horizon, reverse=reverse)) == (seen[::-1] if reverse else seen)
    assert view.count(start, stop) == len(inside)
    assert view.entries == len(ordered)


@given(records, st.integers(0, 70))
def test_the_places_of_a_value(values: list[tuple[bytes, int]], horizon: int) -> None:
    view, ordered = view_of(values)
    for value in {value_of(entry, False) for entry, _ in ordered} | {encode("nowhere")}:
        expected = [place for entry, place in ordered if value_of(entry, False) == value and place < horizon]
        assert view.places(value, horizon) == expected


@pytest.mark.parametrize("count", [GROUP - 1, GROUP, GROUP + 1, 3 * GROUP])
@pytest.mark.parametrize("before", [0, 1, GROUP - 1, GROUP])
def test_of_a_value_that_many_records_have_all_are_found(before: int, count: int) -> None:
    first, value, last = (encode(text) for text in ("a", "b", "c"))
    owners = [first] * before + [value] * count + [last]
    file = file_of(((owner + place_bytes(place), place) for place, owner in enumerate(owners, 1)), unique=False)
    view = IndexView((IndexMemory(0, 0),), (file,), False)
    assert view.places(value, FAR) == list(range(before + 1, before + count + 1))
    assert view.places(last, FAR) == [len(owners)]


def test_a_damaged_group_is_met_by_whoever_looks_into_it() -> None:
    """Also where it is the second one that has entries of the value: the search ended in the one before."""
    value = encode("v" * 100)
    data = bytearray(data_of(((value + place_bytes(place), place) for place in range(1, 2 * GROUP)), unique=False))
    at = data.index(place_bytes(GROUP + 40))
    assert at > 4096 + 256, "it is in another page than the first group"
    data[at] ^= 1
    file = IndexFile(bytes(data), "7.idx")
    assert file.position(value) == 0
    with pytest.raises(Corruption, match="page"):
        file.places_of(value)


@given(entries_of_values, st.integers(1, 60))
def test_a_unique_value_is_found_wherever_it_is(places: dict[bytes, int], horizon: int) -> None:
    items = list(places.items())
    memory = IndexMemory(0, 0)
    memory.extend(items[::3])
    view = IndexView((memory,), (file_of(items[1::3]), file_of(items[2::3])), True)
    for entry, place in items:
        assert view.place_of(entry) == place
        assert view.places(entry, horizon) == ([place] if place < horizon else [])
    assert view.place_of(b"not there") is None


def test_a_scan_goes_on_over_what_it_began_with() -> None:
    view, ordered = view_of([(b"a", 0), (b"b", 2)])
    scan = view.scan(b"", None, FAR)
    assert next(scan) == ordered[0]
    whole = file_of(ordered, unique=False)
    assert list(view.merged(view.files[:1], whole).scan(b"", None, FAR))[:1] == ordered[:1]
    assert list(scan) == ordered[1:]


def test_entries_of_redacted_records_go_from_memory() -> None:
    memory = IndexMemory(3, 48)
    memory.extend([(b"a", 50), (b"b", 60), (b"c", 50)])
    left = memory.without({50})
    assert (left.index, left.first_sequence, left.first_place) == ({b"b": 60}, 3, 48)
    assert left.size_bytes < memory.size_bytes
