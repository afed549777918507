"""What a database signs and proves: checkpoints and receipts of its collections, and of all of them together."""

from __future__ import annotations

from threading import RLock
from typing import Final
from uuid import UUID

from blockdb.config import DatabaseConfig
from blockdb.database import creation, encryption, keys
from blockdb.database.journal import JOURNAL_BLOCK_RECORDS, JOURNAL_COLLECTION, Journal
from blockdb.database.prover import Prover
from blockdb.errors import ConfigError, Corruption, InvalidData, ReadOnly, StorageError
from blockdb.format.record import key_of, leaf_of
from blockdb.layout import DatabaseFiles
from blockdb.ledger.keytree import KeyTree
from blockdb.ledger.merkle import Frontier, leaf_hash
from blockdb.ledger.note import NoteSigner, VerifierKey
from blockdb.ledger.proof import run_proof
from blockdb.ledger.range_receipt import JOURNAL, Neighbour, RangeReceipt, StateProof
from blockdb.ledger.receipt_parts import Body
from blockdb.ledger.signature import Signer
from blockdb.ledger.state import CollectionState
from blockdb.storage.attachment import Attachment
from blockdb.storage.commons import Commons
from blockdb.storage.door import Door, guarded
from blockdb.storage.manifest import load as load_manifest
from blockdb.storage.metadata import load_metadata, load_registry
from blockdb.storage.store import Store

NAME_PREFIX: Final = "blockdb/"
"""Begins the name under which a database signs; the UUID of its first collection follows."""

PIECE_RECORDS: Final = 10_000
"""How many records are read together where all of them are."""


