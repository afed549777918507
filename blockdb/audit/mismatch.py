"""Saying of what is wrong what was expected and what was found, as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from blockdb.format import batch, record
from blockdb.format.block import Seal, seal_bytes
from blockdb.format.buffer import Buffer
from blockdb.format.frame import CHECK_BYTES, RECORD, SEAL, BadFrame, check_of
from blockdb.ledger.chain import Head, check_seal


class Mismatch(NamedTuple):
    """What is wrong, and where that can be said, what was expected and what was found."""

    what: str
    expected: str | None = None
    found: str | None = None


class BadPlace(NamedTuple):
    """The one frame of a commit that is damaged."""

    offset: int
    records_before: int
    """How many intact records of the commit stand before it."""
    is_seal: bool = False
    key: bytes | None = None
    """What stands where its key should; the damage may be in there."""
    expected: str | None = None
    found: str | None = None


def of_seal(seal: Seal, head: Head, collection: bytes, public_keys: Mapping[bytes, bytes]) -> Mismatch | None:
    """What is wrong with a block as the successor of `head`, apart from its records; None where nothing is."""
    what = check_seal(seal, head, collection, public_keys)
    if what is None:
        return None
    header = seal.header
    compared = (
        (collection.hex(), header.collection.hex()),
        (str(head.next_number), str(header.number)),
        (head.previous_hash.hex(), header.previous_hash.hex()),
    )
    for expected, found in compared:
        if expected != found:
            return Mismatch(what, expected, found)
    if seal.key_id not in public_keys:
        known = ", ".join(key_id.hex() for key_id in public_keys)
        return Mismatch(what, f"one of the keys {known}" if known else "a public key", seal.key_id.hex())
    return Mismatch(what, f"a signature by {seal.key_id.hex()} over {header.hash().hex()}", seal.signature.hex())


def of_told(what: str, names: Iterable[str], told: Iterable[object], found: Iterable[object]) -> Mismatch:
    """The first of several named values that is not what was told."""
    for name, one, other in zip(names, told, found, strict=True):
        if one != other:
            return Mismatch(what, f"{name} {_text(one)}", f"{name} {_text(other)}")
    return Mismatch(what)


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(item.hex() for item in value) or "nothing"
    return str(value)


def pinpoint(buffer: Buffer, offset: int, stop: int) -> BadPlace:
    """Which frame of the commit at `offset`, which is no intact one, is damaged. O(bytes of the commit)."""
    records, at = 0, offset
    try:
        announced = batch.decode(buffer, offset)
    except BadFrame:
        return _compared(buffer, offset, 0, stop)
    at += announced.header_bytes
    end = min(at + announced.size, stop)
    try:
        while at < end:
            at += record.decode(buffer, at).size
            records += 1
    except BadFrame:
        return _compared(buffer, at, records, stop)
    return BadPlace(offset, 0)


def _compared(buffer: Buffer, at: int, records: int, stop: int) -> BadPlace:
    """The check of the frame against its bytes, where it is known which bytes those are."""
    kind, key, is_seal = buffer[at + CHECK_BYTES : at + CHECK_BYTES + 1], None, False
    end = stop + 1
    if kind == bytes([RECORD]) and at + record.HEADER_BYTES <= stop:
        end = record.end_of(buffer, at)
        _, _, key_bytes, _ = record.unpack_sizes(buffer, at)
        key = buffer[at + record.HEADER_BYTES : at + record.HEADER_BYTES + key_bytes] if end <= stop else None
    elif kind == bytes([SEAL]) and at + CHECK_BYTES + 5 <= stop:
        is_seal = True
        end = at + seal_bytes(buffer[at : at + CHECK_BYTES + 5])
    elif kind and kind[0] in batch.HEADERS:
        end = at + batch.HEADERS[kind[0]]
    if end > stop:
        return BadPlace(at, records, is_seal)
    told, found = buffer[at : at + CHECK_BYTES], check_of(buffer[at + CHECK_BYTES : end])
    if told == found:
        return BadPlace(at, records, is_seal, key)
    return BadPlace(at, records, is_seal, key, f"check {told.hex()}", f"check {found.hex()}")
