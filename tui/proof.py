"""A receipt walked stage by stage, from the record's bytes to the signature; every hash is recomputed here.

What the receipt says is only compared with. Nothing of the engine is asked but, at the end, for the signature.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

import blockdb
from blockdb.commands.display import human_bytes, human_count, plural, printable, quoted

if TYPE_CHECKING:
    from blockdb import Receipt

__all__ = ["Stage", "Verdict", "Walk"]

SHOWN_BYTES = 96

Detail = list[tuple[str, str]]
"""Labels and texts, fit to be shown."""


@dataclass(frozen=True)
class Verdict:
    """What came of a stage: whether it holds, the hash that it leads to (if it is one that makes a hash), and why."""

    holds: bool
    result: bytes
    words: str


@dataclass(frozen=True)
class Stage:
    """One step of the proof. `take` is given the hash of the stage before, and recomputes; it may take a moment."""

    name: str
    recipe: str
    sibling: tuple[str, bytes] | None
    """On which side the other hash stands (`left` or `right`), and that hash."""
    explain: Callable[[bytes], Detail]
    take: Callable[[bytes], Verdict]


class Walk:
    """The stages of one receipt, and the verdicts on those that were walked so far."""

    def __init__(self, receipt: Receipt, verifier_key: str, key: bytes, value: bytes) -> None:
        """`key` and `value` are what the database serves. Raises ValueError for a proof without shape."""
        self.receipt = receipt
        self.verifier_key = verifier_key
        self._key, self._value = key, value
        self.stages = [self._record(), self._leaf()]
        for step in receipt.steps():
            self.stages.append(_node(step.level, step.side, step.sibling, step.result))
        self.stages += [self._root(), self._checkpoint(), self._signature()]
        self.verdicts: list[Verdict] = []

    def before(self, number: int) -> bytes:
        """The hash that the stages before this one lead to."""
        return self.verdicts[number - 1].result if number else b""

    @property
    def done(self) -> bool:
        """Whether all stages were walked."""
        return len(self.verdicts) == len(self.stages)

    @property
    def failed(self) -> int | None:
        """The first stage that does not hold."""
        return next((number for number, verdict in enumerate(self.verdicts) if not verdict.holds), None)

    # ── the ends ──

    def _record(self) -> Stage:
        receipt, data = self.receipt, self.receipt.leaf_data

        def take(_: bytes) -> Verdict:
            same = (receipt.key, receipt.value) == (self._key, self._value)
            words = "the record that the database serves" if same else "another record than the database serves"
            return Verdict(same, b"", words)

        def explain(_: bytes) -> Detail:
            place = f"record {human_count(receipt.index)} of {human_count(receipt.size)}"
            return [
                ("key", printable(quoted(self._key))),
                ("value", "redacted" if self._value is blockdb.REDACTED else human_bytes(len(self._value))),
                ("place", place),
                ("bytes", _hex(data)),
            ]

        return Stage("record", human_bytes(len(data)), None, explain, take)

    def _leaf(self) -> Stage:
        data, expected = self.receipt.leaf_data, self.receipt.leaf_hash

        def take(_: bytes) -> Verdict:
            return _compared(sha256(b"\0" + data).digest(), expected, "the leaf hash of the receipt")

        return Stage("leaf", "SHA-256(00 ‖ record)", None, lambda _: [("record", _hex(data))], take)

    def _root(self) -> Stage:
        size, root = self.receipt.size, self.receipt.root

        def take(before: bytes) -> Verdict:
            return _compared(before, root, f"the root of the tree of {plural(size, 'record')}")

        return Stage("root", f"over {human_count(size)}", None, lambda before: [("here", before.hex())], take)

    def _checkpoint(self) -> Stage:
        lines = self.receipt.note.split("\n")

        def take(before: bytes) -> Verdict:
            told = (str(self.receipt.size), base64.b64encode(before).decode())
            holds = tuple(lines[1:3]) == told
            words = "the checkpoint names this root and size" if holds else "the checkpoint names another root or size"
            return Verdict(holds, b"", words)

        def explain(_: bytes) -> Detail:
            names = ("origin", "size", "root")
            return [(name, printable(line)) for name, line in zip(names, lines, strict=False)]

        return Stage("checkpoint", "names the root", None, explain, take)

    def _signature(self) -> Stage:
        signed = ", ".join(self.receipt.signed_by)

        def take(_: bytes) -> Verdict:
            try:
                proven = blockdb.verify_receipt(self.receipt.text, self.verifier_key)
            except blockdb.BlockDBError as error:
                return Verdict(False, b"", printable(str(error)))
            mine = [(record.index, record.key) for record in proven.records] == [(self.receipt.index, self._key)]
            return Verdict(mine, b"", "the signature is good" if mine else "it is signed for another record")

        def explain(_: bytes) -> Detail:
            return [
                ("by", printable(signed)),
                ("key", printable(self.verifier_key)),
                ("", "This key is the one that the database names. Compare it with the one that you noted elsewhere."),
            ]

        return Stage("signature", "Ed25519", None, explain, take)


def _node(level: int, side: str, sibling: bytes, expected: bytes) -> Stage:
    def pair(before: bytes) -> tuple[bytes, bytes]:
        return (sibling, before) if side == "left" else (before, sibling)

    def take(before: bytes) -> Verdict:
        left, right = pair(before)
        return _compared(sha256(b"\1" + left + right).digest(), expected, "the node above")

    def explain(before: bytes) -> Detail:
        left, right = pair(before)
        return [("left", left.hex()), ("right", right.hex()), ("", f"the {side} one is in the receipt")]

    return Stage(f"level {level}", "SHA-256(01 ‖ left ‖ right)", (side, sibling), explain, take)


def _compared(found: bytes, expected: bytes, what: str) -> Verdict:
    return Verdict(found == expected, found, what if found == expected else f"not {what}")


def _hex(data: bytes) -> str:
    shown = data[:SHOWN_BYTES].hex(" ")
    left = len(data) - SHOWN_BYTES
    return shown if left <= 0 else f"{shown} … and {human_bytes(left)} more"
