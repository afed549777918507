"""What a database signs and proves: checkpoints and receipts of its collections, and of all of them together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from threading import RLock
from typing import Final

from blockdb.database import creation
from blockdb.database.catalog import Catalog
from blockdb.database.proofs import keys
from blockdb.database.proofs.journal import JOURNAL_BLOCK_RECORDS, JOURNAL_COLLECTION, Journal
from blockdb.database.proofs.prover import Prover
from blockdb.database.proofs.range_prover import RangeProver
from blockdb.errors import ConfigError, Corruption, InvalidData, ReadOnly, StorageError
from blockdb.ledger.note import NoteSigner, VerifierKey
from blockdb.ledger.range_receipt import JOURNAL, RangeReceipt, origin_of
from blockdb.ledger.state import CollectionState
from blockdb.storage.door import guarded
from blockdb.storage.metadata import uuid_of
from blockdb.storage.reader import Reader

NAME_PREFIX: Final = "blockdb/"
"""Begins the name under which a database signs; the UUID of its first collection follows."""

MOST_KEY_TREES: Final = 8
"""Of so many collections the tree over the keys is kept in memory: some 250 bytes a key."""


KeysRoots = Mapping[str, tuple[int, bytes]]
"""The root of the tree over the keys of some collections, by UUID, each with the number of records that it is of."""


class Notary:
    """The signing half of a database. Safe for threads. Methods raise Corruption where what is stored is damaged."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._door, self._files = catalog.door, catalog.files
        self._opening = RLock()
        self._journal: Journal | None = None
        self._provers: dict[str, Prover] = {}
        self._states_known: dict[str, CollectionState] = {}
        """What was journaled last, by UUID."""
        self._range_provers: dict[str, RangeProver] = {}
        self.record_state: Callable[[KeysRoots], int | None] = self.append_state
        """How a state gets into the journal: in a cluster all nodes have to be asked for it."""
        self._given_name = ""

    @property
    def name(self) -> str:
        """The name under which the database signs: the origin of its first collection, unless it was given another."""
        return self._given_name or NAME_PREFIX + uuid_of(self._catalog.default_id())

    def sign_as(self, name: str) -> None:
        """Have the database sign under a name that stands below that of another one, as whose part it signs."""
        with self._opening:
            self._given_name = name
            self._provers.clear()
            self._range_provers.clear()

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
        if self._catalog.signer is not None:
            self.record_state({})
        return self.prover(journal.reader).checkpoint()

    def prover(self, reader: Reader) -> Prover:
        """The prover of a collection: one alone, so that no older checkpoint of it follows a newer one."""
        id_ = reader.metadata.id
        with self._opening:
            if id_ not in self._provers:
                signer = self._catalog.signer
                origin = self._origin(id_)
                self._provers[id_] = Prover(
                    self._door, self._files, reader, origin, lambda: self._note_signer(origin), signer is None
                )
            return self._provers[id_]

    def prover_of(self, collection: str | None) -> Prover:
        """The prover of a collection; with None that of the journal, which is the database's.

        Raises InvalidData, CollectionNotFound.
        """
        if collection is not None:
            return self.prover(self._catalog.reader(self._catalog.resolve(collection)))
        prover = self.journal_prover(make=True)
        if prover is None:
            raise InvalidData("The database has no journal yet; open it for writing and make a checkpoint.")
        return prover

    def prove_range(self, reader: Reader, start: bytes | None, end: bytes | None) -> RangeReceipt:
        """The receipt for a range of a collection's keys: see `RangeProver.prove`."""
        id_ = reader.metadata.id
        with self._opening:
            if id_ not in self._range_provers:
                record = None if self._catalog.signer is None else self._record
                self._range_provers[id_] = RangeProver(reader, self.prover(reader), record)
            prover = self._range_provers[id_] = self._range_provers.pop(id_)  # the last one used stands last
            while len(self._range_provers) > MOST_KEY_TREES:
                del self._range_provers[next(iter(self._range_provers))]
        return prover.prove(start, end, self.journal(), self.journal_prover(make=True))

    def append_state(self, keys: KeysRoots) -> int | None:
        """Put the state of all collections into the journal, and give the number of the event.

        With the roots of the keys of some, which were made of so many records; None where one has others by now.
        """
        journal = self.journal()
        assert journal is not None, "a writer has one"
        states = self._states({uuid: root for uuid, (_, root) in keys.items()})
        if any(uuid not in states or states[uuid].records != records for uuid, (records, _) in keys.items()):
            return None
        return journal.append_state(states)

    def _record(self, keys: KeysRoots) -> int | None:
        return self.record_state(keys)

    def rotate(self) -> VerifierKey:
        """Sign with a new key from now on; what the old one signed stays good. Raises ReadOnly, StorageError."""
        journal, old = self.journal(), self._catalog.signer
        if old is None or journal is None:
            raise ReadOnly("The database is open for reading only; open it for writing to change its key.")
        new = keys.new_signer(self._catalog.surroundings)
        if new.public_key == old.public_key:  # of a cluster: a command that was cut short had come so far
            return self.verifier_key
        known = [key for key in keys.load_public_keys(self._door, self._files) if key != new.public_key]
        keys.save_public_keys(self._door, self._files, [*known, new.public_key])
        note = keys.rotation_note(old.notes(self.name), new.notes(self.name).key)
        journal.append({"event": "keys", "note": note})
        keys.save_signer(self._door, self._files, new)
        self._catalog.use_signer(new)
        for prover in self._provers.values():
            prover.forget_key()
        return self.verifier_key

    def journal_prover(self, make: bool = False) -> Prover | None:
        """The prover of the journal, if there is one."""
        journal = self.journal(make)
        if journal is None:
            return None
        journal.reader.refresh()
        return self.prover(journal.reader)

    def prover_named(self, uuid: str) -> Prover | None:
        """The prover of a collection of users, by the UUID that states name it by; None where there is none."""
        _, others = self._catalog.own_and_others()
        found = next((id_ for id_ in others.values() if uuid_of(id_) == uuid), None)
        return None if found is None else self.prover(self._catalog.reader(found))

    def journal(self, make: bool = True) -> Journal | None:
        """The journal; a writer makes it if there is none, unless `make` says no."""
        with self._opening:
            if self._journal is None:
                self._journal = self._open_journal(make and self._catalog.signer is not None)
            return self._journal

    def forget(self, collection_id: str) -> None:
        """A collection was dropped: nothing of it is proven any more."""
        with self._opening:
            self._provers.pop(collection_id, None)
            self._range_provers.pop(collection_id, None)
            self._states_known.pop(uuid_of(collection_id), None)

    def disown(self) -> None:
        """In a forked child: the locks may be held by threads that are the parent's."""
        self._opening = RLock()

    def _open_journal(self, make: bool) -> Journal | None:
        catalog = self._catalog
        if JOURNAL_COLLECTION not in catalog.ids():
            if not make:
                return None
            catalog.create(
                creation.new_metadata(
                    self._door, JOURNAL_COLLECTION, JOURNAL_BLOCK_RECORDS, surroundings=catalog.surroundings
                )
            )
        return Journal(catalog.reader(catalog.ids()[JOURNAL_COLLECTION]), catalog.surroundings.told_from)

    def _origin(self, collection_id: str) -> str:
        if collection_id == self._catalog.ids().get(JOURNAL_COLLECTION):
            return self.name + JOURNAL
        return origin_of(self.name, uuid_of(collection_id))

    def _note_signer(self, origin: str) -> NoteSigner:
        if self._catalog.signer is not None:
            return self._catalog.signer.notes(origin)
        try:
            return keys.load_own_signer(self._door, self._files).notes(origin)
        except (ConfigError, Corruption, StorageError, OSError) as error:
            what = "The last checkpoint does not cover this, and the signing key cannot be read here"
            raise ReadOnly(f"{what} ({error}); ask whoever writes the database.") from None

    def _states(self, keys_roots: dict[str, bytes]) -> dict[str, CollectionState]:
        """What all collections of users hold now, and will hold after a power cut: it is forced to the disk.

        Those that nobody has written to since the journal told of them are not opened for that.
        """
        journal, states = self.journal(), {}
        last = journal.last_state() if journal is not None else None
        told = {} if last is None else last[1]
        for name, id_ in self._catalog.own_and_others()[1].items():
            uuid = uuid_of(id_)
            known = self._states_known.get(uuid) or told.get(uuid)
            if known is None or (known.name, known.records) != (name, self._catalog.figures(id_).records):
                known = self._state(self.prover(self._catalog.reader(id_)))
            self._states_known[uuid] = known
            states[uuid] = replace(known, keys_root=keys_roots.get(uuid))
        return states

    def _state(self, prover: Prover) -> CollectionState:
        reader = prover.reader
        history = reader.history()
        root = prover.trusted_root(history, history.records_count)
        with guarded("forcing the log to disk"):
            reader.force()  # what the journal says of it will be on the disk
        return CollectionState(reader.metadata.name, history.records_count, root)
