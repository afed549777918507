"""One validated, frozen configuration: flags over environment over file over defaults."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from blockdb.errors import ConfigError

__all__ = ["DatabaseConfig", "load"]

DEFAULT_FILE: Final = Path("blockdb.toml")
ENVIRONMENT_PREFIX: Final = "BLOCKDB_"

_LIMITS: Final[Mapping[str, tuple[int, int]]] = {
    "cache_size_limit": (0, 64 * 1024**3),
    "memtable_size_limit": (64 * 1024, 64 * 1024**3),
    "wal_sync_interval": (0, 3_600_000),
    "open_collections_limit": (8, 1_000_000),
    "compaction_threshold": (2, 1_000),
    "blockchain_batch_size": (1, 1_000_000),
    "scrub_rate_limit": (0, 64 * 1024**3),
    "scrub_interval": (1, 31_536_000),
    "transaction_timeout": (1, 86_400),
}

_SWITCHES: Final = ("compression_enabled", "encryption_enabled", "redactable")
_PATHS: Final = ("data_dir", "key_file", "master_key_file")


@dataclass(frozen=True, kw_only=True)
class DatabaseConfig:
    """The `[database]` section. Raises ConfigError, naming the key, for a value of the wrong type or out of range."""

    data_dir: str = "./blockdb_data"
    memtable_size_limit: int = 64 * 1024 * 1024
    """Bytes of memory for records that are in no table yet (64 KiB to 64 GiB): half fills while half is written."""
    wal_sync_interval: int = 1000
    """Milliseconds between forces of the log to disk; 0 forces before each acknowledgement (up to an hour)."""
    compaction_threshold: int = 4
    """How many tables of one tier are merged into one of the next (2 to 1,000)."""
    blockchain_batch_size: int = 1000
    """Records in a block (1 to 1,000,000). Fixed for a collection when it is created."""
    cache_size_limit: int = 64 * 1024 * 1024
    """Bytes of memory for records and chunks of packed chain files that were read (0 to 64 GiB)."""
    open_collections_limit: int = 128
    """How many collections have files open (8 to 1,000,000): of more, those that nobody uses are closed meanwhile."""
    compression_enabled: bool = False
    """Whether chain files are packed (Zstandard) once they are full, and by `compact`. Reading needs no setting."""
    encryption_enabled: bool | None = None
    """Whether everything that holds data is encrypted on the disk. Fixed for a database when it is created: unless this
    is given, a new one is not, and one that exists is what it is."""
    master_key_file: str = ""
    """The file with the master key of an encrypted database, 64 hexadecimal digits; empty: it is given otherwise."""
    redactable: bool = False
    """Whether values can be erased one day (`redact`), all proofs intact. Fixed for a collection when it is created."""
    scrub_rate_limit: int = 0
    """Bytes a second that the background audit of an open database may read (up to 64 GiB); 0: there is none."""
    scrub_interval: int = 600
    """Seconds between the end of one background audit and the beginning of the next (1 to a year)."""
    transaction_timeout: int = 30
    """Seconds after which a transaction that has not ended gives way to those who wait for it (1 to a day)."""
    key_file: str = ""
    """Where the signing key is kept, made there if need be; empty: with the data, in `keys/signing.toml`."""

    def __post_init__(self) -> None:
        text: object = self.data_dir
        if not isinstance(text, str) or not text or "\0" in text:
            raise ConfigError("data_dir: it should be the path of a directory.")
        for key in ("key_file", "master_key_file"):
            path: object = getattr(self, key)
            if not isinstance(path, str) or "\0" in path:
                raise ConfigError(f"{key}: it should be the path of a file.")
        for key in _SWITCHES:
            value = getattr(self, key)
            if type(value) is not bool and (key != "encryption_enabled" or value is not None):
                raise ConfigError(f"{key}: it should be true or false, not {value!r}.")
        for key, (low, high) in _LIMITS.items():
            value = getattr(self, key)
            if type(value) is not int:
                raise ConfigError(f"{key}: it should be a whole number, not {value!r}.")
            if not low <= value <= high:
                raise ConfigError(f"{key}: it should be from {low} to {high}, not {value}.")


_KEYS: Final = frozenset(field.name for field in fields(DatabaseConfig))


def from_settings(settings: Mapping[str, Any]) -> DatabaseConfig:
    """The configuration with these `[database]` keys. Raises ConfigError for one that does not exist."""
    for key in settings:
        if key not in _KEYS:
            raise ConfigError(f"{key}: there is no such setting; those of [database] are {', '.join(sorted(_KEYS))}.")
    return DatabaseConfig(**settings)


def load(
    file: Path | None = None, environ: Mapping[str, str] = os.environ, flags: Mapping[str, Any] | None = None
) -> DatabaseConfig:
    """Put the configuration together from its sources, later ones over earlier: file, environment, flags.

    `file` defaults to ./blockdb.toml where there is one. A key is `BLOCKDB_` and its name in capitals in the
    environment. Raises ConfigError.
    """
    settings = {**_from_file(file), **_from_environment(environ), **(flags or {})}
    return from_settings(settings)


def _from_file(file: Path | None) -> dict[str, Any]:
    path = file or DEFAULT_FILE
    if file is None and not path.is_file():
        return {}
    try:
        sections = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: it cannot be read as a configuration: {error}") from None
    for name in sections:
        if name != "database":
            raise ConfigError(f"{path}: there is no section or key {name!r}; this version knows [database].")
    section = sections.get("database", {})
    if not isinstance(section, dict):
        raise ConfigError(f"{path}: database should be a section, [database].")
    return section


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for key in sorted(_KEYS):
        text = environ.get(ENVIRONMENT_PREFIX + key.upper())
        if text is not None:
            settings[key] = _value(key, text)
    return settings


def _value(key: str, text: str) -> object:
    """What a text in the environment says for a key."""
    if key in _PATHS:
        return text
    if key in _SWITCHES and text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        if key not in _SWITCHES:
            return int(text)
    except ValueError:
        pass
    kind = "true or false" if key in _SWITCHES else "a whole number"
    raise ConfigError(f"{ENVIRONMENT_PREFIX}{key.upper()}: it should be {kind}, not {text!r}.")
