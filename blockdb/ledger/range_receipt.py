"""Receipts for ranges of keys: that nothing was left out of a scan, that there is no such key.

The records of a range are shown with the two keys beside it, as neighbours in the tree over all keys (see
blockdb.ledger.keytree). The root of that tree stands in a state (blockdb.ledger.state), the state in the journal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar, Final

from blockdb.format.limits import MAX_KEY_BYTES
from blockdb.ledger.keytree import key_leaf
from blockdb.ledger.merkle import EMPTY_ROOT
from blockdb.ledger.note import VerifierKey, encode_base64
from blockdb.ledger.proof import BadProof, check_inclusion, run_root
from blockdb.ledger.receipt_parts import Body, Checked, Lines, Verified, bytes_of, compose, opened
from blockdb.ledger.state import BadState, CollectionState, decode_event, decode_state

JOURNAL: Final = "/journal"
"""How the origin of a journal ends, behind the name of its database. No collection's does."""


def origin_of(database: str, collection: str) -> str:
    """The origin of a collection with this UUID: the name of its database, which is called by its first collection."""
    return database if database.endswith(f"/{collection}") else f"{database}/{collection}"


@dataclass(frozen=True)
class Neighbour:
    """A key beside a range, with the leaf hash of its record, which stays unknown."""

    key: bytes
    record_leaf: bytes

    @property
    def words(self) -> str:
        """The key and the hash as they stand in a receipt."""
        return f"{encode_base64(self.key)} {encode_base64(self.record_leaf)}"

    @classmethod
    def parse(cls, words: str | None) -> Neighbour | None:
        """Read what `words` gave. Raises BadProof."""
        if words is None:
            return None
        key, _, leaf = words.partition(" ")
        found = cls(bytes_of(key), bytes_of(leaf))
        if len(found.record_leaf) != 32 or not 0 < len(found.key) <= MAX_KEY_BYTES:
            raise BadProof("a neighbour is no key with a hash")
        return found


@dataclass(frozen=True)
class StateProof:
    """That the journal of the database has a state of a collection."""

    collection: str
    """Its UUID."""
    index: int
    body: Body
    hashes: tuple[bytes, ...]

    def state(self, checked: Checked) -> CollectionState:
        """The collection's state, once its record is found in the journal. Raises BadProof."""
        check_inclusion(self.body.leaf_hash, self.index, checked.size, self.hashes, checked.root)
        try:
            states = decode_state(decode_event(self.body.frame.value))
        except BadState as error:
            raise BadProof(str(error)) from None
        if self.collection not in states:
            raise BadProof("the state has no such collection")
        return states[self.collection]


@dataclass(frozen=True)
class RangeReceipt:
    """That records are all there are in a range of keys; with none, that there is no such key."""

    title: ClassVar[str] = "blockdb/range-proof@v1"
    start: bytes | None
    end: bytes | None
    index: int
    """The position in key order of the first leaf that is shown."""
    before: Neighbour | None
    bodies: tuple[Body, ...]
    after: Neighbour | None
    hashes: tuple[bytes, ...]
    """The subtrees of the tree over the keys beside what is shown, from left to right."""
    proof: StateProof
    note: str
    """The checkpoint of the journal."""

    @classmethod
    def parse(cls, text: str) -> RangeReceipt:
        """Read a receipt. Raises BadProof."""
        lines = Lines(text, cls.title)
        start, end, index = lines.data("start"), lines.data("end"), lines.number("index")
        if start == b"" or end == b"":
            raise BadProof("a bound of the range is empty")
        before = Neighbour.parse(lines.word("before"))
        bodies = tuple(map(Body, lines.all("record")))
        after = Neighbour.parse(lines.word("after"))
        hashes = lines.hashes()
        collection, at, state = lines.word("collection"), lines.number("at"), lines.data("state")
        if collection is None or state is None:
            raise BadProof("the receipt does not have the state of the collection with it")
        proof = StateProof(collection, at, Body(state), lines.hashes())
        lines.end()
        return cls(start, end, index, before, bodies, after, hashes, proof, lines.note)

    @property
    def text(self) -> str:
        """The file."""
        return compose(self._lines(), self.note)

    def _lines(self) -> Iterator[str]:
        yield self.title
        for name, bound in (("start", self.start), ("end", self.end)):
            if bound is not None:
                yield f"{name} {encode_base64(bound)}"
        yield f"index {self.index}"
        if self.before is not None:
            yield f"before {self.before.words}"
        yield from (f"record {body.line}" for body in self.bodies)
        if self.after is not None:
            yield f"after {self.after.words}"
        yield from map(encode_base64, self.hashes)
        yield f"collection {self.proof.collection}"
        yield f"at {self.proof.index}"
        yield f"state {self.proof.body.line}"
        yield from map(encode_base64, self.proof.hashes)

    def check(self, keys: Sequence[VerifierKey]) -> Verified:
        """What it proves to somebody who trusts these keys. O(records + log n). Raises BadProof, BadNote."""
        checked = opened(self.note, keys)
        if not checked.origin.endswith(JOURNAL):  # whoever may write to a collection could write states there
            raise BadProof(f"the checkpoint is of {checked.origin}, which is no journal")
        state = self.proof.state(checked)
        if state.keys_root is None:
            raise BadProof("the state does not commit to the keys")
        shown = [(body.frame.key, body.leaf_hash) for body in self.bodies]
        self._check_order([key for key, _ in shown], state.records)
        neighbours = [[(n.key, n.record_leaf)] if n is not None else [] for n in (self.before, self.after)]
        leaves = [key_leaf(key, leaf) for key, leaf in [*neighbours[0], *shown, *neighbours[1]]]
        root = run_root(leaves, self.index, state.records, self.hashes) if leaves else EMPTY_ROOT
        if root != state.keys_root or (self.hashes and not leaves):
            raise BadProof("the keys do not lead to the root over all keys")
        verified = checked.verified("range", [body.proven(None) for body in self.bodies])
        return replace(
            verified,
            origin=origin_of(checked.origin.removesuffix(JOURNAL), self.proof.collection),
            size=state.records,
            start=self.start,
            end=self.end,
            as_of_ms=self.proof.body.frame.time_ms,
        )

    def _check_order(self, keys: Sequence[bytes], size: int) -> None:
        """The keys ascend inside the range, and what stands beside them is outside of it, or there is nothing."""
        start, end = self.start or b"", self.end
        if end is not None and end < start:
            raise BadProof("the range ends before it starts")
        if any(key < start or (end is not None and key >= end) for key in keys):
            raise BadProof("a record is outside of the range")
        if any(key >= other for key, other in pairwise(keys)):
            raise BadProof("the records are not in key order")
        if self.before is not None and self.before.key >= start:
            raise BadProof("the neighbour before the range is not before it")
        if self.after is not None and (end is None or self.after.key < end):
            raise BadProof("the neighbour after the range is not after it")
        if self.before is None and self.index:
            raise BadProof("records before the range are left out")
        last = self.index + len(keys) + (self.before is not None)
        if self.after is None and last != size:
            raise BadProof("records at the end of the range are left out")
