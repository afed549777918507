"""Repair rebuilds what the chain tells, keeps what it replaces, and loses no record in silence."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import blockdb

RECORDS = {b"key%04d" % number: b"value %d" % number for number in range(700)}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("original") / "db"
    items = list(RECORDS.items())
    with blockdb.open(path, blockchain_batch_size=20, memtable_size_limit=65_536) as db:
        for key, value in items[:300]:
            db.put(key, value)
        db.flush()
        db.put_many(items[300:500])
        for key, value in items[500:]:
            db.put(key, value)
    return path


@pytest.fixture
def path(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "db"))


def one(path: Path, pattern: str) -> Path:
    return min(path.glob(pattern))


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 0x10
    path.write_bytes(data)


def test_an_intact_database_is_left_alone(path: Path) -> None:
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    result = blockdb.repair(path)
    assert result.before.valid
    assert not result.actions
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == before


DERIVED = ["collections/*/tables/*", "collections/*/manifest.toml", "collections/*/log.mark", "keys/public.toml"]
KEPT_ONCE = ["collections/*/metadata.toml", "global_metadata/collections.toml", "keys/signing.toml"]


FLIPPED = [
    pytest.param(pattern, lambda file: flip(file, 40), id=f"flipped-{pattern}") for pattern in DERIVED + KEPT_ONCE
]
MISSING = [pytest.param(pattern, Path.unlink, id=f"missing-{pattern}") for pattern in DERIVED + KEPT_ONCE[:2]]


@pytest.mark.parametrize(("pattern", "damage"), FLIPPED + MISSING)
def test_what_can_be_derived_is_rebuilt(path: Path, pattern: str, damage: Callable[[Path], None]) -> None:
    damaged = one(path, pattern)
    name = damaged.relative_to(path).as_posix()
    damage(damaged)
    assert not blockdb.verify(path).valid
    result = blockdb.repair(path)
    assert any(problem.path == name for problem in result.before.problems)
    assert result.after.valid, result.after.problems
    assert result.actions
    with blockdb.open(path) as db:
        assert dict(db.scan()) == RECORDS
        db.put(b"new", b"written after the repair")
        assert db.verify().valid


def test_the_chain_is_kept_up_to_the_damage_and_the_rest_is_salvaged(path: Path) -> None:
    chain = one(path, "collections/*/chain/*")
    whole = chain.read_bytes()
    at = whole.index(b"value 450")
    flip(chain, at)
    result = blockdb.repair(path)
    assert result.after.valid, result.after.problems
    assert result.quarantine is not None
    with blockdb.open(path) as db:
        kept = dict(db.scan())
    salvaged = {}
    for line in (result.quarantine / "salvaged.jsonl").read_text().splitlines():
        item = json.loads(line)
        salvaged[base64.b64decode(item["key"])] = base64.b64decode(item["value"])
    assert result.salvaged == len(salvaged)
    assert not kept.keys() & salvaged.keys()
    lost = RECORDS.keys() - kept.keys() - salvaged.keys()
    assert lost == {b"key0450"}
    assert {**kept, **salvaged}.items() <= RECORDS.items()
    assert (result.quarantine / chain.relative_to(path)).read_bytes()[:at] == whole[:at]


def test_a_database_that_is_being_written_is_not_repaired(path: Path) -> None:
    with blockdb.open(path), pytest.raises(blockdb.DatabaseLocked):
        blockdb.repair(path)


def test_what_is_no_database_is_not_repaired(tmp_path: Path) -> None:
    with pytest.raises(blockdb.DatabaseNotFound):
        blockdb.repair(tmp_path)
