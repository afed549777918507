"""The table of commands: every command is whole, and everything is drawn from it."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from blockdb.commands import run_line
from blockdb.commands.command import COLUMNAR_FORMATS, FORMATS, Command, Where
from blockdb.commands.failures import UsageError
from blockdb.commands.helptext import command_help, overview
from blockdb.commands.invocation import parse_line
from blockdb.commands.parsing import HelpWanted, parse_arguments
from blockdb.commands.reference import reference
from blockdb.commands.results import Records, Value, Words
from blockdb.commands.table import available, commands, find, take

from .conftest import Run

each_command = pytest.mark.parametrize("command", commands(), ids=lambda command: command.name)


@each_command
def test_a_command_is_documented(command: Command) -> None:
    assert command.summary.endswith(".")
    assert command.examples
    assert all(argument.help.endswith(".") for argument in command.arguments)
    assert set(command.formats) <= {*FORMATS, *COLUMNAR_FORMATS}
    assert command.default_format is None or command.default_format in command.formats


@each_command
def test_the_examples_of_a_command_are_lines_of_it(command: Command) -> None:
    for line, meaning in command.examples:
        assert meaning
        found, words = take(shlex.split(line), Where.SHELL if command.where is Where.SHELL else Where.COMMAND_LINE)
        assert found is command
        if command.where is not Where.SHELL:
            parse_arguments(command, words, globals=True)
        if command.where is not Where.COMMAND_LINE:
            assert parse_line(line).command is command


@each_command
def test_the_help_of_a_command_fits_and_names_every_argument(command: Command) -> None:
    for where in (Where.SHELL, Where.COMMAND_LINE):
        text = command_help(command, where)
        assert max(map(len, text.splitlines())) <= 80
        for argument in command.arguments:
            assert argument.heading in text
        with pytest.raises(HelpWanted):
            parse_arguments(command, ["--nonsense", "--help"], globals=True)


def test_names_are_unique() -> None:
    names = [name for command in commands() for name in (command.name, *command.aliases)]
    assert len(names) == len(set(names))


def test_the_reference_is_current() -> None:
    page = Path(__file__).parents[2] / "docs" / "CLI.md"
    assert page.read_text("utf-8") == reference() + "\n", "run: python -m blockdb.commands.reference > docs/CLI.md"
    for command in commands():
        assert f"`{command.name}`" in page.read_text("utf-8")


def test_what_can_be_given_where() -> None:
    shell = {command.name for command in available(Where.SHELL)}
    line = {command.name for command in available(Where.COMMAND_LINE)}
    assert shell - line == {"abort", "begin", "commit", "connect", "exit", "use"}
    encryption = {f"encryption {name}" for name in ("show", "new-key", "rewrap", "new-data-key", "open")}
    tokens = {f"token {name}" for name in ("create", "list", "revoke")}
    configuring = {"config show", "config check"}
    assert line - shell == {
        "repl",
        "tui",
        "witness serve",
        "cert",
        "cluster demo",
        "cluster rebuild",
        "server",
        "health",
        "backup",
        "completions",
        "restore",
        *configuring,
        *tokens,
        *encryption,
    }
    with pytest.raises(UsageError, match="command line only"):
        find("repl", Where.SHELL)
    for where in Where:
        assert all(command.name in overview(where) for command in available(where))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["gte", "a"], "there is no command 'gte'; did you mean get?"),
        (["frobnicate"], "there is no command 'frobnicate'; help lists the commands"),
        (["\x1b"], "there is no command '␛'"),
        (["get"], "the following arguments are required: KEY; usage: blockdb get KEY"),
        (["get", "a", "b"], "unrecognized arguments: b"),
        (["get", "--", "a", "-b"], "unrecognized arguments: -b"),
        (["scan", "--lim", "1"], "unrecognized arguments: --lim"),
        (["scan", "--limit", "-1"], "not a whole number"),
        (["scan", "--limit", "²"], "not a whole number"),
        (["--limit", "3", "scan"], "unrecognized arguments: --limit"),
        (["put", "a", "1", "--format", "csv"], "put has no format csv; it has table, vertical, json, jsonl"),
        (["--format", "xml", "get", "a"], "invalid choice: 'xml'"),
        (["-d"], "expected one argument"),
        (["help", "nonsense"], "there is no command 'nonsense'"),
        (["exit"], "exit is a command of the shell only"),
    ],
)
def test_wrong_usage(run: Run, words: list[str], message: str) -> None:
    ran = run(*words)
    assert (ran.code, ran.out) == (2, b"")
    assert ran.err.startswith("Error: Usage: ")
    assert message in ran.err
    assert len(ran.err.splitlines()) == 1
    assert "\x1b" not in ran.err


def test_no_command_is_wrong_usage_and_shows_the_way(run: Run) -> None:
    ran = run()
    assert (ran.code, ran.out) == (2, b"")
    assert "Usage: blockdb" in ran.err
    assert run("-d", "x").code == 2


@pytest.mark.parametrize("words", [["-V"], ["--version"], ["-d", "x", "-V"], ["scan", "-V"], ["get", "--version", "a"]])
def test_version(run: Run, words: list[str]) -> None:
    assert run(*words).text == "blockdb 0.1.0\n"


def test_help(run: Run, here: Path) -> None:
    assert run("--help").text == run("help").text == overview(Where.COMMAND_LINE) + "\n"
    assert (
        run("scan", "-h").text
        == run("help", "scan").text
        == command_help(find("scan", Where.SHELL), Where.COMMAND_LINE) + "\n"
    )
    assert list(here.iterdir()) == []


def test_options_may_stand_on_either_side(run: Run) -> None:
    run("put", "a", "1", "-d", "x")
    assert run("get", "--data-dir=x", "a").out == b"1\n"
    assert run("-dx", "get", "a", "--format=json").out == b'{"key":"a","value":"1"}\n'
    assert run("--format", "json", "-d", "nowhere", "get", "a", "-d", "x").out == b'{"key":"a","value":"1"}\n'


def test_a_line_can_be_run_by_another_front_end(here: Path) -> None:
    import blockdb

    with blockdb.open("blockdb_data") as db:
        assert isinstance(run_line(db, 'put k "a b"'), Words)
        assert run_line(db, "get k") == Value(b"k", b"a b")
        rows = run_line(db, "scan")
        assert isinstance(rows, Records)
        assert list(rows.items) == [(b"k", b"a b")]
        assert isinstance(run_line(db, "scan --help"), Words)
        for line in ("", "# comment", "bogus", "get", "repl", "get 'k", "import -"):
            with pytest.raises(UsageError):
                run_line(db, line)
        with pytest.raises(blockdb.DuplicateKey):
            run_line(db, "put k v")
