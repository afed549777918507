"""Backups that go on from others, and going back to a moment: what comes of them is what was there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import time_ns
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import blockdb
from blockdb import AsOf
from blockdb.database.backup import linking, scanning
from blockdb.database.proofs import keys
from blockdb.format.backup_header import Header, LogFile
from blockdb.interface.backups import read_header
from blockdb.layout import DatabaseFiles
from blockdb.storage.door import Door
from blockdb.types import Act
from tests.tiers import tiers

MASTER_KEY = bytes(range(32))
Contents = dict[str, list[tuple[bytes, bytes | None]]]


def tick() -> int:
    """The time, after which another millisecond has begun."""
    now = time_ns() // 1_000_000
    while time_ns() // 1_000_000 == now:
        pass
    return now


def contents(db: blockdb.Database) -> Contents:
    """All records of all collections, in commit order; None for a value that was redacted."""
    return {
        name: [(it.key, None if it.redacted else it.value) for it in db.collection(name).records()]
        for name in db.collection_names()
    }


def write(stream: Any, path: Path) -> Path:
    with stream, path.open("wb") as file:
        file.writelines(stream)
    return path


def restored(paths: list[Path], target: Path, **more: Any) -> blockdb.Restored:
    """A database of backups, in which an audit finds nothing."""
    with paths[0].open("rb") as first:
        files = [path.open("rb") for path in paths[1:]]
        try:
            found = blockdb.restore(first, target, increments=files, **more)
        finally:
            for file in files:
                file.close()
    assert found.report is not None
    assert found.report.problems == ()
    return found


@dataclass
class World:
    """A database, its backups, and what was there at moments of its life."""

    root: Path
    db: blockdb.Database
    secrets: dict[str, Any]
    backups: list[Path] = field(default_factory=list)
    moments: list[tuple[int, Contents]] = field(default_factory=list)
    number: int = 0
    redacted: set[bytes] = field(default_factory=set)
    keys: int = 0

    def step(self, what: str) -> None:
        self.number += 1
        getattr(self, what)()
        self.moments.append((tick(), contents(self.db)))

    def put(self) -> None:
        self.db.put(b"k%d" % self.number, b"value%d" % self.number)

    def put_many(self) -> None:
        self.db.put_many([(b"m%d-%d" % (self.number, each), b"v" * each) for each in range(1, 8)])

    def other(self) -> None:
        if "other" not in self.db.collection_names():
            self.db.create_collection("other")
            return
        self.db.collection("other").put(b"o%d" % self.number, {"n": self.number})

    def index(self) -> None:
        self.other()
        names = [index.name for index in self.db.collection("other").indexes()]
        if len(names) < 2:
            self.db.collection("other").create_index(f"by_{self.number}", "n")

    def both(self) -> None:
        self.other()
        with self.db.transaction() as transaction:
            transaction.put(b"b%d" % self.number, b"1")
            transaction.put(b"b%d" % self.number, {"n": -1}, collection="other")

    def schema(self) -> None:
        self.other()
        if self.db.collection("other").schema is None:
            self.db.collection("other").set_schema({"fields": {"n": {"field_type": "Integer"}}})

    def redact(self) -> None:
        keys = [key for key, value in contents(self.db)["default"] if value is not None]
        if keys:
            self.redacted.add(keys[self.number % len(keys)])
            self.db.redact(keys[self.number % len(keys)], reason="asked for")

    def rotate(self) -> None:
        self.db.rotate_key()
        self.keys += 1

    def flush(self) -> None:
        self.db.flush()

    def compact(self) -> None:
        self.db.put(b"c%d" % self.number, b"")
        self.db.flush()
        self.db.compact()

    def checkpoint(self) -> None:
        self.db.checkpoint()

    def reopen(self) -> None:
        self.db.close()
        self.db = blockdb.open(self.root / "db", **self.secrets)

    def backup(self) -> None:
        older = self.backups[-1] if self.backups else None
        path = self.root / f"{len(self.backups):03}.tar.zst"
        self.backups.append(write(self.db.backup(since=older, signing_key=True), path))
        self.moments.append((tick(), contents(self.db)))

    def check(self, to: int, want: Contents, target: Path) -> None:
        """See that what is restored to a moment is what was there, and a part of the history that there is now."""
        found = restored(self.backups, target, to=AsOf(time_ms=to), **self.secrets)
        with blockdb.open(target, read_only=True, **self.secrets) as copy:
            assert contents(copy) == want | {"default": self.as_of_now(want["default"])}
            for name in copy.collection_names():
                size = copy.collection(name).count()
                assert copy.root_at(size, name) == self.db.root_at(size, name)
        assert found.point is not None
        assert found.point.records == {name: len(records) for name, records in want.items()}
        assert not any(path.read_bytes().count(b"later-") for path in target.rglob("*") if path.is_file())
        if found.has_signing_key:
            with blockdb.open(target, **self.secrets) as copy:
                copy.put(b"new", b"1")
                assert copy.verify().problems == ()
        shutil.rmtree(target)

    def as_of_now(self, records: list[tuple[bytes, bytes | None]]) -> list[tuple[bytes, bytes | None]]:
        return [(key, None if key in self.redacted else value) for key, value in records]


STEPS = ["put", "put_many", "other", "both", "index", "schema", "redact", "rotate", "flush", "compact", "checkpoint"]
STEPS += ["reopen", "backup", "backup"]
KINDS = {"plain": {}, "packed": {"compression_enabled": True}, "encrypted": {"encryption_enabled": True}}


def made(root: Path, kind: str) -> World:
    secrets = {"master_key": MASTER_KEY} if kind == "encrypted" else {}
    db = blockdb.open(root / "db", blockchain_batch_size=5, redactable=True, **KINDS[kind], **secrets)  # type: ignore[arg-type]
    return World(root, db, secrets)


def run(root: Path, kind: str, steps: list[str], every: int) -> None:
    world = made(root, kind)
    try:
        for step in ["put", "backup", *steps, "backup"]:
            world.step(step)
        with blockdb.open(root / "db", read_only=True, **world.secrets) as there:
            want = contents(there)
        assert restored(world.backups, root / "whole", **world.secrets).point is None
        with blockdb.open(root / "whole", read_only=True, **world.secrets) as copy:
            assert contents(copy) == want
        end = read_header(world.backups[-1]).time_ms
        moments = [moment for moment in world.moments if moment[0] <= end]
        for to, what in moments[:: max(1, len(moments) // every)]:
            world.check(to, what, root / "copy")
    finally:
        world.db.close()


@pytest.mark.parametrize("kind", tiers(["encrypted"], ["plain", "packed"]))
def test_each_moment_comes_back(tmp_path: Path, kind: str) -> None:
    steps = ["put_many", "both", "backup", "index", "redact", "rotate", "both", "compact", "backup", "redact", "put"]
    run(tmp_path, kind, steps, every=3)


@pytest.mark.torture
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(st.sampled_from(STEPS), max_size=25))
def test_whatever_happened_each_moment_comes_back(
    tmp_path_factory: pytest.TempPathFactory, kind: str, steps: list[str]
) -> None:
    root = tmp_path_factory.mktemp("world")
    try:
        run(root, kind, steps, every=8)
    finally:
        shutil.rmtree(root)


# Blocks and records, and commits that stay whole.


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Twelve records of `default`, two more at once, and one of `other` at the same time as the last."""
    world = made(tmp_path, "plain")
    for _ in range(12):
        world.step("put")
    world.db.create_collection("other")
    world.step("both")
    world.step("put_many")
    world.step("backup")
    return world


