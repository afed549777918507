"""What is loaded behind the first prompt: completion, and all that a line may need."""

from __future__ import annotations

import threading
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from prompt_toolkit.completion import Completer

if TYPE_CHECKING:
    from blockdb import AnyDatabase
    from blockdb.commands.completing import LiveSource

__all__ = ["LateCompletion", "Rest"]


class Rest:
    """Loads the rest, in a thread, once the first prompt is shown: the first line is then run at once."""

    def __init__(self) -> None:
        self._begun = False

    def __call__(self, _: object) -> None:
        """Begin, if that has not been done."""
        if not self._begun:
            self._begun = True
            threading.Thread(target=self._load, name="rest", daemon=True).start()

    def _load(self) -> None:
        for module in ("blockdb.commands.pager", "blockdb.commands.render", "blockdb_repl.directives.table"):
            import_module(module)
        import_module("blockdb.commands.table").commands()


class LateCompletion:
    """Gives the completer; it is asked in the thread that completes."""

    def __init__(self, database: Callable[[], AnyDatabase], current: Callable[[], str | None]) -> None:
        """`current` is the collection that the shell uses."""
        self._database = database
        self._current = current
        self._completer: Completer | None = None
        self._source: LiveSource | None = None

    def __call__(self) -> Completer:
        """The completer of lines."""
        if self._completer is None:
            from blockdb.commands.completing import LiveSource

            from .completer import LineCompleter

            self._source = LiveSource(self._database)
            self._completer = LineCompleter(self._source, self._current)
        return self._completer

    def close(self) -> None:
        """Wait for the last answer, so that the database can be closed."""
        if self._source is not None:
            self._source.close()
