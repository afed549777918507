"""backup and restore, as they are typed."""

from __future__ import annotations

import json
from pathlib import Path

import blockdb

from .conftest import Run


def test_to_a_file_and_back(run: Run, here: Path) -> None:
    run("put", "a", "1")
    ran = run("backup", "copy.tar.zst")
    assert ran.code == 0
    assert ran.text.startswith("Backed up 1 collection, ")
    assert "The signing key is not in it: keep a copy" in ran.text
    ran = run("restore", "copy.tar.zst", "--to", "there")
    assert ran.code == 0
    assert "✓ Everything is as it was written: 1 record recomputed" in ran.text
    assert "--key-file" in ran.text
    with blockdb.open(here / "there", read_only=True) as copy:
        assert copy.get(b"a") == b"1"
    assert run("restore", "copy.tar.zst", "--to", "there").code == 1


def test_through_a_pipe_with_the_key(run: Run, here: Path) -> None:
    run("put", "a", "1")
    stream = run("backup", "-", "--signing-key").out
    ran = run("restore", "-", "--to", "there", "--format", "json", stdin=stream)
    assert ran.code == 0
    told = json.loads(ran.out)
    assert (told["valid"], told["signing_key"], told["path"]) == (True, True, str(here / "there"))
    with blockdb.open(here / "there") as copy:
        copy.put(b"b", b"2")
    ran = run("restore", "-", "--to", "elsewhere", stdin=stream[:100])
    assert ran.code == 1
    assert "cut" in ran.err
    assert not (here / "elsewhere").exists()


def test_a_damaged_database_is_restored_as_it_is_and_that_is_told(run: Run, here: Path) -> None:
    run("put", "a", "some value")
    chains = here.glob("blockdb_data/collections/*/chain/*.chain")
    [path] = [path for path in chains if b"some value" in path.read_bytes()]
    path.write_bytes(path.read_bytes().replace(b"some value", b"same value"))
    run("backup", "copy.tar.zst")
    ran = run("restore", "copy.tar.zst", "--to", "there")
    assert ran.code == 1
    assert "found: the database that was backed up had them" in ran.text
    assert "Error: Corruption" in ran.err
    assert (here / "there").is_dir()


def test_where_there_is_nothing(run: Run) -> None:
    assert run("backup", "copy.tar.zst").code == 3
    ran = run("restore", "nothing", "--to", "there")
    assert ran.code == 1
    assert "cannot open nothing" in ran.err
