"""The queries that were run in the explorer, kept from visit to visit, for each database in a file of its own.

They are kept as the shell keeps its lines: readable by their owner alone, bounded, without what looks like a secret.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from blockdb.commands.history import LineHistory, history_path
from blockdb.commands.secret_words import looks_secret

from .form import USUAL_LIMIT, Form, form_of

__all__ = ["MOST_FORMS", "QueryHistory"]

MOST_FORMS = 200
"""So many of a database are gone through."""
MOST_DATABASES = 50


class QueryHistory:
    """The queries of one database. A file that cannot be read or written is no reason to complain."""

    def __init__(self, ident: str, directory: Path | None = None) -> None:
        """`ident` is what the database is called among sessions (`session.ident_of`)."""
        self._directory = directory or history_path().with_name("queries")
        self._path = self._directory / hashlib.sha256(ident.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        self._lines = LineHistory(self._path, lambda line: None if looks_secret(line) else line)

    def forms(self) -> list[Form]:
        """The queries, the one that was run last at the end, each once."""
        found: dict[Form, None] = {}
        for line in self._lines.lines()[-MOST_FORMS:]:
            if (form := form_of(line)) is not None:
                form = replace(form, limit="" if form.limit == str(USUAL_LIMIT) else form.limit)
                found.pop(form, None)
                found[form] = None
        return list(found)

    def add(self, form: Form) -> None:
        """Keeps a query, unless it begins with a blank or looks as if it held a secret."""
        with suppress(ValueError):  # what is no query
            if not form.where[:1].isspace():
                is_new = not self._path.exists()
                self._lines.add(form.line())
                if is_new:
                    self._forget_old()

    def _forget_old(self) -> None:
        """Removes what was kept of the databases that were queried the longest time ago."""
        with suppress(OSError):
            newest = sorted(self._directory.iterdir(), key=lambda path: path.stat().st_mtime_ns, reverse=True)
            for path in newest[MOST_DATABASES:]:
                path.unlink()
