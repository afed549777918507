"""The database handle's proofs: receipts, checkpoints, keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from blockdb.database.notary import Notary
from blockdb.database.ranges import range_of
from blockdb.database.tiles import export_tiles
from blockdb.errors import InvalidData
from blockdb.ledger.checkpoint import Checkpoint
from blockdb.ledger.range_receipt import RangeReceipt
from blockdb.ledger.receipt import Receipt, RunReceipt
from blockdb.storage.attachment import Attachment
from blockdb.storage.checks import check_key
from blockdb.storage.door import guarded
from blockdb.storage.store import Store


class ProvingDatabase:
    """What of a database handle proves. `Database` has the rest."""

    path: Path
    _notary: Notary

    def _refreshed(self) -> Store | Attachment:
        raise NotImplementedError

    def exists(self, key: bytes) -> bool:
        """Whether a key is stored."""
        raise NotImplementedError

    def prove(self, key: bytes) -> Receipt:
        """The receipt for a record: with it anybody can check that it is stored (`blockdb.verify_receipt`).

        O(log n + records in a block). Raises KeyNotFound, Corruption, InvalidData; ReadOnly where it takes a new
        signature and the key cannot be read.
        """
        check_key(key)
        self._refreshed()
        return self._notary.prover.prove(key)

    def prove_run(self, first: int, count: int) -> RunReceipt:
        """The receipt for `count` records that stand one after the other, such as those of a batch.

        O(count + log n). Raises InvalidData where there are not so many; else as `prove`.
        """
        self._refreshed()
        return self._notary.prover.prove_run(first, count)

    def prove_range(
        self, *, prefix: bytes | None = None, start: bytes | None = None, end: bytes | None = None
    ) -> RangeReceipt:
        """The receipt for all records that a scan would give: these, and no other.

        O(n log n) for the first one after a write, O(records + log n) from then on. A handle that only reads proves
        what was there when a writer made such a receipt the last time; ReadOnly is raised where none did.
        """
        self._refreshed()
        range_ = range_of(prefix, start, end)
        return self._notary.prove_range(range_.start, range_.stop)

    def prove_absent(self, key: bytes) -> RangeReceipt:
        """The receipt for a key that is not stored. As `prove_range`. Raises InvalidData for one that is."""
        check_key(key)
        if self.exists(key):
            raise InvalidData("The key is stored; `prove` makes a receipt for its record.")
        self._refreshed()
        return self._notary.prove_range(key, key + b"\0")

    def checkpoint(self, collection: str | None = None) -> str:
        """The signed checkpoint (C2SP) of a collection, or, with None, of the whole database.

        What it covers is forced to disk before. That of the database is of its journal, where the state of every
        collection is recorded first. O(log n + records in a block). Raises Corruption, StorageError, InvalidData for
        a collection that there is not; ReadOnly where it takes the signing key, which cannot be read.
        """
        self._refreshed()
        with guarded(f"making a checkpoint of {self.path}"):
            return self._notary.checkpoint() if collection is None else self._notary.prover_of(collection).checkpoint()

    def consistency_proof(self, old_size: int, size: int, collection: str | None = None) -> tuple[bytes, ...]:
        """That the tree of `size` records extends the one of `old_size` (RFC 6962 §2.1.2). O(log n).

        Raises InvalidData.
        """
        self._refreshed()
        return self._notary.prover_of(collection).consistency_proof(old_size, size)

    def root_at(self, size: int, collection: str | None = None) -> bytes:
        """The root of the tree of the first `size` records of a collection, or of the journal. Raises InvalidData."""
        self._refreshed()
        return self._notary.prover_of(collection).root_at(size)

    def verifier_key(self) -> str:
        """The public key by which what the database signs is checked, as one gives it to others (C2SP).

        It holds for the origin that its name is, and for those below it: all collections and the journal.
        """
        return str(self._notary.verifier_key)

    def earlier_keys(self) -> Iterator[str]:
        """The notes by which each key handed over to the next, the newest first: signed by the old one."""
        self._refreshed()
        journal = self._notary.journal(make=False)
        if journal is not None:
            for _, event in journal.events("keys", newest_first=True):
                yield event["note"]

    def export_tiles(
        self, directory: str | Path, *, entries: bool = True, progress: Callable[[int], None] | None = None
    ) -> Checkpoint:
        """Write the default collection as C2SP tiles, as of the checkpoint that is made for it. O(bytes).

        An earlier export into the directory is continued. Without `entries` the tree alone is written. Raises
        InvalidData for a record of more than 65,535 bytes, which tiles cannot hold, and for a directory that has
        something else in it; StorageError.
        """
        reader = self._refreshed()
        note = self._notary.prover.checkpoint()
        return export_tiles(reader, note, Path(directory), entries, progress or (lambda _: None))

    def rotate_key(self) -> str:
        """Make a new signing key, and return it as `verifier_key` does. What was signed before stays good.

        The old key's signature under the new one is recorded in the journal. Raises ReadOnly, StorageError.
        """
        self._refreshed()
        with guarded(f"changing the key of {self.path}"):
            return str(self._notary.rotate())
