"""The line at the bottom: what the database holds now, and how long the last command took."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from prompt_toolkit.formatted_text import StyleAndTextTuples

from blockdb.errors import BlockDBError

if TYPE_CHECKING:
    from blockdb import Collection, Database, Statistics

from blockdb.commands.display import human_count, human_duration, plural, printable, shortened

__all__ = ["Toolbar"]

PERIOD_S = 1.0


class Toolbar:
    """Looks at the database once a second, in a thread of its own, so that the prompt never waits for it."""

    def __init__(self, target: Callable[[], Database | Collection]) -> None:
        """`target` gives the collection that is used at the moment; it may have to be opened first."""
        self._target = target
        self._statistics: Statistics | None = None
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, changed: Callable[[], None]) -> None:
        """Begin to look, if that has not been done; `changed` is called when there is something new to show."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, args=(changed,), name="toolbar", daemon=True)
            self._thread.start()

    def _watch(self, changed: Callable[[], None]) -> None:
        while not self._closed.is_set():
            before = self._shown()
            self.look()
            if self._shown() != before:
                changed()
            self._closed.wait(PERIOD_S)

    def _shown(self) -> tuple[int, int] | None:
        now = self._statistics
        return None if now is None else (now.records, now.blocks)

    def look(self) -> None:
        """Look now."""
        with suppress(BlockDBError):
            self._statistics = self._target().stats()

    def fragments(self, latency_s: float | None) -> StyleAndTextTuples:
        """The pieces of the line."""
        now = self._statistics
        if now is None:
            return [("class:bottom-toolbar.label", " …")]
        pieces: StyleAndTextTuples = [
            ("", f" {shortened(printable(now.data_dir), 30)} "),
            *_labelled("records", human_count(now.records)),
            *_labelled("height", plural(now.blocks, "block")),
        ]
        if latency_s is not None:
            pieces += _labelled("last", human_duration(latency_s))
        if now.read_only:
            pieces += [("class:bottom-toolbar.warning", "  read-only")]
        return pieces

    def close(self) -> None:
        """Stop looking, so that the database can be closed."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join()


def _labelled(label: str, text: str) -> StyleAndTextTuples:
    return [("class:bottom-toolbar.label", f"  {label} "), ("", text)]
