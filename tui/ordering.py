"""What is typed on the explorer's command line: a way to go, or a command of the table."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import blockdb
from blockdb.commands.command import Command, Completes, Need, Where
from blockdb.commands.completing import Candidate, LiveSource, Usage, complete, usage_of
from blockdb.commands.completing.matching import matching
from blockdb.commands.context import Context
from blockdb.commands.display import printable, shortened
from blockdb.commands.failures import UsageError
from blockdb.commands.invocation import Invocation, parse_line
from blockdb.commands.line import quote, split, to_bytes, words
from blockdb.commands.moment import as_option
from blockdb.commands.parsing import HelpWanted, destination, parse_arguments
from blockdb.commands.table import find, names, take
from blockdb.config import DatabaseConfig

from .elsewhere import Elsewhere
from .keytext import command_line, shell_word
from .running import InThread, Running
from .ways import Way, ways

if TYPE_CHECKING:
    from blockdb import AnyDatabase

    from .app import Explorer

__all__ = ["Order", "candidates", "order_of", "running_of", "source_of", "usage_in", "why_not"]

OF_A_TERMINAL: Final = {
    "server": "A server runs until it is stopped",
    "repl": "The shell wants a terminal of its own",
    "tui": "This is the explorer",
    "cluster demo": "The demonstration is an explorer of its own",
    "witness serve": "A witness runs until it is stopped",
}
OF_THE_SHELL: Final = {
    **dict.fromkeys(("begin", "commit", "abort"), "A transaction is kept open by the shell"),
    "connect": "The explorer stays with its database",
}


# ── lines ──


@dataclass(frozen=True)
class Order:
    """A line that was understood: `go` leads somewhere; else `invocation` is a command, which `context` is for."""

    line: str
    go: Callable[[], object] | None = None
    invocation: Invocation | None = None
    process: tuple[str, ...] | None = None
    """The words of the command line, of a command that a process of its own does."""
    shell_line: str | None = None
    """The same as a command of a terminal; None where no shell can have it."""


def order_of(explorer: Explorer, line: str) -> Order:
    """What a line asks for. Raises `UsageError`, which says why it cannot be done here."""
    said = split(line.removeprefix(":"))
    if not said:
        raise UsageError("the line is empty; help lists the commands")
    way = ways(explorer).get(said[0])
    if way is not None and len(said) <= (1 if way.takes is Completes.NOTHING and not way.needs else 2):
        is_alone = len(said) == 1
        if not (is_alone and way.needs) and not said[-1].startswith("-"):
            return Order(line, go=lambda: way.go(None if is_alone else said[1]))
    _refuse(said)
    if (apart := _apart(explorer, line, said)) is not None:
        return apart
    invocation = parse_line(line.removeprefix(":"))
    invocation = _then(explorer, invocation)
    command, given = take(said, Where.SHELL)
    if invocation.command is not command:  # --help
        command, given = invocation.command, list(invocation.arguments.topic)
    return Order(line, invocation=invocation, shell_line=_shell_line(explorer, invocation, given))


def _apart(explorer: Explorer, line: str, said: Sequence[str]) -> Order | None:
    """The order for a command that is of the command line alone; None where the line gives no such command."""
    try:
        command, given = take(said, Where.COMMAND_LINE)
    except UsageError:
        if _place_of(said) is Where.COMMAND_LINE:
            raise
        return None
    if command.where is not Where.COMMAND_LINE:
        return None
    try:
        arguments = parse_arguments(command, given, globals=True)
    except HelpWanted:
        raise UsageError(f"say `blockdb help {command.name}` in a terminal") from None
    invocation = Invocation(command, arguments, getattr(arguments, "format", None))
    target = explorer.whole
    form = ("--format", "table") if invocation.format is None and "table" in command.formats else ()
    process = (*command.name.split(), target.option, target.path, *form, *given)
    return Order(line, None, invocation, process, _shell_line(explorer, invocation, given))


def _place_of(said: Sequence[str]) -> Where:
    """Where the command that words begin with can be given: in the shell, unless it is of the command line alone."""
    first = said[0] if said else ""
    names_here = (set(names(Where.SHELL)), set(names(Where.COMMAND_LINE)))
    in_shell, on_line = (any(name == first or name.startswith(f"{first} ") for name in known) for known in names_here)
    both = " ".join(said[:2])
    is_apart = (on_line and not in_shell) or (both in names_here[1] and both not in names_here[0])
    return Where.COMMAND_LINE if is_apart else Where.SHELL


def usage_in(explorer: Explorer, line: str, cursor: int) -> Usage | None:
    """How the way to go, or the command, in a line is used, wherever it belongs."""
    said = [word.text for word in words(line[:cursor])]
    way = ways(explorer).get(said[0]) if said else None
    if way is not None and len(said) <= 2 and not said[-1].startswith("-"):
        return Usage(f"{way.word} {way.metavar}".strip(), f"{way.means}.")
    return usage_of(line, cursor, _place_of(said))


def _refuse(said: Sequence[str]) -> None:
    name = next((" ".join(said[:count]) for count in (2, 1) if " ".join(said[:count]) in OF_A_TERMINAL), said[0])
    if name in OF_A_TERMINAL:
        raise UsageError(f"{OF_A_TERMINAL[name]}: say `blockdb {name}` in a terminal")
    if name in OF_THE_SHELL:
        raise UsageError(f"{OF_THE_SHELL[name]}: `blockdb repl` is the shell")


def _then(explorer: Explorer, invocation: Invocation) -> Invocation:
    """The same at the moment that all views are at, if the command can go back and the line names no moment."""
    as_of = explorer.past.as_of
    arguments = invocation.arguments
    if as_of is None or getattr(arguments, "as_of", as_of) is not None:
        return invocation
    return replace(invocation, arguments=Namespace(**{**vars(arguments), "as_of": as_of}))


def _shell_line(explorer: Explorer, invocation: Invocation, given: Sequence[str]) -> str | None:
    command = invocation.command
    has_option = any(it.is_flag and it.completes is Completes.COLLECTION for it in command.arguments)
    named = getattr(invocation.arguments, "collection", None) is not None
    target = explorer.target if has_option and not named else explorer.whole
    found = [shell_word(to_bytes(word)) for word in given]
    if None in found:
        return None
    is_said = any(word.startswith("--as-of") for word in given)
    moment = () if is_said else as_option(getattr(invocation.arguments, "as_of", None))
    return command_line(target, command.name, *moment, *(word for word in found if word is not None))


# ── the database ──


def _opened(explorer: Explorer, order: Order) -> Callable[[], AbstractContextManager[AnyDatabase]]:
    """The database as a command needs it, for as long as it runs."""
    invocation = order.invocation
    assert invocation is not None
    command, arguments = invocation.command, invocation.arguments
    if command.writes(arguments) or (explorer.armed and command.need_of(arguments) is Need.PROVE):
        return explorer.origin.to_write
    return lambda: nullcontext(_database(explorer, command))


def _database(explorer: Explorer, command: Command) -> AnyDatabase:
    database = explorer.database
    if database is None and command.need is not Need.NOTHING:
        raise blockdb.Unavailable("There is no open database now; it is looked for all the time.")
    return database  # type: ignore[return-value]  # a command that needs none asks for none


def _context_of(explorer: Explorer, order: Order) -> Context:
    """What a command runs in, but for its database."""
    assert order.invocation is not None
    target, server = explorer.whole, getattr(explorer.origin, "server", None)
    about = order.invocation.command.about(order.invocation.arguments)
    return Context(
        lambda: _database(explorer, find("stats", Where.SHELL)),
        on_screen=order.invocation.format in (None, "table"),
        in_shell=True,
        config=DatabaseConfig(data_dir=target.path) if target.option == "-d" else None,
        server=server,
        collection=explorer.inside,
        ask=lambda _: about,  # the name was typed out already: see `Command.dangerous`
    )


def why_not(explorer: Explorer, order: Order) -> str | None:
    """Why the command of an order may not be run now; None if it may."""
    assert order.invocation is not None
    command, arguments = order.invocation.command, order.invocation.arguments
    names_files = any(
        it.completes in (Completes.FILE, Completes.DATABASE) and getattr(arguments, destination(it), None)
        for it in command.arguments
    )
    if (names_files or order.process is not None) and not explorer.may_be_armed:
        return f"{command.name} is about files of this machine: not from an explorer that may only read."
    return explorer.why_not(command, arguments)


def running_of(explorer: Explorer, order: Order, width: int) -> InThread:
    """The command of an order, ready to begin; its output is for a pane of so many cells."""
    assert order.invocation is not None
    if order.process is not None:
        return Elsewhere(order.process, getattr(explorer.origin, "server", None), width)
    return Running(order.invocation, _context_of(explorer, order), _opened(explorer, order), width)


# ── completion ──


def source_of(explorer: Explorer) -> LiveSource:
    """The explorer's database, as completion asks it."""

    def database() -> AnyDatabase:
        return _database(explorer, find("stats", Where.SHELL))

    return LiveSource(database)


