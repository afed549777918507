"""Commands of two words, such as `stone lay`: on the command line, in the shell, in help, completion and colours."""

from __future__ import annotations

from argparse import Namespace

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from blockdb.commands import table
from blockdb.commands.command import Command, Need, positional
from blockdb.commands.context import Context
from blockdb.commands.invocation import parse_line
from blockdb.commands.results import Result, Words
from blockdb_repl.completer import LineCompleter
from blockdb_repl.highlight import LineLexer

from .conftest import Run


def _lay(_: Context, arguments: Namespace) -> Result:
    return Words(f"laid {arguments.name}")


def _list(_: Context, __: Namespace) -> Result:
    return Words("none")


@pytest.fixture(autouse=True)
def stones(monkeypatch: pytest.MonkeyPatch) -> None:
    lay = Command("stone lay", "Lay one.", _lay, (positional("name", "It."),), need=Need.NOTHING)
    listed = Command("stone list", "List them.", _list, need=Need.NOTHING)
    everything = (*table.commands(), lay, listed)
    monkeypatch.setattr(table, "commands", lambda: everything)


def test_they_run(run: Run) -> None:
    assert run("stone", "lay", "a").text == "laid a\n"
    assert run("-d", "x", "stone", "list", "--format", "json").code == 0
    assert parse_line("stone lay 'a b'").arguments.name == "a b"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["stone"], "stone is half a command; the whole ones are stone lay, stone list"),
        (["stone", "-d", "x"], "stone is half a command"),
        (["stone", "lai"], "there is no command 'stone lai'; did you mean stone lay?"),
        (["stone", "lay"], "the following arguments are required: NAME; usage: blockdb stone lay NAME"),
        (["stone", "lay", "a", "--format", "csv"], "stone lay has no format csv"),
    ],
)
def test_wrong_usage(run: Run, words: list[str], message: str) -> None:
    ran = run(*words)
    assert ran.code == 2
    assert message in ran.err


def test_help(run: Run) -> None:
    both = run("stone", "--help").text
    assert both == run("help", "stone").text
    assert "stone lay " in both
    assert "stone list " in both
    assert "get" not in both
    assert "SYNOPSIS\n    blockdb stone lay NAME" in run("stone", "lay", "-h").text == run("help", "stone", "lay").text
    shell = parse_line("stone lay --help").run(Context(lambda: pytest.fail("no database is needed"), in_shell=True))
    assert isinstance(shell, Words)
    assert "SYNOPSIS\n    stone lay NAME" in shell.text


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("sto", ["stone lay", "stone list"]),
        ("stone ", ["stone lay", "stone list"]),
        ("stone la", ["stone lay"]),
        ("stone list --fo", ["stone list --format"]),
        ("stone lai ", []),
        ("help stone li", ["help stone list"]),
    ],
)
def test_completion(line: str, found: list[str]) -> None:
    items = LineCompleter().get_completions(Document(line), CompleteEvent())
    assert [line[: len(line) + item.start_position] + item.text for item in items] == found


@pytest.mark.parametrize(
    ("line", "styles"),
    [
        ("stone lay x", ["class:command", "class:command", ""]),
        ("stone la", ["class:command", ""]),
        ("stone la x", ["class:command", "class:problem", ""]),
        ("get stone", ["class:command", ""]),
    ],
)
def test_colours(line: str, styles: list[str]) -> None:
    pieces = LineLexer().lex_document(Document(line))(0)
    assert [piece[0] for piece in pieces if piece[1].strip()] == styles
