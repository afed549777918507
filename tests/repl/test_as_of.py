r"""`\asof`: lines that read a moment of the past, in scripts and at the prompt."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import blockdb
from blockdb.commands.standing import Bygone
from blockdb_repl.past import prompt_words

from .conftest import Run


@pytest.fixture
def database(here: Path) -> None:
    with blockdb.open(here / "blockdb_data", blockchain_batch_size=10) as database:
        database.put_many([(b"key:%02d" % number, b'{"n": %d}' % number) for number in range(25)])
        database.create_collection("other").put(b"o", b"1")


def script(run: Run, *lines: str) -> tuple[int, list[str], str]:
    ran = run("repl", "--on-error", "continue", stdin="\n".join(lines).encode())
    return ran.code, ran.out.decode().splitlines(), ran.err


@pytest.mark.usefixtures("database")
def test_lines_read_the_moment_until_now(run: Run) -> None:
    count = "count --format jsonl"
    lines = [r"\asof 0", count, "get key:09", "get key:10", f"{count} 'n > 3'", r"\asof seq:14", count]
    lines += ["find --fields _key 'n = 20' --format csv", "scan --as-of block:1 --keys-only --limit 1 --reverse"]
    code, out, err = script(run, *lines, r"\asof now", count)
    assert [json.loads(line).get("count", line) for line in out[:4]] == [10, out[1], 6, 15]
    assert out[1] == '{"n": 9}'
    assert "key:19" in out[-2]
    assert "25" in out[-1]
    assert code == 0
    assert "As of block 0" in err
    assert "10 of 25 records of default" in err
    assert "Lines read what is there now." in err


@pytest.mark.usefixtures("database")
def test_what_writes_is_refused_and_what_cannot_go_back_says_so(run: Run) -> None:
    code, out, err = script(run, r"\asof 1", "put a 1", "begin", "blocks --format jsonl", "help get", r"\asof", "get a")
    assert code == 2
    assert err.count("writes, and lines read as of block 1") == 2
    assert r"blocks tells of now: it does not go back (\asof now for all lines)." in err
    assert "help tells" not in err
    assert err.count("20 of 25") == 2
    assert len(out) == 2


@pytest.mark.usefixtures("database")
def test_another_collection_takes_the_time(run: Run) -> None:
    code, _, err = script(run, r"\asof block 0", "use other", "count --format jsonl", r"\asof", r"\asof 0")
    assert code == 1
    assert "records of other" in err
    assert "Block 0 is not sealed" in err or "BlockNotFound" in err


@pytest.mark.parametrize("text", ["soon", "9999-01-01", "block:99", "seq:25"])
@pytest.mark.usefixtures("database")
def test_what_is_no_moment_is_an_error(run: Run, text: str) -> None:
    code, _, err = script(run, rf"\asof {text}", "count")
    assert code != 0
    assert "Error" in err


@pytest.mark.usefixtures("database")
def test_a_transaction_reads_now(run: Run) -> None:
    _, _, err = script(run, "begin", r"\asof 0", "abort")
    assert "reads what is there now" in err


def test_the_prompt_tells_the_moment() -> None:
    for as_of, words in (
        (blockdb.AsOf(block=42), "42"),
        (blockdb.AsOf(sequence=1000), "#1000"),
        (blockdb.AsOf(time_ms=0), "1970-01-01T00:00:00"),
    ):
        assert prompt_words(Bygone(as_of, "default", 0)) == words
