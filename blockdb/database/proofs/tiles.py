"""Writing a collection as C2SP tiles: static files with which public tools read and check the log."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from blockdb.errors import InvalidData
from blockdb.format.record import key_of, leaf_of
from blockdb.ledger.checkpoint import Checkpoint
from blockdb.ledger.merkle import leaf_hash
from blockdb.ledger.note import Note
from blockdb.ledger.proof import NodeAt, root_at
from blockdb.ledger.tiles import MAX_ENTRY_BYTES, TILE_LEVELS, TILE_WIDTH, Tile, all_tiles
from blockdb.storage.door import guarded
from blockdb.storage.reader import Reader


def export_tiles(
    reader: Reader, note: str, directory: Path, entries: bool, progress: Callable[[int], None]
) -> Checkpoint:
    """Write the tiles of the tree that a signed checkpoint is of, then the checkpoint. O(bytes).

    What stands there from an earlier export is kept where it is the same, so that one can be continued. Without
    `entries` the hashes alone are written. Raises InvalidData for a record that is too large for an entry and for a
    directory of another log, StorageError.
    """
    checkpoint = Checkpoint.parse(Note.parse(note).text)
    with guarded(f"writing tiles to {directory}"):
        history = reader.history()
        node_at = reader.tree.node_at(history.leaves)
        _refuse_other(directory, checkpoint, node_at)
        for tile in all_tiles(checkpoint.size):
            if tile.level:
                _write(directory / tile.path, b"".join(_hashes(tile, node_at)))
            elif not (directory / tile.path).exists() or (entries and not (directory / tile.entries_path).exists()):
                _write_leaves(directory, tile, history.bodies(tile.number * TILE_WIDTH, tile.width), entries)
                progress(tile.number * TILE_WIDTH + tile.width)
        _write(directory / "checkpoint", note.encode())
    return checkpoint


def tile_at(reader: Reader, path: str) -> bytes:
    """What is served at the path of a tile. O(bytes). Raises InvalidData where there is none."""
    try:
        tile, has_entries = Tile.parse(path)
    except ValueError as error:
        raise InvalidData(f"{error} (C2SP tlog-tiles): `tile/<level>/<number>`, or `tile/entries/<number>`.") from None
    history = reader.history()
    if (tile.number * TILE_WIDTH + tile.width) << TILE_LEVELS * tile.level > history.records_count:
        raise InvalidData(f"There is no {path}: the tree has {history.records_count:,} records.")
    if tile.level:
        return b"".join(_hashes(tile, reader.tree.node_at(history.leaves)))
    bodies = history.bodies(tile.number * TILE_WIDTH, tile.width)
    leaves = [leaf_of(body)[1:] for body in bodies]
    return b"".join(map(_entry, leaves, map(key_of, bodies)) if has_entries else map(leaf_hash, leaves))


def _write_leaves(directory: Path, tile: Tile, bodies: Sequence[bytes], entries: bool) -> None:
    leaves = [leaf_of(body)[1:] for body in bodies]
    if entries:
        _write(directory / tile.entries_path, b"".join(map(_entry, leaves, map(key_of, bodies))))
    _write(directory / tile.path, b"".join(map(leaf_hash, leaves)))


def _hashes(tile: Tile, node_at: NodeAt) -> Iterator[bytes]:
    for number in range(tile.number * TILE_WIDTH, tile.number * TILE_WIDTH + tile.width):
        yield node_at(tile.level * TILE_LEVELS, number)


def _entry(leaf: bytes, key: bytes) -> bytes:
    if len(leaf) > MAX_ENTRY_BYTES:
        what = f"The record of key {key[:64]!r} has {len(leaf)} bytes, and an entry of a tile has {MAX_ENTRY_BYTES}"
        raise InvalidData(f"{what} at most; export without entries (--hashes-only).")
    return len(leaf).to_bytes(2, "big") + leaf


def _write(path: Path, content: bytes) -> None:
    """Put a file in its place at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(content)
    temporary.replace(path)


def _refuse_other(directory: Path, checkpoint: Checkpoint, node_at: NodeAt) -> None:
    """Raises InvalidData where the directory has anything but tiles of this very log. It is made if need be."""
    directory.mkdir(parents=True, exist_ok=True)
    names = {path.name for path in directory.iterdir()}
    if not names <= {"checkpoint", "tile", "checkpoint.tmp"} or (names and "tile" not in names):
        raise InvalidData(f"{directory} has something else in it; name a new or an empty directory.")
    if "checkpoint" in names:
        try:
            found = Checkpoint.parse(Note.parse((directory / "checkpoint").read_text(encoding="utf-8")).text)
        except ValueError as error:
            raise InvalidData(f"{directory}/checkpoint is no checkpoint: {error}; name another directory.") from None
        if found.origin != checkpoint.origin:
            raise InvalidData(f"{directory} has the tiles of {found.origin}; name another directory.")
        if found.size > checkpoint.size or root_at(found.size, node_at) != found.root:
            raise InvalidData(
                f"{directory} has the tiles of another history of this log; keep them, they are evidence."
            )
