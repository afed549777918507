"""Records as JSON and CSV: what goes out comes back, to the bit."""

from __future__ import annotations

import csv
import io
import json
import re
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from blockdb import InvalidData
from blockdb.commands import shapes
from blockdb.commands.feed import Malformed, lines, parse
from blockdb.commands.shapes import from_json, json_text, record_csv, record_json, record_lines, record_object

AWKWARD = st.sampled_from(
    [
        b"",
        b"\0",
        b"\r\n",
        b"\r",
        b"\n",
        b'"',
        b'""',
        b",",
        b'a"b,c\n',
        b"\xff",
        "é\u2028\u202e\x7f😀".encode(),
        b"\xef\xbb\xbfx",
    ]
)
data = st.one_of(
    st.binary(max_size=40), AWKWARD, st.text(max_size=40).map(lambda text: text.encode("utf-8", "replace"))
)
records = st.lists(st.tuples(data, data), max_size=6)


def read_back(text: bytes, format: str) -> list[tuple[bytes, bytes]]:
    found = list(parse(lines(io.BytesIO(text), lambda: None, lambda _: None), format))
    assert not [item for item in found if isinstance(item, Malformed)]
    return [(item[1], item[2]) for item in found if not isinstance(item, Malformed)]


@given(records, st.sampled_from(["jsonl", "csv"]), st.booleans())
@example([(b"k", b"a\r\nb"), (b"\xef\xbb\xbf", b"\xef\xbb\xbf")], "csv", False)
def test_what_goes_out_comes_back(items: list[tuple[bytes, bytes]], format: str, base64: bool) -> None:
    text = "".join(line + "\n" for line in record_lines(items, format, base64=base64)).encode()
    assert read_back(text, format) == items


@given(data, data)
def test_json_is_what_others_read(key: bytes, value: bytes) -> None:
    line = record_json(key, value)
    assert json.loads(line) == record_object(key, value)
    assert "\n" not in line
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]", line)


@given(data, data)
def test_csv_is_what_others_read(key: bytes, value: bytes) -> None:
    line = record_csv(key, value)
    (row,) = csv.reader(io.StringIO(line + "\n", newline=""), strict=True)
    record = record_object(key, value, base64=row[2] == "base64")
    assert row == [record["key"], record["value"], record.get("encoding", "")]


def test_a_line_is_never_longer_than_an_import_accepts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "MAX_LINE_BYTES", 400)
    value = b"\0" * 200
    line = record_json(b"k", value)
    assert len(line) <= 400
    assert from_json(line.encode()) == (b"k", value)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ('{"key":"k","value":"text"}', "text"),
        ('{"value": "", "key": "k"}', ""),
        (
            '{"key":"k","value":{"a" : [1, 2.50, 1e400 , -0], "b" :"x  y" , "b": null}}',
            '{"a":[1,2.50,1e400,-0],"b":"x  y","b":null}',
        ),
        ('{"key":"k","value":123456789012345678901234567890.10}', "123456789012345678901234567890.10"),
        ('{"key":"k","value":' + "9" * 5000 + "}", "9" * 5000),
        ('{"key":"k","value":true}', "true"),
        ('{"key":"k","value":null}', "null"),
        ('{"key":"k","value":["caf\\u00e9 \\" \\\\", "é"]}', '["caf\\u00e9 \\" \\\\","é"]'),
        ('  {"key":"k","value":"v","encoding":"utf8"}\r\n', "v"),
        ('{"key":"a2V5","value":"dmFs","encoding":"base64"}', "val"),
    ],
)
def test_values_of_json(line: str, value: str) -> None:
    assert from_json(line.encode())[1].decode() == value


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("nonsense", "not JSON: '{' is expected at character 1"),
        ("[]", "not JSON"),
        ("{}", "the field 'key' is missing"),
        ('{"key":"k"}', "the field 'value' is missing"),
        ('{"key":1,"value":"v"}', "the field 'key' is not a string"),
        ('{"key":null,"value":"v"}', "the field 'key' is not a string"),
        ('{"key":"k","value":"v","key":"l"}', "the field 'key' is there twice"),
        ('{"key":"k","value":"v","ttl":3}', "unknown field 'ttl'"),
        ('{"key":"k","value":"v","encoding":"hex"}', "unknown encoding 'hex'"),
        ('{"key":"k","value":"v","encoding":1}', "the field 'encoding' is not a string"),
        ('{"key":"a2V5","value":{},"encoding":"base64"}', "the field 'value' is not a string"),
        ('{"key":"a2V5","value":"?","encoding":"base64"}', "Invalid base64 encoding in the value"),
        ('{"key":"k","value":"v"', "'}' is expected"),
        ('{"key":"k","value":"v",}', "the name of a field is expected"),
        ('{"key":"k","value":"v"} {}', "there is more after the object"),
        ('{1:"k","value":"v"}', "the name of a field is expected"),
        ('{"key":"k","value":NaN}', "NaN is not JSON"),
        ('{"key":"k","value":[Infinity]}', "Infinity is not JSON"),
        ('{"key":"\\ud800","value":"v"}', "half of a surrogate pair"),
        ('{"key":"k","value":' + "[" * 200_000, "nested too deep"),
        ('{"key":"k","value":"tab\tin"}', "not JSON"),
    ],
)
def test_lines_that_are_no_records(line: str, reason: str) -> None:
    with pytest.raises(InvalidData) as error:
        from_json(line.encode())
    assert reason in str(error.value)


def test_a_line_that_is_not_utf8() -> None:
    with pytest.raises(InvalidData, match="byte 9 is not UTF-8"):
        from_json(b'{"key":"\xff","value":"v"}')


@given(st.binary(max_size=60))
def test_no_line_makes_it_fail_otherwise(line: bytes) -> None:
    with suppress(InvalidData):
        from_json(line)


def test_json_text_is_safe_and_readable() -> None:
    assert json_text({"é": "\x1b\x7f\u202e日"}) == '{"é":"\\u001b\\u007f\\u202e日"}'
