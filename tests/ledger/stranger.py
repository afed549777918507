"""Receipts written down as docs/RECEIPTS.md has them, with no code of ours: an oracle, and a forger's pen."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from nacl.signing import SigningKey

from tests.ledger import reference


def b64(data: bytes) -> str:
    return b64encode(data).decode()


def body(key: bytes, value: bytes, time_ms: int, kind: int = 1) -> bytes:
    """The bytes of a record in a receipt."""
    time = (time_ms >> 32).to_bytes(2, "little") + (time_ms & 0xFFFFFFFF).to_bytes(4, "little")
    return bytes((kind,)) + time + len(key).to_bytes(2, "little") + len(value).to_bytes(4, "little") + key + value


def redactable(key: bytes, value: bytes, time_ms: int, salt: bytes) -> bytes:
    """The same of a record whose value can be erased."""
    return body(key, sha256(salt + value).digest() + salt + value, time_ms, kind=2)


def leaf(data: bytes) -> bytes:
    """The leaf hash of a record's bytes."""
    return reference.leaf(data if data[0] == 1 else data[: 13 + int.from_bytes(data[7:9], "little") + 32])


def key_of(data: bytes) -> bytes:
    return data[13 : 13 + int.from_bytes(data[7:9], "little")]


def split(size: int) -> int:
    return 1 << (size - 1).bit_length() - 1


