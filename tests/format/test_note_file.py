"""Files of notes: whole, cut short, and with anything in them."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from blockdb.format.frame import BadFrame
from blockdb.format.note_file import decode, encode_next
from blockdb.ledger.note import NoteSigner

SIGNER = NoteSigner("example.org/log", b"l" * 32)
NOTES = [SIGNER.sign(f"note {number}\n" + "more\n" * number) for number in range(4)]


def file_of(notes: list[str]) -> bytes:
    data = b""
    for note in notes:
        data += encode_next(note, len(data))
    return data


def test_what_was_appended_is_read() -> None:
    for count in range(len(NOTES) + 1):
        data = file_of(NOTES[:count])
        assert decode(data) == (NOTES[:count], len(data))


@given(st.integers(0, len(file_of(NOTES))))
def test_a_file_that_was_cut_short_has_the_notes_before(stop: int) -> None:
    data = file_of(NOTES)[:stop]
    found = decode(data)
    ends = [len(file_of(NOTES[: count + 1])) for count in range(len(NOTES))]
    assert found.notes == NOTES[: sum(end <= stop for end in ends)]
    assert data[: found.good_bytes] == file_of(found.notes)
    assert (
        decode(data[: found.good_bytes] + encode_next("new\n\n— k AAAAAAE=\n", found.good_bytes)).notes[:-1]
        == found.notes
    )


@given(st.one_of(st.binary(max_size=60), st.text("\n— a").map(str.encode)))
def test_whatever_it_is_the_notes_are_in_it(data: bytes) -> None:
    with suppress(BadFrame):
        found = decode(data)
        assert found.good_bytes <= len(data)
        assert all(note.encode() in data and note.endswith("\n") for note in found.notes)
