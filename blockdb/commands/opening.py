"""Opening the database the way a command needs it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blockdb.errors import BlockDBError, ConfigError, DatabaseLocked, DatabaseNotFound, StorageError

from .command import Need
from .failures import CannotOpen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from blockdb import Database
    from blockdb.config import DatabaseConfig

__all__ = ["Door", "configuration", "open_database"]


def configuration(file: str | None, data_dir: str | None, key_file: str | None = None) -> DatabaseConfig:
    """The settings: flags over environment over file over defaults. Raises `ConfigError`."""
    from blockdb import config

    given = {"data_dir": data_dir, "key_file": key_file}
    flags: Mapping[str, Any] = {key: value for key, value in given.items() if value is not None}
    return config.load(None if file is None else Path(file), flags=flags)


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

    return blockdb.open(config.data_dir, read_only=read_only, create=create, **_settings(config))


def _settings(config: DatabaseConfig) -> dict[str, Any]:
    settings = asdict(config)
    del settings["data_dir"]
    return settings


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
