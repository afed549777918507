"""What is done without a server is entered in the audit log too, if the database has one: under the login name."""

from __future__ import annotations

from argparse import Namespace
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

from blockdb.errors import BlockDBError, DatabaseLocked, ReadOnly

from .choice import named
from .command import Command, Need
from .context import Context
from .failures import CannotOpen, UsageError
from .line import to_bytes
from .opening import open_database
from .results import Result

if TYPE_CHECKING:
    from blockdb import Database
    from blockdb.config import DatabaseConfig

__all__ = ["enter_apart", "run_and_enter"]

WRITING = frozenset((Need.WRITE, Need.WRITE_OR_MAKE))


def run_and_enter(command: Command, context: Context, arguments: Namespace) -> Result:
    """Run a command, and enter what became of it if it is one that writes. Raises what either raises."""
    if command.need_of(arguments) not in WRITING:
        return command.run(context, arguments)
    try:
        result = command.run(context, arguments)
    except (CannotOpen, UsageError, ReadOnly):
        raise  # nothing was tried
    except BlockDBError as error:
        with suppress(BlockDBError):  # this one is told
            _enter(command, context, arguments, type(error).__name__)
        raise
    _enter(command, context, arguments, "ok")
    return result


def _enter(command: Command, context: Context, arguments: Namespace, outcome: str) -> None:
    record = getattr(context.database, "record_act", None)
    if record is not None:  # else a server has it, which enters it
        record(command.name, named(context, arguments), _keys(arguments), outcome)


def _keys(arguments: Namespace) -> list[bytes]:
    """The keys that were named; as they were written, where they are base64."""
    given = getattr(arguments, "key", None) or []
    return [to_bytes(key) for key in ([given] if isinstance(given, str) else given)]


def enter_apart(config: DatabaseConfig, operation: str, token_id: str = "") -> None:
    """The same for a command that needs no open database. Beside a server nothing is done: it sees what changes.

    Raises Corruption, MasterKeyError, StorageError.
    """
    from blockdb.layout import DatabaseFiles

    if not DatabaseFiles(Path(config.data_dir)).audit_log.root.exists():
        return
    try:
        database = open_database(config, Need.WRITE)
    except CannotOpen as error:
        if isinstance(error.__cause__, DatabaseLocked):
            return
        raise
    with closing(database):
        cast("Database", database).record_act(operation, token_id=token_id)
