"""What is set, and where each value comes from: configuration, engine, collection, server, the explorer itself.

Gathering may wait for the disk or for a server, so it is done off the event loop. Secrets are never part of it.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import blockdb
import blockdb_themes
from blockdb.commands.configuring import settings_of
from blockdb.commands.display import human_bytes, human_time, printable
from blockdb.commands.profiles import profiles_path
from blockdb.commands.saved import queries_path
from blockdb.commands.servers import is_url
from blockdb.config import Sources

from .keymap import keymap_path

if TYPE_CHECKING:
    from blockdb import AnyCollection, AnyDatabase
    from blockdb.commands.servers import Server

    from .app import Explorer

__all__ = ["Setting", "gather", "own_settings"]


@dataclass(frozen=True)
class Setting:
    """One value: what it is of, its key, and where it comes from. All of it is fit to be shown."""

    section: str
    key: str
    value: str
    origin: str
    place: str = ""
    """The place to change it: a file and its key, a variable, a flag."""

    def has(self, part: str) -> bool:
        """Whether a text is in it somewhere."""
        return part in f"{self.section} {self.key} {self.value} {self.origin} {self.place}".casefold()


def gather(collection: AnyCollection, database: AnyDatabase, server: Server | None, path: str) -> list[Setting]:
    """What can be known of a collection, its database and its server. Waits; what cannot be had is told as such.

    `path` is the directory of the database, where there is no server.
    """
    parts: list[Callable[[], Iterator[Setting]]] = [
        *([lambda: _connection(server), lambda: _served(database)] if server is not None else []),
        lambda: _engine(collection),
        lambda: _of_collection(collection),
        lambda: _configured(None if server is not None else path),
    ]
    return [setting for part in parts for setting in _had(part)]


def _had(part: Callable[[], Iterator[Setting]]) -> Sequence[Setting]:
    try:
        return list(part())
    except (blockdb.BlockDBError, OSError) as error:
        return [Setting("not known", type(error).__name__, printable(str(error)), "error")]


def _text(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_text, value)) or "none"
    return printable(str(value)) if value != "" else "not set"


def _connection(server: Server) -> Iterator[Setting]:
    """How the server is reached. Of the token it is told whether there is one, and from where; never what it is."""

    def told(key: str, value: Any) -> Setting:
        origin = f"profile {printable(server.profile)}" if server.profile is not None else "command line"
        return Setting("connection", key, _text(value), origin, str(profiles_path()) if server.profile else "")

    yield told("address", [_without_secret(url) for url in server.urls])
    yield told("TLS", all(url.startswith("https://") for url in server.urls))
    yield told("authority", server.ca or "those that the system trusts")
    yield told("client certificate", server.certificate)
    token = f"in {server.token_file}" if server.token_file else "set, not shown" if server.token else None
    yield told("token", token)
    yield told("reads are proven", server.verified)


def _without_secret(url: str) -> str:
    """An address without a name and a password in it."""
    scheme, mark, rest = url.partition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}" if is_url(url) else url


def _served(database: AnyDatabase) -> Iterator[Setting]:
    """What the server tells of itself, and of whoever asks."""
    about = getattr(database, "about", None)
    if about is not None:
        yield Setting("server", "version", _text(about.version), "server")
        yield Setting("server", "data_dir", _text(about.data_dir), "server")
        yield Setting("server", "read-only", _text(about.read_only), "server")
    ask = getattr(database, "whoami", None)
    if ask is None:
        return
    who = ask()
    yield Setting("server", "you are", _text(who.name), "token")
    yield Setting("server", "role", _text(who.role), "token")
    yield Setting("server", "collections", "all" if who.collections is None else _text(who.collections), "token")
    if who.prefix:
        yield Setting("server", "keys that begin with", printable(who.prefix), "token")
    expires = "never" if who.expires_ms is None else human_time(who.expires_ms)
    yield Setting("server", "token expires", expires, "token")


def _engine(collection: AnyCollection) -> Iterator[Setting]:
    """What the engine that has the collection runs with."""
    statistics = collection.stats()
    yield Setting("engine", "data_dir", printable(statistics.data_dir), "database")
    sizes = (
        ("memtable_size_limit", statistics.memtable_size_limit),
        ("cache_size_limit", statistics.cache_size_limit),
    )
    for key, size in sizes:
        yield Setting("engine", key, f"{human_bytes(size)} ({size:,})", "database")
    values = (
        ("wal_sync_interval", f"{statistics.wal_sync_interval_ms} ms"),
        ("compaction_threshold", statistics.compaction_threshold),
        ("blockchain_batch_size", f"{statistics.blockchain_batch_size:,} records"),
        ("compression_enabled", statistics.compression_enabled),
        ("encrypted", statistics.encrypted),
        ("scrub_rate_limit", f"{human_bytes(statistics.scrub.rate_limit)}/s" if statistics.scrub.rate_limit else "off"),
        ("opened for writing", not statistics.read_only),
        ("partitions", statistics.partitions),
    )
    for key, value in values:
        yield Setting("engine", key, _text(value), "database")


def _of_collection(collection: AnyCollection) -> Iterator[Setting]:
    """What the collection was told when it was made."""
    info = collection.describe()
    yield Setting("collection", "name", printable(info.name), "collection")
    yield Setting("collection", "id", printable(info.id), "collection")
    for key, value in asdict(info.settings).items():
        shown = f"{human_bytes(value)} ({value:,})" if key == "max_document_size" else _text(value)
        as_database = value is None and key != "ttl_seconds"
        yield Setting("collection", key, "as the database" if as_database else shown, "collection")


def _configured(path: str | None) -> Iterator[Setting]:
    """The configuration of this machine. Where a server has the database (None), it is not the server's."""
    sources = Sources() if path is None else Sources(flags={"data_dir": path})
    for row in settings_of(sources):
        section = f"here {row['section']}" if path is None else f"[{row['section']}]"
        yield Setting(section, row["key"], _text(row["value"]), row["from"], printable(row["place"] or ""))


def own_settings(explorer: Explorer) -> list[Setting]:
    """What the explorer itself goes by. Quick."""

    def told(key: str, value: Any, origin: str = "explorer", place: str = "") -> Setting:
        return Setting("explorer", key, _text(value), origin, place)

    theme_from = "environment" if os.environ.get("BLOCKDB_THEME") == explorer.theme else "explorer"
    size = explorer.size
    versions = f"{blockdb.__version__} on Python {platform.python_version()}"
    return [
        told("version", versions),
        told("theme", explorer.theme, theme_from, "BLOCKDB_THEME, --theme, t"),
        told("themes", f"{len(blockdb_themes.names())} known", place=str(blockdb_themes.directory())),
        told("terminal", f"{size.width} × {size.height}, {os.environ.get('TERM', 'TERM is not set')}", "terminal"),
        told(
            "colours",
            "none" if explorer.no_color else os.environ.get("COLORTERM") or "as the terminal has",
            "terminal",
        ),
        *(_file(key, path) for key, path in _files().items()),
    ]


def _files() -> dict[str, Any]:
    return {"keys": keymap_path(), "profiles": profiles_path(), "saved queries": queries_path()}


def _file(key: str, path: Any) -> Setting:
    return Setting("files", key, str(path), "there" if path.exists() else "not there", str(path))
