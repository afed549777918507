"""collection ..., and --collection of the commands for records."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
from pathlib import Path
from typing import Any

import pytest

import blockdb
from blockdb.commands.context import Context
from blockdb.commands.invocation import parse_line
from blockdb.commands.results import Words

from .conftest import Ran, Run
from .test_process import PROGRAM


@pytest.fixture
def users(run: Run) -> str:
    """A collection, and its id."""
    made = run("collection", "create", "users", "--description", "User data collection", "--format", "json")
    return str(json.loads(made.out)["collection_id"])


def data(ran: Ran) -> Any:
    assert (ran.code, ran.err) == (0, "")
    return json.loads(ran.out)


def test_a_collection_as_it_is_told_of(run: Run) -> None:
    made = run("collection", "create", "users")
    name, collection_id = made.text.removesuffix("\n").split(" created with ID: ")
    assert (made.code, name) == (0, "Collection 'users'")
    assert collection_id.startswith("col_")
    stored = run("collection", "put", collection_id, "user:1001", "Alice")
    assert (stored.code, stored.text) == (0, "Successfully stored document in collection\n")
    assert run("collection", "get", collection_id, "user:1001").out == b"Alice\n"
    assert run("collection", "get", "users", "user:1001", "--format", "raw").out == b"Alice"
    listed = run("collection", "list").text.splitlines()
    assert listed[0] == "Collections:"
    assert listed[2] == f"  • users ({collection_id}) - 1 documents, 14 bytes"
    assert run("get", "user:1001").out == b""
    assert run("verify").code == 0


def test_what_a_program_is_told(run: Run, users: str) -> None:
    run("collection", "put", "users", "a", "1")
    found = data(run("collection", "list", "--format", "json"))["collections"]
    assert [(info["name"], info["stats"]["document_count"]) for info in found] == [("default", 0), ("users", 1)]
    described = data(run("collection", "describe", users, "--format", "json"))
    assert described == found[1]
    assert (described["description"], described["settings"]["ttl_seconds"]) == ("User data collection", None)
    stats = data(run("collection", "stats", "users", "--format", "json"))
    assert (stats["collection_id"], stats["stats"]) == (users, described["stats"])
    verified = data(run("collection", "verify", "users", "--format", "json"))
    assert (verified["valid"], verified["records"]) == (True, 1)
    stored = data(run("collection", "put", "users", "b", "2", "--format", "json"))
    assert (stored["success"], stored["sequence"]) == (True, 1)


def test_what_a_person_is_told(run: Run, users: str) -> None:
    run("collection", "put", "users", "a", "1")
    described = run("collection", "describe", "users").text
    assert described.startswith(f"Collection 'users'\n  ID: {users}\n  Description: User data collection\n")
    assert "  Setting write_concern: Acknowledged\n" in described
    assert run("collection", "stats", "users").text.startswith("Statistics of collection 'users':\n  Documents: 1\n")
    verified = run("collection", "verify", "users").text
    assert verified == "Verifying blockchain integrity...\n✓ Blockchain integrity verified successfully\n"


def test_documents_are_listed_as_records_are(run: Run, users: str) -> None:
    for number in range(5):
        run("collection", "put", "users", f"user:{number}", str(number))
    run("collection", "put", "users", "x", "")
    page = ("--prefix", "user:", "--limit", "2", "--offset", "1")
    listed = run("collection", "list-docs", users, *page).text.splitlines()
    assert [json.loads(line)["key"] for line in listed] == ["user:1", "user:2"]
    assert run("scan", "-c", "users", *page).text.splitlines() == listed


def test_settings_are_read_and_refused(run: Run) -> None:
    made = run(
        *("collection", "create", "s", "--setting", "ttl_seconds=60", "--setting", "write_concern=Journaled"),
        *("--setting", "compression_enabled=true"),
    )
    assert made.code == 0
    settings = data(run("collection", "describe", "s", "--format", "json"))["settings"]
    wanted = {"ttl_seconds": 60, "write_concern": "Journaled", "compression_enabled": True}
    assert settings.items() >= wanted.items()
    for words, wrong in (
        (["--setting", "ttl_seconds=soon"], "ConfigError: ttl_seconds: "),
        (["--setting", "nope=1"], "ConfigError: nope: there is no such setting"),
        (["--setting", "nope"], "Usage: argument --setting: 'nope' is not like ttl_seconds=3600"),
        (["--setting", "ttl_seconds=1", "--setting", "ttl_seconds=2"], "Usage: the setting ttl_seconds is given twice"),
    ):
        refused = run("collection", "create", "t", *words)
        assert (refused.code, refused.out) == (2, b"")
        assert refused.err.startswith(f"Error: {wrong}")


def test_what_goes_wrong_is_told(run: Run, users: str) -> None:
    for words in (["collection", "get", "nobody", "a"], ["get", "-c", "nobody", "a"], ["watch", "-c", "nobody"]):
        refused = run(*words)
        assert (refused.code, refused.out) == (1, b"")
        assert refused.err.startswith("Error: CollectionNotFound: Collection 'nobody' not found")
    again = run("collection", "create", "users")
    assert (again.code, again.err.split(": ")[1]) == (1, "DuplicateCollection")
    assert run("collection", "create", "_own").err.startswith("Error: InvalidData: Names that begin with _")
    run("collection", "put", "users", "a", "1")
    assert run("collection", "put", "users", "a", "2").err.startswith("Error: DuplicateKey: Key 'a' already exists")
    assert run("collection", "get", "users", "b", "--exists").code == 1
    assert run("verify", "-c", "users", "--repair").code == 2
    assert run("collection").err.startswith("Error: Usage: collection is half a command")


def test_every_command_for_records_takes_a_collection(run: Run, here: Path, users: str) -> None:
    """The default collection stays empty all the while."""
    (here / "in.jsonl").write_text('{"key":"a","value":"1"}\n{"key":"b","value":"2"}\n')
    assert run("import", "in.jsonl", "-c", "users").text.startswith("Imported in.jsonl: 2 stored")
    assert run("put", "c", "3", "--collection", users).code == 0
    assert run("get", "c", "-c", "users").out == b"3\n"
    assert run("export", "-c", "users").text.splitlines()[2] == '{"key":"c","value":"3"}'
    assert data(run("stats", "-c", "users", "--format", "json"))["records"] == 3
    assert run("verify", "-c", "users").code == 0
    receipt = run("prove", "b", "-c", "users")
    assert (receipt.code, receipt.err) == (0, "")
    assert run("prove", "b").code == 1
    assert run("export-tiles", "tiles", "-c", "users").text == "Exported 3 records as tiles to tiles\n"
    assert run("blocks", "-c", "users").code == 0
    assert run("flush", "-c", "users").text.startswith("Flushed: 1 table, ")
    assert run("compact", "-c", users).text.startswith("Compacted: 1 table, ")
    assert run("block", "0", "-c", "users").err.startswith("Error: BlockNotFound: ")
    assert run("redact", "a", "-c", "users", "--reason", "x").err.startswith("Error: InvalidData: This collection")
    assert run("scan").out == b""
    assert data(run("stats", "--format", "json"))["records"] == 0


def test_an_import_names_what_the_collection_does_not_take(run: Run, here: Path) -> None:
    run("collection", "create", "small", "--setting", "max_document_size=3")
    lines = [{"key": f"{number}", "value": "x" * (10 if number in (3, 7) else 2)} for number in range(12)]
    (here / "in.jsonl").write_text("\n".join(map(json.dumps, lines)))
    done = run("import", "in.jsonl", "-c", "small", "--strict")
    assert done.code == 1
    assert done.text.startswith("Imported in.jsonl: 10 stored, 0 already there, 0 refused as duplicates, 2 malformed")
    assert [line.split(": ")[:2] for line in done.err.splitlines()] == [
        ["line 4", "malformed"],
        ["line 8", "malformed"],
    ]


def test_an_import_refuses_what_a_unique_index_has(run: Run, here: Path, users: str) -> None:
    with blockdb.open(here / "blockdb_data") as db:
        db["users"].create_index("mail", ["mail"], unique=True)
    lines = [{"key": f"{number}", "value": {"mail": f"{number % 5}"}} for number in range(8)]
    (here / "in.jsonl").write_text("\n".join(map(json.dumps, lines)))
    done = run("import", "in.jsonl", "-c", "users")
    assert done.text.startswith("Imported in.jsonl: 5 stored, 0 already there, 3 refused as duplicates, 0 malformed")
    assert done.err.startswith("line 6: refused: Index 'mail' is unique, and record '0' has mail = \"0\" already.")


def test_an_import_refuses_what_has_expired(run: Run, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("collection", "create", "s", "--setting", "ttl_seconds=1")
    with monkeypatch.context() as patch:
        patch.setattr("blockdb.storage.surroundings.time_ns", lambda: 1_000_000_000_000_000_000)
        run("put", "old", "1", "-c", "s")
        run("put", "older", "1", "-c", "s")
    (here / "in.jsonl").write_text("\n".join(json.dumps({"key": key, "value": "1"}) for key in ("old", "new", "older")))
    done = run("import", "in.jsonl", "-c", "s")
    assert done.text.startswith("Imported in.jsonl: 1 stored, 0 already there, 2 refused")
    assert done.err.splitlines()[0] == "line 1: refused: key 'old' has expired, but the chain keeps it"
    assert run("collection", "get", "s", "old").out == b""


# ── dropping ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_drop_insists_on_the_name(run: Run, users: str) -> None:
    refused = run("collection", "drop", "users")
    assert (refused.code, refused.out) == (2, b"")
    assert refused.err == "Error: Usage: nobody is there to be asked; drop it with --yes users\n"
    other = run("collection", "drop", "users", "--yes", "user")
    assert (other.code, "nothing was dropped" in other.err) == (2, True)
    assert run("collection", "describe", "users").code == 0
    dropped = run("collection", "drop", users, "--yes", "users")
    assert (dropped.code, dropped.text) == (0, "Collection 'users' dropped successfully\n")
    assert run("collection", "get", "users", "a").code == 1
    assert run("verify").code == 0


def on_a_terminal(here: Path, typed: bytes, *words: str) -> tuple[int, str]:
    """The exit code, and what a terminal showed: a person typed when asked."""
    ours, theirs = pty.openpty()
    with subprocess.Popen([*PROGRAM, *words], cwd=here, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        while select.select([ours], [], [], 120)[0]:
            try:
                shown += os.read(ours, 4096)
            except OSError:  # the terminal's other end is closed
                break
            if typed and shown.rstrip(b" ").endswith(b":") and b"to drop it" in shown:
                os.write(ours, typed)
                typed = b""
        process.wait(120)
    os.close(ours)
    return process.returncode, shown.decode()


@pytest.mark.parametrize(("typed", "code"), [(b"users\n", 0), (b"yes\n", 2)])
def test_on_a_terminal_the_name_is_asked_for(run: Run, here: Path, users: str, typed: bytes, code: int) -> None:
    ended, shown = on_a_terminal(here, typed, "collection", "drop", "users")
    assert "Everything in collection 'users' will be gone for good." in shown
    assert ended == code
    assert run("collection", "describe", "users").code == (1 if code == 0 else 0)


# ── use ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_script_uses_a_collection(run: Run, users: str) -> None:
    lines = ["use users", "put a 1", "get a", "put -c default a 2", "use", "get a", "get a -c users", f"use {users}"]
    done = run("repl", *(word for line in lines for word in ("-c", line)))
    assert (done.code, done.out) == (0, b"1\n2\n1\n")
    assert done.err.splitlines()[0] == "Using collection 'users'"
    assert done.err.splitlines()[-1] == "Using collection 'users'"
    failed = run("repl", "-c", "use nobody", "-c", "put never 1")
    assert (failed.code, "CollectionNotFound" in failed.err) == (1, True)


def test_the_collection_that_was_dropped_is_not_used_any_more(run: Run, users: str) -> None:
    done = run("repl", *("-c", "use users"), *("-c", "collection drop users --yes users"), *("-c", "put a 1"))
    assert done.code == 0
    assert run("get", "a").out == b"1\n"


def test_a_front_end_without_a_shell_is_told_which_collection(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db") as db:
        db.create_collection("users").put(b"a", b"1")
        context = Context(lambda: db, collection="users")
        stored = parse_line("put b 2").run(context)
        assert isinstance(stored, Words)
        assert (stored.data["sequence"], db.count()) == (1, 0)