class Notary:
    """The signing half of a database. Safe for threads. Methods raise Corruption where what is stored is damaged."""

    def __init__(
        self,
        door: Door,
        files: DatabaseFiles,
        config: DatabaseConfig,
        reader: Store | Attachment,
        signer: Signer | None,
        commons: Commons,
    ) -> None:
        """`signer` is the writer's; a handle that only reads has none."""
        self._door = door
        self._files = files
        self._config = config
        self._reader = reader
        self._signer = signer
        self._commons = commons
        self._opening = RLock()
        self._journal: Journal | None = None
        self._journal_prover_kept: Prover | None = None
        self._key_tree: KeyTree | None = None
        self.name = NAME_PREFIX + str(UUID(bytes=reader.metadata.uuid))
        self.prover = self._prover(reader, self.name)

    @property
    def verifier_key(self) -> VerifierKey:
        """The public key with which everything is checked that is signed now."""
        return keys.note_keys(self._door, self._files, self.name)[-1]

    def checkpoint(self) -> str:
        """The checkpoint of the whole database: that of its journal, which commits to all collections."""
        journal = self.journal()
        if journal is None:
            raise ReadOnly(
                "The database has no checkpoint of all its collections yet; open it for writing to make one."
            )
        if self._signer is not None:
            journal.append_state(self._states(None))
        return self._journal_prover(journal).checkpoint()

    def prover_of(self, collection: str | None) -> Prover:
        """The prover of a collection; with None that of the journal, which is the database's. Raises InvalidData."""
        if collection is None:
            journal = self.journal()
            if journal is None:
                raise InvalidData("The database has no journal yet; open it for writing and make a checkpoint.")
            return self._journal_prover(journal)
        metadata = self._reader.metadata
        if collection not in (metadata.name, metadata.id):
            raise InvalidData(f"There is no collection {collection!r}.")
        return self.prover

    def prove_range(self, start: bytes | None, end: bytes | None) -> RangeReceipt:
        """The receipt for all records with keys from `start` on and before `end`.

        O(n log n) when the first one is asked for after a write, O(records + log n) after that. A handle that only
        reads proves what was at the last state that commits to the keys. Raises ReadOnly where there is none.
        """
        start = start or None  # every key comes after the empty one
        if end is not None and (not end or end < (start or b"")):
            raise InvalidData("The range should not end before it starts.")
        with self._opening:
            journal, number = self._state_of_keys()
            tree = self._key_tree
            assert tree is not None
        first, stop = tree.position(start or b""), len(tree) if end is None else tree.position(end)
        shown_first, shown_stop = max(first - 1, 0), min(stop + 1, len(tree))
        bodies = [self._body(tree, position) for position in range(first, stop)]

        def neighbour(position: int) -> Neighbour:
            return Neighbour(tree.keys[position], tree.record_leaf(position))

        prover = self._journal_prover(journal)
        state = prover.prove(b"%020d" % number)
        hashes = run_proof(shown_first, shown_stop, len(tree), tree.node_at) if shown_stop > shown_first else []
        return RangeReceipt(
            start,
            end,
            shown_first,
            neighbour(first - 1) if first else None,
            tuple(bodies),
            neighbour(stop) if stop < len(tree) else None,
            tuple(hashes),
            StateProof(str(UUID(bytes=self._reader.metadata.uuid)), number, state.body, state.hashes),
            state.note,
        )

    def _body(self, tree: KeyTree, position: int) -> Body:
        """The record with a position in key order, which has to be the one that its leaf is of. Raises Corruption."""
        found = self._reader.view.find(tree.keys[position])
        body = None if found is None else Body.of(self._reader.chain.record_at(found[0]))
        if body is None or body.leaf_hash != tree.record_leaf(position):
            what = f"the record of key {tree.keys[position]!r} is not the one that was signed"
            raise Corruption(str(self._reader.files.chain), None, what)
        return body

    def rotate(self) -> VerifierKey:
        """Sign with a new key from now on; what the old one signed stays good. Raises ReadOnly, StorageError."""
        journal = self.journal()
        if self._signer is None or journal is None:
            raise ReadOnly("The database is open for reading only; open it for writing to change its key.")
        old, new = self._signer, keys.new_signer()
        known = keys.load_public_keys(self._door, self._files)
        keys.save_public_keys(self._door, self._files, [*known, new.public_key])
        note = keys.rotation_note(old.notes(self.name), new.notes(self.name).key)
        journal.append({"event": "keys", "note": note})
        keys.save_signer(self._door, self._files, new)
        self._signer = new
        for store in (self._reader, journal.reader):
            if isinstance(store, Store):
                store.use_signer(new)
        self.prover.forget_key()
        return self.verifier_key

    def journal_prover(self) -> Prover | None:
        """The prover of the journal, if there is one."""
        journal = self.journal(make=False)
        return None if journal is None else self._journal_prover(journal)

    def provers(self) -> dict[str, Prover]:
        """The provers of all collections, by the UUIDs that states name them by."""
        return {str(UUID(bytes=self._reader.metadata.uuid)): self.prover}

    def journal(self, make: bool = True) -> Journal | None:
        """The journal; a writer makes it if there is none, unless `make` says no."""
        with self._opening:
            if self._journal is None:
                self._journal = self._open_journal(make and self._signer is not None)
            return self._journal

    def close(self) -> None:
        """Close the journal, if it is open."""
        if self._journal is not None:
            self._journal.reader.close()

    def disown(self) -> None:
        """In a forked child: refuse everything."""
        if self._journal is not None:
            self._journal.reader.disown()

    def _open_journal(self, make: bool) -> Journal | None:
        door, files = self._door, self._files
        registry = load_registry(door, files.registry)
        collection_id = registry.get(JOURNAL_COLLECTION)
        if collection_id is None:
            if not make:
                return None
            collection_id = creation.create_collection(door, files, registry, JOURNAL_COLLECTION, JOURNAL_BLOCK_RECORDS)
        return Journal(open_collection(door, files, collection_id, self._config, self._signer, self._commons))

    def _prover(self, reader: Store | Attachment, origin: str) -> Prover:
        return Prover(self._door, self._files, reader, origin, lambda: self._note_signer(origin), self._signer is None)

    def _journal_prover(self, journal: Journal) -> Prover:
        journal.reader.refresh()
        with self._opening:
            if (
                self._journal_prover_kept is None
            ):  # one alone: it sees to it that no older checkpoint follows a newer one
                self._journal_prover_kept = self._prover(journal.reader, self.name + JOURNAL)
            return self._journal_prover_kept

    def _note_signer(self, origin: str) -> NoteSigner:
        if self._signer is not None:
            return self._signer.notes(origin)
        try:
            return keys.load_own_signer(self._door, self._files).notes(origin)
        except (ConfigError, Corruption, StorageError, OSError) as error:
            what = "The last checkpoint does not cover this, and the signing key cannot be read here"
            raise ReadOnly(f"{what} ({error}); ask whoever writes the database.") from None

    def _states(self, keys_root: bytes | None) -> dict[str, CollectionState]:
        history = self._reader.history()
        records = history.records_count
        root = self.prover.trusted_root(history, records)
        with guarded("forcing the log to disk"):
            self._reader.force()  # what the journal says of it will be on the disk
        uuid = str(UUID(bytes=self._reader.metadata.uuid))
        return {uuid: CollectionState(self._reader.metadata.name, records, root, keys_root)}

    def _state_of_keys(self) -> tuple[Journal, int]:
        """The journal, and the number of the state that `_key_tree`, made if need be, is of."""
        journal = self.journal()
        uuid = str(UUID(bytes=self._reader.metadata.uuid))
        if journal is None:
            raise ReadOnly("No state of the database commits to its keys yet; open it for writing to make one.")
        if self._signer is not None:
            records = self._reader.next_sequence
            tree = self._tree_of(records)
            states = self._states(tree.root)
            if states[uuid].records == records:
                return journal, journal.append_state(states)
            return self._state_of_keys()  # somebody wrote meanwhile
        for number, found in journal.states():
            state = found.get(uuid)
            if state is not None and state.keys_root is not None:
                if self._tree_of(state.records).root != state.keys_root:
                    raise Corruption(str(self._reader.files.chain), None, "the keys are not those of the last state")
                return journal, number
        raise ReadOnly("No state of the database commits to its keys yet; open it for writing to make one.")

    def _tree_of(self, records: int) -> KeyTree:
        """The tree over the keys of the first so many records, whose leaves are held against their root. O(n log n)."""
        if self._key_tree is not None and len(self._key_tree) == records:
            return self._key_tree
        history = self._reader.history()
        found_keys: list[bytes] = []
        leaves: list[bytes] = []
        for first in range(0, records, PIECE_RECORDS):
            bodies = history.bodies(first, min(PIECE_RECORDS, records - first))
            found_keys += map(key_of, bodies)
            leaves += [leaf_hash(leaf_of(body)[1:]) for body in bodies]
        frontier = Frontier()
        frontier.extend(leaves)
        if frontier.root() != self.prover.trusted_root(history, records):
            raise Corruption(str(self._reader.files.chain), None, "the records are not what was signed")
        self._key_tree = KeyTree(found_keys, leaves)
        return self._key_tree


def open_collection(
    door: Door,
    files: DatabaseFiles,
    collection_id: str,
    config: DatabaseConfig,
    signer: Signer | None,
    commons: Commons,
) -> Store | Attachment:
    """Open a collection: for writing with a signer, else for reading. Raises Corruption, StorageError.

    `commons` is what all collections of the database share.
    """
    collection = files.collection(collection_id)
    metadata = load_metadata(door, collection.metadata)
    encryption.check_is_whole(door, files, metadata.encrypted)
    if signer is None:
        return Attachment(door, collection, metadata, commons)
    creation.force_names(door, files, collection)
    manifest = load_manifest(door, collection.manifest, metadata.id)
    return Store(door, collection, metadata, manifest, config, signer, commons)
