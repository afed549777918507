"""The lab: a copy of a database, tampered with in one way after another, and what each check makes of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from blockdb.audit.auditor import audit
from blockdb.config import DatabaseConfig
from blockdb.database.database import Database
from blockdb.errors import BlockDBError, Corruption, InvalidData
from blockdb.storage.door import guarded
from blockdb.tampering.checks import CHECKS, Answer, Check, Checkpoint, Kept, command_line
from blockdb.tampering.copying import MOST_BYTES, Workshop, copy_database
from blockdb.tampering.forger import Forger
from blockdb.tampering.tamperings import FEWEST_BLOCKS, Site, Tampering
from blockdb.types import Problem

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
    """What was done to the copy at `path`, and what each check made of it."""

    tampering: Tampering
    path: Path
    changes: tuple[Problem, ...]
    """What is no longer as it was written."""
    findings: tuple[Finding, ...]

    @property
    def caught_by(self) -> tuple[Finding, ...]:
        """The checks that noticed."""
        return tuple(finding for finding in self.findings if finding.answer.caught)

    def at(self, path: Path) -> Outcome:
        """The same of a copy that was moved."""
        moved = (
            replace(finding, command=_command(path, finding.check, self.changes, finding.answer))
            for finding in self.findings
        )
        return replace(self, path=path, findings=tuple(moved))


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
        self._workshop = Workshop()
        try:
            self._whole = self._workshop.path / "whole"
            copy_database(source, self._whole, most_bytes, key_file)
            self._look_over()
        except BaseException:
            self.close()
            raise

    def _look_over(self) -> None:
        """Settle the copy, see that it is whole, and note what somebody outside would have noted."""
        with _open_for_writing(self._whole) as database:
            statistics, self.public_key = database.stats(), database.public_key
            blocks = statistics.blocks
            if blocks < FEWEST_BLOCKS:
                raise InvalidData(
                    f"The database has {blocks} sealed blocks, and tampering needs {FEWEST_BLOCKS}: there must be a "
                    f"past to change. A block is sealed after {statistics.blockchain_batch_size} records."
                )
            numbers = sorted({(blocks - 1) * at // MOST_CHECKPOINTS for at in range(1, MOST_CHECKPOINTS + 1)})
            noted = [database.block(number) for number in numbers]
            self._middle = database.block(blocks // 2).first_sequence
        self.kept = Kept(self.public_key, tuple(Checkpoint(block.size, block.root) for block in noted))
        self._records, self._blocks = statistics.records, blocks
        report = audit(self._whole)
        if not report.valid:
            problem = report.problems[0]
            raise Corruption(problem.path, problem.offset, f"the database is damaged as it is: {problem.what}")

    def run(self, tampering: Tampering, tell: Callable[[str], None] = lambda _: None) -> Outcome:
        """Tamper with a fresh copy, and put it to every check; `tell` hears what is being done. O(all bytes).

        Raises InvalidData where there is nothing to tamper with in this way, StorageError.
        """
        copy = self._workshop.path / "copy"
        with guarded("tampering with the copy"):
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(self._whole, copy)
            tell(tampering.title)
            changes = tampering.apply(self._site(copy))
        findings = []
        for check in CHECKS:
            tell(check.title)
            answer = self._ask(check, copy, changes)
            findings.append(Finding(check, answer, _command(copy, check, changes, answer)))
        return Outcome(tampering, copy, changes, tuple(findings))

    def _site(self, copy: Path) -> Site:
        return Site(Forger(copy), self._records, self._blocks, self._middle, lambda: _open_for_writing(copy))

    def _ask(self, check: Check, copy: Path, changes: tuple[Problem, ...]) -> Answer:
        try:
            return check.ask(copy, self.kept, changes)
        except BlockDBError as error:
            return Answer(True, str(error))

    def keep(self, outcome: Outcome, target: Path) -> Outcome:
        """Leave the tampered copy in a new directory, for its commands to be run. Raises InvalidData, StorageError."""
        if target.exists():
            raise InvalidData(f"{target} is there already; name a directory that is not.")
        with guarded(f"keeping the copy in {target}"):
            shutil.copytree(outcome.path, target)
        return outcome.at(target)

    def close(self) -> None:
        """Remove the copies. May be called again, and from any thread."""
        self._workshop.close()

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _command(path: Path, check: Check, changes: tuple[Problem, ...], answer: Answer) -> str:
    return command_line(path, check.words(changes, answer))


def _open_for_writing(path: Path) -> Database:
    return Database(DatabaseConfig(data_dir=str(path)), read_only=False, create=False)
