"""backup and restore, as they are typed."""

from __future__ import annotations

import json
from pathlib import Path

import zstandard

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


def test_backups_that_go_on_and_a_moment_of_the_past(run: Run, here: Path) -> None:
    (here / "all").mkdir()
    for number in range(3):
        run("put", f"k{number}", "1")
        older = ["--since", f"all/{number - 1}"] if number else []
        ran = run("backup", f"all/{number}", "--signing-key", *older)
        assert ran.code == 0
        assert ("what is new" in ran.text) is bool(number)
    ran = run("restore", "--check", "all")
    assert (ran.code, ran.text.count("is whole: ")) == (0, 3)
    second = here / "all" / "1"
    whole = second.read_bytes()
    files = bytearray(zstandard.ZstdDecompressor().decompressobj().decompress(whole))
    files[files.index(b"k1")] ^= 1
    second.write_bytes(zstandard.compress(bytes(files)))
    ran = run("restore", "--check", "all")
    assert ran.code == 1
    assert "all/1 is no whole backup: its files are not those of which it has the digests: collections/" in ran.err
    second.write_bytes(whole[: len(whole) // 2])
    ran = run("restore", "--check", "all/0", "all/1", "--format", "json")
    assert (ran.code, ran.out) == (1, b"")
    assert "it was cut" in ran.err
    assert "which is missing" in run("restore", "--check", "all/0", "all/2").err
    second.write_bytes(whole)
    told = json.loads(run("restore", "--check", "all/0", "all/1", "--format", "json").out)
    assert (told["whole"], [it["name"] for it in told["backups"]]) == (True, ["all/0", "all/1"])
    assert [path.name for path in here.iterdir() if path.name.startswith("there")] == []
    ran = run("restore", "all", "--into", "there", "--to", "seq:1")
    assert ran.code == 0
    assert "default: 2 records" in ran.text
    ran = run("restore", "all/0", "all/1", "--into", "then", "--to", "block:0", "--format", "json")
    assert (ran.code, ran.err) == (1, ran.err)
    assert "does not have block 0" in ran.err
    ran = run("restore", "all/0", "all/2", "--into", "then")
    assert ran.code == 1
    assert "which is missing" in ran.err
    ran = run("restore", "all/0", "all/1", "--into", "then", "--format", "json")
    assert json.loads(ran.out)["records"] == 2
    (here / "all" / "0").unlink()
    assert "one whole backup" in run("restore", "all", "--into", "nowhere").err
    assert "is no moment" in run("restore", "all/1", "--into", "nowhere", "--to", "noon").err
    assert run("backup", "new", "--since", "nowhere").code == 1
    assert "name another file" in run("backup", "all/2", "--since", "all/2").err


def test_without_a_directory_it_is_that_of_the_settings(run: Run, here: Path) -> None:
    run("put", "a", "1")
    run("backup", "copy")
    assert run("restore", "copy", "--data-dir", "there", "--to", "seq:0").code == 0
    with blockdb.open(here / "there", read_only=True) as copy:
        assert copy.get(b"a") == b"1"
    assert "is there already" in run("restore", "copy").err


def test_an_anchor_says_whether_something_is_missing(run: Run, here: Path) -> None:
    run("put", "a", "1")
    run("anchor", "add", "anchor.txt")
    run("backup", "copy")
    run("put", "b", "2")
    run("checkpoint")
    ran = run("restore", "copy", "--into", "there", "--anchor", "anchor.txt")
    assert ran.code == 1
    assert "HistoryConflict" in ran.err
    assert not (here / "there").exists()
    ran = run("restore", "copy", "--into", "there", "--anchor", "anchor.txt", "--accept-older")
    assert ran.code == 0
    assert "is lost" in ran.text


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
