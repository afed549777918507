"""begin, commit and abort in scripts; the state in the prompt is looked at in `test_shell`."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

import blockdb
from blockdb.config import DatabaseConfig
from blockdb_repl.shell import _prompt as shell_prompt

from .conftest import Run


def stored() -> dict[bytes, bytes]:
    with blockdb.open("blockdb_data", read_only=True) as db:
        return dict(db.scan())


def test_what_is_between_begin_and_commit_is_stored_together(run: Run) -> None:
    ran = run(
        "repl",
        stdin=b"collection create users\nbegin\nput a 1\nput b 2 -c users\nget a\nscan\n"
        b"use users\nscan\nget a\ncommit\nget b\n",
    )
    assert (ran.code, ran.out) == (0, b'1\n{"key":"a","value":"1"}\n{"key":"b","value":"2"}\n2\n')
    assert "Transaction 1 begun" in ran.err
    assert "Part of transaction 1" in ran.err
    assert "Transaction 1 committed: 2 records in 2 collections" in ran.err
    assert stored() == {b"a": b"1"}


def test_what_is_aborted_is_not_stored(run: Run) -> None:
    ran = run("repl", stdin=b"put a 1\nbegin --timeout 5\nput b 2\nabort\nbegin\nput c 3\nrollback\nput d 4\n")
    assert (ran.code, ran.out) == (0, b"")
    assert "Transaction 1 aborted" in ran.err
    assert stored() == {b"a": b"1", b"d": b"4"}


def test_lines_of_the_command_line_are_one_script(run: Run) -> None:
    ran = run("repl", "-c", "begin", "-c", "put a 1", "-c", "commit --sync --format json")
    assert ran.code == 0
    assert b'"transaction":1,"records":{"default":1}' in ran.out
    assert stored() == {b"a": b"1"}


@pytest.mark.parametrize("end", [b"", b"exit\n"])
def test_what_is_open_at_the_end_is_aborted_and_that_is_a_failure(run: Run, end: bytes) -> None:
    ran = run("repl", stdin=b"put a 1\nbegin\nput b 2\n" + end)
    assert ran.code == 1
    assert "Error: TransactionClosed: transaction 1 was still open at the end, and is aborted" in ran.err
    assert stored() == {b"a": b"1"}


def test_a_script_that_stops_at_an_error_stores_nothing_of_it(run: Run) -> None:
    ran = run("repl", stdin=b"put a 1\nbegin\nput b 2\nput a 3\ncommit\n")
    assert ran.code == 1
    assert "Error: DuplicateKey: Key 'a' already exists" in ran.err
    assert "aborted" in ran.err
    assert stored() == {b"a": b"1"}


def test_one_that_has_ended_refuses_everything_until_it_is_ended_here(run: Run) -> None:
    lines = b"begin --timeout 0.000001\nput a 1\nput b 2\ncommit\nput c 3\n"
    ran = run("repl", "--on-error", "continue", stdin=lines)
    assert ran.code == 1
    assert ran.err.count("Error: TransactionTimeout") == 3
    assert stored() == {b"c": b"3"}


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (b"commit\n", "no transaction is open"),
        (b"abort\n", "no transaction is open"),
        (b"begin\nbegin\n", "transaction 1 is open"),
        (b"begin\nflush\n", "flush cannot be part of a transaction"),
        (b"begin\ncollection create users\n", "collection create cannot be part of a transaction"),
        (b"begin\nget a --as-of block:0\n", "leave --as-of out"),
        (b"begin\nscan --as-of block:0\n", "leave --as-of out"),
        (b"begin --timeout 0\n", "above 0"),
        (b"begin --timeout nan\n", "above 0"),
    ],
)
def test_what_makes_no_sense_is_said_so(run: Run, lines: bytes, words: str) -> None:
    ran = run("repl", stdin=b"put x 1\n" + lines)
    assert ran.code in (1, 2)
    assert "Error: Usage: " in ran.err
    assert words in ran.err
    assert stored() == {b"x": b"1"}


def test_the_command_line_has_none(run: Run, here: Path) -> None:
    ran = run("begin")
    assert ran.code == 2
    assert "begin is a command of the shell only" in ran.err


def test_scans_of_a_transaction_take_the_same_arguments(run: Run) -> None:
    ran = run(
        "repl",
        stdin=b"put a 1\nput c 3\nbegin\nput b 2\nscan --limit 2\n"
        b"scan --reverse --keys-only --format raw\nscan --prefix b\nabort\n",
    )
    assert ran.text.splitlines() == [
        '{"key":"a","value":"1"}',
        '{"key":"b","value":"2"}',
        *"cba",
        '{"key":"b","value":"2"}',
    ]


def test_who_is_under_way_is_listed(run: Run) -> None:
    ran = run("repl", stdin=b"transactions --format jsonl\nbegin\nput a 1\ntransactions --format jsonl\nabort\n")
    [line] = ran.text.splitlines()
    assert line.startswith('{"id":1,')
    assert '"locks":1' in line


def test_documents_are_found_in_a_transaction(run: Run) -> None:
    lines = (
        b'put a {"n":1}\nbegin\nput b {"n":2}\nfind "n > 0" --order "n desc" --fields n --format jsonl\nabort\nfind\n'
    )
    ran = run("repl", stdin=lines)
    assert ran.text.splitlines() == [
        '{"_key":"b","n":2}',
        '{"_key":"a","n":1}',
        '{"key":"a","value":{"n":1}}',
    ]
    assert run("repl", stdin=b"begin\nfind --as-of block:0\n").code == 2


def test_stats_count_them_once_there_were_some(run: Run) -> None:
    ran = run("repl", stdin=b"stats\nbegin\nput a 1\nput b 2\nstats\ncommit\nstats\n")
    lines = [" ".join(line.split()) for line in ran.text.splitlines() if "committed" in line]
    assert lines == [
        "Transactions: 0 committed, 0 aborted (0 deadlocks, 0 timeouts); 1 open with 2 locks, 0 waiting",
        "Transactions: 1 committed, 0 aborted (0 deadlocks, 0 timeouts); 0 open with 0 locks, 0 waiting",
    ]


def test_the_prompt_shows_the_state(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db") as db:
        connection = SimpleNamespace(location=DatabaseConfig(data_dir=str(db.path)))
        session = SimpleNamespace(collection="users", transaction=None, bygone=None)

        def prompt() -> str:
            return "".join(text for _, text, *_ in shell_prompt(connection, session))

        assert prompt() == "db/users> "
        session.transaction = db.transaction()
        assert prompt() == "db/users [transaction 1]> "
        session.transaction.abort()
        assert prompt() == "db/users [transaction 1, ended]> "
