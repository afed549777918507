"""Commands over a network: a few of what the long tests ask for, and what only a server refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

import blockdb
from tests.commands.conftest import Run
from tests.commands.test_records import test_a_duplicate_is_refused_in_the_words_of_the_contract

__all__ = [
    "test_a_duplicate_is_refused_in_the_words_of_the_contract",
]


def test_lines_come_through_a_pipe(run: Run) -> None:
    lines = ("put a 1", "begin", "put b 2", "put c 3", "commit")
    more = ("collection create users", "use users", "put a 4", "get a", "scan --keys-only", "")
    ran = run("repl", stdin="\n".join((*lines, *more)).encode())
    assert (ran.code, ran.out) == (0, b'4\n{"key":"a"}\n')
    assert run("scan", "--format", "raw").out == b"1\n2\n3\n"


@pytest.mark.parametrize("words", [("export-tiles", "tiles"), ("anchor", "add", "file"), ("tamper-lab",)])
def test_what_needs_the_directory_says_so(run: Run, words: tuple[str, ...]) -> None:
    refused = run(*words)
    assert (refused.code, refused.out) == (2, b"")
    assert "works on the directory of a database" in refused.err


def test_a_server_that_is_not_there_is_exit_code_3(run: Run, here: Path) -> None:
    ran = run("repl", "-c", "put a 1", "-c", r"\connect http://127.0.0.1:1", "-c", "get a", "--on-error", "continue")
    assert (ran.code, ran.out) == (3, b"1\n")
    assert "-c 2: line 1: Error: Unavailable: " in ran.err


@pytest.mark.torture
def test_a_backup_comes_over_the_network(run: Run, here: Path) -> None:
    run("put", "a", "1")
    assert "Backed up the database of http://" in run("backup", "copy.tar.zst").text
    with (here / "copy.tar.zst").open("rb") as file:
        blockdb.restore(file, here / "restored")
    with blockdb.open(here / "restored", read_only=True) as database:
        assert database.get(b"a") == b"1"