def records_at(world: World, to: AsOf, **more: Any) -> tuple[dict[str, int], tuple[str, ...]]:
    found = restored(world.backups, world.root / "copy", to=to, **more)
    shutil.rmtree(world.root / "copy")
    assert found.point is not None
    return dict(found.point.records), found.notes


def test_a_block_or_a_record_cuts_its_collection_and_the_others_at_its_time(world: World) -> None:
    assert records_at(world, AsOf(block=0)) == ({"default": 5}, ())
    assert records_at(world, AsOf(sequence=11)) == ({"default": 12}, ())
    assert records_at(world, AsOf(sequence=1), collection="other")[0] == {"default": 13, "other": 2}
    counts, [note] = records_at(world, AsOf(sequence=15))
    assert counts == {"default": 13, "other": 2}
    assert "amid a commit" in note


@pytest.mark.parametrize(
    ("to", "match"),
    [
        (AsOf(sequence=99), "does not have record 99"),
        (AsOf(block=99), "does not have block 99"),
        (AsOf(time_ms=1 << 45), "has nothing of"),
        (AsOf(time_ms=1), "there was none"),
    ],
)
def test_a_moment_that_the_backup_does_not_have(world: World, to: AsOf, match: str) -> None:
    with pytest.raises(blockdb.InvalidData, match=match):
        restored(world.backups, world.root / "copy", to=to)
    assert sorted(path.name for path in world.root.iterdir()) == ["000.tar.zst", "db"]


