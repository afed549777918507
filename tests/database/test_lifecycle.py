"""The beginning and the end of collections: in the journal, in the registry, on the disk, whatever comes in between."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

import blockdb
from blockdb import Database
from blockdb.database.catalog import Catalog
from blockdb.database.proofs.journal import Journal
from blockdb.ledger.state import CREATED, DROPPED
from blockdb.storage.door import Door
from blockdb.storage.metadata import load_registry, save_registry
from tests.storage.doors import StillDoor, TroubledDoor, open_through, pairs, until
from tests.tiers import tiers


def events(db: Database, kind: str) -> list[dict[str, Any]]:
    journal = db._core.notary.journal(make=False)
    return [] if journal is None else [event for _, event in journal.events(kind)]


def directories(path: Path) -> set[str]:
    return {entry.name for entry in (path / "collections").iterdir()}


def check(path: Path) -> blockdb.Report:
    report = blockdb.verify(path)
    assert report.valid, report.problems
    return report


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "db"


def test_making_and_dropping_stand_in_the_journal(path: Path) -> None:
    with blockdb.open(path) as db:
        users = db.create_collection("users", created_by="ann")
        users.put_many(pairs(range(30)))
        receipt, note, key = users.prove(b"key00003"), users.checkpoint(), db.verifier_key()
        root = users.root_at(30)
        db.checkpoint()
        info = db.drop_collection("users", by="bob")
        assert (info.name, info.id, info.stats.document_count) == ("users", users.id, 30)
        [made], [gone] = events(db, CREATED), events(db, DROPPED)
        assert (made["collection"], made["name"], made["by"]) == (users.id, "users", "ann")
        assert (gone["collection"], gone["name"], gone["by"]) == (users.id, "users", "bob")
        assert (gone["records"], bytes.fromhex(gone["root"])) == (30, root)
        assert made["time_ms"] <= gone["time_ms"]
        assert users.id not in directories(path)
        assert "users" not in db.collection_names()
        [proven] = blockdb.verify_receipt(receipt.text, key).records
        assert proven.value == b"value3"
        assert note
        assert db.verify().valid
        again = db.create_collection("users")
        assert again.id != users.id
        assert again.count() == 0
        db.checkpoint()
    check(path)


def test_handles_of_it_say_that_it_is_gone(path: Path) -> None:
    with blockdb.open(path) as db, blockdb.open(path, read_only=True) as reader:
        users = db.create_collection("users")
        users.put_many(pairs(range(5)))
        attached = reader["users"]
        assert attached.count() == 5
        scan, records = users.scan(), attached.records()
        assert (next(scan), next(records).key) == (pairs([0])[0], b"key00000")
        db.drop_collection(users.id)
        assert list(scan) == pairs(range(1, 5)), "what was begun comes to its end"
        assert [record.key for record in records] == [key for key, _ in pairs(range(1, 5))]
        uses: list[Callable[[], object]] = [
            lambda: users.put(b"more", b""),
            lambda: users.put_many([(b"more", b"")]),
            lambda: users.get(b"key00001"),
            lambda: users.count(),
            lambda: users.stats(),
            lambda: users.flush(),
            lambda: users.prove(b"key00001"),
            lambda: db["users"],
            lambda: db.drop_collection("users"),
            lambda: reader["users"],
        ]
        for use in uses:
            with pytest.raises(blockdb.CollectionNotFound):
                use()

        def is_refused() -> bool:
            try:
                attached.get(b"key00001")
            except blockdb.CollectionNotFound:
                return True
            return False

        until(is_refused)


def test_readers_that_come_to_a_file_which_is_gone_are_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blockdb.storage.log.SEGMENT_SOFT_BYTES", 2_000)
    with blockdb.open(path) as db:
        users = db.create_collection("users")
        for item in pairs(range(300)):
            users.put(*item)
        users.flush()
        with blockdb.open(path, read_only=True) as reader:
            records = reader["users"].records()
            begun = list(islice(records, 3))
            db.drop_collection("users")
            try:
                rest = list(records)
            except blockdb.CollectionNotFound:
                return
            assert len(begun + rest) == 300


def test_what_cannot_be_dropped(path: Path) -> None:
    with blockdb.open(path) as db:
        db.create_collection("users")
        with pytest.raises(blockdb.InvalidData, match="default collection"):
            db.drop_collection("default")
        for name in ("_journal", "nothing"):
            with pytest.raises(blockdb.CollectionNotFound):
                db.drop_collection(name)
        with blockdb.open(path, read_only=True) as reader, pytest.raises(blockdb.ReadOnly):
            reader.drop_collection("users")
        assert db.has_collection("users")
    check(path)


# ── killed ───────────────────────────────────────────────────────────────────────────────────────────────────────


class CopyingDoor(StillDoor):
    """The real system, which copies the database before each change of a name: as a killed process would leave it."""

    def __init__(self, copies: Path) -> None:
        super().__init__()
        self.copies = copies
        self.source: Path | None = None
        self.count = 0

    def _copy(self) -> None:
        if self.source is not None:
            self.copy(self.source, self.copies / f"{self.count:03d}")
            self.count += 1

    def create(self, path: Path, data: bytes) -> None:
        self._copy()
        super().create(path, data)

    def rename(self, old: Path, new: Path) -> None:
        self._copy()
        super().rename(old, new)

    def remove(self, path: Path) -> None:
        self._copy()
        super().remove(path)

    def write(self, descriptor: int, data: Any) -> int:
        self._copy()
        return super().write(descriptor, data)


every = pytest.mark.parametrize("step", tiers([6], [1]))
"""Which of the moments at which a process may be killed are looked at."""


def copies_of(path: Path, change: Callable[[Database], object], step: int) -> list[Path]:
    door = CopyingDoor(path.with_name("copies"))
    with open_through(door, path) as db:
        db.put(b"key", b"value")
        db.create_collection("other").put(b"key", b"value")
        db.create_collection("users").put_many(pairs(range(20)))
        db.checkpoint()
        door.source = path
        change(db)
        door._copy()
        door.source = None
    first, *others, last = sorted(door.copies.iterdir())
    return [first, *others[::step], last]


@every
def test_a_process_that_is_killed_while_it_drops(path: Path, step: int) -> None:
    outcomes = []
    for copy in copies_of(path, lambda db: db.drop_collection("users", by="bob"), step):
        before = blockdb.verify(copy)
        assert before.valid, before.problems
        with blockdb.open(copy) as db:
            is_there = db.has_collection("users")
            outcomes.append(is_there)
            assert len(events(db, DROPPED)) == (not is_there)
            assert len(directories(copy)) == 3 + is_there
            assert db["other"].get(b"key") == b"value"
            if is_there:
                assert db["users"].count() == 20
            db.checkpoint()
        check(copy)
    assert outcomes[0]
    assert not outcomes[-1]
    assert outcomes == sorted(outcomes, reverse=True), "once it was begun, it is done"


@every
def test_a_process_that_is_killed_while_it_makes_one(path: Path, step: int) -> None:
    outcomes = []
    for copy in copies_of(path, lambda db: db.create_collection("more"), step):
        before = blockdb.verify(copy)
        assert before.valid, before.problems
        with blockdb.open(copy) as db:
            is_there = db.has_collection("more")
            outcomes.append(is_there)
            assert len(events(db, CREATED)) == 2 + is_there
            if is_there:
                db["more"].put(b"key", b"value")
            db.create_collection("still more")
        check(copy)
    assert not outcomes[0]
    assert outcomes[-1]


def test_where_the_journal_takes_nothing_the_collection_stays(path: Path) -> None:
    door = TroubledDoor()
    with open_through(door, path) as db:
        users = db.create_collection("users")
        users.put(b"key", b"value")
        with pytest.MonkeyPatch.context() as patch:

            def refuse(*_: object) -> int:
                raise blockdb.StorageError("writing to the log failed: no space left.")

            patch.setattr(Journal, "append", refuse)
            with pytest.raises(blockdb.StorageError):
                db.drop_collection("users")
            with pytest.raises(blockdb.StorageError):
                db.create_collection("more")
        assert users.put(b"more", b"") == 1
        assert not db.has_collection("more")
        assert len(directories(path)) == 3
        door.failing["rename", "collections.toml"] = errno.ENOSPC
        with pytest.raises(blockdb.StorageError):
            db.drop_collection("users")
        door.failing.clear()
    with blockdb.open(path) as db:
        assert not db.has_collection("users"), "it stands in the journal"
    check(path)


# ── on purpose, or not ───────────────────────────────────────────────────────────────────────────────────────────


def take_away(path: Path, name: str, forget: bool) -> None:
    registry = path / "global_metadata" / "collections.toml"
    names = load_registry(Door(), registry)
    collection_id = names.pop(name) if forget else names[name]
    save_registry(Door(), registry, names)
    (path / "collections" / collection_id).rename(path.with_name("taken"))


@pytest.mark.parametrize("has_state", [False, True])
def test_a_collection_that_went_without_a_word_is_missed(path: Path, has_state: bool, tmp_path: Path) -> None:
    anchor = tmp_path / "anchor"
    with blockdb.open(path) as db:
        for name in ("users", "dropped"):
            db.create_collection(name).put(b"key", b"value")
        if has_state:
            db.add_anchor(anchor)
            db.publish()
        db.drop_collection("dropped")
        assert db.verify().valid, "what was dropped on purpose is not missed"
    check(path)
    take_away(path, "users", forget=True)
    report = blockdb.verify(path)
    problem, *_ = [problem for problem in report.problems if "dropped" in problem.what]
    assert "the collection users" in problem.what
    if has_state:
        with blockdb.open(path) as db:
            [found] = db.check_anchors()
            assert "the collection users" in found.what


def test_a_collection_that_came_back_is_told_of(path: Path) -> None:
    with blockdb.open(path) as db:
        users = db.create_collection("users")
        users.put(b"key", b"value")
        db.checkpoint()
        kept = path.with_name("kept")
        os.system(f"cp -r {path / 'collections' / users.id} {kept}")
        db.drop_collection("users")
    kept.rename(path / "collections" / users.id)
    registry = path / "global_metadata" / "collections.toml"
    save_registry(Door(), registry, {**load_registry(Door(), registry), "users": users.id})
    report = blockdb.verify(path)
    assert any("was dropped, and the registry has it" in problem.what for problem in report.problems)


def test_the_registry_is_followed_by_those_who_only_read(path: Path) -> None:
    with blockdb.open(path) as db, blockdb.open(path, read_only=True) as reader:
        for number in range(3):
            users = db.create_collection("users")
            users.put(b"%d" % number, b"value")
            assert list(reader["users"].keys()) == [b"%d" % number]
            db.drop_collection("users")
            assert not reader.has_collection("users")
        assert isinstance(reader._core.catalog, Catalog)
