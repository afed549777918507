"""Documents: bytes that are one or are refused with the place, and what Python has beside JSON."""

import json
import math
from collections import OrderedDict
from datetime import UTC, date, datetime, timedelta, timezone
from enum import IntEnum, StrEnum
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blockdb.documents.values import MAX_DEPTH, encode, parse, plain
from blockdb.errors import InvalidData

JSON = st.recursive(
    st.one_of(
        *[st.none(), st.booleans(), st.integers(), st.integers(-(10**30), 10**30)],
        *[st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=5)],
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=8,
)
DOCUMENTS = st.dictionaries(st.text(max_size=3), JSON, max_size=4)


@settings(max_examples=30)
@given(DOCUMENTS)
def test_a_document_comes_back(document: dict[str, Any]) -> None:
    assert plain(document) is document
    assert parse(encode(document)) == document
    assert parse(json.dumps(document).encode()) == document


def damage(draw: Any, raw: bytes) -> bytes:
    start = draw(st.integers(0, len(raw)))
    end = start + draw(st.integers(0, 3))
    odd = [
        b"",
        b'"',
        b"\\",
        b"\\ud800",
        b"\xff",
        b"\xed\xa0\x80",
        b"NaN",
        b"1e999",
        b"[",
        b"}",
        b"-",
        b"9" * 5000,
        b" ",
    ]
    return raw[:start] + draw(st.sampled_from(odd)) + raw[end:]


@settings(max_examples=80)
@given(st.data())
def test_damaged_bytes_are_the_same_to_another_reader_or_refused(data: st.DataObject) -> None:
    raw = damage(data.draw, encode(data.draw(DOCUMENTS)))
    try:
        document = parse(raw)
    except InvalidData:
        return
    assert json.loads(raw) == document


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (b"", "it is empty"),
        (b"[1]", "this is an array"),
        (b"7", "this is an integer"),
        (b"{", "at byte 1 .it ends there"),
        (b'{"a":1} x', "at byte 8|at byte 9"),
        (b'{"a":NaN}', "at byte 5"),
        (b'{"\xc3\xa9":Infinity}', "at byte 6"),
        (b'{"\xc3\xa9":"\\ud800"}', "surrogate pair .* at byte 7"),
        (b'{"a":"\\\\ud800","b":"\\udc00"}', "surrogate"),
        (b'{"a":"b\xff"}', "UTF-8 at byte 7"),
        (b'{"a":"\xed\xa0\x80"}', "UTF-8 at byte 6"),
        (b'{"a":"9e999", "b":[1, 9e999]}', "9e999 at byte 22 is too large"),
        (b'{"a":' + b"1" * 5000 + b"}", "11111… at byte 5 is too large"),
        (b'{"a":"[[","b":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}", f"deeper than {MAX_DEPTH} levels at byte 113"),
        (b'{"a":' * 1_000_000, "deeper than"),
        (b'{"a":' + b"[" * 1_000_000, "deeper than"),
    ],
)
def test_what_is_wrong_is_told_with_its_byte(raw: bytes, what: str) -> None:
    with pytest.raises(InvalidData, match=what):
        parse(raw)


def test_numbers_are_kept_exactly_or_refused() -> None:
    large = 10**4299 + 1
    assert parse(encode({"a": [2**64, -(2**63) - 1, large]})) == {"a": [2**64, -(2**63) - 1, large]}
    assert math.copysign(1, parse(encode({"a": -0.0}))["a"]) == -1
    assert type(parse(b'{"a":1.0}')["a"]) is float
    with pytest.raises(InvalidData, match="`a\\[1\\]` is an integer of more than 4300 digits"):
        encode({"a": [1, 10**4300]})


def test_the_last_of_two_members_of_a_name_counts() -> None:
    assert parse(b'{"a":1,"a":{"b":2,"b":3}}') == {"a": {"b": 3}}


def test_depth_is_the_same_for_bytes_and_objects() -> None:
    inner: list[Any] = []
    for _ in range(MAX_DEPTH - 2):
        inner = [inner]
    document = {"a": inner}
    assert parse(encode(plain(document))) == document
    with pytest.raises(InvalidData, match="nested deeper"):
        plain({"b": document})
    with pytest.raises(InvalidData, match="nested deeper"):
        parse(encode({"b": document}))


def test_python_values_become_json() -> None:
    class Colour(StrEnum):
        RED = "red"

    class Size(IntEnum):
        SMALL = 1

    class Half(float):
        pass

    east = timezone(timedelta(hours=5, minutes=30))
    odd = timezone(timedelta(hours=1, seconds=30))
    document = {
        "bytes": b"hi",
        "times": (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), datetime(2026, 1, 2, 3, 4, 5, 600, tzinfo=east)),
        "odd": [datetime(2026, 1, 2, 3, 4, 5, tzinfo=odd), {"deep": bytearray(b"x")}],
        Colour.RED: Colour.RED,
        "size": Size.SMALL,
        "half": Half(0.5),
        "ordered": OrderedDict(b=1, a=memoryview(b"")),
    }
    before = repr(document)
    assert plain(document) == {
        "bytes": "aGk=",
        "times": ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000600+05:30"],
        "odd": ["2026-01-02T02:03:35Z", {"deep": "eA=="}],
        "red": "red",
        "size": 1,
        "half": 0.5,
        "ordered": {"b": 1, "a": ""},
    }
    assert repr(document) == before
    assert encode(plain(document)).startswith(b'{"bytes":"aGk=","times":["2026-')


CYCLE: dict[str, Any] = {}
CYCLE["a"] = CYCLE


@pytest.mark.parametrize(
    ("document", "what"),
    [
        ({"a": {"b c": [1, math.nan]}}, '`a."b c"\\[1\\]` is nan'),
        ({"a": [{"b": -math.inf}]}, "`a\\[0\\].b` is -inf"),
        ({"a": {1: 2}}, "A name in `a` is of the type int"),
        ({None: 2}, "A name in the document is of the type NoneType"),
        ({"a": datetime(2026, 1, 1)}, "`a` is a time without a zone"),  # noqa: DTZ001
        ({"a": date(2026, 1, 1)}, "`a` is of the type date"),
        ({"a": {1}}, "`a` is of the type set"),
        ({"a": object()}, "`a` is of the type object"),
        ({"a": datetime.min.replace(tzinfo=timezone(timedelta(seconds=1)))}, "outside of the years"),
        (CYCLE, "nested deeper than"),
        ([("a", 1)], "A document is a dict"),
    ],
)
def test_what_json_cannot_hold_is_refused_with_its_path(document: Any, what: str) -> None:
    with pytest.raises(InvalidData, match=what):
        plain(document)


@pytest.mark.parametrize("document", [{"a": "\ud800"}, {"\ud800": 1}, {"\ud800": [0.5, "\udc00"]}])
def test_half_a_surrogate_pair_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(InvalidData, match="half of a surrogate pair"):
        encode(plain(document))
