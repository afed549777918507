"""Profiles: servers by names of one's own, in a file that only its owner may read if it holds a token."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from blockdb.errors import ConfigError

from .servers import Server, checked_token, checked_urls

__all__ = ["load_profiles", "parse_profiles", "profile_of", "profiles_path"]

_TEXTS: Final = ("url", "token", "token_file", "ca", "certificate", "key", "collection")
_PATHS: Final = ("token_file", "ca", "certificate", "key")
_KEYS: Final = frozenset((*_TEXTS, "verified"))
_FOR_OTHERS: Final = 0o077


def profiles_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the profiles are: `$XDG_CONFIG_HOME/blockdb/profiles.toml`, or below `~/.config`."""
    base = environ.get("XDG_CONFIG_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".config") / "blockdb" / "profiles.toml"


def load_profiles(path: Path | None = None) -> dict[str, Server]:
    """The profiles of a file, by their names, in its order; none where there is no file. Raises `ConfigError`."""
    path = path or profiles_path()
    try:
        with path.open("rb") as file:
            mode, data = os.fstat(file.fileno()).st_mode, file.read()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(f"{path}: the profiles cannot be read: {error.strerror or error}.") from None
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: it is no TOML file: byte {error.start} is not UTF-8.") from None
    return parse_profiles(text, path, is_private=os.name == "nt" or not mode & _FOR_OTHERS)


def profile_of(name: str, path: Path | None = None) -> Server:
    """The profile of that name. Raises `ConfigError`, which names those that there are."""
    path = path or profiles_path()
    found = load_profiles(path)
    if name not in found:
        others = f"there are {', '.join(found)}" if found else "there are none"
        raise ConfigError(f"There is no profile {name!r} in {path}; {others}.")
    return found[name]


def parse_profiles(text: str, path: Path, *, is_private: bool) -> dict[str, Server]:
    """The profiles that a text has. Raises `ConfigError`, naming `path`, the profile and the key.

    `path` is where it comes from: other files are named from there on. `is_private` says that nobody but the owner can
    read it, which is demanded where it holds a token.
    """
    try:
        sections = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: it is no TOML file: {error}.") from None
    for name in sections:
        if name != "profiles":
            raise ConfigError(f"{path}: there is no section or key {name!r}; profiles are sections, [profiles.NAME].")
    tables = sections.get("profiles", {})
    if not isinstance(tables, dict):
        raise ConfigError(f"{path}: profiles should be sections, [profiles.NAME].")
    found = {name: _profile(name, table, path) for name, table in tables.items()}
    if not is_private and any(server.token is not None for server in found.values()):
        raise ConfigError(
            f"{path}: it holds a token, and others can read it; say `chmod 600 {path}`, or name a token_file in it."
        )
    return found


def _profile(name: str, table: object, path: Path) -> Server:
    whose = f"{path}: [profiles.{name}]"
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: {name} should be a section, [profiles.{name}].")
    for key in table:
        if key not in _KEYS:
            raise ConfigError(f"{whose} has no key {key!r}; there are {', '.join(sorted(_KEYS))}.")
    _check_types(table, whose)
    if "url" not in table:
        raise ConfigError(f"{whose} lacks its url.")
    if "token" in table and "token_file" in table:
        raise ConfigError(f"{whose} has a token and a token_file; leave one of them out.")
    if ("certificate" in table) != ("key" in table):
        raise ConfigError(f"{whose}: certificate and key belong together; give both or none.")
    values: dict[str, Any] = {key: path.parent / Path(table[key]).expanduser() for key in _PATHS if key in table}
    if "token" in table:
        values["token"] = checked_token(table["token"], f"{whose} token")
    values |= {key: table[key] for key in ("verified", "collection") if key in table}
    return Server(urls=checked_urls(table["url"], f"{whose} url"), profile=name, **values)


def _check_types(table: Mapping[str, object], whose: str) -> None:
    for key, value in table.items():
        if key == "verified":
            if not isinstance(value, bool):
                raise ConfigError(f"{whose} verified: it should be true or false.")
        elif not isinstance(value, str) or not value or "\0" in value:
            raise ConfigError(f"{whose} {key}: it should be a text that is not empty.")
