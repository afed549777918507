"""Where the database of a command is: in a directory, or with a server. Flags over environment over files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from blockdb.errors import ConfigError

from .context import NEEDS_DIRECTORY
from .failures import UsageError
from .profiles import load_profiles, profile_of
from .servers import Server, checked_token, checked_urls, is_url

if TYPE_CHECKING:
    from blockdb.config import DatabaseConfig, Sources

__all__ = ["Location", "configuration", "locate", "named_location", "refuse_server", "title_of"]

Location: TypeAlias = "DatabaseConfig | Server"

URL_VARIABLE: Final = "BLOCKDB_URL"
TOKEN_VARIABLE: Final = "BLOCKDB_TOKEN"
_DIRECTORY_VARIABLE: Final = "BLOCKDB_DATA_DIR"

_NAMING_A_SERVER: Final = ("url", "profile")
_OF_SERVERS: Final = ("token_file", "ca")
_OF_DIRECTORIES: Final = ("data_dir", "key_file", "master_key_file")


def configuration(
    file: str | None, data_dir: str | None, key_file: str | None = None, master_key_file: str | None = None
) -> Sources:
    """Where the settings come from: flags over environment over file over defaults."""
    from blockdb.config import Sources

    given = {"data_dir": data_dir, "key_file": key_file, "master_key_file": master_key_file}
    flags: Mapping[str, Any] = {key: value for key, value in given.items() if value is not None}
    return Sources(None if file is None else Path(file), flags=flags)


def locate(
    given: Mapping[str, Any], environ: Mapping[str, str] = os.environ, *, directory_only: str | None = None
) -> Location:
    """Where the database is, by what was `given` on the command line (`url`, `data_dir`, `token_file` …).

    `directory_only` names a command that is about a directory: for it a server is wrong usage. Raises `UsageError` for
    words that do not go together, and `ConfigError`.
    """
    flags = {name: value for name, value in given.items() if value is not None}
    _check_together(flags)
    server = _server_of(flags, environ)
    if server is None:
        for name in _OF_SERVERS:
            if name in flags:
                raise UsageError(f"{_flag(name)} goes with a server; name one with --url or --profile")
        return configuration(*map(flags.get, ("config", *_OF_DIRECTORIES))).database()
    if directory_only is not None:
        raise UsageError(NEEDS_DIRECTORY.format(what=directory_only, url=server.url))
    return server


def refuse_server(given: Mapping[str, Any], what: str) -> None:
    """Refuse a server for what is about settings of this machine. Raises `UsageError`."""
    for name in (*_NAMING_A_SERVER, *_OF_SERVERS):
        if given.get(name) is not None:
            raise UsageError(f"{what} is about a directory and settings on this machine; leave {_flag(name)} out")


def _check_together(flags: Mapping[str, Any]) -> None:
    servers = [name for name in _NAMING_A_SERVER if name in flags]
    if len(servers) > 1:
        raise UsageError("--url and --profile both name a server; give one of them")
    directories = [name for name in _OF_DIRECTORIES if name in flags]
    if servers and directories:
        raise UsageError(
            f"{_flag(servers[0])} names a server, and {_flag(directories[0])} a directory; give one of them"
        )


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _server_of(flags: Mapping[str, Any], environ: Mapping[str, str]) -> Server | None:
    found = _named_server(flags, environ)
    if found is None:
        return None
    token_file, ca = (Path(flags[name]) if name in flags else None for name in _OF_SERVERS)
    if token_file is not None:
        found = replace(found, token=None, token_file=token_file)
    elif found.token is None and found.token_file is None and environ.get(TOKEN_VARIABLE):
        found = replace(found, token=checked_token(environ[TOKEN_VARIABLE], TOKEN_VARIABLE))
    return found if ca is None else replace(found, ca=ca)


def _named_server(flags: Mapping[str, Any], environ: Mapping[str, str]) -> Server | None:
    if "profile" in flags:
        return profile_of(flags["profile"])
    if "url" in flags:
        return Server(urls=checked_urls(flags["url"], "--url"))
    url = environ.get(URL_VARIABLE)
    if not url or any(name in flags for name in _OF_DIRECTORIES):
        return None
    if environ.get(_DIRECTORY_VARIABLE):
        raise ConfigError(
            f"{URL_VARIABLE} and {_DIRECTORY_VARIABLE} are both set; give --url or --data-dir, or unset one of them."
        )
    return Server(urls=checked_urls(url, URL_VARIABLE))


def named_location(text: str, environ: Mapping[str, str] = os.environ) -> Location:
    """What one word means: an address, a path (where it has a slash, or a directory is there), or else a profile.

    Raises `ConfigError`, as `locate` does.
    """
    if is_url(text):
        return locate({"url": text}, environ)
    if "/" not in text and os.sep not in text and not Path(text).is_dir() and text in load_profiles():
        return locate({"profile": text}, environ)
    return locate({"data_dir": os.path.expanduser(text)}, environ)


def title_of(location: Location) -> str:
    """What the database is called where there is room for a line: its address or its path."""
    return location.url if isinstance(location, Server) else location.data_dir
