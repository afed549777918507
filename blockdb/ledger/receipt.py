"""Receipts: files with which anybody can check, without the database, what it holds.

A receipt for one record is a C2SP `tlog-proof`; the record itself stands in its `extra` line. Those for a run of
records (a batch) and for a range of keys (a scan, or the absence of a key) have the same shape with more lines; see
docs/RECEIPTS.md. All end with a signed checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from blockdb.ledger.checkpoint import Checkpoint
from blockdb.ledger.note import Note, VerifierKey, encode_base64
from blockdb.ledger.proof import BadProof, Step, check_inclusion, inclusion_steps, run_root
from blockdb.ledger.range_receipt import RangeReceipt
from blockdb.ledger.receipt_parts import Body, Lines, Verified, compose, opened


@dataclass(frozen=True)
class Receipt:
    """That a record is stored: its place among all records, and the way from it to the root of their tree."""

    title: ClassVar[str] = "c2sp.org/tlog-proof@v1"
    index: int
    body: Body
    hashes: tuple[bytes, ...]
    """The siblings from the leaf to the root."""
    note: str
    """The signed checkpoint."""

    @classmethod
    def parse(cls, text: str) -> Receipt:
        """Read a receipt. Raises BadProof."""
        lines = Lines(text, cls.title)
        extra = lines.data("extra")
        if extra is None:
            raise BadProof("the receipt does not have the record with it")
        found = cls(lines.number("index"), Body(extra), lines.hashes(), lines.note)
        lines.end()
        return found

    @property
    def text(self) -> str:
        """The file."""
        lines = [self.title, f"extra {self.body.line}", f"index {self.index}", *map(encode_base64, self.hashes)]
        return compose(lines, self.note)

    @property
    def checkpoint(self) -> Checkpoint:
        """What the note says. Raises BadNote."""
        return Checkpoint.parse(Note.parse(self.note).text)

    @property
    def size(self) -> int:
        """How many records the tree has."""
        return self.checkpoint.size

    @property
    def root(self) -> bytes:
        """The root of the tree."""
        return self.checkpoint.root

    @property
    def key(self) -> bytes:
        """The record's key."""
        return self.body.frame.key

    @property
    def value(self) -> bytes:
        """The record's value."""
        return self.body.frame.value

    @property
    def leaf_data(self) -> bytes:
        """What the leaf hash covers, without the 0x00 before it."""
        return self.body.frame.leaf[1:]

    @property
    def leaf_hash(self) -> bytes:
        """SHA-256 of 0x00 and `leaf_data`."""
        return self.body.leaf_hash

    @property
    def signed_by(self) -> tuple[str, ...]:
        """The names under the checkpoint; nothing was checked."""
        return tuple(signature.name for signature in Note.parse(self.note).signatures)

    def steps(self) -> list[Step]:
        """Every hash from the leaf to the root. Raises BadProof where there are too few or too many."""
        return inclusion_steps(self.leaf_hash, self.index, self.size, self.hashes)

    def check(self, keys: Sequence[VerifierKey]) -> Verified:
        """What it proves to somebody who trusts these keys. O(log n). Raises BadProof, BadNote."""
        checked = opened(self.note, keys)
        check_inclusion(self.leaf_hash, self.index, checked.size, self.hashes, checked.root)
        return checked.verified("record", [self.body.proven(self.index)])


@dataclass(frozen=True)
class RunReceipt:
    """That records stand one after the other: a batch, or a transaction, whole."""

    title: ClassVar[str] = "blockdb/run-proof@v1"
    index: int
    bodies: tuple[Body, ...]
    hashes: tuple[bytes, ...]
    """The subtrees beside the run, from left to right."""
    note: str

    @classmethod
    def parse(cls, text: str) -> RunReceipt:
        """Read a receipt. Raises BadProof."""
        lines = Lines(text, cls.title)
        index, bodies = lines.number("index"), tuple(map(Body, lines.all("record")))
        found = cls(index, bodies, lines.hashes(), lines.note)
        lines.end()
        return found

    @property
    def text(self) -> str:
        """The file."""
        records = [f"record {body.line}" for body in self.bodies]
        return compose(
            [self.title, f"index {self.index}", *records, *map(encode_base64, self.hashes)],
            self.note,
        )

    def check_root(self, size: int, root: bytes) -> None:
        """Whether the records lead to this root. O(records + log n). Raises BadProof."""
        if run_root([body.leaf_hash for body in self.bodies], self.index, size, self.hashes) != root:
            raise BadProof("the records do not lead to the root")

    def check(self, keys: Sequence[VerifierKey]) -> Verified:
        """What it proves to somebody who trusts these keys. O(records + log n). Raises BadProof, BadNote."""
        checked = opened(self.note, keys)
        self.check_root(checked.size, checked.root)
        return checked.verified("run", [body.proven(self.index + at) for at, body in enumerate(self.bodies)])


AnyReceipt: TypeAlias = Receipt | RunReceipt | RangeReceipt


def parse_receipt(text: str) -> AnyReceipt:
    """Read a receipt of any kind. Raises BadProof."""
    title = text.partition("\n")[0]
    for kind in (Receipt, RunReceipt, RangeReceipt):
        if kind.title == title:
            return kind.parse(text)
    raise BadProof("this is no receipt: its first line names none of the known kinds")


def check_receipt(text: str, keys: Sequence[VerifierKey]) -> Verified:
    """What a receipt proves to somebody who trusts these keys; those of witnesses must all have cosigned it.

    Needs nothing but the text. O(records + log n). Raises BadProof, BadNote.
    """
    return parse_receipt(text).check(keys)
