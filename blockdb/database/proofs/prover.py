"""Checkpoints and receipts of one collection, made from its records and signed with the database's key."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import TypeVar

from blockdb.database.proofs import keys
from blockdb.errors import Corruption, InvalidData, KeyNotFound
from blockdb.format.block import Seal
from blockdb.layout import DatabaseFiles
from blockdb.ledger.checkpoint import Checkpoint
from blockdb.ledger.merkle import EMPTY_ROOT, Frontier
from blockdb.ledger.note import BadNote, Note, NoteSigner
from blockdb.ledger.proof import (
    BadProof,
    NodeAt,
    check_consistency,
    check_inclusion,
    consistency_proof,
    inclusion_proof,
    run_proof,
)
from blockdb.ledger.receipt import Receipt, RunReceipt
from blockdb.ledger.receipt_parts import Body
from blockdb.ledger.signature import is_signed, key_id_of
from blockdb.storage.door import Door, guarded
from blockdb.storage.history import History
from blockdb.storage.reader import Reader

T = TypeVar("T")


class Prover:
    """Proves what one collection holds. Safe for threads.

    Nothing is signed that is not on the disk, and no checkpoint that does not extend the last one.
    """

    def __init__(
        self,
        door: Door,
        files: DatabaseFiles,
        reader: Reader,
        origin: str,
        signer: Callable[[], NoteSigner],
        read_only: bool,
    ) -> None:
        self._door = door
        self._files = files
        self.reader = reader
        self._signer = signer
        self._read_only = read_only
        self._signing = Lock()
        self._note: str | None = None
        self._checked: tuple[str, Checkpoint] | None = None
        self._is_current = True
        """Whether what was checked last is signed with the key that signs now."""
        self.origin = origin

    def checkpoint(self) -> str:
        """The signed checkpoint of all that is stored now. O(log n), and a force of the log. Raises Corruption."""
        history = self._history()
        return self._signed(history, history.records_count)

    def prove(self, key: bytes) -> Receipt:
        """The receipt for a key's record. O(log n + records in a block). Raises KeyNotFound, Corruption."""
        found = self.reader.view.find(key)
        if found is None:
            raise KeyNotFound(key)
        history = self._history()
        index = history.sequence_at(found[0])
        note, checkpoint = self._covering(history, index)
        body = Body.of(self.reader.chain.record_at(found[0]))

        def proof(node_at: NodeAt) -> tuple[bytes, ...]:
            hashes = tuple(inclusion_proof(index, checkpoint.size, node_at))
            check_inclusion(body.leaf_hash, index, checkpoint.size, hashes, checkpoint.root)
            return hashes

        return Receipt(index, body, self._sound(history, proof), note)

    def prove_run(self, first: int, count: int) -> RunReceipt:
        """The receipt for records that stand one after the other. O(count + log n). Raises InvalidData, Corruption."""
        history = self._history()
        if not 0 <= first < first + count <= history.records_count:
            raise InvalidData(
                f"There are no records {first} to {first + count - 1}: there are {history.records_count}."
            )
        note, checkpoint = self._covering(history, first + count - 1)
        bodies = tuple(Body(body[1:]) for body in history.bodies(first, count))

        def receipt(node_at: NodeAt) -> RunReceipt:
            hashes = tuple(run_proof(first, first + count, checkpoint.size, node_at))
            found = RunReceipt(first, bodies, hashes, note)
            found.check_root(checkpoint.size, checkpoint.root)
            return found

        return self._sound(history, receipt)

    def consistency_proof(self, old_size: int, size: int) -> tuple[bytes, ...]:
        """That the tree of `size` records extends that of `old_size`. O(log n + records in a block).

        Raises InvalidData, Corruption.
        """
        history = self.reader.history()
        self._check_sizes(history, old_size, size)
        old_root, root = (self.trusted_root(history, records) for records in (old_size, size))
        return self._consistent(history, old_size, size, old_root, root)

    def root_at(self, size: int) -> bytes:
        """The root of the tree of the first `size` records. O(records in a block). Raises InvalidData, Corruption."""
        history = self.reader.history()
        self._check_sizes(history, 0, size)
        return self.trusted_root(history, size)

    @property
    def size(self) -> int:
        """How many records there are."""
        return self.reader.history().records_count

    def last_note(self) -> str | None:
        """The last checkpoint that was signed, as a note, if there is one. Raises Corruption."""
        return None if self.last() is None else self._note

    def forget_key(self) -> None:
        """The key that signs was changed: the last checkpoint is signed anew when it is asked for."""
        self._checked = None

    def keep(self, note: str) -> None:
        """Keep the last checkpoint with the signatures that others added to it. Raises StorageError, Corruption."""
        with self._signing, guarded("keeping the checkpoint"):
            self._note = None
            if self._opened(note) == self.last():  # else a newer one was signed meanwhile
                self._door.replace(self.reader.files.checkpoint, note.encode())
                self._note = note

    def last(self) -> Checkpoint | None:
        """The last checkpoint that was signed, if there is one. Raises Corruption."""
        if self._note is None or self._read_only:  # a writer may have signed another one meanwhile
            try:
                note = self._door.read(self.reader.files.checkpoint).decode()
            except FileNotFoundError:
                return None
            except UnicodeDecodeError:
                raise Corruption(str(self.reader.files.checkpoint), None, "it is no signed note") from None
            self._opened(note)
            self._note = note
        return self._opened(self._note)

    def _opened(self, note: str) -> Checkpoint:
        """What a note of ours says. Its signature is checked once. Raises Corruption."""
        if self._checked is not None and self._checked[0] == note:
            return self._checked[1]
        path = str(self.reader.files.checkpoint)
        try:
            parsed = Note.parse(note)
            checkpoint = Checkpoint.parse(parsed.text)
            known = keys.note_keys(self._door, self._files, self.origin)
            is_current = known[-1] in parsed.verified_by(known)
        except BadNote as error:
            raise Corruption(path, None, str(error)) from None
        if checkpoint.origin != self.origin:
            raise Corruption(path, None, f"the checkpoint is of {checkpoint.origin}")
        self._checked, self._is_current = (note, checkpoint), is_current
        return checkpoint

    def _history(self) -> History:
        """The records, which have to reach as far as the last checkpoint. Raises Corruption."""
        last, history = self.last(), self.reader.history()
        if last is not None and last.size > history.records_count:
            self.reader.refresh(wait=True)  # its writer may have stored and signed more since
            history = self.reader.history()
            if last.size > history.records_count:
                what = f"there are {history.records_count} records, but a checkpoint of {last.size} was signed"
                raise Corruption(str(self.reader.files.checkpoint), None, what)
        return history

    def _consistent(
        self, history: History, old_size: int, size: int, old_root: bytes, root: bytes
    ) -> tuple[bytes, ...]:
        """The proof that one tree extends another, held against both roots. Raises Corruption."""

        def proof(node_at: NodeAt) -> tuple[bytes, ...]:
            hashes = tuple(consistency_proof(old_size, size, node_at))
            check_consistency(old_size, size, old_root, root, hashes)
            return hashes

        return self._sound(history, proof)

    def _covering(self, history: History, index: int) -> tuple[str, Checkpoint]:
        """A checkpoint that covers a record: the last one, or one up to the last block, or one of everything."""
        last = self.last()
        if last is not None and index < last.size and self._note is not None and (self._is_current or self._read_only):
            return self._note, last
        sealed = history.sealed_records
        note = self._signed(history, sealed if index < sealed else history.records_count)
        return note, self._opened(note)

    def _signed(self, history: History, size: int) -> str:
        with self._signing:
            last = self.last()
            if last is not None and not self._is_current:
                size = max(size, last.size)  # signed anew, with the key that is given to others now
            if last is not None and last.size > size and self._note is not None:
                return self._note
            root = self.trusted_root(history, size)
            if last is not None:
                self._consistent(history, last.size, size, last.root, root)
                if last.size == size and self._is_current and self._note is not None:
                    return self._note
            with guarded("forcing the log to disk"):
                self.reader.force()
            note = self._signer().sign(Checkpoint(self.origin, size, root).text)
            if not self._read_only:
                with guarded("keeping the checkpoint"):
                    self._door.replace(self.reader.files.checkpoint, note.encode())
            self._note = note
            return note

    def trusted_root(self, history: History, size: int) -> bytes:
        """The root of the first `size` records, by the seal of the block that ends with or after them, if there is one.

        Its signature and its records are checked. O(records in a block). Raises Corruption.
        """
        if not size:
            return EMPTY_ROOT
        frontier = Frontier()
        if history.blocks:
            seal = history.seal(min(history.block_of(size - 1), history.blocks - 1))
            self._check_signature(seal)
            header = seal.header
            if header.collection != self.reader.metadata.uuid:
                raise self._corruption(f"block {header.number} belongs to another collection")
            if header.first_sequence + header.records == size:
                return header.root
            leaves = history.leaves(header.first_sequence, header.records)
            before = Frontier(header.first_sequence, seal.frontier)
            frontier = before.copy()
            frontier.extend(leaves)
            if frontier.root() != header.root:
                raise self._corruption(f"the records do not have the Merkle root of block {header.number}")
            if size < frontier.size:
                before.extend(leaves[: size - before.size])
                return before.root()
        frontier.extend(history.leaves(frontier.size, size - frontier.size))
        return frontier.root()

    def _check_signature(self, seal: Seal) -> None:
        public_keys = {key_id_of(key): key for key in keys.load_public_keys(self._door, self._files)}
        key = public_keys.get(seal.key_id)
        if key is None or not is_signed(key, seal.header.hash(), seal.signature):
            raise self._corruption(f"the signature of block {seal.header.number} is not good")

    def _corruption(self, what: str) -> Corruption:
        return Corruption(str(self.reader.files.chain), None, what)

    def _node_at(self, history: History) -> NodeAt:
        return self.reader.tree.node_at(history.leaves)

    def _sound(self, history: History, prove: Callable[[NodeAt], T]) -> T:
        """What `prove` makes of the nodes; where that does not hold, again without those that were kept."""
        try:
            return prove(self._node_at(history))
        except BadProof:
            self.reader.tree.distrust()
        try:
            return prove(self._node_at(history))
        except BadProof as error:
            raise self._corruption(f"the records are not what was signed: {error}") from None

    @staticmethod
    def _check_sizes(history: History, old_size: int, size: int) -> None:
        if not 0 <= old_size <= size <= history.records_count:
            raise InvalidData(f"A tree of {size} records over one of {old_size}: there are {history.records_count}.")
