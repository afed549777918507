"""What a database signs as a whole: its checkpoint, which commits to every collection, and the keys it signs with."""

from __future__ import annotations

from collections.abc import Iterator

from blockdb.database.collection import Collection
from blockdb.storage.door import guarded


class SigningDatabase(Collection):
    """What of a database handle signs for all collections. `Database` has the rest."""

    def checkpoint(self, collection: str | None = None) -> str:
        """The signed checkpoint (C2SP) of a collection, or, with None, of the whole database.

        What it covers is forced to disk before. That of the database is of its journal, where the state of every
        collection is recorded first. O(log n + records in a block). Raises Corruption, StorageError,
        CollectionNotFound; ReadOnly where it takes the signing key, which cannot be read.
        """
        self._refreshed()
        with guarded(f"making a checkpoint of {self._core.path}"):
            return (
                self._core.notary.checkpoint()
                if collection is None
                else self._core.notary.prover_of(collection).checkpoint()
            )

    def consistency_proof(self, old_size: int, size: int, collection: str | None = None) -> tuple[bytes, ...]:
        """That the tree of `size` records extends the one of `old_size` (RFC 6962 §2.1.2). O(log n).

        Raises InvalidData.
        """
        self._refreshed()
        return self._core.notary.prover_of(collection).consistency_proof(old_size, size)

    def root_at(self, size: int, collection: str | None = None) -> bytes:
        """The root of the tree of the first `size` records of a collection, or of the journal. Raises InvalidData."""
        self._refreshed()
        return self._core.notary.prover_of(collection).root_at(size)

    def verifier_key(self) -> str:
        """The public key by which what the database signs is checked, as one gives it to others (C2SP).

        It holds for the origin that its name is, and for those below it: all collections and the journal.
        """
        return str(self._core.notary.verifier_key)

    def earlier_keys(self) -> Iterator[str]:
        """The notes by which each key handed over to the next, the newest first: signed by the old one."""
        self._refreshed()
        journal = self._core.notary.journal(make=False)
        if journal is not None:
            for _, event in journal.events("keys", newest_first=True):
                yield event["note"]

    def rotate_key(self) -> str:
        """Make a new signing key, and return it as `verifier_key` does. What was signed before stays good.

        The old key's signature under the new one is recorded in the journal. Raises ReadOnly, StorageError.
        """
        self._refreshed()
        with guarded(f"changing the key of {self._core.path}"):
            return str(self._core.notary.rotate())
