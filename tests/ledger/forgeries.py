"""Forged receipts, each with a name and with what finds it. `python -m tests.ledger.forgeries` prints the table."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from functools import cache
from typing import Any, Final

from tests.ledger import reference, stranger
from tests.ledger.stranger import Key, RangeParts, b64, body


class Found(Enum):
    """What finds a forgery."""

    RECEIPT = "the check of the receipt refuses it"
    SAYS_SO = "nothing to refuse: what is proven is true, and says of what and of when it is"
    VERIFY = "verify"
    PROVER = "verify; and the database itself refuses to sign and to prove"
    REPAIRED = "verify; and proofs are made from the records, and stay right"
    HEALED = "nothing to find: proofs are made from the records, and stay right"
    RECEIPTS = "two receipts, both signed, contradict each other"
    OUTSIDE = "a checkpoint, or the verifier key, that was kept outside"
    WITNESS = "a witness"


UUID: Final = "00112233-4455-6677-8899-aabbccddeeff"
OTHER_UUID: Final = "ffeeddcc-bbaa-9988-7766-554433221100"
TIME: Final = 1_700_000_000_000


def bodies(count: int, edited: int | None = None) -> list[bytes]:
    """Records in commit order, one of them perhaps other than it was."""
    return [
        body(b"key %02d" % (number * 5 % 16), b"edited" if number == edited else b"value %d" % number, TIME + number)
        for number in range(count)
    ]


def event(number: int, members: bytes) -> bytes:
    return body(b"%020d" % number, members, TIME + 100 + number)


class World:
    """A database of eleven records, its key, its journal with two states, and good receipts."""

    def __init__(self) -> None:
        self.key = Key(f"blockdb/{UUID}", bytes(range(32)))
        self.other_key = Key(f"blockdb/{UUID}", bytes(range(1, 33)))
        self.witness = Key("witness.example/w", bytes(range(2, 34)), type=4)
        self.bodies = bodies(11)
        self.old = self.bodies[:8]
        said = [stranger.state(UUID, self.old), stranger.event({"event": "keys"}), stranger.state(UUID, self.bodies)]
        self.journal = [event(number, members) for number, members in enumerate(said)]
        self.note = self.note_of(self.bodies)

    def note_of(self, records: list[bytes], key: Key | None = None, below: str = "") -> str:
        return (key or self.key).checkpoint(len(records), reference.root(list(map(stranger.leaf, records))), below)

    def record(self, index: int = 3, note: str | None = None) -> str:
        return stranger.record_receipt(self.bodies, index, note or self.note)

    def run(self, first: int = 2, count: int = 3) -> str:
        return stranger.run_receipt(self.bodies, first, count, self.note)

    def range(self, start: bytes | None = b"key 03", end: bytes | None = b"key 07", **given: Any) -> RangeParts:
        about: dict[str, Any] = {"bodies": self.bodies, "journal": self.journal, "at": 2, "collection": UUID} | given

        def sign(size: int, root: bytes) -> str:
            return self.key.checkpoint(size, root, given.get("below", "/journal"))

        about.pop("below", None)
        return stranger.range_parts(start=start, end=end, sign=sign, **about)

    def absent(self) -> RangeParts:
        return self.range(b"key 04x", b"key 04x\0")

    def journaled(self, members: bytes) -> list[bytes]:
        """The journal with another last state: by an operator who signs what he likes."""
        return [*self.journal[:2], event(2, members)]


@cache
def world() -> World:
    return World()


@dataclass(frozen=True)
class Forgery:
    """A forged receipt, made of good ones."""

    name: str
    make: Callable[[World], str]
    found: Found = Found.RECEIPT
    says: str = ""
    """What the refusal says."""
    witnessed: bool = False
    """Whether it is checked with the key of a witness as well."""


FORGERIES: Final[list[Forgery]] = []


def forged(name: str, says: str = "", found: Found = Found.RECEIPT, witnessed: bool = False) -> Callable[[Any], Any]:
    """Enter a function that forges a receipt into the table."""

    def enter(make: Callable[[World], str]) -> Callable[[World], str]:
        FORGERIES.append(Forgery(name, make, found, says, witnessed))
        return make

    return enter


def edit(text: str, pattern: str, change: Callable[[str], str] | str) -> str:
    """The text with the first group of the pattern changed; it has to be there, and to become another."""
    match = re.search(pattern, text, re.MULTILINE | re.DOTALL)
    assert match, pattern
    new = change if isinstance(change, str) else change(match[1])
    assert new != match[1], "nothing was forged"
    return text[: match.start(1)] + new + text[match.end(1) :]


def recode(change: Callable[[bytes], bytes]) -> Callable[[str], str]:
    return lambda word: b64(change(b64decode(word)))


def hashes(change: Callable[[list[str]], list[str]]) -> Callable[[World], str]:
    """A receipt for a record whose path was changed."""

    def make(w: World) -> str:
        return edit(w.record(), r"index 3\n(.*?)\n\n", lambda path: "\n".join(change(path.split("\n"))))

    return make


EXTRA: Final = r"^extra (\S+)$"
SIGNATURE: Final = r"^— \S+ (\S+)$"

# ── a record ─────────────────────────────────────────────────────────────────────────────────────────────────────

forged("a value edited", "does not lead")(lambda w: edit(w.record(), EXTRA, recode(lambda d: d[:-1] + b"X")))
forged("a value made longer", "no record")(lambda w: edit(w.record(), EXTRA, recode(lambda d: d + b"X")))
forged("a key edited", "does not lead")(lambda w: edit(w.record(), EXTRA, recode(lambda d: d.replace(b"key", b"Key"))))
forged("a time edited", "does not lead")(
    lambda w: edit(w.record(), EXTRA, recode(lambda d: d[:3] + bytes((d[3] ^ 1,)) + d[4:]))
)
forged("a byte moved from the value to the key", "does not lead")(
    lambda w: edit(w.record(), EXTRA, recode(lambda d: d[:7] + b"\7\0\6\0\0\0" + d[13:]))
)
forged("the record of another place", "does not lead")(lambda w: edit(w.record(), EXTRA, b64(w.bodies[4])))
forged("a plain record called redactable", "record")(lambda w: edit(w.record(), EXTRA, recode(lambda d: b"\2" + d[1:])))
forged("another index", "does not lead")(lambda w: edit(w.record(), r"^index (3)$", "2"))
forged("an index beyond the tree", "not in a tree")(lambda w: edit(w.record(), r"^index (3)$", "11"))
forged("an index below zero", "index")(lambda w: edit(w.record(), r"^index (3)$", "-3"))
forged("an index with a leading zero", "index")(lambda w: edit(w.record(), r"^index (3)$", "03"))
forged("an index in digits of another script", "index")(lambda w: edit(w.record(), r"^index (3)$", "٣"))
forged("another size", "signature")(lambda w: edit(w.record(), r"\n(11)\n", "12"))
forged("a size with a leading zero", "number")(lambda w: edit(w.record(), r"\n(11)\n", "011"))
forged("the root swapped", "signature")(lambda w: edit(w.record(), r"\n11\n(\S+)\n", b64(bytes(32))))
forged("two hashes swapped", "does not lead")(hashes(lambda path: [path[1], path[0], *path[2:]]))
forged("a hash dropped", "too short")(hashes(lambda path: path[:-1]))
forged("all hashes dropped", "too short")(lambda w: edit(w.record(), r"index 3(\n.*?)\n\n", ""))
forged("a hash doubled", "too long")(hashes(lambda path: [path[0], *path]))
forged("a hash appended", "too long")(hashes(lambda path: [*path, b64(bytes(32))]))
forged("a hash of 31 bytes", "bytes instead of 32")(hashes(lambda path: [b64(b64decode(path[0])[:31]), *path[1:]]))
forged("a hash of 64 bytes", "bytes instead of 32")(hashes(lambda path: [b64(b64decode(path[0]) * 2), *path[1:]]))


@forged("an inner node shown as a record (second preimage)", "no record")
def inner_node(w: World) -> str:
    left, right = (stranger.leaf(data) for data in w.bodies[2:4])
    text = edit(w.record(), EXTRA, b64(left + right))
    return edit(edit(text, r"index (3)", "1"), r"index 1(\n\S+)\n", "")


@forged("a leaf of the tree over the keys shown as a record", "record")
def leaf_of_keys(w: World) -> str:
    ordered = sorted(w.bodies, key=stranger.key_of)
    key = stranger.key_of(ordered[0])
    data = len(key).to_bytes(2, "big") + key + stranger.leaf(ordered[0])
    path = stranger.path(0, [stranger.key_leaf(one) for one in ordered])
    return stranger.compose(["c2sp.org/tlog-proof@v1", f"extra {b64(data)}", "index 0"], path, w.note)


forged("base64 with a bit set that means nothing", "base64")(
    hashes(lambda path: [path[0][:-2] + chr(ord(path[0][-2]) + 1) + "=", *path[1:]])
)
forged("base64 without its padding", "base64")(hashes(lambda path: [path[0].rstrip("="), *path[1:]]))
forged("lines that end as on Windows", "receipt|known|line|text|checkpoint")(lambda w: w.record().replace("\n", "\r\n"))
forged("a blank line at the end", "signature|signed")(lambda w: w.record() + "\n")
forged("a line before the first", "receipt")(lambda w: "\ufeff" + w.record())
forged("a line that no one knows", "index is missing")(lambda w: edit(w.record(), r"(index 3)\n", "note x\nindex 3"))
forged("an index twice", "damaged|belong")(lambda w: edit(w.record(), r"(index 3)\n", "index 3\nindex 4"))


def salted(w: World) -> tuple[list[bytes], str]:
    """Five redactable records, and the receipt for the fourth."""
    made = [stranger.redactable(b"key %d" % n, b"secret %d" % n, TIME + n, bytes([n + 1]) * 16) for n in range(5)]
    return made, stranger.record_receipt(made, 3, w.note_of(made))


forged("the salt of a redactable value edited", "digest")(
    lambda w: edit(salted(w)[1], EXTRA, recode(lambda d: d.replace(bytes([4]) * 16, bytes([5]) * 16)))
)
forged("the digest of a redactable value edited with it", "does not lead")(
    lambda w: edit(salted(w)[1], EXTRA, b64(stranger.redactable(b"key 3", b"edited 3", TIME + 3, bytes([4]) * 16)))
)
forged("a value half erased", "digest")(lambda w: edit(salted(w)[1], EXTRA, recode(lambda d: d[:-4] + bytes(4))))
forged("a value blanked as if it had been erased", found=Found.SAYS_SO)(
    lambda w: edit(salted(w)[1], EXTRA, recode(lambda d: d[:-24] + bytes(24)))
)

# ── a signature ──────────────────────────────────────────────────────────────────────────────────────────────────

forged("a receipt of another database, under the name of this one", "none of the keys")(
    lambda w: w.record(note=w.note_of(w.bodies, w.other_key))
)
forged("a receipt of another database, under its own name", "speaks for")(
    lambda w: w.record(note=w.note_of(w.bodies, replace(w.other_key, name=f"blockdb/{OTHER_UUID}")))
)
forged("a database whose name only begins like this one's", "speaks for")(
    lambda w: w.record(note=w.note_of(w.bodies, replace(w.key, name=f"blockdb/{UUID}2")))
)
forged("a name that only looks like this one's", "speaks for")(
    lambda w: w.record(note=w.note_of(w.bodies, replace(w.key, name=f"blоckdb/{UUID}")))  # a Cyrillic o
)
forged("an edited checkpoint with the signature of the true one", "signature")(
    lambda w: edit(w.record(note=w.note_of(bodies(11, 3))), SIGNATURE, w.note.split(" ")[-1].strip())
)
forged("the signature of an older checkpoint", "signature")(
    lambda w: edit(w.record(), SIGNATURE, w.note_of(w.old).split(" ")[-1].strip())
)
forged("another key's signature under this key's id", "signature")(
    lambda w: edit(
        w.record(), SIGNATURE, recode(lambda d: d[:4] + w.other_key.sign(w.note.partition("\n\n")[0].encode()))
    )
)
forged("the signature of a block", "signature")(
    lambda w: edit(
        w.record(), SIGNATURE, recode(lambda d: d[:4] + w.key.sign(b"BlockDB block signature 1\n" + bytes(32)))
    )
)
forged("a signature that adds the order of the group", "signature")(
    lambda w: edit(w.record(), SIGNATURE, recode(lambda d: d[:36] + malleable(d[36:68])))
)
forged("a signature of zeros", "signature")(lambda w: edit(w.record(), SIGNATURE, recode(lambda d: d[:4] + bytes(64))))
forged("no signature", "signed note|signature")(lambda w: edit(w.record(), r"(— .*)\Z", ""))
forged("one good signature and one bad one by the same key", "signature")(
    lambda w: (
        w.record()
        + edit(w.record(), r"(.*\n\n)—", "").replace(
            w.note.split(" ")[-1], b64(w.key.id_for(w.key.name) + bytes(64)) + "\n"
        )
    )
)


def malleable(s: bytes) -> bytes:
    """The same scalar plus the order of the group: RFC 8032 §5.1.7 has it refused."""
    order = 2**252 + 27742317777372353535851937790883648493
    return (int.from_bytes(s, "little") + order).to_bytes(32, "little")


def text_signed(w: World, text: str) -> str:
    return f"{text}\n{w.key.line(text)}"


forged("a checkpoint with one more line, signed", "more lines")(
    lambda w: w.record(note=text_signed(w, w.note.partition("\n\n")[0] + "\nmore\n"))
)
forged("a checkpoint with a line less, signed", "checkpoint")(
    lambda w: w.record(note=text_signed(w, "\n".join(w.note.split("\n")[:2]) + "\n"))
)
forged("a checkpoint of a smaller tree over the same path, signed", "too long|not in a tree|does not lead|too short")(
    lambda w: w.record(index=9, note=w.note_of(w.old))
)
forged("a checkpoint of another collection under the record", "does not lead")(
    lambda w: w.record(note=w.note_of(bodies(11, 4), below=f"/{OTHER_UUID}"))
)
forged("a receipt of another collection of this database", found=Found.SAYS_SO)(
    lambda w: w.record(note=w.note_of(w.bodies, below=f"/{OTHER_UUID}"))
)
forged("an old receipt shown again", found=Found.SAYS_SO)(lambda w: stranger.record_receipt(w.old, 3, w.note_of(w.old)))
forged("no cosignature of the witness that is asked for", "witness|signed", witnessed=True)(lambda w: w.record())


def cosigned(w: World, text: str) -> str:
    return w.record() + w.witness.cosignature(text, TIME // 1000)


def text_of(note: str) -> str:
    return note.partition("\n\n")[0] + "\n"


forged("a cosignature of another checkpoint", "witness|signature", witnessed=True)(
    lambda w: cosigned(w, text_of(w.note_of(w.old)))
)
forged("the time of a cosignature edited", "witness|signature", witnessed=True)(
    lambda w: edit(
        cosigned(w, text_of(w.note)), r"^— witness\S+ (\S+)$", recode(lambda d: d[:11] + bytes((d[11] ^ 1,)) + d[12:])
    )
)
forged("the witness's signature as that of a log", "witness|signature", witnessed=True)(
    lambda w: w.record() + replace(w.witness, type=4).line(text_of(w.note))
)

# ── a run ────────────────────────────────────────────────────────────────────────────────────────────────────────

forged("a run shortened", "lead|too|proof")(lambda w: edit(w.run(), r"(record \S+\n)", ""))
forged("a run shortened at its end", "lead|too|proof")(
    lambda w: edit(w.run(), r"index 2\n(?:record \S+\n){2}(record \S+\n)", "")
)
forged("a run shifted", "lead|too|proof")(lambda w: edit(w.run(), r"^index (2)$", "3"))
forged("two records of a run swapped", "not lead")(
    lambda w: edit(w.run(), r"(record \S+\nrecord \S+)\n", lambda two: "\n".join(two.split("\n")[::-1]))
)
forged("a record of a run twice", "lead|too|proof")(lambda w: edit(w.run(), r"(record \S+\n)", lambda one: one * 2))
forged("a record of a run replaced", "not lead")(lambda w: edit(w.run(), r"record (\S+)\n", b64(bodies(11, 2)[2])))
forged("a run of nothing", "not in a tree")(lambda w: edit(w.run(), r"index 2\n(.*?record \S+\n)[^r]", ""))
forged("a run beyond the end", "not in a tree")(lambda w: edit(w.run(), r"^index (2)$", "10"))
forged("a run called a record", "record")(lambda w: edit(w.run(), r"\A(\S+)\n", "c2sp.org/tlog-proof@v1"))
