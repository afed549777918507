"""Putting an increment onto what was restored of the backups before it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, NamedTuple

from blockdb.database.backup.increments import DERIVED, LOG_SUFFIXES, MANIFEST
from blockdb.database.backup.unpacking import Unpacked, Unpacking
from blockdb.database.proofs.keys import PUBLIC_KEYS
from blockdb.errors import BlockDBError
from blockdb.layout import DatabaseFiles
from blockdb.storage.door import Door
from blockdb.storage.manifest import load_checked


class WentOn(NamedTuple):
    """What became of an increment."""

    unpacked: Unpacked
    touched: frozenset[str]
    """The ids of the collections whose tables and indexes have to be made anew."""


def go_on(unpacking: Unpacking, files: DatabaseFiles) -> WentOn:
    """Write what is new, and remove what is no more. Raises InvalidData, StorageError."""
    header = unpacking.header
    ids = frozenset(header.collections.values())
    lists, keys = {id_: _bytes_of(files.collection(id_).index_list) for id_ in ids}, _keys(files)
    unpacked = unpacking.run(files.root)
    touched = {id_ for id_, before in lists.items() if _bytes_of(files.collection(id_).index_list) != before}
    touched |= {path.split("/")[1] for path in unpacked.new | unpacked.left if _is_of_chain(path)} & ids
    for path in unpacked.left:
        if not _stays(path, ids):
            (files.root / path).unlink()
    for directory in sorted(files.collections.iterdir()):
        if directory.name not in ids:  # it was dropped
            shutil.rmtree(directory)
    if not header.signing_key and _keys(files) != keys:
        files.signing_key.unlink(missing_ok=True)  # it is that of before a rotation
    return WentOn(unpacked, frozenset(touched))


def _is_of_chain(path: str) -> bool:
    return path.startswith("collections/") and path.endswith(LOG_SUFFIXES)


def _stays(path: str, ids: frozenset[str]) -> bool:
    """Whether a file stays though the increment does not name it: the lock, the key, what follows from a chain."""
    parts = path.split("/")
    if parts[0] != "collections":
        return path in ("LOCK", "keys/signing.toml")
    return parts[1] in ids and (parts[2] == MANIFEST or parts[2] in DERIVED)


def _keys(files: DatabaseFiles) -> Any:
    """The public keys, as they are listed; nothing where that is damaged, as the audit will say."""
    try:
        return load_checked(Door(), files.public_keys, PUBLIC_KEYS).get("keys")
    except BlockDBError:
        return None


def _bytes_of(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
