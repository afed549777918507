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
from .servers import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from blockdb import AnyDatabase
    from blockdb.config import DatabaseConfig

    from .locating import Location

__all__ = ["Door", "asker", "open_database", "secrets", "secrets_beforehand"]


def secrets(config: DatabaseConfig) -> dict[str, Any]:
    """What `blockdb.open`, `verify` and `repair` are to be told of the master key, as keyword arguments."""
    return {"master_key_file": config.master_key_file, "ask_passphrase": asker()}


def secrets_beforehand(config: DatabaseConfig) -> dict[str, Any]:
    """The same, a passphrase being asked for now: before something takes the whole screen."""
    from blockdb.layout import DatabaseFiles

    given = secrets(config)
    ask = given.pop("ask_passphrase")
    if not DatabaseFiles(Path(config.data_dir)).keyring.exists():
        return given
    from blockdb.database.encryption import describe
    from blockdb.masterkey import PASSPHRASE_VARIABLE

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


def open_database(location: Location, need: Need, **limits: Any) -> AnyDatabase:
    """The database in a directory, or with a server. Raises `CannotOpen`, whose cause says why.

    A command that only reads opens a directory read-only, so that it works beside a process that writes. `limits` are
    those of a client (see `blockdb.connect`).
    """
    return _connect(location, limits) if isinstance(location, Server) else _open_directory(location, need)


def _connect(server: Server, limits: Mapping[str, Any]) -> AnyDatabase:
    import blockdb

    secret = server.secret()
    files = None if server.certificate is None or server.key is None else (server.certificate, server.key)
    try:
        found: AnyDatabase = blockdb.connect(
            server.urls, token=secret, ca_file=server.ca, certificate=files, verified=server.verified, **limits
        )
    except ConfigError:
        raise
    except (BlockDBError, OSError) as error:
        raise CannotOpen(str(error)) from error
    return found


def _open_directory(config: DatabaseConfig, need: Need) -> AnyDatabase:
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


def _open_to_prove(config: DatabaseConfig) -> AnyDatabase:
    """What is proven may have to be signed and kept; beside a writer, or where nothing may be written, it is not."""
    try:
        return _open_directory(config, Need.WRITE)
    except CannotOpen as error:
        if not isinstance(error.__cause__, (DatabaseLocked, StorageError)):
            raise
    return _open_directory(config, Need.READ)


def _open(config: DatabaseConfig, read_only: bool, *, create: bool) -> AnyDatabase:
    import blockdb

    settings = asdict(config) | secrets(config)
    return blockdb.open(settings.pop("data_dir"), read_only=read_only, create=create, **settings)


class Door:
    """Opens the database when it is first asked for, and once."""

    def __init__(self, location: Location, need: Need) -> None:
        self._location = location
        self._need = need
        self._database: AnyDatabase | None = None

    def __call__(self) -> AnyDatabase:
        """The open database. Raises `CannotOpen`."""
        if self._database is None:
            self._database = open_database(self._location, self._need)
        return self._database

    def close(self) -> None:
        """Close it, if it was opened."""
        if self._database is not None:
            self._database.close()
