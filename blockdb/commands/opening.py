"""Opening the database the way a command needs it."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blockdb.errors import (
    BlockDBError,
    ConfigError,
    DatabaseLocked,
    DatabaseNotFound,
    MasterKeyError,
    StorageError,
)

from .command import Need
from .failures import CannotOpen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from blockdb import Database
    from blockdb.config import DatabaseConfig, Sources

__all__ = ["Door", "asker", "configuration", "open_database", "secrets", "secrets_beforehand"]


def configuration(
    file: str | None, data_dir: str | None, key_file: str | None = None, master_key_file: str | None = None
) -> Sources:
    """Where the settings come from: flags over environment over file over defaults."""
    from blockdb.config import Sources

    given = {"data_dir": data_dir, "key_file": key_file, "master_key_file": master_key_file}
    flags: Mapping[str, Any] = {key: value for key, value in given.items() if value is not None}
    return Sources(None if file is None else Path(file), flags=flags)


def secrets(config: DatabaseConfig) -> dict[str, Any]:
    """What `blockdb.open`, `verify` and `repair` are to be told of the master key, as keyword arguments."""
    return {"master_key_file": config.master_key_file, "ask_passphrase": asker()}


def secrets_beforehand(config: DatabaseConfig) -> dict[str, Any]:
    """The same, a passphrase being asked for now: before something takes the whole screen."""
    from blockdb.database.encryption import describe
    from blockdb.masterkey import PASSPHRASE_VARIABLE

    given = secrets(config)
    ask = given.pop("ask_passphrase")
    with suppress(BlockDBError):  # what is wrong is told when it is opened
        is_wanted = ask is not None and PASSPHRASE_VARIABLE not in os.environ
        if is_wanted and describe(Path(config.data_dir))["master"] == "passphrase":
            given["passphrase"] = ask("Passphrase: ")
    return given


@cache
def asker() -> Callable[[str], str] | None:
    """Asks the person at the terminal for a passphrase, each question once; None where nobody is there to ask."""
    if sys.stdin is None or not sys.stdin.isatty():
        return None

    @cache
    def ask(words: str) -> str:
        try:
            return getpass(words)
        except EOFError:
            raise MasterKeyError("No passphrase was typed. Try again.") from None

    return ask


def open_database(config: DatabaseConfig, need: Need) -> Database:
    """The database of a configuration. Raises `CannotOpen`, whose cause says why.

    A command that only reads opens it read-only, so that it works beside a process that writes.
    """
    if need is Need.PROVE:
        return _open_to_prove(config)
    read_only = need in (Need.READ, Need.READ_OR_MAKE)
    try:
        try:
            return _open(config, read_only, create=need is Need.WRITE_OR_MAKE)
        except DatabaseNotFound:
            if need is not Need.READ_OR_MAKE:
                raise
            return _open(config, False, create=True)
    except ConfigError:
        raise
    except (BlockDBError, OSError) as error:
        raise CannotOpen(str(error)) from error


def _open_to_prove(config: DatabaseConfig) -> Database:
    """What is proven may have to be signed and kept; beside a writer, or where nothing may be written, it is not."""
    try:
        return open_database(config, Need.WRITE)
    except CannotOpen as error:
        if not isinstance(error.__cause__, (DatabaseLocked, StorageError)):
            raise
    return open_database(config, Need.READ)


def _open(config: DatabaseConfig, read_only: bool, *, create: bool) -> Database:
    import blockdb

    settings = asdict(config) | secrets(config)
    return blockdb.open(settings.pop("data_dir"), read_only=read_only, create=create, **settings)


class Door:
    """Opens the database when it is first asked for, and once."""

    def __init__(self, config: DatabaseConfig, need: Need) -> None:
        self._config = config
        self._need = need
        self._database: Database | None = None

    def __call__(self) -> Database:
        """The open database. Raises `CannotOpen`."""
        if self._database is None:
            self._database = open_database(self._config, self._need)
        return self._database

    def close(self) -> None:
        """Close it, if it was opened."""
        if self._database is not None:
            self._database.close()
