"""The manifest: which tables count, and from where the log is replayed. Format page: docs/formats/checked-toml.md."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from blockdb.errors import Corruption, UnsupportedFormat
from blockdb.format import checked_toml
from blockdb.format.frame import BadFrame
from blockdb.format.segment import HEADER_BYTES
from blockdb.storage.door import Door

FORMAT: Final = 1


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
    door.replace(path, checked_toml.encode({"format": FORMAT, **asdict(manifest)}))


def load(door: Door, path: Path) -> Manifest:
    """The manifest on disk. Raises Corruption."""
    values = load_checked(door, path)
    try:
        replay = ReplayPoint(**values.pop("replay"))
        return Manifest(replay=replay, tables=tuple(values.pop("tables")), **values)
    except (KeyError, TypeError) as error:
        raise Corruption(str(path), None, f"its contents are not those of a manifest: {error}") from None


def load_checked(door: Door, path: Path) -> dict[str, Any]:
    """The values of one of our TOML files, its checksum and format number checked.

    Raises Corruption, or UnsupportedFormat where a newer version wrote it.
    """
    try:
        values = checked_toml.decode(door.read(path))
    except FileNotFoundError:
        raise Corruption(str(path), None, "the file is missing") from None
    except BadFrame as error:
        raise Corruption(str(path), None, str(error)) from None
    version = values.pop("format", None)
    if version != FORMAT:
        raise UnsupportedFormat(f"{path} has format {version}, and this version of BlockDB reads {FORMAT}; upgrade it.")
    return values
