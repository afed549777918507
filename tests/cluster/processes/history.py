"""What clients saw, and whether one database that does one thing after the other could have shown it to them.

Keys are written once, which makes this exact and quick. Of each key at most one put takes effect, at a point between
its beginning and its end (or later, where nobody knows its end). Reads that found nothing and puts that were refused
have their points before and after that one; so there is an order if and only if

    the latest beginning of what came before  <=  the earliest end of what came after.

Histories are linearizable if each key's is (Herlihy and Wing, 1990, theorem 1). Where a put says which number its
record has, the numbers are a witness: puts of different keys that followed each other in time are numbered so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf

__all__ = ["ABSENT", "REFUSED", "STORED", "UNKNOWN", "VALUE", "Op", "faults_of"]

STORED, REFUSED, UNKNOWN = "stored", "refused", "unknown"
"""What became of a put; refused: the key was there already."""
VALUE, ABSENT = "value", "absent"
"""What a read found."""


@dataclass(frozen=True, slots=True)
class Op:
    """Something that a client did. Times in seconds of one clock."""

    key: bytes
    what: str
    began: float
    ended: float
    value: bytes = b""
    """What was to be stored, or was found."""
    number: int | None = None
    """Of a put that stored: the number of its record."""
    who: str = ""

    @property
    def is_put(self) -> bool:
        return self.what in (STORED, REFUSED, UNKNOWN)

    @property
    def last(self) -> float:
        """When it had happened, if it did."""
        return inf if self.what == UNKNOWN else self.ended


def faults_of(ops: Iterable[Op], records: Sequence[tuple[bytes, bytes]] | None = None) -> list[str]:
    """What cannot have been; empty where all is well.

    `records` are all of them in their order, as the database has them in the end. O(n log n).
    """
    by_key: dict[bytes, list[Op]] = defaultdict(list)
    for op in ops:
        by_key[op.key].append(op)
    faults = [fault for key, each in by_key.items() for fault in _faults_of_key(key, each)]
    stored = sorted((op for each in by_key.values() for op in each if op.number is not None), key=lambda op: op.began)
    faults += _out_of_order(stored)
    return faults + ([] if records is None else _not_in(records, by_key))


def _faults_of_key(key: bytes, ops: list[Op]) -> list[str]:
    values = {op.value for op in ops if op.what in (STORED, VALUE)}
    stored = [op for op in ops if op.what == STORED]
    if len(stored) > 1:
        return [f"{key!r} was stored {len(stored)} times: {stored}"]
    if len(values) > 1:
        return [f"{key!r} had several values: {sorted(values)}"]
    after = [op for op in ops if op.what in (VALUE, REFUSED)]
    if not stored and not after:
        return []
    candidates = stored or [op for op in ops if op.what == UNKNOWN and (not values or op.value in values)]
    if not any(_can_be(winner, ops, after) for winner in candidates):
        return [f"{key!r} has no order: {sorted(ops, key=lambda op: op.began)}"]
    return []


def _can_be(winner: Op, ops: list[Op], after: list[Op]) -> bool:
    """Whether that put can be the one that took effect."""
    begins = max([winner.began, *(op.began for op in ops if op.what == ABSENT)])
    return begins <= min([winner.last, *(op.ended for op in after)])


def _out_of_order(stored: list[Op]) -> list[str]:
    """Puts whose records are numbered otherwise than they followed each other."""
    faults: list[str] = []
    ends = sorted(stored, key=lambda op: op.ended)
    highest: Op | None = None
    at = 0
    for op in stored:
        while at < len(ends) and ends[at].ended < op.began:
            if highest is None or _number(ends[at]) > _number(highest):
                highest = ends[at]
            at += 1
        if highest is not None and _number(highest) >= _number(op):
            faults.append(f"{op} came after {highest}, and has a lower number")
    return faults


def _number(op: Op) -> int:
    assert op.number is not None
    return op.number


def _not_in(records: Sequence[tuple[bytes, bytes]], by_key: dict[bytes, list[Op]]) -> list[str]:
    """What was acknowledged and is not there, or is there and was never asked for."""
    faults = []
    found = dict(records)
    if len(found) != len(records):
        faults.append("a key is there twice")
    for key, ops in by_key.items():
        for op in ops:
            if op.what in (STORED, VALUE) and found.get(key) != op.value:
                faults.append(f"{op} is lost: there is {found.get(key)!r}")
            if op.number is not None and (op.number >= len(records) or records[op.number][0] != key):
                faults.append(f"{op} is not at its number")
            if op.what == REFUSED and key not in found:
                faults.append(f"{op} was refused, and there is none")
    for key, value in records:
        if not any(op.is_put and op.what != REFUSED and op.value == value for op in by_key.get(key, ())):
            faults.append(f"nobody put {key!r} -> {value!r}")
    return faults
