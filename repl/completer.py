"""Completion: commands, flags, formats, files, and the keys that are in the database at this moment."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import TYPE_CHECKING

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from blockdb.commands.command import Argument, Command, Completes, Where
from blockdb.commands.display import printable, shortened
from blockdb.commands.failures import UsageError
from blockdb.commands.line import quote, to_bytes, words
from blockdb.commands.parsing import common_arguments
from blockdb.commands.table import members, names, take
from blockdb.errors import BlockDBError

if TYPE_CHECKING:
    from blockdb import AnyDatabase

__all__ = ["LineCompleter", "LiveKeys"]

MOST_KEYS = 20
PATIENCE_S = 3.0
"""How long completion waits for the database, in its own thread (typing goes on); what comes later is not shown."""


class LiveKeys:
    """Asks the database for keys, and for the names of collections, in a thread of its own.

    One question at a time, and it does not wait for ever.
    """

    def __init__(self, open_database: Callable[[], AnyDatabase]) -> None:
        self._open_database = open_database
        self._worker = ThreadPoolExecutor(1, "completion")
        self._asked: Future[list[bytes]] | None = None

    def __call__(self, prefix: bytes, collection: str | None = None) -> list[bytes]:
        """Keys of a collection with this prefix; none if the database is slow to answer."""
        return self._answer(self._keys, prefix, collection)

    def collections(self, prefix: bytes) -> list[bytes]:
        """The names of collections that begin so."""
        return self._answer(self._names, prefix)

    def _answer(self, ask: Callable[..., list[bytes]], *words: object) -> list[bytes]:
        if self._asked is not None and not self._asked.done():
            return []
        self._asked = self._worker.submit(ask, *words)
        try:
            return self._asked.result(PATIENCE_S)
        except (TimeoutError, BlockDBError):
            return []

    def _keys(self, prefix: bytes, collection: str | None) -> list[bytes]:
        database = self._open_database()
        source = database if collection is None else database.collection(collection)
        return list(source.keys(prefix=prefix, limit=MOST_KEYS))

    def _names(self, prefix: bytes) -> list[bytes]:
        names = map(str.encode, self._open_database().collection_names())
        return [name for name in names if name.startswith(prefix)][:MOST_KEYS]

    def close(self) -> None:
        """Wait for the last answer, so that the database can be closed."""
        self._worker.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class _Place:
    """The place where the line is being typed: the words before it, and the word itself as far as it is there."""

    before: list[str]
    typed: str
    width: int  # characters of the line that a completion replaces

    @classmethod
    def of(cls, line: str) -> _Place:
        found = words(line)
        if not found or found[-1].end < len(line):
            return cls([word.text for word in found], "", 0)
        last = found[-1]
        flag, equals, value = last.text.partition("=")
        if equals and flag.startswith("--") and not line[last.start : last.end].startswith(('"', "'")):
            width = last.end - last.start - len(flag) - 1
            return cls([*(word.text for word in found[:-1]), flag], value, width)
        return cls([word.text for word in found[:-1]], last.text, len(line) - last.start)


class LineCompleter(Completer):
    """Completes the last word of the line before the cursor."""

    def __init__(
        self,
        keys: Callable[[bytes, str | None], list[bytes]],
        collections: Callable[[bytes], list[bytes]] = lambda _: [],
        current: Callable[[], str | None] = lambda: None,
    ) -> None:
        """`keys` and `collections` give what begins so; `current` is the collection that the shell uses."""
        self._keys = keys
        self._collections = collections
        self._current = current

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        """The completions of the word at the cursor."""
        line = document.text_before_cursor.rpartition("\n")[2]
        place = _Place.of(line)
        if not place.before or (len(place.before) == 1 and members(place.before[0], Where.SHELL)):
            yield from _names(place, place.before)
            return
        try:
            command, given = take(place.before, Where.SHELL)
            yield from self._arguments(command, place, given)
        except UsageError:  # no command, or no word
            return

    def _arguments(self, command: Command, place: _Place, given: list[str]) -> Iterable[Completion]:
        flags = {name: argument for argument in _flags(command) for name in argument.names}
        previous = flags.get(place.before[-1])
        if previous is not None and previous.takes_value and "--" not in place.before:
            return self._values(previous, command, place)
        if place.typed.startswith("-") and "--" not in place.before:
            return _matching(place, ((name, argument.help) for name, argument in flags.items()))
        positions = [argument for argument in command.arguments if not argument.is_flag]
        index = _given(given, flags)
        if positions and positions[-1].options.get("nargs") == "*":
            index = min(index, len(positions) - 1)
        return self._values(positions[index], command, place) if index < len(positions) else ()

    def _values(self, argument: Argument, command: Command, place: _Place) -> Iterable[Completion]:
        choices = command.formats if argument.names == ("--format",) and not argument.options.get("dest") else None
        if choices := choices or argument.options.get("choices"):
            return _matching(place, ((choice, "") for choice in choices))
        match argument.completes:
            case Completes.KEY:
                collection = _collection(command, place.before) or self._current()
                return _live(place, self._keys(to_bytes(place.typed), collection))
            case Completes.COLLECTION:
                return _live(place, self._collections(to_bytes(place.typed)))
            case Completes.FILE:
                return _files(place)
            case Completes.COMMAND:
                return _names(place, place.before[1:])
        return ()


def _live(place: _Place, found: Iterable[bytes]) -> Iterator[Completion]:
    for text in found:
        guard = "-- " if text.startswith(b"-") and "--" not in place.before else ""
        yield Completion(guard + quote(text), -place.width, display=shortened(printable(text), 60))


def _collection(command: Command, before: list[str]) -> str | None:
    """The collection that the words of a line name already, if they do."""
    named = next((argument for argument in command.arguments if argument.completes is Completes.COLLECTION), None)
    if named is None:
        return None
    if not named.is_flag:
        return next(iter(before[len(command.name.split()) :]), None)
    values = (value for flag, value in pairwise(before) if flag in named.names)
    glued = (word.partition("=")[2] for word in before if word.startswith(f"{named.names[-1]}="))
    return next(chain(values, glued), None)


def _flags(command: Command) -> list[Argument]:
    return [argument for argument in (*command.arguments, *common_arguments(command, False)) if argument.is_flag]


def _given(before: list[str], flags: dict[str, Argument]) -> int:
    """How many arguments that go by place are there already."""
    count, skip, literal = 0, False, False
    for text in before:
        if skip:
            skip = False
        elif text == "--" and not literal:
            literal = True
        elif text.startswith("-") and not literal:
            skip = text in flags and flags[text].takes_value
        else:
            count += 1
    return count


def _matching(place: _Place, choices: Iterable[tuple[str, str]]) -> Iterator[Completion]:
    for text, meaning in choices:
        if text.startswith(place.typed):
            yield Completion(text, -place.width, display_meta=shortened(meaning, 60))


def _names(place: _Place, before: list[str]) -> Iterator[Completion]:
    """The names of commands; what is left of them where their first word stands `before`."""
    start = "".join(f"{word} " for word in before)
    found = ((name, command.summary) for name, command in names(Where.SHELL).items() if name.startswith(start))
    return _matching(place, ((name.removeprefix(start), summary) for name, summary in found))


def _files(place: _Place) -> Iterator[Completion]:
    folder, _, start = place.typed.rpartition("/")
    root = folder or ("/" if place.typed.startswith("/") else ".")
    try:
        entries = sorted(os.scandir(os.path.expanduser(root)), key=lambda entry: entry.name)
    except (OSError, ValueError):
        return
    for entry in entries:
        if entry.name.startswith(start) and (start or not entry.name.startswith(".")):
            name = entry.name + ("/" if entry.is_dir() else "")
            path = f"{folder}/{name}" if "/" in place.typed else name
            yield Completion(quote(to_bytes(path)), -place.width, display=printable(name))
