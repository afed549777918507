"""Lines and records out of files and pipes, in bounded memory."""

from __future__ import annotations

import io
import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockdb import InvalidData
from blockdb.commands import feed
from blockdb.commands.feed import Malformed, lines, parse


def nothing(*_: int) -> None:
    return None


@given(st.binary(max_size=60), st.integers(1, 9))
def test_lines_are_those_of_the_file(data: bytes, chunk: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feed, "_CHUNK_BYTES", chunk)
        patch.setattr(feed, "MAX_LINE_BYTES", 1000)
        assert list(lines(io.BytesIO(data), nothing, nothing)) == io.BytesIO(data).readlines()


@given(st.lists(st.integers(0, 12), max_size=8), st.integers(1, 9), st.booleans())
def test_a_line_too_long_is_known_and_the_next_is_whole(lengths: list[int], chunk: int, last_ends: bool) -> None:
    whole = [b"x" * length for length in lengths]
    data = b"\n".join(whole) + (b"\n" if last_ends and whole else b"")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feed, "_CHUNK_BYTES", chunk)
        patch.setattr(feed, "MAX_LINE_BYTES", 6)
        found = list(lines(io.BytesIO(data), nothing, nothing))
    expected = [line if len(line) <= 6 else None for line in whole]
    if expected and expected[-1] == b"" and not last_ends:
        expected.pop()
    assert [line and line.rstrip(b"\n") for line in found] == expected


def test_a_quiet_pipe_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "_IDLE_S", 0.01)
    reader, writer = os.pipe()
    quiet = threading.Event()

    def write() -> None:
        os.write(writer, b"first\n")
        quiet.wait(30)
        os.write(writer, b"second\n")
        os.close(writer)

    thread = threading.Thread(target=write)
    thread.start()
    with os.fdopen(reader, "rb") as file:
        assert list(lines(file, quiet.set, nothing)) == [b"first\n", b"second\n"]
    thread.join()


def test_bytes_are_counted() -> None:
    read: list[int] = []
    list(lines(io.BytesIO(b"ab\nc"), nothing, read.append))
    assert sum(read) == 4


def parsed(text: bytes, format: str) -> list[object]:
    return list(parse(io.BytesIO(text), format))


def test_json_lines() -> None:
    text = b'\xef\xbb\xbf{"key":"a","value":1}\n\n  \r\nno\n{"key":"b","value":"2"}'
    assert parsed(text, "jsonl") == [
        (1, b"a", b"1"),
        Malformed(4, "not JSON: '{' is expected at character 1"),
        (5, b"b", b"2"),
    ]


def test_csv_in_the_columns_order_and_with_the_lines_of_rows() -> None:
    text = b'\xef\xbb\xbfValue,key\r\n1,a\r\n"two\r\nlines",b\r\n\r\n3,c,extra\r\n4,d'
    assert parsed(text, "csv") == [
        (2, b"a", b"1"),
        (3, b"b", b"two\r\nlines"),
        Malformed(6, "3 fields where the header has 2"),
        (7, b"d", b"4"),
    ]


def test_csv_that_is_broken_goes_on_with_the_next_row() -> None:
    text = b'key,value,encoding\n"a"b,1,\nc,\xff,\nZA==,/w==,base64\ne,*,base64\nf,1,hex\ng,2,utf8\n'
    assert places(parsed(text, "csv")) == [2, 3, (4, b"d", b"\xff"), 5, 6, (7, b"g", b"2")]


def places(found: list[object]) -> list[object]:
    """Records, and for what is malformed the line."""
    return [item.line if isinstance(item, Malformed) else item for item in found]


def test_a_line_of_csv_that_is_too_long_is_malformed_within_quotes_too() -> None:
    found = list(parse(iter([b"key,value\n", None, b"a,1\n", b'b,"x\n', None, b"c,2\n"]), "csv"))
    assert places(list(found)) == [2, (3, b"a", b"1"), 4, (6, b"c", b"2")]


@pytest.mark.parametrize("header", [b"a,b\n", b"key\n", b"key,value,ttl\n", b"key,value,key\n"])
def test_a_header_that_is_none(header: bytes) -> None:
    with pytest.raises(InvalidData, match="the first line of CSV"):
        parsed(header, "csv")


def test_long_fields_of_csv(monkeypatch: pytest.MonkeyPatch) -> None:
    value = b"x" * 200_000
    assert parsed(b"key,value\na," + value, "csv") == [(2, b"a", value)]
