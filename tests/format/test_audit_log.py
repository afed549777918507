from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blockdb.format import audit_log
from blockdb.format.audit_log import ENTRY_BYTES, FIRST, HEADER_BYTES, FileHeader, start_of, walk
from blockdb.format.frame import BadFrame, TornFrame, with_check
from blockdb.format.walk import DamagedChain
from blockdb.types import Act
from tests.format.damage import changed, shortened, taken

HEADER = FileHeader(b"d" * 16, 0, 0, FIRST)
ACT = Act(1_700_000_000_000, "ann", "1f2e", "127.0.0.1", "http", "put", "users", b"key", 3, 1, "ok", "r1")

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
acts = st.builds(
    Act,
    time_ms=st.integers(0, 2**60),
    key=st.binary(max_size=9),
    collection=st.none() | texts,
    **dict.fromkeys(("principal", "token_id", "peer", "door", "operation", "outcome", "request_id"), texts),
    key_bytes=st.integers(0, 65_535),
    keys=st.integers(0, 2**40),
    sequence=st.just(-1),
)


def log_of(*entries: Act, header: FileHeader = HEADER) -> bytes:
    data, hash_ = audit_log.encode_header(header), header.previous
    for number, act in enumerate(entries):
        frame, hash_ = audit_log.encode(act._replace(sequence=header.first_sequence + number), hash_)
        data += frame
    return data


def ends(data: bytes) -> list[int]:
    return [HEADER_BYTES, *(position.offset for _, position in walk(data, start_of(HEADER)))]


@settings(max_examples=15)
@given(st.lists(acts, max_size=4), st.integers(0, 2**40))
def test_what_is_written_is_read_in_order(entries: list[Act], first: int) -> None:
    header = HEADER._replace(first_sequence=first, previous=b"h" * 32, number=7)
    data = log_of(*entries, header=header)
    assert audit_log.decode_header(data) == header
    found = list(walk(data, start_of(header)))
    assert [act._replace(sequence=-1) for act, _ in found] == entries
    assert [act.sequence for act, _ in found] == list(range(first, first + len(entries)))
    assert not found or found[-1][1].offset == len(data)


def test_no_changed_byte_gets_past_and_the_entry_is_named() -> None:
    data = log_of(ACT, ACT)
    _, second, _ = ends(data)
    assert taken(audit_log.decode_header, data[:HEADER_BYTES]) == []
    for offset, damaged in changed(data, step=101):
        if offset >= HEADER_BYTES:
            with pytest.raises(DamagedChain) as caught:
                list(walk(damaged, start_of(HEADER)))
            assert caught.value.offset == (second if offset >= second else HEADER_BYTES)


def test_who_mends_the_check_breaks_the_link() -> None:
    data = log_of(ACT, ACT)
    _, second, _ = ends(data)
    forged = audit_log.encode(ACT._replace(principal="bob", sequence=0), FIRST)[0]
    with pytest.raises(DamagedChain, match="does not name the hash") as caught:
        list(walk(data[:HEADER_BYTES] + forged + data[second:], start_of(HEADER)))
    assert caught.value.offset == second


def test_an_entry_that_was_left_out_or_moved_is_found() -> None:
    data = log_of(ACT, ACT._replace(principal="bob"), ACT)
    first, second, third, _ = ends(data)
    for wrong in (data[:second] + data[third:], data[:first] + data[second:third] + data[first:second]):
        with pytest.raises(DamagedChain, match="hash of the one before"):
            list(walk(wrong, start_of(HEADER)))


def test_an_entry_with_a_number_of_another_place_is_found() -> None:
    with pytest.raises(DamagedChain, match="number 1 where 0"):
        list(
            walk(
                audit_log.encode_header(HEADER) + audit_log.encode(ACT._replace(sequence=1), FIRST)[0], start_of(HEADER)
            )
        )


def test_an_entry_that_was_cut_is_torn() -> None:
    data = log_of(ACT)
    for cut in shortened(data[: HEADER_BYTES + ENTRY_BYTES + 9]):
        if len(cut) < HEADER_BYTES:
            with pytest.raises(TornFrame):
                audit_log.decode_header(cut)
        elif len(cut) > HEADER_BYTES:
            with pytest.raises(DamagedChain) as caught:
                list(walk(cut, start_of(HEADER)))
            assert (caught.value.torn, caught.value.offset) == (True, HEADER_BYTES)


def test_what_is_intact_and_no_entry_is_refused() -> None:
    frame, _ = audit_log.encode(ACT, FIRST)
    body = frame[4:]
    for wrong in (b"\x42" + body[1:], body[:1] + (8193).to_bytes(4, "little") + body[5:]):
        with pytest.raises(BadFrame, match="no entry begins"):
            audit_log.decode(with_check(wrong), 0, FIRST)
    with pytest.raises(BadFrame, match="cannot be read"):
        audit_log.decode(with_check(body[:37] + b"\xc0" * (len(body) - 37)), 0, FIRST)


def test_what_is_too_long_is_shortened_and_what_is_no_text_is_written_out() -> None:
    act = ACT._replace(principal="é" * 999, peer="\ud800", key=bytes(range(65)), key_bytes=65)
    stored = audit_log.decode(audit_log.encode(act, FIRST)[0], 0, FIRST).act
    assert stored.principal == "é" * 199 + "…"
    assert stored.peer == "\\ud800"
    assert (len(stored.key), stored.key[:48], stored.key_bytes) == (64, bytes(range(48)), 65)
    whole = ACT._replace(request_id="r" * 200, key=bytes(64))
    assert audit_log.decode(audit_log.encode(whole, FIRST)[0], 0, FIRST).act == whole
    names = ("principal", "token_id", "peer", "door", "operation", "outcome", "request_id")
    longest: Any = dict.fromkeys(names, "\U0001f980" * 999)
    assert audit_log.decode(audit_log.encode(ACT._replace(**longest), FIRST)[0], 0, FIRST).act.door.endswith("…")
