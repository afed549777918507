"""Redactions: what is under way stands in a file, so that a crash at any moment leaves one that is finished later.

Format page: docs/formats/redaction.md. The file is replaced at the beginning of a redaction and at its end, and
never removed: attachments look at it to see that values were erased.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from mmap import mmap
from pathlib import Path
from typing import Any, Final

from blockdb.errors import Corruption
from blockdb.layout import CollectionFiles
from blockdb.storage.door import Door
from blockdb.storage.manifest import load_checked, save_checked

REDACTIONS: Final = "redactions"
Event = Mapping[str, Any]
"""What the database's own journal keeps of a redaction; JSON can hold it. Its `id` tells it from all others."""


@dataclass(frozen=True)
class Redactions:
    """How many redactions were finished, and the event and the places of the one that is under way."""

    collection: str
    finished: int = 0
    event: str = ""
    """As JSON; empty where none is under way."""
    places: tuple[int, ...] = ()

    @property
    def keys(self) -> list[bytes]:
        """The keys of the redaction that is under way."""
        return [bytes.fromhex(entry["key"]) for entry in json.loads(self.event)["records"]] if self.event else []


def load(door: Door, files: CollectionFiles, collection: str) -> Redactions:
    """The redactions of a collection. Raises Corruption."""
    path = files.redactions
    if door.inode(path) is None:
        return Redactions(collection)
    try:
        values = load_checked(door, path, REDACTIONS)
        state = Redactions(places=tuple(values.pop("places")), **values)
    except (KeyError, TypeError) as error:
        raise Corruption(str(path), None, f"its contents are not those of redactions: {error}") from None
    if state.collection != collection:
        raise Corruption(str(path), None, "the redactions are those of another collection")
    return state


def save(door: Door, files: CollectionFiles, state: Redactions) -> None:
    """Put the redactions in the place of those on disk, at once."""
    save_checked(door, files.redactions, REDACTIONS, asdict(state))


class Watch:
    """Notices that the file of redactions was replaced: as long as it is mapped, no other has the same inode."""

    def __init__(self, door: Door, path: Path) -> None:
        self._door = door
        self._path = path
        self.seen = self.look()

    @property
    def has_changed(self) -> bool:
        """Whether there is another file than the one that was `seen`."""
        return self._door.inode(self._path) != self.seen[0]

    def look(self) -> tuple[int | None, mmap | None]:
        """The file that is there now. It is `seen` once everything was read that is to be read after it."""
        while True:
            inode = self._door.inode(self._path)
            held = None if inode is None else self._door.map_read(self._path)
            if self._door.inode(self._path) == inode:
                return inode, held
