"""Repairing the audit log: what is not as it was signed is set aside as a whole, and a new log is begun.

Of a log that was changed nothing can be believed, and nothing that was lost can be derived. The journal tells for ever
that a new one was begun.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from blockdb.config import from_settings
from blockdb.database.database import Database
from blockdb.layout import AuditLogFiles, DatabaseFiles
from blockdb.masterkey import MasterKeySource
from blockdb.types import Problem


def is_named(files: DatabaseFiles, problems: Sequence[Problem]) -> bool:
    """Whether something of the audit log was found wrong."""
    root = files.audit_log.root.relative_to(files.root).as_posix()
    return any(f"{problem.path}/".startswith(f"{root}/") for problem in problems)


def set_aside(
    files: DatabaseFiles, problems: Sequence[Problem], put: Callable[[Path], None], note: Callable[[str], None]
) -> None:
    """Put away what of the log cannot be gone on with: the mark alone, which is made anew, or everything."""
    log = files.audit_log
    if {problem.path for problem in problems if is_named(files, [problem])} == {_name(files, log)}:
        put(log.mark)
        note("made the mark of the audit log anew")
        return
    for path in sorted(log.root.iterdir()) if log.root.exists() else ():
        put(path)
    if log.root.exists():
        log.root.rmdir()
    note("set the audit log aside, and began a new one; the journal tells of that")


def _name(files: DatabaseFiles, log: AuditLogFiles) -> str:
    return log.mark.relative_to(files.root).as_posix()


def go_on(path: Path, source: MasterKeySource | None) -> None:
    """Open the log, or have the journal say that a new one begins. Nobody may have the database open.

    Raises BlockDBError.
    """
    config = from_settings({"data_dir": str(path)})
    with Database(config, read_only=False, create=False, source=source) as database:
        if DatabaseFiles(path).audit_log.root.exists():
            database.audit_log()
        else:
            database.begin_audit_log_anew()