def path(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PATH of RFC 6962 §2.1.1."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if index < k:
        return [*path(index, leaves[:k]), reference.root(leaves[k:])]
    return [*path(index - k, leaves[k:]), reference.root(leaves[:k])]


def consistency(old: int, leaves: Sequence[bytes], whole: bool = True) -> list[bytes]:
    """SUBPROOF of RFC 6962 §2.1.2."""
    if old == len(leaves):
        return [] if whole else [reference.root(leaves)]
    k = split(len(leaves))
    if old <= k:
        return [*consistency(old, leaves[:k], whole), reference.root(leaves[k:])]
    return [*consistency(old - k, leaves[k:], False), reference.root(leaves[:k])]


def beside(first: int, stop: int, leaves: Sequence[bytes], at: int = 0) -> list[bytes]:
    """The subtrees with none of the leaves from `first` on and before `stop`, from left to right."""
    if stop <= at or at + len(leaves) <= first:
        return [reference.root(leaves)]
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    return [*beside(first, stop, leaves[:k], at), *beside(first, stop, leaves[k:], at + k)]


@dataclass(frozen=True)
class Key:
    """A signing key under a name."""

    name: str
    seed: bytes
    type: int = 1

    @property
    def public(self) -> bytes:
        return bytes((self.type,)) + bytes(SigningKey(self.seed).verify_key)

    def id_for(self, name: str) -> bytes:
        return sha256(name.encode() + b"\n" + self.public).digest()[:4]

    @property
    def vkey(self) -> str:
        return f"{self.name}+{self.id_for(self.name).hex()}+{b64(self.public)}"

    def sign(self, message: bytes) -> bytes:
        return SigningKey(self.seed).sign(message).signature

    def line(self, text: str, name: str | None = None) -> str:
        name = name or self.name
        return f"— {name} {b64(self.id_for(name) + self.sign(text.encode()))}\n"

    def cosignature(self, text: str, time_s: int) -> str:
        """The line of a witness."""
        signed = self.sign(f"cosignature/v1\ntime {time_s}\n{text}".encode())
        return f"— {self.name} {b64(self.id_for(self.name) + time_s.to_bytes(8, 'big') + signed)}\n"

    def checkpoint(self, size: int, root: bytes, below: str = "") -> str:
        """A signed checkpoint of this origin, or of one below it."""
        text = f"{self.name}{below}\n{size}\n{b64(root)}\n"
        return f"{text}\n{self.line(text, self.name + below)}"


def compose(lines: Iterable[str], hashes: Iterable[bytes], note: str) -> str:
    return "\n".join([*lines, *map(b64, hashes)]) + "\n\n" + note


def record_receipt(bodies: Sequence[bytes], index: int, note: str) -> str:
    """The receipt for one of the records in a tree of all of them."""
    lines = ["c2sp.org/tlog-proof@v1", f"extra {b64(bodies[index])}", f"index {index}"]
    return compose(lines, path(index, list(map(leaf, bodies))), note)


def run_receipt(bodies: Sequence[bytes], first: int, count: int, note: str) -> str:
    records = [f"record {b64(data)}" for data in bodies[first : first + count]]
    lines = ["blockdb/run-proof@v1", f"index {first}", *records]
    return compose(lines, beside(first, first + count, list(map(leaf, bodies))), note)


def key_leaf(data: bytes) -> bytes:
    key = key_of(data)
    return reference.leaf(len(key).to_bytes(2, "big") + key + leaf(data))


def event(members: Mapping[str, Any]) -> bytes:
    return json.dumps(members, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def state(collection: str, bodies: Sequence[bytes], name: str = "default", **changes: Any) -> bytes:
    """The event with the state of a collection that has these records."""
    said = {
        "name": name,
        "records": len(bodies),
        "root": reference.root(list(map(leaf, bodies))).hex(),
        "keys": reference.root([key_leaf(data) for data in sorted(bodies, key=key_of)]).hex(),
    }
    return event({"event": "state", "collections": {collection: said | changes}})


@dataclass(frozen=True)
class RangeParts:
    """What a range receipt is made of, open to change."""

    start: bytes | None
    end: bytes | None
    index: int
    before: tuple[bytes, bytes] | None
    bodies: Sequence[bytes]
    after: tuple[bytes, bytes] | None
    hashes: Sequence[bytes]
    collection: str
    at: int
    state: bytes
    state_path: Sequence[bytes]
    note: str

    @property
    def text(self) -> str:
        lines = ["blockdb/range-proof@v1"]
        lines += [f"start {b64(self.start)}"] * (self.start is not None) if self.start is not None else []
        lines += [f"end {b64(self.end)}"] if self.end is not None else []
        lines += [f"index {self.index}"]
        lines += [f"before {b64(self.before[0])} {b64(self.before[1])}"] if self.before else []
        lines += [f"record {b64(data)}" for data in self.bodies]
        lines += [f"after {b64(self.after[0])} {b64(self.after[1])}"] if self.after else []
        lines += map(b64, self.hashes)
        lines += [f"collection {self.collection}", f"at {self.at}", f"state {b64(self.state)}"]
        return compose(lines, self.state_path, self.note)


def range_parts(
    bodies: Sequence[bytes],
    start: bytes | None,
    end: bytes | None,
    journal: Sequence[bytes],
    at: int,
    collection: str,
    sign: Callable[[int, bytes], str],
) -> RangeParts:
    """The receipt for all records in a range, by the state that stands at `at` in the journal."""
    ordered = sorted(bodies, key=key_of)
    shown = [n for n, data in enumerate(ordered) if key_of(data) >= (start or b"") and (not end or key_of(data) < end)]
    first = shown[0] if shown else sum(key_of(data) < (start or b"") for data in ordered)
    stop = first + len(shown)
    before = (key_of(ordered[first - 1]), leaf(ordered[first - 1])) if first else None
    after = (key_of(ordered[stop]), leaf(ordered[stop])) if stop < len(ordered) else None
    index, last = first - bool(before), stop + bool(after)
    hashes = beside(index, last, [key_leaf(data) for data in ordered]) if last > index else []
    leaves = list(map(leaf, journal))
    note = sign(len(journal), reference.root(leaves))
    return RangeParts(
        start,
        end,
        index,
        before,
        ordered[first:stop],
        after,
        hashes,
        collection,
        at,
        journal[at],
        path(at, leaves),
        note,
    )
