"""What may stand for a word of a command, by the words before it: commands, flags, values, and what is stored."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from blockdb.commands.command import Argument, Command, Completes, Where
from blockdb.commands.display import printable, shortened
from blockdb.commands.failures import UsageError
from blockdb.commands.line import to_bytes, to_text
from blockdb.commands.parsing import GLOBAL_ARGUMENTS, common_arguments, place_of_command
from blockdb.commands.table import members, names, take
from blockdb.errors import BlockDBError

from .candidate import Kind, Offer
from .filters import Completion, complete_fields, complete_filter, complete_order
from .matching import BEGINS, matching
from .source import Source

__all__ = ["argument_at", "offered", "value_of"]


SHOWN_CHARACTERS = 60
MOMENTS = (
    ("block:", "when that block was sealed"),
    ("record:", "when that record was stored"),
    ("seq:", "the same as record:"),
)


@dataclass(frozen=True)
class _Place:
    """A place in a command: the words before it, and the word itself as far as it is typed."""

    before: Sequence[str]
    typed: str
    where: Where
    source: Source
    current: str | None

    @property
    def is_literal(self) -> bool:
        """Whether `--` was said: no word is a flag any more."""
        return "--" in self.before


def offered(before: Sequence[str], typed: str, where: Where, source: Source, current: str | None = None) -> list[Offer]:
    """What may stand for the word that is being typed behind others, the best first.

    `current` is the collection that is used where none is named. On the command line (`where`) the options of
    the program may stand before the command. Never raises what the source may raise.
    """
    place = _Place(before, typed, where, source, current)
    if where is Where.COMMAND_LINE:
        start = place_of_command(before)
        if start == len(before):
            return _before_command(place)
        place = replace(place, before=before[start:])
    elif typed.startswith("-") and not before:
        return []
    if not place.before or (len(place.before) == 1 and members(place.before[0], where)):
        return _names(place, place.before)
    try:
        command, given = take(place.before, where)
        return _arguments(command, place, given)
    except UsageError:  # no command, or no word
        return []


def _before_command(place: _Place) -> list[Offer]:
    flags = _by_name(argument for argument in GLOBAL_ARGUMENTS)
    previous = flags.get(place.before[-1]) if place.before else None
    if previous is not None and previous.takes_value:
        return _values(previous, None, place)
    return _flags(flags, place) if place.typed.startswith("-") else _names(place, ())


def argument_at(command: Command, given: Sequence[str], typed: str, where: Where) -> Argument | None:
    """The argument whose value, or whose name, stands behind words that a command was given; None where none can."""
    flags = _flags_of(command, where)
    is_literal = "--" in given
    previous = flags.get(given[-1]) if given else None
    if previous is not None and previous.takes_value and not is_literal:
        return previous
    if typed.startswith("-") and not is_literal:
        return flags.get(typed)
    positions = [argument for argument in command.arguments if not argument.is_flag]
    index = _given(given, flags)
    if positions and positions[-1].options.get("nargs") in ("*", "+"):
        index = min(index, len(positions) - 1)
    return positions[index] if index < len(positions) else None


def _arguments(command: Command, place: _Place, given: Sequence[str]) -> list[Offer]:
    argument = argument_at(command, given, place.typed, place.where)
    is_flag = place.typed.startswith("-") and not place.is_literal
    if argument is not None and not (is_flag and place.typed in argument.names):
        return _values(argument, command, place)
    if is_flag:
        return _flags(_without_given(_flags_of(command, place.where), given), place)
    return [] if place.typed or place.is_literal else _flags(_own_flags(command, given), place)


def _flags_of(command: Command, where: Where) -> dict[str, Argument]:
    every = (*command.arguments, *common_arguments(command, where is Where.COMMAND_LINE))
    return _by_name(argument for argument in every if argument.is_flag)


def _by_name(arguments: Iterable[Argument]) -> dict[str, Argument]:
    return {name: argument for argument in arguments for name in argument.names}


def _without_given(flags: dict[str, Argument], given: Sequence[str]) -> dict[str, Argument]:
    """The flags that may still be given: those that can be repeated, and those that have not been."""
    said = {flags[word] for word in (it.partition("=")[0] for it in given) if word in flags}
    return {
        name: argument
        for name, argument in flags.items()
        if argument not in said or argument.options.get("action") == "append"
    }


def _own_flags(command: Command, given: Sequence[str]) -> dict[str, Argument]:
    """The flags of the command itself, each once: where nothing is typed, those of all commands only take up room."""
    own = {argument.names[-1]: argument for argument in command.arguments if argument.is_flag}
    every = _by_name(command.arguments)
    said = {every[word] for word in (it.partition("=")[0] for it in given) if word in every}
    return {name: argument for name, argument in own.items() if argument not in said}


def _given(words: Sequence[str], flags: dict[str, Argument]) -> int:
    """How many arguments that go by place are there already."""
    count, skip, literal = 0, False, False
    for text in words:
        if skip:
            skip = False
        elif text == "--" and not literal:
            literal = True
        elif text.startswith("-") and not literal:
            skip = text in flags and flags[text].takes_value
        else:
            count += 1
    return count


def value_of(words: Sequence[str], argument: Argument) -> str | None:
    """The value that words give an argument that goes by name, if they do: `--limit 3`, `--limit=3`."""
    for index, word in enumerate(words):
        flag, equals, value = word.partition("=")
        if flag in argument.names and equals:
            return value
        if word in argument.names and index + 1 < len(words):
            return words[index + 1]
    return None


# ── values ──


def _values(argument: Argument, command: Command | None, place: _Place) -> list[Offer]:
    if choices := _choices(argument, command):
        return _matching(place, [(choice, "") for choice in choices])
    match argument.completes:
        case Completes.KEY:
            return _live(place, place.source.keys(to_bytes(place.typed), _collection(command, place)))
        case Completes.COLLECTION:
            return _live(place, place.source.collections(to_bytes(place.typed)))
        case Completes.INDEX:
            found = place.source.indexes(_collection(command, place))
            return _matching(place, [(name, "") for name in found], "data")
        case Completes.FILE:
            return _files(place)
        case Completes.COMMAND:
            return _names(place, place.before[1:])
        case Completes.MOMENT:
            return [replace(it, goes_on=True) for it in _matching(place, MOMENTS)]
        case Completes.PROFILE:
            return _matching(place, _profiles(), "data")
        case Completes.DATABASE:
            return [*_matching(place, _profiles(), "data"), *_files(place)]
        case Completes.THEME:
            return _matching(place, [(name, "") for name in _themes()], "data")
        case Completes.FILTER:
            return _grown(place, complete_filter, command)
        case Completes.ORDER:
            return _grown(place, complete_order, command)
        case Completes.FIELDS:
            return _grown(place, complete_fields, command)
    return []


def _choices(argument: Argument, command: Command | None) -> Sequence[str]:
    is_common = argument.names == ("--format",) and not argument.options.get("dest")
    found: Sequence[str] = (
        command.formats if command is not None and is_common else argument.options.get("choices") or ()
    )
    return found


def _collection(command: Command | None, place: _Place) -> str | None:
    """The collection that the words of a line name already, else the one that is used."""
    if command is None:
        return place.current
    named = next((argument for argument in command.arguments if argument.completes is Completes.COLLECTION), None)
    if named is None:
        return place.current
    if named.is_flag:
        return value_of(place.before, named) or place.current
    return next(iter(place.before[len(command.name.split()) :]), place.current)


def _profiles() -> list[tuple[str, str]]:
    from blockdb.commands.profiles import load_profiles

    with suppress(BlockDBError):
        return [(name, printable(server.url)) for name, server in load_profiles().items()]
    return []


def _themes() -> Sequence[str]:
    import blockdb_themes

    with suppress(blockdb_themes.ThemeError):
        return blockdb_themes.names()
    return ()


def _grown(place: _Place, complete: Callable[[str, Sequence[str]], Completion], command: Command | None) -> list[Offer]:
    """Offers for the last word of a text that has several, and stays open for more."""
    found = complete(place.typed, place.source.fields(_collection(command, place)))
    before, last = place.typed[: found.start], len(found.words)
    return [
        Offer(before + word, printable(word), score=BEGINS + last - at, keeps=found.start, goes_on=True, kind="text")
        for at, word in enumerate(found.words)
    ]


def _live(place: _Place, found: Iterable[bytes]) -> list[Offer]:
    return [
        Offer(
            to_text(data),
            shortened(printable(data), SHOWN_CHARACTERS),
            score=BEGINS,
            is_literal=data.startswith(b"-") and not place.is_literal,
        )
        for data in found
    ]


def _matching(place: _Place, choices: Sequence[tuple[str, str]], kind: Kind = "plain") -> list[Offer]:
    return [
        Offer(text, printable(text), meaning, score, kind=kind)
        for score, (text, meaning) in matching(choices, place.typed, _first)
    ]


def _first(pair: tuple[str, str]) -> str:
    return pair[0]


def _flags(flags: dict[str, Argument], place: _Place) -> list[Offer]:
    return _matching(place, [(name, argument.help) for name, argument in flags.items()])


def _names(place: _Place, before: Sequence[str]) -> list[Offer]:
    """The names of commands; what is left of them where their first word stands `before`."""
    start = "".join(f"{word} " for word in before)
    found = [
        (name.removeprefix(start), it.summary) for name, it in names(place.where).items() if name.startswith(start)
    ]
    return _matching(place, found)


def _files(place: _Place) -> list[Offer]:
    folder, _, start = place.typed.rpartition("/")
    root = folder or ("/" if place.typed.startswith("/") else ".")
    try:
        with os.scandir(os.path.expanduser(root)) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except (OSError, ValueError):
        return []
    visible = [entry for entry in entries if start.startswith(".") or not entry.name.startswith(".")]
    return [_file(entry, place.typed, folder, score) for score, entry in matching(visible, start, lambda it: it.name)]


def _file(entry: os.DirEntry[str], typed: str, folder: str, score: int) -> Offer:
    is_folder = False
    with suppress(OSError):
        is_folder = entry.is_dir()
    name = entry.name + ("/" if is_folder else "")
    return Offer(f"{folder}/{name}" if "/" in typed else name, printable(name), score=score, goes_on=is_folder)
