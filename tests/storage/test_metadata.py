"""Manifest, metadata and registry: they come back, and what is not theirs is refused with the file's name."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from blockdb.errors import BlockDBError, Corruption, UnsupportedFormat
from blockdb.format import checked_toml
from blockdb.format.segment import HEADER_BYTES
from blockdb.storage import manifest, metadata
from blockdb.storage.door import Door
from blockdb.storage.manifest import Manifest, ReplayPoint
from blockdb.storage.metadata import Metadata

ID = "col_0f0e0d0c-0b0a-0908-0706-050403020100"
MANIFEST = Manifest(ID, 12, 900, 4, (3, 1), ReplayPoint(700, 10, 640))
METADATA = Metadata(ID, "default", 1_700_000_000, 7, redactable=True, description='"quoted"\n', created_by="ü")
REGISTRY = {"default": ID, "other": "col_1"}

DOOR = Door()
Load = Callable[[Door, Path], object]


def load_manifest(door: Door, path: Path) -> Manifest:
    return manifest.load(door, path, ID)


LOADERS: dict[str, Load] = {
    "manifest": load_manifest,
    "collection": metadata.load_metadata,
    "registry": metadata.load_registry,
}
KINDS = pytest.mark.parametrize("kind", LOADERS)


def test_they_come_back(tmp_path: Path) -> None:
    path = tmp_path / "file.toml"
    manifest.save(DOOR, path, MANIFEST)
    assert load_manifest(DOOR, path) == MANIFEST
    metadata.save_metadata(DOOR, path, METADATA)
    assert metadata.load_metadata(DOOR, path) == METADATA
    metadata.save_registry(DOOR, path, REGISTRY)
    assert metadata.load_registry(DOOR, path) == REGISTRY
    assert [file.name for file in tmp_path.iterdir()] == ["file.toml"]


def test_a_new_manifest_replays_everything() -> None:
    assert Manifest(ID).replay == ReplayPoint(HEADER_BYTES, 0, 0)
    assert (Manifest(ID).flushed_sequence, Manifest(ID).flushed_place, Manifest(ID).tables) == (0, HEADER_BYTES, ())


def test_a_manifest_with_other_tables_is_otherwise_the_same() -> None:
    assert MANIFEST.with_tables((9,), next_table=10) == replace(MANIFEST, tables=(9,), next_table=10)


def test_the_bytes_of_a_collection_are_those_of_its_uuid() -> None:
    assert METADATA.uuid == bytes(range(15, -1, -1))


@KINDS
def test_a_missing_or_damaged_file_is_named(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "file.toml"
    with pytest.raises(Corruption, match="missing") as caught:
        LOADERS[kind](DOOR, path)
    assert caught.value.path == str(path)
    for content in (b"", b"format = 1\n", b"\xff" * 80):
        path.write_bytes(content)
        with pytest.raises(Corruption, match="checksum") as caught:
            LOADERS[kind](DOOR, path)
        assert caught.value.path == str(path)


@KINDS
def test_a_newer_format_is_named_with_both_versions(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "file.toml"
    path.write_bytes(checked_toml.encode({"kind": kind, "format": 2}))
    with pytest.raises(UnsupportedFormat, match=r"format 2, and this version of BlockDB reads 1; upgrade"):
        LOADERS[kind](DOOR, path)


@KINDS
def test_a_file_of_another_kind_is_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "file.toml"
    path.write_bytes(checked_toml.encode({"kind": "letter", "format": 1}))
    with pytest.raises(Corruption, match=f"should be a {kind}, and is a letter"):
        LOADERS[kind](DOOR, path)


def test_a_manifest_of_another_collection_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file.toml"
    manifest.save(DOOR, path, MANIFEST)
    with pytest.raises(Corruption, match="another collection"):
        manifest.load(DOOR, path, ID.replace("0f", "1f"))


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("manifest", {}),
        ("manifest", {"collection": ID, "tables": []}),
        ("manifest", {"collection": ID, "tables": [], "replay": {"place": 1, "what": 2}}),
        ("manifest", {"collection": ID, "tables": 5, "replay": {}}),
        ("manifest", {"collection": ID, "tables": [], "replay": {}, "extra": 1}),
        ("collection", {"id": ID}),
        ("collection", {"id": "no uuid", "name": "x", "created_at": 1, "blockchain_batch_size": 1}),
        ("collection", {"id": ID, "name": "x", "created_at": 1, "blockchain_batch_size": 1, "extra": 1}),
        ("registry", {}),
        ("registry", {"collections": []}),
        ("registry", {"collections": {"default": 5}}),
    ],
)
def test_a_good_checksum_over_something_else_is_refused(kind: str, values: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "file.toml"
    path.write_bytes(checked_toml.encode({"kind": kind, "format": 1, **values}))
    with pytest.raises(BlockDBError) as caught:
        LOADERS[kind](DOOR, path)
    assert isinstance(caught.value, Corruption)
    assert caught.value.path == str(path)