def test_of_a_transaction_there_is_all_or_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the clock says that its parts are of different times."""
    found = scanning.reach

    def later(chain: Any, end: int, limit: scanning.Limit, decided: Callable[[int], bool]) -> scanning.Reach:
        if limit.time_ms is not None and limit.transaction is None and chain._files.root.name in other:
            limit = scanning.Limit(time_ms=limit.time_ms - 1_000_000)
        return found(chain, end, limit, decided)

    registry = (world.root / "db" / "global_metadata" / "collections.toml").read_text()
    other = next(line for line in registry.splitlines() if line.startswith("other"))
    monkeypatch.setattr("blockdb.database.backup.point.reach", later)
    assert records_at(world, AsOf(time_ms=world.moments[-3][0]))[0] == {"default": 12, "other": 0}


def test_a_collection_that_was_dropped_later_is_not_made_up(world: World) -> None:
    when, _ = world.moments[-3]
    world.db.drop_collection("other")
    world.step("backup")
    with pytest.raises(blockdb.InvalidData, match="other was dropped after that moment"):
        restored(world.backups, world.root / "copy", to=AsOf(time_ms=when))
    restored(world.backups[:1], world.root / "copy", to=AsOf(time_ms=when))
    restored(world.backups, world.root / "now")
    assert len(list((world.root / "now" / "collections").iterdir())) == 2


def test_what_came_later_is_in_no_file(tmp_path: Path) -> None:
    world = made(tmp_path, "plain")
    world.step("put")
    world.step("other")
    when = tick()
    world.db.put(b"later-key", b"later-value")
    world.db.collection("other").put(b"later-key", {"later-field": 1})
    with world.db.transaction() as transaction:
        transaction.put(b"later-1", b"later-value")
        transaction.put(b"later-1", {"n": 1}, collection="other")
    world.db.create_collection("later-name")
    world.db.collection("other").create_index("later-index", "later-field")
    world.db.checkpoint()
    world.step("backup")
    restored(world.backups, tmp_path / "copy", to=AsOf(time_ms=when))
    names = [path for path in (tmp_path / "copy").rglob("*") if path.is_file() and b"later" in path.read_bytes()]
    assert names == []
    assert len(list((tmp_path / "copy" / "collections").iterdir())) == 3
    world.db.close()


def test_the_audit_log_is_that_of_then(tmp_path: Path) -> None:
    def act(number: int) -> Act:
        return Act(tick(), "ann", "", "", "http", "put", "default", b"k", 1, 1, "ok", f"{number}")

    world = made(tmp_path, "plain")
    log = world.db.audit_log()
    for number in range(3):
        log.append(act(number))
    world.db.journal_audit_log()
    log.append(act(3))
    when = tick()
    log.append(act(4))
    world.step("put")
    world.step("backup")
    log.append(act(5))
    world.step("backup")
    found = restored(world.backups, tmp_path / "copy", to=AsOf(time_ms=when))
    assert found.report is not None
    assert "not signed since" in " ".join(found.report.notes)
    with blockdb.open(tmp_path / "copy") as copy:
        assert [each.request_id for each in copy.acts()] == [f"{number}" for number in range(4)]
        copy.audit_log().append(act(6))
    assert blockdb.verify(tmp_path / "copy").problems == ()
    with blockdb.open(restored(world.backups, tmp_path / "all").path, read_only=True) as copy:
        assert [each.request_id for each in copy.acts()] == [f"{number}" for number in range(6)]
    world.db.close()


# Increments.


@pytest.fixture
def chain(tmp_path: Path) -> list[Path]:
    """A whole backup, and three that go on from each other."""
    world = made(tmp_path, "plain")
    for _ in range(4):
        for step in ("put", "both", "backup"):
            world.step(step)
    world.db.close()
    return world.backups


def refused(paths: list[Path], match: str) -> None:
    target = paths[0].parent / "copy"
    with pytest.raises(blockdb.InvalidData, match=match):
        restored(paths, target)
    assert not target.exists()
    assert not target.with_name("copy.restoring").exists()


def test_backups_have_to_belong_together(chain: list[Path], tmp_path: Path) -> None:
    full, one, two, three = chain
    refused([one], r"001.tar.zst goes on from another backup, .* which is missing")
    refused([full, two, three], r"002.tar.zst does not go on from .*000.tar.zst, but .* missing")
    refused([full, two, one, three], r"002.tar.zst does not go on from .*001.tar.zst, which has to come right before")
    refused([full, one, one], r"001.tar.zst does not go on from .*wrong order")
    refused([full, full], "a whole backup and goes on from none")
    with blockdb.open(tmp_path / "another") as db:
        alien = write(db.backup(), tmp_path / "alien.tar.zst")
    refused([full, alien], "another database")
    with blockdb.open(tmp_path / "another") as db, pytest.raises(blockdb.InvalidData, match="another database"):
        db.backup(since=full)


def test_an_increment_has_what_is_new(tmp_path: Path) -> None:
    world = made(tmp_path, "plain")
    world.db.put_many([(b"%d" % number, bytes(1000)) for number in range(2000)])
    world.step("backup")
    world.step("put")
    world.step("backup")
    header = json.loads(blockdb.backup(world.root / "db", since=world.backups[0]).header.encode())
    assert (header["kind"], header["most_bytes"] < 20_000) == ("increment", True)
    assert all(start > 0 for start in header["parts"].values())
    world.db.close()


def test_what_was_redacted_does_not_come_back(tmp_path: Path) -> None:
    world = made(tmp_path, "plain")
    world.db.put(b"a", b"a secret value")
    world.step("backup")
    world.db.redact(b"a", reason="asked for")
    world.step("backup")
    world.step("put")
    world.step("backup")
    for to in (None, AsOf(time_ms=world.moments[0][0])):
        restored(world.backups, tmp_path / "copy", to=to)
        assert not any(b"a secret value" in path.read_bytes() for path in (tmp_path / "copy").rglob("*.chain"))
        with blockdb.open(tmp_path / "copy") as copy, pytest.raises(blockdb.Redacted):
            copy.get(b"a")
        assert blockdb.verify(tmp_path / "copy").problems == ()
        shutil.rmtree(tmp_path / "copy")
    world.db.close()


def test_what_was_redacted_in_a_file_that_was_full_does_not_come_back(tmp_path: Path) -> None:
    world = made(tmp_path, "plain")
    world.db.put_many([(b"a", b"a secret value"), (b"b", b"2")])
    world.db.redact(b"b", reason="asked for")  # from now on the file takes no more
    world.step("backup")
    world.db.redact(b"a", reason="asked for")
    world.step("backup")
    with blockdb.open(restored(world.backups, tmp_path / "copy").path) as copy, pytest.raises(blockdb.Redacted):
        copy.get(b"a")
    world.db.close()


def test_keys_are_those_of_then(tmp_path: Path) -> None:
    world = made(tmp_path, "plain")
    world.step("put")
    older = shutil.copy(tmp_path / "db" / "keys" / "signing.toml", tmp_path / "older.toml")
    world.step("rotate")
    world.step("put")
    world.step("backup")
    found = restored(world.backups, tmp_path / "copy", to=AsOf(time_ms=world.moments[0][0]))
    assert not found.has_signing_key
    assert "The signing key in the backup was made later" in " ".join(found.notes)
    with blockdb.open(tmp_path / "copy", key_file=str(older)) as copy:
        copy.put(b"more", b"1")
        assert copy.verify().notes == ()
        assert len(keys.load_public_keys(Door(), DatabaseFiles(tmp_path / "copy"))) == 1
    world.db.close()


def test_a_parent_is_known_by_its_hash() -> None:
    whole = Header("a", 1, "db", False, False, 0, {}, logs={"x": LogFile(1, 2, 3)})
    more = Header("b", 2, "db", False, False, 0, {}, kind="increment", parent="a", parent_digest=whole.digest())
    linking.check_linked([("one", whole), ("two", more)])
    with pytest.raises(blockdb.InvalidData, match="two goes on from the backup a, and one says that it is that one"):
        linking.check_linked([("one", replace(whole, time_ms=0)), ("two", more)])
    assert [name for name, _ in linking.in_order([("two", more), ("one", whole)])] == ["one", "two"]
    for found, match in (([("two", more)], "one whole backup"), ([("a", whole), ("b", more), ("c", more)], "b and c")):
        with pytest.raises(blockdb.InvalidData, match=match):
            linking.in_order(found)


def test_a_chain_that_was_put_back_is_not_gone_on_from(chain: list[Path], tmp_path: Path) -> None:
    with (
        blockdb.open(restored(chain[:2], tmp_path / "old").path) as db,
        pytest.raises(blockdb.InvalidData, match="ends before the place"),
    ):
        db.backup(since=chain[-1])


def test_a_copy_of_the_files_is_taken_anew(chain: list[Path], tmp_path: Path) -> None:
    """Of other files than those of the older backup nothing is left out, however alike they are."""
    shutil.copytree(tmp_path / "db", tmp_path / "moved")
    with blockdb.backup(tmp_path / "moved", since=chain[-1]) as stream:
        assert (len(stream.header.parts), len(stream.header.kept)) == (0, 0)
        again = write(stream, tmp_path / "again.tar.zst")
    with blockdb.open(restored([*chain, again], tmp_path / "copy").path, read_only=True) as copy:
        assert copy.count() == 8
