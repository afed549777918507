"""watch: live, in order, resumable; as a process where that matters."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

import blockdb
from blockdb import verify
from blockdb.commands.context import Context
from blockdb.commands.invocation import parse_line
from blockdb.commands.results import Live

from .conftest import Run
from .test_process import Start, ended, start

__all__ = ["start"]


def rows(out: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


@pytest.fixture
def three(here: Path) -> None:
    with blockdb.open(here / "blockdb_data", blockchain_batch_size=2) as db:
        db.put_many([(b"k%d" % number, b"v%d" % number) for number in range(3)])


@pytest.mark.usefixtures("three")
def test_what_is_there_with_its_places(run: Run, here: Path) -> None:
    done = run("watch", "--until-end")
    assert (done.code, done.err) == (0, "")
    found = rows(done.out)
    assert [(row["sequence"], row["key"], row["value"]) for row in found] == [
        (0, "k0", "v0"),
        (1, "k1", "v1"),
        (2, "k2", "v2"),
    ]
    assert [(row["block"], row["index"], row["sealed"]) for row in found] == [(0, 0, True), (0, 1, True), (1, 0, False)]
    with blockdb.open(here / "blockdb_data", read_only=True) as db:
        assert [row["leaf"] for row in found] == [leaf.hex() for n in (0, 1) for leaf in db.block_leaves(n)]
    assert verify(here / "blockdb_data").valid


@pytest.mark.usefixtures("three")
def test_from_where_and_how_many(run: Run) -> None:
    def seen(*words: str) -> list[int]:
        done = run("watch", *words)
        assert (done.code, done.err) == (0, "")
        return [row["sequence"] for row in rows(done.out)]

    assert seen("--after", "0", "--until-end") == [1, 2]
    assert seen("--after=-1", "--count", "2") == seen("--after", "-1", "--count", "2") == [0, 1]
    assert seen("--count", "0") == []
    assert seen("--prefix", "k1", "--until-end") == [1]
    assert seen("--after", "2", "--until-end") == []
    assert run("watch", "--until-end", "--format", "table").text.splitlines()[2].endswith("  k2 = v2")


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("words", "code", "wrong"),
    [
        (["--after", "3"], 1, "InvalidData: There is no record 3 to go on after: there are 3"),
        (["--after", "-2"], 2, "Usage: "),
        (["--count", "x"], 2, "Usage: "),
        (["--format", "json"], 2, "Usage: watch has no format json; it has table, vertical, jsonl"),
    ],
)
def test_what_cannot_be_watched(run: Run, words: list[str], code: int, wrong: str) -> None:
    refused = run("watch", *words)
    assert (refused.code, refused.out) == (code, b"")
    assert refused.err.startswith(f"Error: {wrong}")


def test_bytes_and_what_was_redacted(run: Run, here: Path) -> None:
    with blockdb.open(here / "blockdb_data", redactable=True) as db:
        db.put_many([(b"\xff", b"\x00"), (b"gone", b"1")])
        db.redact(b"gone", reason="asked")
    first, second = rows(run("watch", "--until-end").out)
    assert (first["key"], first["value"], first["encoding"]) == ("/w==", "AA==", "base64")
    assert (second["key"], second["redacted"], "value" in second) == ("gone", True, False)
    assert "gone = (redacted)" in run("watch", "--until-end", "--format", "table").text


def test_nothing_is_watched_where_there_is_no_database(run: Run) -> None:
    assert run("watch", "--until-end").code == 3


# ── as a process ─────────────────────────────────────────────────────────────────────────────────────────────────


def line_of(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    assert process.stdout is not None
    return json.loads(process.stdout.readline())  # type: ignore[no-any-return]


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("three")
def test_it_prints_what_a_writer_stores_and_says_where_to_go_on(start: Start, here: Path) -> None:
    process = start("watch", "--after", "2")
    with blockdb.open(here / "blockdb_data") as db:
        for number in range(3, 7):
            db.put(b"k%d" % number, b"")
            assert line_of(process)["sequence"] == number  # each at once, though it is a pipe
    process.send_signal(signal.SIGINT)
    code, out, err = ended(process)
    # Interrupted between printing the last one and noting that, it says that it comes again.
    assert (code, out) == (130, b"")
    assert err in [f"Interrupted; --after {last} goes on from here.\n" for last in (5, 6)]


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("three")
def test_it_goes_on_over_the_end_of_a_writer(start: Start, here: Path) -> None:
    process = start("watch", "--after", "2", "--count", "4")
    for first in (3, 5):
        with blockdb.open(here / "blockdb_data") as db:
            db.put_many([(b"k%d" % number, b"") for number in range(first, first + 2)])
    code, out, err = ended(process)
    assert (code, err) == (0, "")
    assert [row["sequence"] for row in rows(out)] == [3, 4, 5, 6]


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("three")
def test_it_ends_when_nobody_reads_any_more(start: Start) -> None:
    process = start("watch", "--after", "1")
    assert line_of(process)["sequence"] == 2
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(30) == 0


def test_an_interrupt_that_comes_before_the_first_record(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("put", "a", "1")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("blockdb.storage.attachment.sleep", interrupted)
    done = run("watch")
    assert (done.code, done.out, done.err) == (130, b"", "Interrupted; --after 0 goes on from here.\n")


def test_a_front_end_takes_the_changes_one_by_one(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db") as db:
        users = db.create_collection("users")
        result = parse_line("watch --count 2").run(Context(lambda: db, collection="users"))
        assert isinstance(result, Live)
        for number in range(2):
            users.put(b"%d" % number, b"")
        lines = [item for item in result.items if item is not None]
        assert [data["sequence"] for _, data in lines] == [0, 1]
        assert result.interrupted() == "Interrupted; --after 1 goes on from here."
