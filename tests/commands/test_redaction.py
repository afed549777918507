"""redact, and what the other commands say of a value that was erased."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Run

REASON = ("--reason", "asked for by the person")


@pytest.fixture(autouse=True)
def redactable(here: Path) -> None:
    (here / "blockdb.toml").write_text("[database]\nredactable = true\n")


def test_a_value_is_erased_and_get_says_so(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "somebody")
    run("put", "user:1001", "John Doe")
    done = run("redact", "user:1001", *REASON)
    assert (done.code, done.err) == (0, "")
    assert done.text == "Redacted key 'user:1001': the value is gone for good, the hash remains\n"
    got = run("get", "user:1001")
    assert (got.code, got.out) == (1, b"")
    assert got.err.startswith("Error: Redacted: The value of key 'user:1001' was redacted at 20")
    assert got.err.endswith(" UTC by somebody (asked for by the person): it is gone for good, its hash remains.\n")
    assert run("verify").code == 0
    again = run("redact", "user:1001", *REASON)
    assert (again.code, again.err) == (1, got.err)
    assert run("put", "user:1001", "x").err.startswith("Error: DuplicateKey: ")


def test_several_keys_and_another_author(run: Run) -> None:
    for key in ("a", "b", "c"):
        run("put", key, key)
    done = run("redact", "a", "Yg==", *REASON, "--format", "json")
    assert done.err == "Error: KeyNotFound: Key 'Yg==' is not stored.\n"
    done = run("redact", "YQ==", "Yg==", *REASON, "--by", "the keeper", "--key-base64", "--format", "json")
    found = json.loads(done.out)
    assert (found["sequences"], found["files"], found["quarantined"]) == ([0, 1], 1, False)
    assert " by the keeper (" in run("get", "a").err
    assert run("get", "c").out == b"c\n"


def test_a_reason_must_be_given(run: Run) -> None:
    run("put", "a", "1")
    refused = run("redact", "a")
    assert (refused.code, refused.out) == (2, b"")
    assert "--reason" in refused.err
    assert run("redact", "a", "--reason", " ").err.startswith("Error: InvalidData: The reason of a redaction")
    assert run("get", "a").out == b"1\n"


def test_a_database_that_was_made_without_the_setting_refuses(run: Run, here: Path) -> None:
    (here / "blockdb.toml").unlink()
    run("put", "a", "1")
    refused = run("redact", "a", *REASON)
    assert (refused.code, refused.out) == (1, b"")
    assert refused.err.startswith("Error: InvalidData: This collection was not created with the setting redactable")


def test_the_lists_say_that_it_was_redacted(run: Run) -> None:
    for key in ("a", "b"):
        run("put", key, f"value of {key}")
    run("put", "YwD/", "AA==", "--base64")
    run("redact", "a", *REASON)
    run("redact", "YwD/", *REASON, "--key-base64")
    lines = [json.loads(line) for line in run("scan", "--format", "jsonl").text.splitlines()]
    assert lines == [
        {"key": "a", "redacted": True},
        {"key": "b", "value": "value of b"},
        {"key": "YwD/", "encoding": "base64", "redacted": True},
    ]
    csv = run("scan", "--format", "csv").text.splitlines()
    assert csv == ["key,value,encoding", "a,,redacted", "b,value of b,", "YwD/,,base64 redacted"]
    assert run("scan", "--format", "table").text.splitlines()[1].split() == ["a", "(redacted)"]
    assert run("scan", "--keys-only", "--prefix", "a", "--format", "raw").out == b"a\n"


def test_an_export_leaves_it_out_and_a_scan_of_it_is_no_import(run: Run, here: Path) -> None:
    for key in ("a", "b", "c"):
        run("put", key, key)
    run("redact", "a", "c", *REASON)
    assert run("export").text == '{"key":"b","value":"b"}\n'
    assert run("export", "-o", "all.jsonl").text == "Exported 1 record to all.jsonl, without 2 redacted ones\n"
    scanned = run("scan", "--format", "jsonl").out
    imported = run("-d", "other", "import", "-", "--strict", stdin=scanned)
    assert imported.code == 1
    assert "unknown field 'redacted'" in imported.err
    assert run("-d", "other", "scan", "--format", "raw").out == b"b\n"


def test_it_is_told_that_quarantine_may_have_the_value(run: Run, here: Path) -> None:
    run("put", "a", "1")
    (here / "blockdb_data" / "quarantine").mkdir()
    (here / "blockdb_data" / "quarantine" / "salvaged.jsonl").write_text("")
    done = run("redact", "a", *REASON)
    assert (done.code, done.err.startswith("Note: quarantine/ holds files")) == (0, True)
