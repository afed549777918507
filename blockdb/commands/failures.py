"""What goes wrong, as one line for a person and one number for a script."""

from __future__ import annotations

import os

from blockdb.errors import BlockDBError, ConfigError, MasterKeyError, QueryError, Unauthenticated, Unavailable

__all__ = [
    "CANNOT_OPEN",
    "DONE",
    "FAILED",
    "INTERRUPTED",
    "USAGE",
    "CannotOpen",
    "IoError",
    "UsageError",
    "describe",
    "exit_code",
    "kind",
    "pointer",
]

DONE, FAILED, USAGE, CANNOT_OPEN, INTERRUPTED = 0, 1, 2, 3, 130
"""The exit codes: done, a command failed, wrong usage, the database cannot be opened, interrupted by ^C."""


class UsageError(BlockDBError):
    """The line is not a command, or its arguments are not what the command takes."""


class IoError(BlockDBError):
    """A file that the user named, or standard input or output, cannot be read or written."""


class CannotOpen(BlockDBError):
    """The database cannot be opened; `__cause__` is the error that says why."""


_NOT_OPENED = (CannotOpen, MasterKeyError, Unauthenticated, Unavailable)


def kind(error: BaseException) -> str:
    """The one word that names the kind of an error: `DuplicateKey`, `Usage`, `IoError`, `Internal`."""
    if isinstance(error, CannotOpen) and error.__cause__ is not None:
        return kind(error.__cause__)
    if isinstance(error, BlockDBError):
        return "Usage" if isinstance(error, UsageError) else type(error).__name__
    return "IoError" if isinstance(error, OSError) else "Internal"


def exit_code(error: BaseException) -> int:
    """The exit code that tells a script what sort of error it was."""
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(error, (UsageError, ConfigError)):
        return USAGE
    return CANNOT_OPEN if isinstance(error, _NOT_OPENED) else FAILED


def describe(error: BaseException) -> str:
    """`Error: <Kind>: <what happened, and what to do>`. It may quote what was stored: make it printable to show it."""
    return f"Error: {kind(error)}: {_message(error)}"


def pointer(error: BaseException) -> str | None:
    """For an error in a text: the text, and a caret below the place where it goes wrong. It is safe to show."""
    return error.pointer if isinstance(error, QueryError) and error.text else None


def _message(error: BaseException) -> str:
    if isinstance(error, QueryError):
        return error.what
    if isinstance(error, BlockDBError):
        return str(error)
    if isinstance(error, OSError):
        file = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
        return f"{file}{error.strerror or error}"
    return _bug_report(error)


def _bug_report(error: BaseException) -> str:
    """Everything that somebody needs to mend a bug, on one line."""
    import platform
    import traceback

    import blockdb

    frames = traceback.extract_tb(error.__traceback__)[-3:]
    place = " < ".join(f"{os.path.basename(frame.filename)}:{frame.lineno}" for frame in reversed(frames))
    system = f"BlockDB {blockdb.__version__}, Python {platform.python_version()}, {platform.system()}"
    return (
        f"{type(error).__name__}: {error} [at {place}; {system}]. "
        "This is a bug in BlockDB: please report this line and the command that you gave."
    )
