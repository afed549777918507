"""prove, check, checkpoint, keys, export-tiles: what a stranger needs, and what is refused."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest

import blockdb
from blockdb.ledger.checkpoint import open_checkpoint
from blockdb.ledger.note import VerifierKey
from tests.ledger import reference

from .conftest import Run


@pytest.fixture
def vkey(run: Run) -> str:
    """The verifier key of a database with three records."""
    for key, value in (("user:1", "alice"), ("user:2", "bob"), ("zoo", "\x1b[31m")):
        assert run("put", key, value).code == 0
    return run("keys", "show").text.strip()


def test_a_receipt_is_made_and_checked_without_the_database(run: Run, here: Path, vkey: str) -> None:
    assert run("prove", "user:1", "-o", "alice.tlog-proof").text == "Receipt written to alice.tlog-proof\n"
    (here / "blockdb_data").rename(here / "gone")
    ran = run("check", "alice.tlog-proof", "--key", vkey)
    assert ran.code == 0
    assert ran.text.startswith("✓ The receipt is valid\n")
    assert "Record 0: user:1 = alice\n" in ran.text
    assert not (here / "blockdb_data").exists()
    data = json.loads(run("check", "alice.tlog-proof", "--key", vkey, "--format", "json").out)
    assert (data["valid"], data["kind"], data["size"], data["signed_by"]) == (True, "record", 3, [vkey])
    assert data["records"][0]["key"] == "user:1"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--records", "0-1"], ["Record 0: user:1 = alice", "Record 1: user:2 = bob"]),
        (["--prefix", "user:"], ["Range: keys from user: before user;", "In it: 2 records, and no other"]),
        (["--start", "user:2"], ["Range: keys from user:2\n", "In it: 2 records, and no other"]),
        (["user:3", "--absent"], ["In it: 0 records, and no other"]),
        (["zoo"], ["zoo = ␛[31m"]),
    ],
)
def test_every_kind_of_receipt_goes_through_a_pipe(run: Run, vkey: str, words: list[str], said: list[str]) -> None:
    receipt = run("prove", *words)
    assert receipt.code == 0
    assert receipt.out.endswith(b"\n")
    ran = run("check", "-", "--key", vkey, stdin=receipt.out)
    assert ran.code == 0, ran.err
    assert all(line in ran.text for line in said)
    assert b"\x1b" not in ran.out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nobody"], 1, "Error: KeyNotFound: Key 'nobody' is not stored."),
        (["user:1", "--absent"], 1, "Error: InvalidData: The key is stored"),
        (["--records", "1-3"], 1, "Error: InvalidData: There are no records 1 to 3: there are 3"),
        (["--records", "3-1"], 2, "ends before it begins"),
        (["--records", "x"], 2, "is not like 17-42"),
        ([], 2, "name a KEY"),
        (["user:1", "--prefix", "u"], 2, "one of them"),
        (["--absent"], 2, "name a KEY"),
    ],
)
def test_what_cannot_be_proven(run: Run, vkey: str, words: list[str], code: int, said: str) -> None:
    ran = run("prove", *words)
    assert (ran.code, ran.out) == (code, b"")
    assert said in ran.err
    assert ran.err.count("\n") == 1


def test_what_proves_nothing_is_an_error_of_one_line(run: Run, here: Path, vkey: str) -> None:
    receipt = run("prove", "user:1").text
    other = vkey[:-4] + "AAAA"
    cases = {
        receipt.replace("index 0", "index 1"): (vkey, "does not lead"),
        receipt + " ": (vkey, "this is no signed note"),
        "": (vkey, "this is no receipt"),
        "\x00": (vkey, "this is no receipt"),
        receipt: (other, "was mistyped"),
    }
    for text, (key, said) in cases.items():
        ran = run("check", "-", "--key", key, stdin=text.encode())
        assert (ran.code, ran.out) == (1, b""), text
        assert ran.err.startswith("Error: InvalidProof: ")
        assert said in ran.err
    assert run("check", "-", stdin=receipt.encode()).code == 1  # no key is trusted
    assert run("check", "-", "--key", vkey, stdin=b"\xff").err.startswith("Error: InvalidProof: ")
    assert run("check", "nowhere", "--key", vkey).err.startswith("Error: IoError: ")
    assert run("check", ".", "--key", vkey).err.startswith("Error: IoError: ")


def test_checkpoints_of_a_collection_and_of_everything(run: Run, here: Path, vkey: str) -> None:
    key = VerifierKey.parse(vkey)
    collection = open_checkpoint(run("checkpoint", "default").text, [key]).checkpoint
    assert (collection.origin, collection.size) == (key.name, 3)
    whole = run("checkpoint", "-o", "whole")
    assert whole.text == "Checkpoint written to whole\n"
    database = open_checkpoint((here / "whole").read_text(), [key]).checkpoint
    assert (database.origin, database.size) == (f"{key.name}/journal", 1)
    assert run("checkpoint").out == (here / "whole").read_bytes()  # nothing was written since
    run("put", "more", "1")
    assert open_checkpoint(run("checkpoint").text, [key]).checkpoint.size == 2
    assert run("checkpoint", "nowhere").err.startswith("Error: CollectionNotFound: Collection 'nowhere' not found")


def test_beside_a_writer_what_can_be_proven_without_writing_is(run: Run, here: Path, vkey: str) -> None:
    with blockdb.open(here / "blockdb_data") as database:
        database.put(b"new", b"1")
        ran = run("check", "-", "--key", vkey, stdin=run("prove", "new").out)
        assert "new = 1" in ran.text
        ran = run("prove", "--prefix", "u")
        assert (ran.code, ran.out) == (1, b"")
        assert ran.err.startswith("Error: ReadOnly: ")
        ran = run("checkpoint")
        assert (ran.code, ran.err[:16]) == (1, "Error: ReadOnly:")


def test_a_new_key_and_the_old_one(run: Run, vkey: str) -> None:
    old = run("prove", "user:1").out
    assert run("keys", "rotate").code == 0
    shown = json.loads(run("keys", "show", "--format", "json").out)
    assert shown["key"] != vkey
    assert vkey in shown["earlier"][0]
    assert shown["key"] in shown["earlier"][0]
    run("put", "later", "1")
    new = run("prove", "later").out
    assert run("check", "-", "--key", vkey, stdin=old).code == 0
    assert run("check", "-", "--key", vkey, stdin=new).code == 1
    assert run("check", "-", "--key", shown["key"], stdin=new).code == 0
    assert run("verify").code == 0


def test_a_key_that_is_kept_apart(run: Run, here: Path) -> None:
    assert run("put", "a", "1", "--key-file", "apart.toml").code == 0
    assert (here / "apart.toml").stat().st_mode & 0o77 == 0
    assert not (here / "blockdb_data" / "keys" / "signing.toml").exists()
    assert run("get", "a").text == "1\n"
    refused = run("put", "b", "2")
    assert (refused.code, refused.err) == (
        2,
        "Error: ConfigError: key_file: the signing key is kept apart from the data; name its file (--key-file).\n",
    )
    assert run("put", "b", "2", "--key-file", "apart.toml").code == 0
    assert "there is no key at another.toml" in run("put", "c", "2", "--key-file", "another.toml").err
    run("put", "a", "1", "--data-dir", "other", "--key-file", "another.toml")
    assert "is none of this database's" in run("put", "c", "2", "--key-file", "another.toml").err
    assert run("verify").code == 0


def test_tiles_are_what_the_standard_says(run: Run, here: Path) -> None:
    lines = "".join(json.dumps({"key": f"k{number:04}", "value": "v"}) + "\n" for number in range(600))
    run("import", "-", stdin=lines.encode())
    key = VerifierKey.parse(run("keys", "show").text)
    assert "Exported 600 records" in run("export-tiles", "tiles").text
    tiles = here / "tiles"
    files = {path.relative_to(tiles).as_posix() for path in tiles.rglob("*") if path.is_file()}
    level0, level1 = {"000", "001", "002.p/88"}, {"tile/1/000.p/2"}
    assert files == {
        "checkpoint",
        *level1,
        *(f"tile/0/{name}" for name in level0),
        *(f"tile/entries/{name}" for name in level0),
    }
    checkpoint = open_checkpoint((tiles / "checkpoint").read_text(), [key]).checkpoint
    leaves: list[bytes] = []
    for name in sorted(level0):
        data, at, found = (tiles / "tile/entries" / name).read_bytes(), 0, []
        while at < len(data):
            size = int.from_bytes(data[at : at + 2], "big")
            found.append(sha256(b"\0" + data[at + 2 : at + 2 + size]).digest())
            at += 2 + size
        assert (tiles / "tile/0" / name).read_bytes() == b"".join(found)
        leaves += found
    assert (tiles / "tile/1/000.p/2").read_bytes() == b"".join(reference.root(leaves[at : at + 256]) for at in (0, 256))
    assert (checkpoint.size, checkpoint.root) == (600, reference.root(leaves))


def test_an_export_goes_on_and_refuses_what_is_not_its_own(run: Run, here: Path, vkey: str) -> None:
    assert run("export-tiles", "tiles").code == 0
    run("put", "more", "1")
    assert run("export-tiles", "tiles").code == 0
    assert (here / "tiles/tile/0/000.p/4").exists()
    (here / "full").mkdir()
    (here / "full" / "mine").touch()
    assert "has something else in it" in run("export-tiles", "full").err
    run("put", "a", "1", "--data-dir", "other")
    assert "has the tiles of blockdb/" in run("export-tiles", "tiles", "--data-dir", "other").err
    run("put", "large", "x" * 70_000, "--data-dir", "other")
    refused = run("export-tiles", "large", "--data-dir", "other")
    assert refused.err.startswith("Error: InvalidData: The record of key b'large' has 70")
    assert run("export-tiles", "hashes", "--hashes-only", "--data-dir", "other").code == 0
    assert not (here / "hashes/tile/entries").exists()
