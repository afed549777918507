"""What the tests of redaction share: databases whose values can be erased, and where a value may still be."""

from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import blockdb
from blockdb.format import packed
from tests.ledger import reference

SETTINGS: dict[str, Any] = {
    "redactable": True,
    "blockchain_batch_size": 4,
    "memtable_size_limit": 65_536,
    "wal_sync_interval": 3_600_000,
}
"""Nothing is forced meanwhile, which is written down, and would be a change."""
REASON = "asked for by the person"


def secret(number: int) -> bytes:
    """A value that stands nowhere by chance: not even compressed ones look alike."""
    return sha256(b"secret %d" % number).hexdigest().encode() * (1 + number % 3)


def key_of(number: int) -> bytes:
    """Its key."""
    return b"person:%d" % number


def bytes_below(path: Path) -> dict[Path, bytes]:
    """All files of a directory, packed ones unpacked. A writer may pack more meanwhile; then it is read again."""
    try:
        contents = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    except FileNotFoundError:
        return bytes_below(path)
    return {file: packed.unpack(data) if file.suffix == ".zst" else data for file, data in contents.items()}


def assert_gone(path: Path, values: Sequence[bytes]) -> None:
    """None of these values is in any file of the directory; nor is a part of one that could not be there by chance."""
    for file, data in bytes_below(path).items():
        for value in values:
            assert value[:16] not in data, f"{value!r} is still in {file}"


class Ledger:
    """What everybody could see of the ledger at one moment, and must see for ever."""

    def __init__(self, db: blockdb.Database) -> None:
        self.blocks = list(db.blocks())
        self.leaves = [db.block_leaves(number) for number in range(len(self.blocks) + 1)]

    def check(self, db: blockdb.Database) -> None:
        """The ledger of a database goes on from this one, and what was proven then still holds."""
        assert list(db.blocks())[: len(self.blocks)] == self.blocks
        leaves = [leaf for number in range(len(self.blocks)) for leaf in db.block_leaves(number)]
        assert leaves == [leaf for block in self.leaves[:-1] for leaf in block]
        for block in self.blocks:
            assert reference.root(leaves[: block.size]) == block.root


def answer(ask: Callable[[bytes], bytes | None], key: bytes) -> bytes | type | None:
    """What a database says of a key; `Redacted` where it says that."""
    try:
        return ask(key)
    except blockdb.Redacted as error:
        return type(error)


def redactions_in(db: blockdb.Database) -> list[dict[str, Any]]:
    """What the journal of a database tells of redactions, in order."""
    journal = db._core.notary.journal()
    return [] if journal is None else [event for _, event in journal.events("redaction")]
