"""The proofs of a collection: receipts, checkpoints, tiles."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from blockdb.database.core import Core
from blockdb.database.proofs.prover import Prover
from blockdb.database.proofs.tiles import export_tiles, tile_at
from blockdb.database.ranges import range_of
from blockdb.errors import InvalidData
from blockdb.format.checks import check_key
from blockdb.ledger.checkpoint import Checkpoint
from blockdb.ledger.range_receipt import RangeReceipt
from blockdb.ledger.receipt import Receipt, RunReceipt
from blockdb.storage.attachment import Attachment
from blockdb.storage.door import guarded
from blockdb.storage.store import Store


class ProvingCollection:
    """What of a collection is proven. `Collection` has the rest."""

    _core: Core

    def _refreshed(self) -> Store | Attachment:
        raise NotImplementedError

    def exists(self, key: bytes) -> bool:
        """Whether a key is stored."""
        raise NotImplementedError

    @property
    def _prover(self) -> Prover:
        return self._core.notary.prover(self._refreshed())

    def prove(self, key: bytes) -> Receipt:
        """The receipt for a record: with it anybody can check that it is stored (`blockdb.verify_receipt`).

        O(log n + records in a block). Raises KeyNotFound, Corruption, InvalidData; ReadOnly where it takes a new
        signature and the key cannot be read.
        """
        check_key(key)
        return self._prover.prove(key)

    def prove_run(self, first: int, count: int) -> RunReceipt:
        """The receipt for `count` records that stand one after the other, such as those of a batch.

        O(count + log n). Raises InvalidData where there are not so many; else as `prove`.
        """
        return self._prover.prove_run(first, count)

    def prove_range(
        self, *, prefix: bytes | None = None, start: bytes | None = None, end: bytes | None = None
    ) -> RangeReceipt:
        """The receipt for all records that a scan would give: these, and no other.

        O(n log n) for the first one after a write, O(records + log n) from then on. A handle that only reads proves
        what was there when a writer made such a receipt the last time; ReadOnly is raised where none did.
        """
        range_ = range_of(prefix, start, end)
        return self._core.notary.prove_range(self._refreshed(), range_.start, range_.stop)

    def prove_absent(self, key: bytes) -> RangeReceipt:
        """The receipt for a key that is not stored. As `prove_range`. Raises InvalidData for one that is."""
        check_key(key)
        if self.exists(key):
            raise InvalidData("The key is stored; `prove` makes a receipt for its record.")
        return self._core.notary.prove_range(self._refreshed(), key, key + b"\0")

    def checkpoint(self) -> str:
        """The signed checkpoint (C2SP) of the collection. What it covers is forced to disk before.

        O(log n + records in a block). Raises Corruption, StorageError; ReadOnly where it takes the signing key, which
        cannot be read.
        """
        with guarded(f"making a checkpoint of {self._core.path}"):
            return self._prover.checkpoint()

    def consistency_proof(self, old_size: int, size: int) -> tuple[bytes, ...]:
        """That the tree of `size` records extends the one of `old_size` (RFC 6962 §2.1.2). O(log n).

        Raises InvalidData.
        """
        return self._prover.consistency_proof(old_size, size)

    def root_at(self, size: int) -> bytes:
        """The root of the tree of the first `size` records. Raises InvalidData."""
        return self._prover.root_at(size)

    def tile(self, path: str) -> bytes:
        """A tile or an entry bundle, by its path (C2SP tlog-tiles): `tile/0/x001/234`, `tile/entries/000.p/17`.

        O(bytes). Raises InvalidData where there is none, or not yet; Corruption.
        """
        with guarded(f"reading {self._core.path}"):
            return tile_at(self._refreshed(), path)

    def export_tiles(
        self, directory: str | Path, *, entries: bool = True, progress: Callable[[int], None] | None = None
    ) -> Checkpoint:
        """Write the collection as C2SP tiles, as of the checkpoint that is made for it. O(bytes).

        An earlier export into the directory is continued. Without `entries` the tree alone is written. Raises
        InvalidData for a record of more than 65,535 bytes, which tiles cannot hold, and for a directory that has
        something else in it; StorageError.
        """
        reader = self._refreshed()
        note = self._core.notary.prover(reader).checkpoint()
        return export_tiles(reader, note, Path(directory), entries, progress or (lambda _: None))
