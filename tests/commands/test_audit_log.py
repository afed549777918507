"""audit-log: who did what, filtered, followed, and safe to show."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

import blockdb
from blockdb.database.redaction import login_name
from blockdb.types import Act

from .conftest import Run
from .test_process import Start, ended, start

__all__ = ["start"]

TIME_MS = 1_700_000_000_000


def act(number: int, **fields: Any) -> Act:
    who = "ann" if number % 2 else "bob"
    made = Act(TIME_MS, who, f"t{number}", "127.0.0.1:5", "http", "put", "users", b"k", 1, 1, "ok", f"r{number}")
    return made._replace(**fields)


@pytest.fixture
def entered(here: Path) -> None:
    with blockdb.open(here / "blockdb_data") as db:
        for number in range(30):
            db.audit_log().append(act(number, **({"outcome": "Forbidden"} if number % 10 == 3 else {})))
        db.audit_log().append(act(30, operation="drop", principal="\x1b[31m", key=b"", key_bytes=0, keys=0))
        db.audit_log().append(act(31, operation="put_many", key=b"\xff" * 64, key_bytes=99, keys=3, collection=None))


def numbers(run: Run, *words: str) -> list[int]:
    done = run("audit-log", *words)
    assert (done.code, done.err) == (0, "")
    return [json.loads(line)["sequence"] for line in done.out.splitlines()]


@pytest.mark.usefixtures("entered")
def test_the_last_ones_or_those_after(run: Run) -> None:
    assert numbers(run) == list(range(12, 32))
    assert numbers(run, "--tail", "3") == [29, 30, 31]
    assert numbers(run, "--tail", "0") == []
    assert numbers(run, "--after", "28") == [29, 30, 31]
    assert numbers(run, "--after", "-1") == list(range(32))
    assert numbers(run, "--after", "99") == []


@pytest.mark.usefixtures("entered")
def test_some_of_them(run: Run) -> None:
    assert numbers(run, "--failed") == [3, 13, 23]
    assert numbers(run, "--failed", "--tail", "1") == [23]
    assert numbers(run, "--failed", "--after", "3") == [13, 23]
    assert numbers(run, "--principal", "bob", "--tail", "2") == [26, 28]
    assert numbers(run, "--principal", "t7") == [7]
    assert numbers(run, "--operation", "drop") == [30]
    assert numbers(run, "--operation", "drop", "--principal", "ann") == []


@pytest.mark.usefixtures("entered")
def test_what_a_program_is_told_and_what_a_person(run: Run) -> None:
    first, last = (json.loads(line) for line in run("audit-log", "--after", "29").out.splitlines())
    assert first == {
        "sequence": 30,
        "time_ms": TIME_MS,
        "principal": "\x1b[31m",
        "token_id": "t30",
        "peer": "127.0.0.1:5",
        "door": "http",
        "operation": "drop",
        "collection": "users",
        "key_bytes": 0,
        "keys": 0,
        "outcome": "ok",
        "request_id": "r30",
        "key": "",
    }
    assert (last["encoding"], last["key_bytes"], last["keys"], last["collection"]) == ("base64", 99, 3, None)
    shown = run("audit-log", "--after", "28", "--format", "table").text.splitlines()
    assert shown[0] == "29  2023-11-14 22:13:20.000Z  ok  ann  put users k  http  127.0.0.1:5"
    assert shown[1] == "30  2023-11-14 22:13:20.000Z  ok  ␛[31m  drop users  http  127.0.0.1:5"
    assert "<0xFF>" * 48 + "… and 2 more keys" in shown[2]


def test_a_database_without_a_log_has_no_entries(run: Run, here: Path) -> None:
    blockdb.open(here / "blockdb_data").close()
    assert numbers(run) == numbers(run, "--after", "-1") == []
    refused = run("audit-log", "--tail", "1", "--after", "1")
    assert (refused.code, refused.err.startswith("Error: Usage: ")) == (2, True)


@pytest.mark.usefixtures("entered")
def test_a_damaged_log_is_an_error(run: Run, here: Path) -> None:
    file = here / "blockdb_data" / "audit" / "00000000.acts"
    data = bytearray(file.read_bytes())
    data[500] ^= 1
    file.write_bytes(data)
    done = run("audit-log", "--after", "-1")
    assert done.code == 1
    assert "Corruption" in done.err
    assert run("verify").code == 1
    assert "audit/00000000.acts at byte" in run("verify").err


def acts(run: Run) -> list[tuple[str, str | None, str]]:
    found = (json.loads(line) for line in run("audit-log", "--after", "31").out.splitlines())
    return [(each["operation"], each["collection"], each["outcome"]) for each in found]


@pytest.mark.usefixtures("entered")
def test_what_is_done_without_a_server_is_entered_under_the_login_name(run: Run, here: Path) -> None:
    assert run("put", "k", "v").code == 0
    assert run("put", "k", "v").code == 1
    assert run("get", "k").code == 0
    assert run("collection", "create", "users").code == 0
    assert run("collection", "drop", "nobody").code == 1
    token = json.loads(run("token", "create", "--name", "ann", "--role", "reader", "--format", "json").out)
    assert run("token", "revoke", token["id"]).code == 0
    assert run("verify", "--repair").code == 0
    assert acts(run) == [
        ("put", None, "ok"),
        ("put", None, "DuplicateKey"),
        ("collection create", None, "ok"),
        ("collection drop", "nobody", "CollectionNotFound"),
        ("token create", None, "ok"),
        ("token revoke", None, "ok"),
        ("verify --repair", None, "ok"),
    ]
    last = [json.loads(line) for line in run("audit-log").out.splitlines()][-7:]
    assert {each["principal"] for each in last} == {f"local:{login_name()}"}
    assert [each["key"] for each in last][:2] == ["k", "k"]
    assert {each["token_id"] for each in last} == {"", token["id"]}
    stored = b"".join(file.read_bytes() for file in (here / "blockdb_data" / "audit").iterdir())
    assert token["token"].rpartition("_")[2].encode() not in stored


def test_where_there_is_no_log_none_is_made(run: Run, here: Path) -> None:
    assert run("put", "k", "v").code == 0
    assert run("token", "create", "--name", "ann", "--role", "reader").code == 0
    assert not (here / "blockdb_data" / "audit").exists()


@pytest.mark.torture
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("entered")
def test_it_follows_a_writer_and_says_where_to_go_on(start: Start, here: Path) -> None:
    process = start("audit-log", "--follow", "--tail", "1", "--principal", "ann")
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["sequence"] == 31
    with blockdb.open(here / "blockdb_data") as db:
        for number in range(32, 36):
            db.audit_log().append(act(number))
        for number in (33, 35):
            assert json.loads(process.stdout.readline())["sequence"] == number
    process.send_signal(signal.SIGINT)
    code, out, err = ended(process)
    assert (code, out, err) == (130, b"", "Interrupted; --after 35 goes on from here.\n")
