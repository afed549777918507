"""A lab that touches no file: the same report on every tampering, whatever the disk and the clock."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from blockdb import InvalidData, Problem
from blockdb.tampering.checks import CHECKS, Answer, Case, Kept
from blockdb.tampering.lab import Finding, Outcome
from blockdb.tampering.tamperings import TAMPERINGS, Tampering

COPY = Path("/tmp/blockdb-lab-1/copy")
CHAIN = "collections/col_0/chain/00000000.chain"


class FakeLab:
    """Catches with so many checks as the tampering is plain; the last three, with the last check alone."""

    may_run = threading.Event()
    may_run.set()
    refusing = ""
    key = b"user:0148"
    closed = 0

    def __init__(self, source: Path) -> None:
        self.source = source

    def run(self, tampering: Tampering, tell: Callable[[str], None], *, key: bytes | None = None) -> Outcome:
        tell("Verification")
        assert self.may_run.wait(20)
        tell("An audit")
        if tampering.name == self.refusing:
            raise InvalidData("The middle of the history has no record with a value: there is nothing to change.")
        number = TAMPERINGS.index(tampering)
        change = Problem(CHAIN, 4_711, 3, 28, key or self.key, "the first byte of the value: 0x7b became 0x7a")
        case = Case(COPY, Kept("blockdb/fake+00000000+AAAA", ()), (change,))
        findings = []
        for at, check in enumerate(CHECKS):
            place = Problem(CHAIN, 4_690, 3, 28, None, "the check of the record does not match its bytes")
            caught = at >= number // 2 - 1 or check.name == "checkpoint"
            answer = Answer(True, place.what, (place,)) if caught else Answer(False, "it opens, with 60 records")
            findings.append(Finding(check, answer, check.command(case, answer)))
        return Outcome(tampering, case, tuple(findings))

    def keep(self, outcome: Outcome, target: Path) -> Outcome:
        if target == COPY:
            raise InvalidData(f"{target} is there already; name a directory that is not.")
        return outcome.at(target)

    def close(self) -> None:
        type(self).closed += 1
