"""Where somebody was when they left: kept in a file, so that the next visit begins there. It holds no stored values."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from blockdb.errors import InvalidData

__all__ = ["Memory", "Place", "Sessions", "ident_of", "sessions_path"]

FORMAT, VERSION = "blockdb explorer session", 1
MOST_DATABASES = 50
LARGEST_BYTES = 256 * 1024
LONGEST_TEXT = 256
FOR_OWNER = 0o600


@dataclass(frozen=True)
class Place:
    """Where somebody was in one database: a view, a collection, and what was chosen there, by names of its own."""

    view: str = ""
    collection: str = ""
    chosen: Mapping[str, Any] = field(default_factory=dict)
    theme: str = ""


class Sessions:
    """The file. Every explorer on this machine writes it, each for its own database."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or sessions_path()

    def read(self, ident: str) -> Place | None:
        """Where somebody was in a database; None where that is not known.

        Raises `InvalidData` where the file is another one, or broken, and `OSError` where it cannot be read.
        """
        found = self._load().get(ident)
        if found is None:
            return None
        texts = {name: found.get(name, "") for name in ("view", "collection", "theme")}
        chosen = found.get("chosen", {})
        if not isinstance(chosen, dict) or not all(isinstance(text, str) for text in texts.values()):
            raise InvalidData(f"{self._path} does not say where somebody was in {ident}.")
        return Place(chosen=chosen, **texts)

    def write(self, ident: str, place: Place) -> None:
        """Keeps where somebody is now, and of the others what is newest. Raises `OSError`."""
        try:
            known = self._load()
        except InvalidData:
            known = {}
        known.pop(ident, None)
        known[ident] = _entry(place)
        newest = dict(list(known.items())[-MOST_DATABASES:])
        text = json.dumps({"format": FORMAT, "version": VERSION, "databases": newest}, indent=1)
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        beside = self._path.with_name(f"{self._path.name}.{os.getpid()}.new")
        try:
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FOR_OWNER)
            with open(descriptor, "w") as file:
                os.fchmod(descriptor, FOR_OWNER)
                file.write(text)
            os.replace(beside, self._path)
        except OSError:
            with suppress(OSError):
                beside.unlink()
            raise

    def _load(self) -> dict[str, dict[str, Any]]:
        """The entries, the oldest first. Raises `InvalidData` and `OSError`."""
        try:
            with self._path.open("rb") as file:
                data = file.read(LARGEST_BYTES + 1)
        except FileNotFoundError:
            return {}
        try:
            whole = json.loads(data) if len(data) <= LARGEST_BYTES else None
        except (ValueError, RecursionError):
            whole = None
        if not isinstance(whole, dict) or (whole.get("format"), whole.get("version")) != (FORMAT, VERSION):
            raise InvalidData(f"{self._path} is no session of the explorer.")
        found = whole.get("databases")
        if not isinstance(found, dict) or not all(isinstance(entry, dict) for entry in found.values()):
            raise InvalidData(f"{self._path} is broken.")
        return found


def _entry(place: Place) -> dict[str, Any]:
    """What is kept; texts that are too long are not."""
    chosen = {name: value for name, value in place.chosen.items() if len(str(value)) <= LONGEST_TEXT}
    kept = {"view": place.view, "collection": place.collection[:LONGEST_TEXT], "theme": place.theme, "chosen": chosen}
    return {name: value for name, value in kept.items() if value}


def sessions_path() -> Path:
    """Where the file is: `$XDG_STATE_HOME/blockdb/explorer.json`, or below `~/.local/state`."""
    base = os.environ.get("XDG_STATE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".local" / "state") / "blockdb" / "explorer.json"


def ident_of(name: str, *, is_server: bool) -> str:
    """What a database is called in the file: the directory, however it was named, or the URL without a user."""
    if not is_server:
        return os.path.realpath(name)
    parts = urlsplit(name)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


class Memory:
    """What the explorer of one database remembers from visit to visit."""

    def __init__(self, ident: str, sessions: Sessions | None = None, *, fresh: bool = False) -> None:
        """Reads it; `fresh` begins with nothing, and what is then left is kept all the same."""
        self.ident, self._sessions = ident, sessions or Sessions()
        self.place = Place()
        self.complaints: tuple[str, ...] = ()
        """What is wrong with the file, in words."""
        self._is_left = False
        try:
            self.place = (None if fresh else self._sessions.read(ident)) or Place()
        except (InvalidData, OSError) as error:
            self.complaints = (f"It is not known where you were last: {error}",)

    def leave(self, place: Place) -> None:
        """Notes where somebody is as they leave."""
        self.place, self._is_left = place, True

    def keep(self) -> None:
        """Writes what was noted, if anything was. Where that is not possible, there is nobody left to be told."""
        if self._is_left:
            with suppress(OSError):
                self._sessions.write(self.ident, self.place)
