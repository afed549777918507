"""Repair rebuilds what the chain tells, keeps what it replaces, and loses no record in silence."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import blockdb
from blockdb.format import packed

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
    at = whole.index(b"key0450value 450")
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


# ── packed chain files ───────────────────────────────────────────────────────────────────────────────────────────


def pack_in_small_chunks(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("blockdb.storage.log.PACKED_SEGMENT_BYTES", 8_000)
    patch.setattr("blockdb.format.packed.CHUNK_BYTES", 1_000)


@pytest.fixture(scope="module")
def packed_original(original: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same records in several packed files, a few more in the last chain file."""
    path = tmp_path_factory.mktemp("packed") / "db"
    items = list(RECORDS.items())
    with pytest.MonkeyPatch.context() as patch:
        pack_in_small_chunks(patch)
        with blockdb.open(path, blockchain_batch_size=20, compression_enabled=True) as db:
            for key, value in items[:300]:
                db.put(key, value)
            db.put_many(items[300:500])
            for key, value in items[500:690]:
                db.put(key, value)
            db.compact()
            db.put_many(items[690:])
    assert len(list(path.glob("collections/*/chain/*.zst"))) > 3
    return path


@pytest.fixture
def packed_path(packed_original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(packed_original, tmp_path / "db"))


def packed_file(path: Path, number: int) -> Path:
    return one(path, f"collections/*/chain/{number:08d}.chain.zst")


def keys_in(data: bytes) -> set[bytes]:
    """The keys of the records in a part of a chain."""
    return {key for key in RECORDS if key in data}


def damage_chunk(file: Path, number: int) -> set[bytes]:
    """Change a chunk, and return the keys that it held."""
    data = file.read_bytes()
    index = packed.decode(data)
    flip(file, (index.offsets[number] + index.offsets[number + 1]) // 2)
    return keys_in(packed.chunk(data, index, number))


def repaired(path: Path) -> tuple[blockdb.Repair, dict[bytes, bytes], dict[bytes, bytes]]:
    """The result, what is kept, and what stands in the files of salvaged records; nothing of it is wrong."""
    result = blockdb.repair(path)
    salvaged = {}
    for file in path.glob("quarantine/*/salvaged.jsonl"):
        for line in file.read_text().splitlines():
            item = json.loads(line)
            salvaged[base64.b64decode(item["key"])] = base64.b64decode(item["value"])
    with blockdb.open(path) as db:
        kept = dict(db.scan())
        assert [record.value for record in db.records()] == list(RECORDS.values())[: len(kept)]
        for key, value in kept.items():
            assert db.get(key) == value
        assert not kept.keys() & salvaged.keys()
        assert {**kept, **salvaged}.items() <= RECORDS.items()
    assert result.salvaged == len(salvaged)
    return result, kept, salvaged


def assert_whole_again(path: Path, result: blockdb.Repair, kept: int) -> None:
    """The audit finds nothing any more, and it is written on, with packing and without."""
    assert result.after.valid, result.after.problems
    for number, compression_enabled in enumerate((False, True)):
        with blockdb.open(path, compression_enabled=compression_enabled) as db:
            db.put(b"new%d" % number, b"written after the repair")
            db.compact()
            assert db.count() == len(list(db.records())) == kept + number + 1
            assert db.verify().valid


CHUNKS = [(2, 1), (-1, 0)]
MORE_CHUNKS = [(0, 1), (0, -1), (2, 0), (2, -1), (-1, 1), (-1, -1)]


@pytest.mark.parametrize(
    ("file", "chunk"), [*CHUNKS, *(pytest.param(*where, marks=pytest.mark.torture) for where in MORE_CHUNKS)]
)
def test_a_damaged_chunk_costs_its_own_records(packed_path: Path, file: int, chunk: int) -> None:
    files = sorted(packed_path.glob("collections/*/chain/*.zst"))
    index = packed.decode(files[file].read_bytes())
    lost = damage_chunk(files[file], chunk % index.chunks)
    result, kept, salvaged = repaired(packed_path)
    assert RECORDS.keys() - kept.keys() - salvaged.keys() <= lost
    assert salvaged
    assert result.quarantine is not None
    assert (result.quarantine / files[file].relative_to(packed_path)).exists()
    assert_whole_again(packed_path, result, len(kept))


def test_without_the_beginning_of_the_chain_nothing_is_repaired(packed_path: Path) -> None:
    first = min(packed_path.glob("collections/*/chain/*.zst"))
    damage_chunk(first, 0)
    with pytest.raises(blockdb.Corruption, match="the first chain file"):
        blockdb.repair(packed_path)


HEADER = packed.HEADER_BYTES
PACKED_DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "header": lambda data: data[:30] + bytes([data[30] ^ 1]) + data[31:],
    "header zeroed": lambda data: bytes(HEADER) + data[HEADER:],
    "digest of the chunks": lambda data: data[:55] + bytes([data[55] ^ 1]) + data[56:],
    "seek table": lambda data: data[:-20] + bytes([data[-20] ^ 1]) + data[-19:],
    "packed sizes in the seek table": lambda data: data[:-25] + bytes([data[-25] ^ 1]) + data[-24:],
    "end of the seek table": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    "cut in the seek table": lambda data: data[:-30],
    "seek table gone": lambda data: data[: packed.decode(data).offsets[-1]],
    "more after it": lambda data: data + b"more",
}


