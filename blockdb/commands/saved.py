"""Saved queries: lines of the shell under names of one's own, in a file that the shell and the explorer share."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from blockdb.errors import ConfigError

from .exporting import replaced
from .failures import UsageError
from .profiles import profiles_path

__all__ = ["delete_query", "load_queries", "queries_path", "save_query"]

MOST_NAME: Final = 64
MOST_TEXT: Final = 64 * 1024
MOST_QUERIES: Final = 1_000
_MOST_BYTES: Final = 8 * 1024**2
_HEAD: Final = "# Saved queries of blockdb: a name, and the line of the shell that it stands for.\n"


def queries_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Where they are: `$XDG_CONFIG_HOME/blockdb/queries.toml`, or below `~/.config`."""
    return profiles_path(environ).with_name("queries.toml")


def load_queries(path: Path | None = None) -> dict[str, str]:
    """The lines by their names, in the order of the file; none where there is no file. Raises `ConfigError`.

    A line is what is typed into the shell, such as `find "city = 'Oslo'" --order age`; it may have several lines.
    """
    path = path or queries_path()
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        found = tomllib.loads(data.decode())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(f"{path}: the saved queries cannot be read: {error.strerror or error}.") from None
    except ValueError as error:  # not UTF-8, or no TOML
        raise ConfigError(f"{path}: it is no TOML file: {error}.") from None
    for name, text in found.items():
        if not isinstance(text, str):
            raise ConfigError(f"{path}: {name} should be a text, the line that it stands for.")
    return found


def save_query(name: str, text: str, path: Path | None = None) -> bool:
    """Keeps a line under a name, in place of the one that it stood for. Returns whether there was one.

    Raises `UsageError` for a name or a text that cannot be kept, `ConfigError` where the file cannot be read, and
    `IoError` where it cannot be written. Comments in the file are not kept.
    """
    name, text = name.strip(), text.strip()
    if not (name and len(name) <= MOST_NAME and name.isprintable()):
        raise UsageError(f"a saved query has a name of 1 to {MOST_NAME} characters that can be seen, not {name!r}")
    if not text or len(text) > MOST_TEXT:
        raise UsageError(f"a saved query has 1 to {MOST_TEXT:,} characters, not {len(text):,}")
    if not (_is_text(name) and _is_text(text)):
        raise UsageError("a saved query is text; this one has bytes in it that are not UTF-8")
    path = path or queries_path()
    queries = load_queries(path)
    was_there = name in queries
    if not was_there and len(queries) >= MOST_QUERIES:
        raise UsageError(f"there are {MOST_QUERIES:,} saved queries already; delete one first")
    _write(path, {**queries, name: text})
    return was_there


def delete_query(name: str, path: Path | None = None) -> None:
    """Forgets a line. Raises `UsageError` where there is none of that name, and as `save_query`."""
    path = path or queries_path()
    queries = load_queries(path)
    if name not in queries:
        others = f"there are {', '.join(queries)}" if queries else "there are none"
        raise UsageError(f"there is no saved query {name!r}; {others}")
    del queries[name]
    _write(path, queries)


def _is_text(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _write(path: Path, queries: Mapping[str, str]) -> None:
    lines = "".join(f"{_toml(name)} = {_toml(text)}\n" for name, text in queries.items())
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with replaced(path) as file:
        file.write((_HEAD + lines).encode())


def _toml(text: str) -> str:
    """A text in quotes, as TOML and JSON have it; TOML wants DEL escaped, too."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
