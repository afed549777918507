"""Completion at the prompt: what `blockdb.commands.completing` offers, as the toolkit wants it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from blockdb.commands.completing import NO_SOURCE, Source

from .directives.completing import complete_line

__all__ = ["LineCompleter"]


class LineCompleter(Completer):
    """Completes the last word of the line before the cursor."""

    def __init__(self, source: Source = NO_SOURCE, current: Callable[[], str | None] = lambda: None) -> None:
        """`source` knows what is stored; `current` is the collection that the shell uses."""
        self._source = source
        self._current = current

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        """The completions of the word at the cursor."""
        at = document.cursor_position
        for found in complete_line(document.text, at, self._source, self._current()):
            yield Completion(found.text, found.start - at, display=found.shown, display_meta=found.meaning)
