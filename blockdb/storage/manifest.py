"""The manifest: which tables count, and from where the log is replayed. Format page: docs/formats/checked-toml.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from blockdb.errors import Corruption, UnsupportedFormat
from blockdb.format import checked_toml
from blockdb.format.frame import BadFrame
from blockdb.format.segment import HEADER_BYTES
from blockdb.storage.door import Door

FORMAT: Final = 1
KIND: Final = "manifest"


@dataclass(frozen=True)
class ReplayPoint:
    """Where the open block began when the last flushed memtable was frozen.

    `head_seal` is the place of the last seal then, 0 if there was none: with it, the chain goes on from here.
    """

    place: int = HEADER_BYTES
    sequence: int = 0
    head_seal: int = 0


@dataclass(frozen=True)
class Manifest:
    """The tables are in commit order and cover the records from 0 to `flushed_sequence - 1` without a gap."""

    collection: str
    flushed_sequence: int = 0
    flushed_place: int = HEADER_BYTES
    next_table: int = 1
    tables: tuple[int, ...] = ()
    replay: ReplayPoint = ReplayPoint()

    def with_tables(self, tables: tuple[int, ...], **changes: Any) -> Manifest:
        """This manifest with other tables."""
        return replace(self, tables=tables, **changes)


def save(door: Door, path: Path, manifest: Manifest) -> None:
    """Put the manifest in the place of the one on disk, at once."""
    save_checked(door, path, KIND, asdict(manifest))


def load(door: Door, path: Path, collection: str) -> Manifest:
    """The manifest of a collection on disk. Raises Corruption."""
    values = load_checked(door, path, KIND)
    try:
        replay = ReplayPoint(**values.pop("replay"))
        manifest = Manifest(replay=replay, tables=tuple(values.pop("tables")), **values)
    except (KeyError, TypeError) as error:
        raise Corruption(str(path), None, f"its contents are not those of a manifest: {error}") from None
    if manifest.collection != collection:
        raise Corruption(str(path), None, "the manifest is that of another collection")
    return manifest


def save_checked(door: Door, path: Path, kind: str, values: Mapping[str, Any]) -> None:
    """Put one of our TOML files in the place of the one on disk, at once. `kind` says what it is."""
    door.replace(path, checked_toml.encode({"kind": kind, "format": FORMAT, **values}))


def load_checked(door: Door, path: Path, kind: str) -> dict[str, Any]:
    """The values of one of our TOML files, its checksum, kind and format number checked.

    Raises Corruption, or UnsupportedFormat where a newer version wrote it.
    """
    try:
        values = checked_toml.decode(door.read(path))
    except FileNotFoundError:
        raise Corruption(str(path), None, "the file is missing") from None
    except BadFrame as error:
        raise Corruption(str(path), None, str(error)) from None
    found = values.pop("kind", None)
    if found != kind:
        raise Corruption(str(path), None, f"the file should be a {kind}, and is a {found or 'file of no kind'}")
    version = values.pop("format", None)
    if version != FORMAT:
        raise UnsupportedFormat(f"{path} has format {version}, and this version of BlockDB reads {FORMAT}; upgrade it.")
    return values
