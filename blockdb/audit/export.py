"""Auditing a static export (C2SP `tlog-tiles`): every leaf from the entries, every tile from the leaves, the root.

Nothing is believed but the checkpoint, and that for its signature.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from struct import Struct
from time import perf_counter
from typing import Final

from blockdb.audit.chain import Cancelled
from blockdb.audit.findings import MOST_PROBLEMS
from blockdb.audit.sources import Missing, Source, TooLarge
from blockdb.audit.watch import Watch
from blockdb.errors import DatabaseNotFound
from blockdb.ledger.checkpoint import Checkpoint, open_checkpoint
from blockdb.ledger.merkle import Frontier, leaf_hash, root_of
from blockdb.ledger.note import MAX_NOTE_BYTES, BadNote, Note, VerifierKey
from blockdb.ledger.tiles import MAX_ENTRY_BYTES, TILE_LEVELS, TILE_WIDTH, Tile, tiles_of
from blockdb.types import Problem, Report

CHECKPOINT: Final = "checkpoint"
HASH_BYTES: Final = 32
_LENGTH: Final = Struct(">H")


class _Enough(Exception):
    """The first thing that is wrong was found, or as many as are told."""


@dataclass(frozen=True)
class _Entries:
    """The entries of one tile, and where each begins in its file."""

    leaves: list[bytes]
    offsets: list[int]


def audit_export(
    source: Source, keys: Sequence[VerifierKey], watch: Watch, *, first: bool = False, hashes_only: bool = False
) -> Report:
    """Recompute a static export from its entries and hold every tile and the checkpoint against that. O(all bytes).

    With `hashes_only` it has no entries, and leaves are taken from the tiles. Without `keys`, the checkpoint's
    signature is not checked, and a note says so. Raises DatabaseNotFound where there is no checkpoint, and StorageError
    where a file cannot be read for a reason that says nothing of the export.
    """
    start = perf_counter()
    run = _Run(source, watch, first, hashes_only)
    cancelled = False
    try:
        run.export(keys)
    except _Enough:
        pass
    except Cancelled:
        cancelled = True
    return Report(
        valid=not run.problems and not cancelled,
        blocks=0,
        records=run.done,
        problems=tuple(run.problems),
        elapsed_ms=(perf_counter() - start) * 1000,
        cancelled=cancelled,
        read_bytes=watch.read_bytes,
        notes=tuple(run.notes),
    )


class _Run:
    def __init__(self, source: Source, watch: Watch, first: bool, hashes_only: bool) -> None:
        self._source = source
        self._watch = watch
        self._first = first
        self._hashes_only = hashes_only
        self.problems: list[Problem] = []
        self.notes: list[str] = []
        self.done = 0

    def export(self, keys: Sequence[VerifierKey]) -> None:
        checkpoint = self._checkpoint(keys)
        if checkpoint is None:
            return
        self._watch.total = checkpoint.size
        frontier, hashes = Frontier(), []
        for tile in tiles_of(checkpoint.size):
            leaves = self._leaves_of(tile)
            if leaves is None:
                break
            frontier.extend(leaves)
            if tile.width == TILE_WIDTH:
                hashes.append(root_of(leaves))
            self.done += tile.width
            self._watch.tell(self.done, 0)
        self._upper_levels(checkpoint.size, hashes)
        if self.done == checkpoint.size and frontier.root() != checkpoint.root:
            what = "the checkpoint does not have the root of the entries"
            self._add(CHECKPOINT, what, expected=f"root {checkpoint.root.hex()}", found=f"root {frontier.root().hex()}")

    def _checkpoint(self, keys: Sequence[VerifierKey]) -> Checkpoint | None:
        try:
            note = self._read(CHECKPOINT, MAX_NOTE_BYTES).decode()
            parsed = Checkpoint.parse(Note.parse(note).text)
        except Missing:
            name = self._source.name
            raise DatabaseNotFound(f"{name} is no static export: it has no checkpoint. Check the location.") from None
        except (TooLarge, UnicodeDecodeError, BadNote) as error:
            self._add(CHECKPOINT, f"it is no checkpoint: {error}")
            return None
        told = f"Checkpoint of {parsed.origin}: {parsed.size} records, root {parsed.root.hex()}."
        if not keys:
            self.notes.append(f"{told} No key was given: its signature was not checked.")
            return parsed
        try:
            signed = open_checkpoint(note, keys)
        except BadNote as error:
            self._add(CHECKPOINT, str(error), expected=f"a signature by {', '.join(map(str, keys))}", found="none")
        else:
            self.notes.append(f"{told} Signed by {', '.join(map(str, signed.keys))}.")
        return parsed

    def _leaves_of(self, tile: Tile) -> list[bytes] | None:
        """The leaves of a tile, from its entries and, where those cannot be had, from the tile itself."""
        entries, hashes = None if self._hashes_only else self._entries(tile), self._tile(tile)
        if entries is None or hashes is None:
            return hashes if entries is None else entries.leaves
        for at, (leaf, told) in enumerate(zip(entries.leaves, hashes, strict=True)):
            if leaf != told:
                self._differs(tile, at, entries, hashes)
        return entries.leaves

    def _differs(self, tile: Tile, at: int, entries: _Entries, hashes: list[bytes]) -> None:
        """An entry and its hash do not fit each other. The tile above knows which of the two was changed."""
        sequence = tile.number * TILE_WIDTH + at
        above = self._hash_above(tile) if tile.width == TILE_WIDTH else None
        leaf, told = entries.leaves[at].hex(), hashes[at].hex()
        if above is not None and above == root_of(entries.leaves):
            what = "the tile does not have the hash of the entry"
            self._add(tile.path, what, sequence, at * HASH_BYTES, f"leaf {leaf}", f"leaf {told}")
            return
        sure = above is not None and above == root_of(hashes)
        what = "the entry does not have its hash" if sure else "the entry and its hash in the tile differ"
        self._add(tile.entries_path, what, sequence, entries.offsets[at], f"leaf {told}", f"leaf {leaf}")

    def _hash_above(self, tile: Tile) -> bytes | None:
        """What the tile above, if it can be read, has for this one."""
        number, at = divmod(tile.number, TILE_WIDTH)
        left = (self._watch.total >> TILE_LEVELS) - number * TILE_WIDTH
        with suppress(Missing, TooLarge):
            found = self._read_tile(Tile(1, number, min(TILE_WIDTH, left)))
            return None if found is None else found[at]
        return None

    def _upper_levels(self, size: int, hashes: list[bytes]) -> None:
        """Hold the tiles above level 0 against the roots of those below."""
        level = 1
        while size >> TILE_LEVELS * level:
            for tile in tiles_of(size, level):
                told = self._tile(tile)
                made = hashes[tile.number * TILE_WIDTH :][: tile.width]
                for at, (one, other) in enumerate(zip(told or (), made, strict=False)):
                    if one != other:
                        what = "the tile does not have the hash of the tile below"
                        self._add(tile.path, what, None, at * HASH_BYTES, f"node {other.hex()}", f"node {one.hex()}")
            whole = len(hashes) // TILE_WIDTH
            hashes = [root_of(hashes[at * TILE_WIDTH : (at + 1) * TILE_WIDTH]) for at in range(whole)]
            level += 1

    # Reading.

    def _tile(self, tile: Tile) -> list[bytes] | None:
        """The hashes of a tile, or None after noting what is wrong with it."""
        try:
            found = self._read_tile(tile)
        except (Missing, TooLarge) as error:
            self._unreadable(tile.path, error)
            return None
        if found is None:
            self._add(tile.path, f"the tile does not have {tile.width} hashes")
        return found

    def _read_tile(self, tile: Tile) -> list[bytes] | None:
        data = self._part(tile.path, tile._replace(width=TILE_WIDTH).path, TILE_WIDTH * HASH_BYTES)
        if len(data) % HASH_BYTES or len(data) < tile.width * HASH_BYTES:
            return None
        return [data[at : at + HASH_BYTES] for at in range(0, tile.width * HASH_BYTES, HASH_BYTES)]

    def _entries(self, tile: Tile) -> _Entries | None:
        """The leaves of the entries of a tile, or None after noting what is wrong with the file."""
        path = tile.entries_path
        most = TILE_WIDTH * (_LENGTH.size + MAX_ENTRY_BYTES)
        try:
            data = self._part(path, tile._replace(width=TILE_WIDTH).entries_path, most)
        except (Missing, TooLarge) as error:
            self._unreadable(path, error)
            return None
        leaves: list[bytes] = []
        offsets: list[int] = []
        at = 0
        first = tile.number * TILE_WIDTH
        while at < len(data) and len(leaves) < tile.width:
            end = at + _LENGTH.size
            end += _LENGTH.unpack_from(data, at)[0] if end <= len(data) else 1
            if end > len(data):
                self._add(path, "the file ends inside an entry", first + len(leaves), at)
                return None
            leaves.append(leaf_hash(data[at + _LENGTH.size : end]))
            offsets.append(at)
            at = end
        if len(leaves) < tile.width:
            what = f"the file has {len(leaves)} entries"
            self._add(path, what, first + len(leaves), at, f"{tile.width} entries", f"{len(leaves)} entries")
            return None
        return _Entries(leaves, offsets)

    def _part(self, path: str, whole: str, limit: int) -> bytes:
        """A file; and where a partial one is gone, the whole one that came after it."""
        try:
            return self._read(path, limit)
        except Missing:
            if whole == path:
                raise
            return self._read(whole, limit)

    def _read(self, path: str, limit: int) -> bytes:
        data = self._source.read(path, limit)
        self._watch.read(len(data))
        return data

    def _unreadable(self, path: str, error: Exception) -> None:
        self._add(path, "the file is missing" if isinstance(error, Missing) else f"the file is too large: {error}")

    def _add(
        self,
        path: str,
        what: str,
        sequence: int | None = None,
        offset: int | None = None,
        expected: str | None = None,
        found: str | None = None,
    ) -> None:
        self.problems.append(Problem(path, offset, None, sequence, None, what, expected, found))
        if self._first or len(self.problems) >= MOST_PROBLEMS:
            raise _Enough
