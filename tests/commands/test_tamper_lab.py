"""tamper-lab: one tampering in words and in JSON, all of them as a table, and what is refused."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

import blockdb
from blockdb.commands.tamper_lab import tamperings
from tests.commands.conftest import Run


@pytest.fixture
def past(here: Path) -> Path:
    """A database with a past, and a key that is no text."""
    with blockdb.open(here / "blockdb_data", blockchain_batch_size=2) as db:
        for number in range(9):
            db.put(b"\x1b[31m%d" % number, b"value %d" % number)
    return db.path


def test_all_tamperings_are_a_table_of_checks(past: Path, run: Run) -> None:
    ran = run("tamper-lab", "--format", "json")
    rows = json.loads(ran.out)
    assert ran.code == 0
    assert [row["tampering"] for row in rows] == [each.name for each in tamperings()]
    assert all(row["checkpoint"] == "✓ caught" for row in rows)
    assert rows[-1]["verify"] == "· missed"
    assert "roll-back" in run("tamper-lab", "--format", "table").text


def test_one_tampering_tells_what_each_check_said_and_where(past: Path, run: Run) -> None:
    told = json.loads(run("tamper-lab", "edit-value", "--format", "json").out)
    [change] = told["changes"]
    by_name = {check["check"]: check for check in told["checks"]}
    assert by_name["verify"]["caught"]
    assert by_name["verify"]["places"][0]["block"] == change["block"] == 2
    assert not by_name["read"]["caught"]
    assert told["copy"] is by_name["verify"]["command"] is None, "the copy is gone, and its command with it"


def test_a_copy_is_kept_where_it_is_told_and_its_commands_work(past: Path, run: Run, here: Path) -> None:
    ran = run("tamper-lab", "flip-byte", "--keep", "kept")
    assert "run: blockdb -d kept verify" in ran.text
    verified = run("-d", "kept", "verify")
    assert verified.code == 1
    assert "the check of the record does not match its bytes" in verified.err
    told = json.loads(run("tamper-lab", "delete-record", "--keep", "other", "--format", "json").out)
    [key] = [check["command"] for check in told["checks"] if check["check"] == "read"]
    assert key.startswith("blockdb -d other get --key-base64 ")
    assert run("verify").code == 0


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(each.name, marks=[] if each.name == "rechain-listed-key" else pytest.mark.torture)
        for each in tamperings()
    ],
)
def test_each_command_shows_what_the_lab_saw(past: Path, run: Run, name: str) -> None:
    told = json.loads(run("tamper-lab", name, "--keep", "kept", "--format", "json").out)
    for check in told["checks"]:
        ran = run(*shlex.split(check["command"])[1:])
        assert bool(ran.code) == check["caught"], check["command"]
    assert sum(check["caught"] for check in told["checks"]) >= 1


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("tamper-lab", "nix"), 2, "there is no tampering 'nix'; there are flip-byte"),
        (("tamper-lab", "--keep", "kept"), 2, "name it"),
        (("tamper-lab", "flip-byte", "--keep", "."), 1, "is there already"),
        (("-d", "nowhere", "tamper-lab"), 3, "There is no database"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    past: Path, run: Run, words: tuple[str, ...], code: int, said: str
) -> None:
    ran = run(*words)
    assert ran.code == code
    assert said in ran.err
    assert ran.err.count("\n") == 1
