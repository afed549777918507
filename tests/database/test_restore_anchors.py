"""Restoring beside what anchors know: a history that they contradict, or that ends before what they have seen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import blockdb
from blockdb import Anchor, AsOf


@pytest.fixture
def db(tmp_path: Path) -> Iterator[blockdb.Database]:
    """A database with an anchor, and a backup that was made when that had its checkpoint."""
    with blockdb.open(tmp_path / "db") as db:
        db.put(b"a", b"1")
        db.add_anchor(tmp_path / "anchor")
        (tmp_path / "backup").write_bytes(b"".join(db.backup(signing_key=True)))
        yield db


def restored(root: Path, name: str = "backup", **more: object) -> blockdb.Restored:
    return blockdb.restore([(root / name).read_bytes()], root / "copy", **more)  # type: ignore[arg-type]


def refused(root: Path, match: str, name: str = "backup", **more: object) -> None:
    with pytest.raises(blockdb.HistoryConflict, match=match):
        restored(root, name, **more)
    assert not (root / "copy").exists()
    assert not (root / "copy.restoring").exists()


def test_an_anchor_that_agrees(db: blockdb.Database, tmp_path: Path) -> None:
    found = restored(tmp_path, anchors=[Anchor(str(tmp_path / "anchor"))])
    assert "agrees" in found.notes[0]


def test_an_anchor_that_is_newer_needs_a_word(db: blockdb.Database, tmp_path: Path) -> None:
    db.put(b"b", b"2")
    db.publish()
    anchors = [Anchor(str(tmp_path / "anchor"))]
    refused(tmp_path, "is newer than the backup.*is lost.*--accept-older", anchors=anchors)
    assert "is lost" in restored(tmp_path, anchors=anchors, accept_older=True).notes[0]


def test_an_anchor_that_was_not_named_is_asked_too(db: blockdb.Database, tmp_path: Path) -> None:
    db.put(b"b", b"2")
    db.publish()
    assert "is lost" in restored(tmp_path).notes[0]


def test_a_newer_key_does_not_make_an_anchor_contradict(db: blockdb.Database, tmp_path: Path) -> None:
    db.rotate_key()
    db.publish()
    assert "is lost" in restored(tmp_path).notes[0]


def test_another_history_is_refused(db: blockdb.Database, tmp_path: Path) -> None:
    """Of two databases that went on from one backup, an anchor knows one."""
    restored(tmp_path)
    (tmp_path / "copy").rename(tmp_path / "fork")
    for number in range(3):
        db.put(b"b%d" % number, b"2")
        db.publish()
    with blockdb.open(tmp_path / "fork") as fork:
        fork.remove_anchor(tmp_path / "anchor")
        for number in range(9):
            fork.put(b"c%d" % number, b"3")
            fork.checkpoint()
        (tmp_path / "of-fork").write_bytes(b"".join(fork.backup()))
    anchors = [Anchor(str(tmp_path / "anchor"))]
    refused(tmp_path, "contradicts the backup: .*is a fork", "of-fork", anchors=anchors)
    refused(tmp_path, "contradicts the backup", "of-fork", anchors=anchors, accept_older=True)


def test_an_anchor_that_was_named_has_to_be_there(db: blockdb.Database, tmp_path: Path) -> None:
    with pytest.raises(blockdb.AnchorFailed, match="not there"):
        restored(tmp_path, anchors=[Anchor(str(tmp_path / "nowhere"))])
    assert not (tmp_path / "copy").exists()
    (tmp_path / "anchor").unlink()
    assert "could not be asked" in restored(tmp_path).notes[0]


def test_going_back_is_no_contradiction(db: blockdb.Database, tmp_path: Path) -> None:
    db.put(b"b", b"2")
    db.publish()
    (tmp_path / "later").write_bytes(b"".join(db.backup()))
    found = restored(tmp_path, "later", anchors=[Anchor(str(tmp_path / "anchor"))], to=AsOf(sequence=0))
    assert "agrees" in found.notes[0]
    assert found.point is not None
    assert dict(found.point.records) == {"default": 1}
