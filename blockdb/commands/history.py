"""The history of the lines that were given: a file that only its owner can read, that stays small and keeps no secrets.

Values are not kept: nobody can put the same record twice, so `put KEY` is all that is of use later. Lines that look
as if they held a secret, and lines that begin with a blank, are not kept at all. In the running shell, every line is.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from .line import words
from .secret_words import looks_secret

__all__ = ["MOST_LINES", "LineHistory", "history_path", "kept"]

MOST_LINES = 2_000
"""Above this the file is cut to its newest half."""


def history_path() -> Path:
    """Where the history is: in the user's state directory (XDG_STATE_HOME)."""
    base = os.environ.get("XDG_STATE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".local" / "state") / "blockdb" / "history"


def kept(line: str) -> str | None:
    """What is kept of a line; None if nothing is."""
    found = words(line)
    if not found or line.startswith((" ", "\t")) or looks_secret(line):
        return None
    if found[0].text == "put":
        key = 1
    elif [word.text for word in found[:2]] == ["collection", "put"]:
        key = 3
    else:
        return line
    if (
        "\n" in line
        or len(found) <= key
        or any(word.problem or word.text.startswith("-") for word in found[1 : key + 1])
    ):
        return None
    return line[found[0].start : found[key].end]


class LineHistory:
    """Lines in a file, one JSON string a line. A file that cannot be read or written is no reason to complain."""

    def __init__(self, path: Path | None, kept: Callable[[str], str | None] = kept) -> None:
        """Without a path nothing is kept; `kept` says what is kept of a line."""
        self._path = path
        self._kept = kept

    def lines(self) -> list[str]:
        """The lines, the oldest first. A file that has become large is made small."""
        if self._path is None:
            return []
        found = self._read(self._path)
        if len(found) > MOST_LINES:
            found = found[-MOST_LINES // 2 :]
            self._rewrite(self._path, found)
        return found

    def add(self, line: str) -> None:
        """Add a line, or what may be kept of it."""
        if self._path is not None and (what := self._kept(line)) is not None:
            with suppress(OSError):
                self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._write(self._path, [what], os.O_APPEND)

    def _read(self, path: Path) -> list[str]:
        found = []
        with suppress(OSError):
            for line in path.read_bytes().splitlines():
                with suppress(ValueError):
                    entry = json.loads(line)
                    if isinstance(entry, str):
                        found.append(entry)
        return found

    def _rewrite(self, path: Path, found: list[str]) -> None:
        temporary = path.with_name(f"{path.name}.{os.getpid()}")
        with suppress(OSError):
            self._write(temporary, found, os.O_TRUNC)
            temporary.replace(path)

    def _write(self, path: Path, found: list[str], mode: int) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | mode, 0o600)
        with open(descriptor, "ab") as file:
            os.fchmod(descriptor, 0o600)
            file.write(b"".join(json.dumps(line).encode() + b"\n" for line in found))
