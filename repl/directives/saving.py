r"""`\save`, `\run`, `\saved`, `\forget`: lines under names of one's own, which the explorer knows too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blockdb.commands.failures import DONE, UsageError
from blockdb.commands.line import split
from blockdb.commands.render import render
from blockdb.commands.results import Column, Table
from blockdb.commands.saved import delete_query, load_queries, queries_path, save_query
from blockdb.commands.secret_words import looks_secret

from .directive import Directive, a_word, nothing, word_and_rest

if TYPE_CHECKING:
    from ..session import Session

__all__ = ["DIRECTIVES"]

MOST_DEEP = 8
"""So many saved queries may run each other."""
_COLUMNS = (Column("name", "NAME", role="key"), Column("line", "LINE"))


def _names() -> tuple[str, ...]:
    return tuple(load_queries())


def _name_and_line(text: str) -> tuple[str, str]:
    name, line = word_and_rest(text)
    if not line:
        raise UsageError(f"a {'command' if name else 'name'} is missing")
    return name, line


def _line(text: str) -> str:
    return word_and_rest(text)[1]


def _save(session: Session, given: tuple[str, str]) -> int:
    name, line = given
    session.understand(line)
    if looks_secret(line):
        raise UsageError("the line looks as if it held a secret, and the file is no place for one")
    was_there = save_query(name, line)
    session.output.note(f"{'Saved in place of the former' if was_there else 'Saved'}: {name}.", "success")
    return DONE


def _words(text: str) -> tuple[str, str]:
    name, rest = word_and_rest(text)
    if not name:
        raise UsageError("a name is missing")
    split(rest)
    return name, rest


def _run(session: Session, given: tuple[str, str]) -> int:
    name, rest = given
    found = load_queries()
    if name not in found:
        raise UsageError(f"there is no saved query {name}; {_others(found)}")
    if session.depth >= MOST_DEEP:
        raise UsageError(f"saved queries run each other more than {MOST_DEEP} deep")
    arguments = split(rest, session.variables)
    with session.deeper({str(number): text for number, text in enumerate(arguments, 1)}):
        return session.run_block(found[name])


def _others(found: dict[str, str]) -> str:
    return rf"\saved lists the {len(found)} that there are" if found else "there are none"


def _list(session: Session, _: None) -> int:
    found = load_queries()
    more = None if found else f"No saved query: there is nothing in {queries_path()}."
    rows = ({"name": name, "line": line} for name, line in found.items())
    render(
        Table(_COLUMNS, rows, more), session.output, session.format_among(("table", "vertical", "json", "jsonl", "csv"))
    )
    return DONE


def _forget(session: Session, name: str) -> int:
    delete_query(name)
    session.output.note(f"Forgotten: {name}.", "success")
    return DONE


DIRECTIVES = (
    Directive(
        "save",
        "Save a command under a name.",
        _name_and_line,
        _save,
        "NAME COMMAND …",
        details="It stands in queries.toml beside the profiles ($XDG_CONFIG_HOME/blockdb), where the explorer finds it "
        r"too. :{1}, :{2} … in it stand for the words behind its name in \run; other variables are those of the "
        "moment it runs. What looks as if it held a secret is not saved.",
        examples=(
            (r"""\save adults find "age >= 18" --order age""", "Save it"),
            (r"""\save older find "age >= :{1}" """.strip(), "With a word to give when it runs"),
        ),
        command=_line,
    ),
    Directive(
        "run",
        "Run a saved command.",
        _words,
        _run,
        "NAME [WORD …]",
        details="Of several lines none runs unless all can be understood.",
        examples=((r"\run adults", "Run it"), (r"\run older 65", ":{1} in it is 65")),
        choices=_names,
    ),
    Directive("saved", "List the saved commands.", nothing, _list, examples=((r"\saved", "All of them"),)),
    Directive(
        "forget",
        "Forget a saved command.",
        a_word,
        _forget,
        "NAME",
        examples=((r"\forget adults", "Forget it"),),
        choices=_names,
    ),
)
