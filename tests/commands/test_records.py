"""put, get, scan as the command line gives them: streams, formats and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Run

STORED = b"Successfully stored key-value pair\n"


def test_put_then_get(run: Run) -> None:
    put = run("put", "user:1001", "John Doe")
    assert (put.code, put.out, put.err) == (0, STORED, "")
    got = run("get", "user:1001")
    assert (got.code, got.out, got.err) == (0, b"John Doe\n", "")


def test_a_duplicate_is_refused_in_the_words_of_the_contract(run: Run) -> None:
    run("put", "user:1001", "John Doe")
    again = run("put", "user:1001", "Jane")
    assert (again.code, again.out) == (1, b"")
    assert again.err == (
        "Error: DuplicateKey: Key 'user:1001' already exists. BlockDB is append-only and does not allow updates.\n"
    )
    assert run("get", "user:1001").out == b"John Doe\n"


def test_what_is_not_there_prints_nothing(run: Run) -> None:
    run("put", "a", "1")
    for shape in ("table", "json", "jsonl", "csv", "raw"):
        missing = run("get", "b", "--format", shape)
        assert (missing.code, missing.out, missing.err) == (0, b"", "")
    missing = run("get", "b", "--exists")
    assert (missing.code, missing.out, missing.err) == (1, b"", "")
    assert run("get", "a", "--exists").out == b"1\n"


@pytest.mark.parametrize("value", ["", "-v", "--", "two words", "tab\tand\nnewline", "é 日本"])
def test_any_value_can_be_given(run: Run, value: str) -> None:
    assert run("put", "--", "key", value).code == 0
    assert run("get", "key", "--format", "raw").out == value.encode()
    assert run("get", "key").out == value.encode() + b"\n"


def test_words_that_are_not_utf8_are_bytes(run: Run) -> None:
    raw = b"\xff\xfe".decode("utf-8", "surrogateescape")
    assert run("put", raw, raw).code == 0
    assert run("get", raw, "--format", "raw").out == b"\xff\xfe"


def test_base64(run: Run) -> None:
    assert run("put", "YmluYXJ5X2tleQ==", "/wA=", "--base64").out == STORED
    assert run("get", "binary_key", "--base64").out == b"/wA=\n"
    assert run("get", "YmluYXJ5X2tleQ==", "--key-base64", "--base64").out == b"/wA=\n"
    assert run("get", "YmluYXJ5X2tleQ==", "--key-base64", "--format", "raw").out == b"\xff\x00"


@pytest.mark.parametrize("bad", ["binary:key", "YQ", "YQ===", "*"])
def test_bad_base64_is_named(run: Run, bad: str) -> None:
    refused = run("put", "YQ==", bad, "--base64")
    assert refused.code == 1
    assert refused.err.startswith("Error: InvalidData: Invalid base64 encoding in the value")
    assert run("get", bad, "--key-base64").err.startswith("Error: ")


def test_the_value_of_a_file_and_of_standard_input(run: Run, here: Path) -> None:
    (here / "picture").write_bytes(b"\x89PNG\r\n")
    assert run("put", "p", "picture", "--file").code == 0
    assert run("put", "q", "-", "--file", stdin=b"\0\n").code == 0
    assert run("get", "p", "--format", "raw").out == b"\x89PNG\r\n"
    assert run("get", "q", "--format", "raw").out == b"\0\n"
    missing = run("put", "r", "nowhere", "--file")
    assert (missing.code, missing.err) == (1, "Error: IoError: cannot read nowhere: No such file or directory\n")


def test_put_and_get_for_programs(run: Run) -> None:
    put = run("put", "a", "1", "--format", "json")
    assert json.loads(put.out) == {"success": True, "message": "Successfully stored key-value pair", "sequence": 0}
    assert run("get", "a", "--format", "json").out == b'{"key":"a","value":"1"}\n'
    assert run("get", "a", "--format", "csv").out == b"key,value,encoding\na,1,\n"
    assert run("get", "a", "--format", "json", "--base64").out == b'{"key":"YQ==","value":"MQ==","encoding":"base64"}\n'


def test_the_limits_of_a_key(run: Run) -> None:
    assert run("put", "", "v").err.startswith("Error: InvalidData: ")
    assert run("put", "k" * 65_536, "v").code == 1
    assert run("put", "k" * 65_535, "v").code == 0


@pytest.fixture
def some(run: Run) -> Run:
    """A database with a few records, among them hostile ones."""
    script = b'put a 1\nput b 2\nput user:1 "{\\"n\\": 1}"\nput user:2 "\\x1b[31m\\n"\nput "\\xff" "\\x00"\n'
    assert run("repl", stdin=script).code == 0
    return run


def test_scan_gives_json_lines_where_nobody_looks(some: Run) -> None:
    lines = some("scan").out.decode().splitlines()
    assert lines[:2] == ['{"key":"a","value":"1"}', '{"key":"b","value":"2"}']
    assert lines[3] == '{"key":"user:2","value":"\\u001b[31m\\n"}'
    assert lines[4] == '{"key":"/w==","value":"AA==","encoding":"base64"}'


def test_scan_ranges(some: Run) -> None:
    def keys(*words: str) -> list[str]:
        return some("scan", "--keys-only", "--format", "raw", *words).out.decode("utf-8", "replace").split("\n")[:-1]

    assert keys("--prefix", "user:") == ["user:1", "user:2"]
    assert keys("--start", "b", "--end", "user:2") == ["b", "user:1"]
    assert keys("--limit", "2", "--offset", "1") == ["b", "user:1"]
    assert keys("--limit", "0") == []
    assert keys("--reverse", "--limit", "2") == ["\ufffd", "user:2"]
    assert keys("--prefix", "/w==", "--key-base64") == ["\ufffd"]


def test_scan_formats(some: Run) -> None:
    assert some("scan", "--limit", "2", "--format", "raw").out == b"1\n2\n"
    assert some("scan", "--format", "raw", "--reverse", "--limit", "1").out == b"\x00\n"
    assert json.loads(some("scan", "--format", "json", "--limit", "2").out) == [
        {"key": "a", "value": "1"},
        {"key": "b", "value": "2"},
    ]
    assert some("scan", "--format", "json", "--prefix", "nothing").out == b"[]\n"
    assert some("scan", "--format", "csv", "--limit", "1").out == b"key,value,encoding\na,1,\n"
    assert some("scan", "--format", "csv", "--limit", "1", "--keys-only").out == b"key,encoding\na,\n"
    assert some("scan", "--keys-only", "--limit", "1").out == b'{"key":"a"}\n'
    assert some("scan", "--limit", "1", "--base64", "--format", "raw").out == b"MQ==\n"
    assert some("scan", "--limit", "1", "--base64").out == b'{"key":"YQ==","value":"MQ==","encoding":"base64"}\n'


def test_a_table_is_safe_and_never_cut_off_a_terminal(some: Run) -> None:
    some("put", "wide", "x" * 500)
    table = some("scan", "--format", "table").out.decode()
    assert "user:2  ␛[31m␊\n" in table
    assert "<0xFF>  ␀\n" in table
    assert "x" * 500 in table
    assert "\x1b" not in table


def test_as_of(run: Run) -> None:
    for key in ("a", "b", "c"):
        run("put", key, key.upper())
    assert run("get", "b", "--as-of", "record:1").out == b"B\n"
    assert run("get", "b", "--as-of", "record:0").out == b""
    assert run("scan", "--keys-only", "--format", "raw", "--as-of", "record:1").out == b"a\nb\n"
    assert run("scan", "--keys-only", "--format", "raw", "--as-of", "2000-01-01").out == b""
    assert run("scan", "--keys-only", "--format", "raw", "--as-of", "2999-01-01T00:00:00Z").out == b"a\nb\nc\n"


@pytest.mark.parametrize("moment", ["yesterday", "block:x", "record:", "block:-1", "1066-10-14", ""])
def test_a_moment_that_is_none_is_wrong_usage(run: Run, moment: str) -> None:
    wrong = run("get", "a", f"--as-of={moment}")
    assert (wrong.code, wrong.out) == (2, b"")
    assert "--as-of" in wrong.err


def test_a_moment_that_has_not_come(run: Run) -> None:
    run("put", "a", "1")
    wrong = run("scan", "--as-of", "block:3")
    assert (wrong.code, wrong.out) == (1, b"")
    assert wrong.err.startswith("Error: BlockNotFound: There is no sealed block 3")
