"""Receipts about ranges of keys: the records of one collection in key order, under a state in the journal."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Final
from uuid import UUID

from blockdb.database.proofs.journal import Journal
from blockdb.database.proofs.prover import Prover
from blockdb.errors import Corruption, InvalidData, ReadOnly
from blockdb.format.record import key_of, leaf_of
from blockdb.ledger.keytree import KeyTree
from blockdb.ledger.merkle import Frontier, leaf_hash
from blockdb.ledger.proof import run_proof
from blockdb.ledger.range_receipt import Neighbour, RangeReceipt, StateProof
from blockdb.ledger.receipt_parts import Body
from blockdb.storage.reader import Reader

PIECE_RECORDS: Final = 10_000
"""How many records are read together where all of them are."""

Record = Callable[[dict[str, tuple[int, bytes]]], int | None]
"""Puts the states of all collections into the journal, with the root of the keys of some: see `Notary.append_state`."""


class RangeProver:
    """Proves what a range of the keys of one collection holds. Safe for threads."""

    def __init__(self, reader: Reader, prover: Prover, record: Record | None) -> None:
        """`record` puts a state into the journal; None where the handle only reads."""
        self._reader = reader
        self._prover = prover
        self._record = record
        self._proving = Lock()
        self._tree: KeyTree | None = None
        self._uuid = str(UUID(bytes=reader.metadata.uuid))

    def prove(
        self, start: bytes | None, end: bytes | None, journal: Journal | None, journal_prover: Prover | None
    ) -> RangeReceipt:
        """The receipt for all records with keys from `start` on and before `end`.

        O(n log n) when the first one is asked for after a write, O(records + log n) after that. A handle that only
        reads proves what was at the last state that commits to the keys. Raises ReadOnly where there is none.
        """
        start = start or None  # every key comes after the empty one
        if end is not None and (not end or end < (start or b"")):
            raise InvalidData("The range should not end before it starts.")
        if journal is None or journal_prover is None:
            raise ReadOnly("No state of the database commits to its keys yet; open it for writing to make one.")
        with self._proving:
            tree, number = self._state_of_keys(journal)
        first, stop = tree.position(start or b""), len(tree) if end is None else tree.position(end)
        shown_first, shown_stop = max(first - 1, 0), min(stop + 1, len(tree))
        bodies = [self._body(tree, position) for position in range(first, stop)]

        def neighbour(position: int) -> Neighbour:
            return Neighbour(tree.keys[position], tree.record_leaf(position))

        state = journal_prover.prove(b"%020d" % number)
        hashes = run_proof(shown_first, shown_stop, len(tree), tree.node_at) if shown_stop > shown_first else []
        return RangeReceipt(
            start,
            end,
            shown_first,
            neighbour(first - 1) if first else None,
            tuple(bodies),
            neighbour(stop) if stop < len(tree) else None,
            tuple(hashes),
            StateProof(self._uuid, number, state.body, state.hashes),
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

    def _state_of_keys(self, journal: Journal) -> tuple[KeyTree, int]:
        """The tree over the keys, made if need be, and the number of the state that commits to it."""
        while self._record is not None:
            records = self._reader.next_sequence
            tree = self._tree_of(records)
            recorded = self._record({self._uuid: (records, tree.root)})
            if recorded is not None:  # else somebody wrote meanwhile
                return tree, recorded
        for number, found in journal.states():
            state = found.get(self._uuid)
            if state is not None and state.keys_root is not None:
                tree = self._tree_of(state.records)
                if tree.root != state.keys_root:
                    raise Corruption(str(self._reader.files.chain), None, "the keys are not those of the last state")
                return tree, number
        raise ReadOnly("No state of the database commits to its keys yet; open it for writing to make one.")

    def _tree_of(self, records: int) -> KeyTree:
        """The tree over the keys of the first so many records, whose leaves are held against their root. O(n log n)."""
        if self._tree is not None and len(self._tree) == records:
            return self._tree
        history = self._reader.history()
        found_keys: list[bytes] = []
        leaves: list[bytes] = []
        for first in range(0, records, PIECE_RECORDS):
            bodies = history.bodies(first, min(PIECE_RECORDS, records - first))
            found_keys += map(key_of, bodies)
            leaves += [leaf_hash(leaf_of(body)[1:]) for body in bodies]
        frontier = Frontier()
        frontier.extend(leaves)
        if frontier.root() != self._prover.trusted_root(history, records):
            raise Corruption(str(self._reader.files.chain), None, "the records are not what was signed")
        self._tree = KeyTree(found_keys, leaves)
        return self._tree
