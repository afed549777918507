"""Random changes of receipts, and a judge of those that are accepted: each has to be the honest receipt of a truth."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

import blockdb
from tests.ledger import reference, stranger
from tests.ledger.forgeries import UUID, bodies, event
from tests.ledger.script import script
from tests.ledger.stranger import Key, b64

SIZES: Final = (23, 40)
"""The collection as two checkpoints have it."""

KEY: Final = Key(f"blockdb/{UUID}", bytes(range(32)))
VKEY: Final = KEY.vkey


def some_bodies() -> list[bytes]:
    """Records of both kinds."""
    salted = [
        stranger.redactable(b"salted %02d" % n, b"secret" * n, 1_700_000_000_000 + n, bytes([n]) * 16)
        for n in range(29)
    ]
    return [*bodies(11), *salted]


class Truth:
    """Two checkpoints of a collection, a journal with a state for each, and good receipts of all kinds."""

    def __init__(self) -> None:
        self.bodies = some_bodies()
        leaves = list(map(stranger.leaf, self.bodies))
        self.notes = {size: KEY.checkpoint(size, reference.root(leaves[:size])) for size in SIZES}
        states = [stranger.state(UUID, self.bodies[:size]) for size in SIZES]
        self.journal = [event(number, members) for number, members in enumerate(states)]
        self.good = {self.record(size, index) for size in SIZES for index in (0, 7, 8, 16, 22, size - 1)}
        self.good |= {self.run(size, *run) for size in SIZES for run in ((0, 1), (3, 6), (15, 3), (0, size), (20, 3))}
        bounds = (
            (b"key 03", b"key 08"),
            (None, b"key 03"),
            (b"salted 2", None),
            (b"x", b"x\0"),
            (b"key 00", b"key 000"),
        )
        self.good |= {self.range(*which, *bound) for which in ((0, 1), (0, 2), (1, 2)) for bound in bounds}
        self.pool = sorted(self.good)

    def record(self, size: int, index: int) -> str:
        return stranger.record_receipt(self.bodies[:size], index, self.notes[size])

    def run(self, size: int, first: int, count: int) -> str:
        return stranger.run_receipt(self.bodies[:size], first, count, self.notes[size])

    def range(self, at: int, journaled: int, start: bytes | None, end: bytes | None) -> str:
        def sign(size: int, root: bytes) -> str:
            return KEY.checkpoint(size, root, "/journal")

        records = self.bodies[: SIZES[at]]
        return stranger.range_parts(records, start, end, self.journal[:journaled], at, UUID, sign).text

    def honest(self, verified: blockdb.Verified, text: str) -> str:
        """The receipt that there should be of what was found to be proven."""
        if verified.kind == "range":
            journaled = int(text.split("/journal\n")[1].partition("\n")[0])
            return self.range(SIZES.index(verified.size), journaled, verified.start, verified.end)
        indexes = [one.index for one in verified.records]
        first = indexes[0]
        assert first is not None
        if verified.kind == "run":
            return self.run(verified.size, first, len(indexes))
        return self.record(verified.size, first)


# ── changes ──────────────────────────────────────────────────────────────────────────────────────────────────────

Change = Callable[[str, str, Random], str]


def a_bit(text: str, _: str, rng: Random) -> str:
    at = rng.randrange(len(text))
    return text[:at] + chr(ord(text[at]) ^ (1 << rng.randrange(7))) + text[at + 1 :]


def a_character(text: str, other: str, rng: Random) -> str:
    at = rng.randrange(len(text) + 1)
    return text[:at] + rng.choice(["", rng.choice(other), rng.choice("\n =+/0 \r\té—")]) + text[at + rng.randrange(2) :]


def a_word(text: str, other: str, rng: Random) -> str:
    """Change what a word of base64 stands for, and write it well."""
    lines = text.split("\n")
    at = rng.randrange(len(lines))
    *before, word = lines[at].split(" ")
    try:
        data = bytearray(b64decode(word))
    except (Error, ValueError):
        return a_number(text, other, rng)
    if not data:
        return a_line(text, other, rng)
    place = rng.randrange(len(data))
    kind = rng.randrange(5)
    if kind == 0:
        data[place] ^= 1 << rng.randrange(8)
    elif kind == 1:
        data[place:] = data[place + 1 :] + data[place : place + 1]
    elif kind == 2:
        del data[place : place + rng.randrange(1, 5)]
    elif kind == 3:
        data[place:place] = bytes((rng.randrange(256),))
    else:
        data[:] = data[::-1]
    lines[at] = " ".join([*before, b64(bytes(data))])
    return "\n".join(lines)


def a_number(text: str, _: str, rng: Random) -> str:
    lines = text.split("\n")
    places = [at for at, line in enumerate(lines) if line.rpartition(" ")[2].isdecimal()]
    if not places:
        return a_cut(text, text, rng)
    at = rng.choice(places)
    name, space, number = lines[at].rpartition(" ")
    new = rng.choice(
        [
            int(number) + 1,
            int(number) - 1,
            int(number) * 2,
            int(number) ^ 1 << rng.randrange(8),
            2**63,
            rng.randrange(50),
        ]
    )
    lines[at] = f"{name}{space}{rng.choice(['', '', '', '0', '+', ' '])}{new}"
    return "\n".join(lines)


def a_line(text: str, other: str, rng: Random) -> str:
    lines, others = text.split("\n"), other.split("\n")
    at, to = rng.randrange(len(lines)), rng.randrange(len(lines))
    kind = rng.randrange(5)
    if kind == 0:
        del lines[at]
    elif kind == 1:
        lines.insert(to, lines[at])
    elif kind == 2:
        lines[at], lines[to] = lines[to], lines[at]
    elif kind == 3:
        lines[at] = rng.choice(others)
    else:
        lines.insert(at, rng.choice(others))
    return "\n".join(lines)


def a_splice(text: str, other: str, rng: Random) -> str:
    """The beginning of one receipt and the end of another, or a part of one in the other."""
    lines, others = text.split("\n"), other.split("\n")
    if rng.randrange(2):
        return "\n".join(lines[: rng.randrange(len(lines) + 1)] + others[rng.randrange(len(others) + 1) :])
    start = rng.randrange(len(others))
    stop = rng.randrange(start, len(others) + 1)
    at = rng.randrange(len(lines))
    return "\n".join(lines[:at] + others[start:stop] + lines[at + rng.choice((0, stop - start)) :])


def a_cut(text: str, _: str, rng: Random) -> str:
    at, to = sorted((rng.randrange(len(text) + 1), rng.randrange(len(text) + 1)))
    return rng.choice([text[:at], text[at:], text[:at] + text[to:], text + text[at:to]])


CHANGES: Final[Sequence[Change]] = (a_bit, a_character, a_word, a_word, a_number, a_line, a_splice, a_cut)


def mutant(truth: Truth, rng: Random) -> str:
    """A good receipt, changed once to three times; what comes out good again is changed on."""
    text = rng.choice(truth.pool)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if len(text) > 1:
            text = rng.choice(CHANGES)(text, rng.choice(truth.pool), rng)
    return text


def signed_part(text: str) -> str:
    """All but the lines of signatures, which may be more, and by anybody."""
    return text.rpartition("\n\n")[0]


def try_mutants(truth: Truth, count: int, seed: int, script_every: int) -> Counter[str]:
    """Check so many mutants, some of them with the script as well. Fails where one is accepted that should not be."""
    rng, seen = Random(seed), Counter[str]()
    while seen["refused"] < count:
        text = mutant(truth, rng)
        if text in truth.good:
            continue
        try:
            verified = blockdb.verify_receipt(text, VKEY)
        except blockdb.InvalidProof:
            seen["refused"] += 1
            verified = None
        else:
            seen["accepted: " + judge(truth, verified, text)] += 1
        if not seen.total() % script_every:
            seen["asked the script"] += 1
            assert script_accepts(text) == (verified is not None), text
    return seen


def judge(truth: Truth, verified: blockdb.Verified, text: str) -> str:
    """Why it is right to accept it."""
    honest = truth.honest(verified, text)
    assert signed_part(text) == signed_part(honest), text
    assert blockdb.verify_receipt(honest, VKEY) == verified
    if text == honest:
        return "the honest receipt of another range of the same records"
    assert set(honest.split("\n")) <= set(text.split("\n"))
    return "with more lines of signatures"


def script_accepts(text: str) -> bool:
    try:
        return bool(script().check(text, VKEY))
    except Exception:
        return False
