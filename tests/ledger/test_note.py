"""Signed notes, checkpoints, cosignatures and tiles: the public vectors, and what is refused."""

from __future__ import annotations

import pytest

from blockdb.ledger.checkpoint import Checkpoint, open_checkpoint, parse_size
from blockdb.ledger.cosignature import Cosigner, seen_by
from blockdb.ledger.note import BadNote, Note, NoteSigner, VerifierKey
from blockdb.ledger.tiles import Tile, all_tiles, tiles_of

VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
TEXT = "This is an example message.\n"
SIGNATURE = "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM="
NOTE = f"{TEXT}\n— example.com/foo {SIGNATURE}\n"

SIGNER = NoteSigner("example.org/log", b"s" * 32)
ROOT = bytes(range(32))
CHECKPOINT = Checkpoint("example.org/log", 7, ROOT)


def test_the_public_vector_verifies() -> None:
    key = VerifierKey.parse(VKEY)
    assert (key.name, key.key_id.hex(), str(key)) == ("example.com/foo", "530d903a", VKEY)
    note = Note.parse(NOTE)
    assert note.text == TEXT
    assert note.verified_by([key]) == [key]
    assert note.encode() == NOTE


@pytest.mark.parametrize("at", range(len(NOTE) - 1))
def test_a_note_with_one_character_changed_is_refused(at: int) -> None:
    changed = NOTE[:at] + ("A" if NOTE[at] != "A" else "B") + NOTE[at + 1 :]
    with pytest.raises(BadNote):
        Note.parse(changed).verified_by([VerifierKey.parse(VKEY)])


def test_signatures_by_strangers_are_passed_over_and_wrong_ones_by_friends_are_not() -> None:
    stranger = NoteSigner("example.org/stranger", b"x" * 32)
    text = CHECKPOINT.text
    ours, theirs = SIGNER.sign(text), stranger.sign(text)
    both = ours + theirs.rpartition("\n\n")[2]
    assert Note.parse(both).verified_by([SIGNER.key]) == [SIGNER.key]
    assert Note.parse(both).verified_by([SIGNER.key, stranger.key]) == [SIGNER.key, stranger.key]
    with pytest.raises(BadNote, match="none of the keys"):
        Note.parse(theirs).verified_by([SIGNER.key])
    forged = Note(text, (*Note.parse(theirs).signatures, *Note.parse(SIGNER.sign("other\n")).signatures))
    with pytest.raises(BadNote, match="does not match"):
        forged.verified_by([SIGNER.key, stranger.key])


@pytest.mark.parametrize(
    "note",
    [
        "",
        "text\n",
        "text\n\n",
        "text\n\nno signature\n",
        "text\n\n— name\n",
        "text\n\n— name QUFBQQ==\n",
        "text\n\n— na+me QUFBQUFB\n",
        "text\n\n— name QUFBQUFB",
        "te\x07xt\n\n— name QUFBQUFB\n",
        "text\n\n— name QUFBQUFC=\n",
        "x" * 70_000,
    ],
)
def test_what_is_no_note_is_refused(note: str) -> None:
    with pytest.raises(BadNote):
        Note.parse(note).verified_by([SIGNER.key])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "example.com/foo",
        VKEY.replace("530d903a", "530d903b"),
        VKEY[:-2],
        "a b+00000000+AAAA",
        "example.com/foo+530d903a+AOkyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    ],
)
def test_what_is_no_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(BadNote):
        VerifierKey.parse(text)


def test_a_checkpoint_there_and_back() -> None:
    opened = open_checkpoint(SIGNER.sign(CHECKPOINT.text), [SIGNER.key])
    assert opened.checkpoint == CHECKPOINT
    assert opened.keys == (SIGNER.key,)


def test_a_key_speaks_for_what_is_below_its_name_and_for_nothing_else() -> None:
    signer = NoteSigner("example.org/log/part", b"s" * 32)  # the same secret under the name of a part
    note = signer.sign(Checkpoint("example.org/log/part", 7, ROOT).text)
    assert open_checkpoint(note, [SIGNER.key]).checkpoint.origin == "example.org/log/part"
    with pytest.raises(BadNote, match="speaks for"):
        open_checkpoint(SIGNER.sign(Checkpoint("example.org/logbook", 7, ROOT).text), [SIGNER.key])
    with pytest.raises(BadNote, match="none of the keys"):  # signed under a name that is not the origin
        open_checkpoint(SIGNER.sign(Checkpoint("example.org/log/part", 7, ROOT).text), [SIGNER.key])


@pytest.mark.parametrize(
    "text",
    [
        "origin\n7\n",
        "origin\n07\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
        "origin\n-7\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
        "origin\n٧\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
        "origin\n9223372036854775808\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
        "origin\n7\nAAEC\n",
        "origin\n7\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=\n",
        "origin\n7\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\nmore\n",
        "\n7\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(BadNote):
        Checkpoint.parse(text)


def test_numbers_have_one_spelling() -> None:
    assert [parse_size(text) for text in ("0", "1", "10", str((1 << 63) - 1))] == [0, 1, 10, (1 << 63) - 1]


def test_a_cosignature_says_when() -> None:
    witness = Cosigner("witness.example/w1", b"w" * 32)
    signature = witness.cosign(CHECKPOINT.text, 1_700_000_000)
    seen = seen_by(CHECKPOINT.text, [signature], [witness.key])
    assert [(one.witness, one.time_s) for one in seen] == [(witness.key, 1_700_000_000)]
    assert not seen_by(CHECKPOINT.text.replace("7", "8"), [signature], [witness.key])
    later = type(signature)(signature.name, signature.key_id, b"\0" * 7 + b"\1" + signature.data[8:])
    assert not seen_by(CHECKPOINT.text, [later], [witness.key])
    assert not seen_by(CHECKPOINT.text, [signature], [Cosigner("witness.example/w1", b"v" * 32).key])


def test_the_tiles_of_the_specification() -> None:
    """Its example: a tree of 70,000 leaves."""
    tiles = list(all_tiles(70_000))
    assert [len(list(tiles_of(70_000, level))) for level in range(3)] == [274, 2, 1]
    assert tiles[0].path == "tile/0/000"
    assert tiles[273] == Tile(0, 273, 112)
    assert tiles[273].path == "tile/0/273.p/112"
    assert tiles[273].entries_path == "tile/entries/273.p/112"
    assert [tile.path for tile in tiles[274:]] == ["tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1"]
    assert Tile(0, 1234067, 256).path == "tile/0/x001/x234/067"
    assert [tile.path for tile in all_tiles(256)] == ["tile/0/000", "tile/1/000.p/1"]
    assert not list(all_tiles(0))
