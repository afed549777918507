"""verify, blocks, block."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import blockdb

from .conftest import Run


@pytest.fixture
def chain(here: Path) -> Path:
    """A database of three sealed blocks of four records, and an open one."""
    with blockdb.open("blockdb_data", blockchain_batch_size=4) as db:
        for number in range(14):
            db.put(b"key:%02d" % number, b"value %d" % number)
    return here / "blockdb_data"


def test_verify(run: Run, chain: Path) -> None:
    ran = run("verify")
    assert (ran.code, ran.err) == (0, "")
    assert ran.text == "Verifying blockchain integrity...\n✓ Blockchain integrity verified successfully\n"
    report = json.loads(run("verify", "--format", "json").out)
    assert (report["valid"], report["blocks"], report["records"], report["problems"]) == (True, 3, 14, [])


def test_verify_names_what_is_wrong(run: Run, chain: Path) -> None:
    damaged = next(path for path in chain.rglob("*") if path.is_file() and b"value 5" in path.read_bytes())
    damaged.write_bytes(damaged.read_bytes().replace(b"value 5", b"value 6"))
    ran = run("verify")
    assert ran.code == 1
    assert ran.text == "Verifying blockchain integrity...\n✗ Blockchain integrity verification failed\n"
    assert all(line.startswith("Error: Corruption: ") for line in ran.err.splitlines())
    assert damaged.name in ran.err
    report = json.loads(run("verify", "--format", "json").out)
    assert not report["valid"]
    assert report["problems"]


def test_blocks_in_both_directions(run: Run, chain: Path) -> None:
    blocks = [json.loads(line) for line in run("blocks").out.splitlines()]
    assert [block["number"] for block in blocks] == [0, 1, 2]
    assert [block["records"] for block in blocks] == [4, 4, 4]
    assert blocks[1]["previous_hash"] == blocks[0]["hash"]

    def numbers(*words: str) -> list[int]:
        return [block["number"] for block in json.loads(run("blocks", "--format", "json", *words).out)]

    assert numbers("--reverse", "--limit", "2") == [2, 1]
    assert numbers("--first", "1") == [1, 2]
    assert numbers("--reverse", "--first", "1") == [1, 0]


def test_blocks_as_table_and_csv(run: Run, chain: Path) -> None:
    lines = run("blocks", "--format", "table").text.splitlines()
    assert lines[0].split() == ["BLOCK", "RECORDS", "DATA", "HASH", "PREVIOUS", "TIME"]
    assert len(lines) == 4
    assert run("blocks", "--format", "csv").text.startswith("number,records,bytes,hash,previous_hash,time_ms\n0,4,")


def test_one_block(run: Run, chain: Path) -> None:
    with blockdb.open("blockdb_data", read_only=True) as db:
        block = db.block(1)
    text = run("block", "1").text
    assert text.startswith(f"Block 1\n  Hash: {block.hash.hex()}\n  Previous hash: {block.previous_hash.hex()}\n")
    data = json.loads(run("block", "1", "--format", "json").out)
    assert data["signature"] == block.signature.hex()
    assert data["first_sequence"] == 4
    keys = [json.loads(line)["key"] for line in run("block", "1", "--records").out.splitlines()]
    assert keys == ["key:04", "key:05", "key:06", "key:07"]


def test_a_block_that_is_not_there(run: Run, chain: Path) -> None:
    ran = run("block", "3")
    assert ran.code == 1
    assert ran.err.startswith("Error: BlockNotFound: ")
    assert run("block", "-1").code == 2
    assert run("block", "x").code == 2