def candidates(explorer: Explorer, source: LiveSource, line: str, cursor: int) -> list[Candidate]:
    """What may stand at the cursor, ways to go before commands. It may wait for the database: call it off the loop."""
    inside = explorer.inside
    found = words(line[:cursor])
    known = ways(explorer)
    if not found or (len(found) == 1 and found[0].end == cursor):
        typed = found[0].text if found else ""
        fitting = matching(list(known.values()), typed, lambda way: way.word)
        own = [Candidate(way.word, cursor - len(typed), way.word, way.means, score) for score, way in fitting]
        both = [found for where in (Where.SHELL, Where.COMMAND_LINE) for found in complete(line, cursor, where=where)]
        others = {it.text: it for it in both if it.text not in known and it.text not in OF_A_TERMINAL}
        return sorted((*own, *others.values()), key=lambda it: -it.score)
    way = known.get(found[0].text)
    typed = found[1].text if len(found) == 2 and found[1].end == cursor else ""
    if way is None or len(found) > 2 or (len(found) == 2 and not typed) or typed.startswith("-"):
        return complete(line, cursor, source, inside, where=_place_of([word.text for word in found]))
    return _values(explorer, way, source, typed, cursor - (found[1].end - found[1].start if typed else 0))


def _values(explorer: Explorer, way: Way, source: LiveSource, typed: str, start: int) -> list[Candidate]:
    match way.takes:
        case Completes.COLLECTION:
            found = list(source.collections(to_bytes(typed)))
        case Completes.KEY:
            found = list(source.keys(to_bytes(typed), explorer.inside))
        case Completes.THEME:
            found = [name.encode() for _, name in matching(explorer.wardrobe.names, typed, str)]
        case _:
            return []
    return [Candidate(quote(name), start, shortened(printable(name), 60)) for name in found]