QUICK_DAMAGE = {"header", "seek table", "seek table gone"}


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        pytest.param(file, damage, marks=[] if file == 2 and damage in QUICK_DAMAGE else pytest.mark.torture)
        for file in (0, 2, -1)
        for damage in PACKED_DAMAGE
    ],
)
def test_where_all_chunks_are_intact_all_records_stay(packed_path: Path, file: int, damage: str) -> None:
    damaged = sorted(packed_path.glob("collections/*/chain/*.zst"))[file]
    damaged.write_bytes(PACKED_DAMAGE[damage](damaged.read_bytes()))
    result, kept, salvaged = repaired(packed_path)
    assert not salvaged
    assert kept == RECORDS
    assert_whole_again(packed_path, result, len(kept))


def test_the_last_chain_file_that_is_left_is_a_packed_one(packed_path: Path) -> None:
    last = max(packed_path.glob("collections/*/chain/*.chain"))
    lost = keys_in(last.read_bytes())
    last.unlink()
    result, kept, salvaged = repaired(packed_path)
    assert kept.keys() == RECORDS.keys() - lost
    assert not salvaged
    assert_whole_again(packed_path, result, len(kept))


@pytest.mark.parametrize("harm", [Path.unlink, lambda file: file.write_bytes(b"")], ids=["missing", "emptied"])
def test_a_packed_file_is_gone(packed_path: Path, harm: Callable[[Path], None]) -> None:
    file = packed_file(packed_path, 2)
    lost = keys_in(packed.unpack(file.read_bytes()))
    harm(file)
    result, kept, salvaged = repaired(packed_path)
    assert RECORDS.keys() - kept.keys() - salvaged.keys() == lost
    assert_whole_again(packed_path, result, len(kept))


def test_what_is_derived_is_rebuilt_from_packed_files(packed_path: Path) -> None:
    for pattern in DERIVED:
        for file in packed_path.glob(pattern):
            file.unlink()
    before = {file: file.read_bytes() for file in packed_path.glob("collections/*/chain/*")}
    result, kept, salvaged = repaired(packed_path)
    assert (kept, salvaged) == (RECORDS, {})
    assert {file: file.read_bytes() for file in packed_path.glob("collections/*/chain/*")} == before
    assert_whole_again(packed_path, result, len(kept))


def test_a_damaged_chain_file_beside_its_packed_form(packed_path: Path) -> None:
    """A writer was killed before it removed what it had packed, and then the chain file was damaged."""
    file = packed_file(packed_path, 1)
    data = packed.unpack(file.read_bytes())
    chain = file.with_suffix("")
    chain.write_bytes(data)
    flip(chain, len(data) // 2)
    result, kept, salvaged = repaired(packed_path)
    assert {**kept, **salvaged} == RECORDS
    assert_whole_again(packed_path, result, len(kept))


def test_a_repair_that_was_killed_while_it_unpacked(packed_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next repair finds what the first one had before it."""
    lost = damage_chunk(packed_file(packed_path, 2), 1)

    def be_killed(data: bytes) -> bytes:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("blockdb.database.repairing.repair.packed.salvage", be_killed)
        with pytest.raises(KeyboardInterrupt):
            blockdb.repair(packed_path)
    _, kept, salvaged = repaired(packed_path)
    assert RECORDS.keys() - kept.keys() - salvaged.keys() <= lost


def test_a_repair_of_what_was_repaired_finds_nothing(packed_path: Path) -> None:
    damage_chunk(packed_file(packed_path, 1), 1)
    blockdb.repair(packed_path)
    again = blockdb.repair(packed_path)
    assert again.before.valid, again.before.problems
    assert not again.actions
