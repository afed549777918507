"""The lab: a copy of a database, tampered with in one way after another, and what each check makes of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from blockdb.audit.auditor import audit
from blockdb.config import DatabaseConfig
from blockdb.database.database import Database
from blockdb.errors import BlockDBError, Corruption, InvalidData, KeyNotFound
from blockdb.ledger.checkpoint import Checkpoint
from blockdb.ledger.note import VerifierKey
from blockdb.scratch import Scratch
from blockdb.storage.door import guarded
from blockdb.tampering.checks import CHECKS, Answer, Case, Check, Kept, kept_beside
from blockdb.tampering.copying import MOST_BYTES, copy_database
from blockdb.tampering.forger import Forger
from blockdb.tampering.tamperings import FEWEST_BLOCKS, Site, Tampering
from blockdb.types import Block, Problem

MOST_CHECKPOINTS = 8
"""So many are kept outside, evenly spread over the history."""


@dataclass(frozen=True)
class Finding:
    """One check on one tampered database."""

    check: Check
    answer: Answer
    command: str
    """What anybody can type to see the same."""


@dataclass(frozen=True)
class Outcome:
    """What was done to a copy, and what each check made of it."""

    tampering: Tampering
    case: Case
    findings: tuple[Finding, ...]

    @property
    def path(self) -> Path:
        """Where the copy is."""
        return self.case.path

    @property
    def changes(self) -> tuple[Problem, ...]:
        """What is no longer as it was written."""
        return self.case.changes

    @property
    def caught_by(self) -> tuple[Finding, ...]:
        """The checks that noticed."""
        return tuple(finding for finding in self.findings if finding.answer.caught)

    def at(self, path: Path) -> Outcome:
        """The same of a copy that was moved."""
        case = replace(self.case, path=path)
        return Outcome(self.tampering, case, tuple(_finding(each.check, case, each.answer) for each in self.findings))


def _finding(check: Check, case: Case, answer: Answer) -> Finding:
    return Finding(check, answer, check.command(case, answer))


class Lab:
    """A copy of a database in a temporary directory, removed when the lab is closed. A context manager.

    Not for several threads at once, but for `close`.
    """

    def __init__(self, source: Path, *, most_bytes: int = MOST_BYTES, key_file: Path | None = None) -> None:
        """Copy the database and look it over; the original is only read. O(all bytes).

        `key_file` is where the signing key is, if it is kept apart from the data.

        Raises DatabaseNotFound, StorageError, Corruption where the database is damaged as it is, and InvalidData
        where it is too large or too small.
        """
        self.source = source
        self._workshop = Scratch("blockdb-lab-")
        try:
            self._whole, self._copy = self._workshop.path / "whole", self._workshop.path / "copy"
            copy_database(source, self._whole, most_bytes, key_file)
            self._look_over()
            self._read_along()
        except BaseException:
            self.close()
            raise

    def _look_over(self) -> None:
        """Settle the copy, see that it is whole, and note what somebody outside would have noted."""
        with _open_for_writing(self._whole) as database:
            statistics, verifier_key = database.stats(), database.verifier_key()
            blocks = statistics.blocks
            if blocks < FEWEST_BLOCKS:
                raise InvalidData(
                    f"Of sealed blocks the database has {blocks}, and tampering needs {FEWEST_BLOCKS}: there must be a "
                    f"past to change. A block is sealed after {statistics.blockchain_batch_size} records."
                )
            numbers = sorted({(blocks - 1) * at // MOST_CHECKPOINTS for at in range(1, MOST_CHECKPOINTS + 1)})
            noted = [database.block(number) for number in numbers]
        self.kept = self._noted(VerifierKey.parse(verifier_key), noted)
        self._records, self._blocks = statistics.records, blocks
        report = audit(self._whole)
        if not report.valid:
            problem = report.problems[0]
            raise Corruption(problem.path, problem.offset, f"the database is damaged as it is: {problem.what}")

    def _noted(self, key: VerifierKey, blocks: list[Block]) -> Kept:
        """The key, and a signed checkpoint after each of these blocks, as somebody outside would have kept them."""
        checkpoints = tuple(Checkpoint(key.name, block.size, block.root) for block in blocks)
        signer = Forger(self._whole).signer().notes(key.name)
        kept_beside(self._copy).write_text("\n".join(signer.sign(checkpoint.text) for checkpoint in checkpoints))
        return Kept(str(key), checkpoints)

    def _read_along(self) -> None:
        """See that the files can be read frame by frame: a forger of encrypted ones would have to have the key."""
        if sum(1 for _ in Forger(self._whole).seals()) != self._blocks:
            raise InvalidData("The chain files do not show their blocks; the lab cannot forge encrypted ones.")

    def run(
        self, tampering: Tampering, tell: Callable[[str], None] = lambda _: None, *, key: bytes | None = None
    ) -> Outcome:
        """Tamper with a fresh copy, and put it to every check; `tell` hears what is being done. O(all bytes).

        `key` chooses the record of which single records are tampered with, of the default collection; without it, it
        is one in the middle. What `tell` raises ends the run.

        Raises InvalidData where there is nothing to tamper with in this way, KeyNotFound, StorageError.
        """
        chosen = None if key is None else self._sequence_of(key)
        copy = self._copy
        with guarded("tampering with the copy"):
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(self._whole, copy)
            tell(tampering.title)
            changes = tampering.apply(replace(self._site(copy), chosen=chosen))
        case = Case(copy, self.kept, changes)
        findings = []
        for check in CHECKS:
            tell(check.title)
            findings.append(_finding(check, case, self._ask(check, case)))
        return Outcome(tampering, case, tuple(findings))

    def _sequence_of(self, key: bytes) -> int:
        with Database(DatabaseConfig(data_dir=str(self._whole)), read_only=True, create=False) as database:
            record = database.record(key)
        if record is None:
            raise KeyNotFound(key)
        return record.sequence

    def _site(self, copy: Path) -> Site:
        return Site(Forger(copy), self._records, self._blocks, lambda: _open_for_writing(copy))

    @staticmethod
    def _ask(check: Check, case: Case) -> Answer:
        try:
            return check.ask(case)
        except BlockDBError as error:
            return Answer(True, str(error))

    def keep(self, outcome: Outcome, target: Path) -> Outcome:
        """Leave the tampered copy in a new directory, and the checkpoints beside it, for the commands to be run.

        Raises InvalidData, StorageError.
        """
        if target.exists():
            raise InvalidData(f"{target} is there already; name a directory that is not.")
        with guarded(f"keeping the copy in {target}"):
            shutil.copytree(outcome.path, target)
            shutil.copy(kept_beside(self._copy), kept_beside(target))
        return outcome.at(target)

    def close(self) -> None:
        """Remove the copies. May be called again, and from any thread."""
        self._workshop.close()

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _open_for_writing(path: Path) -> Database:
    return Database(DatabaseConfig(data_dir=str(path)), read_only=False, create=False)
