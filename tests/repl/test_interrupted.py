"""^C in the midst of a command: what is said of a write, and that reading stops."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

import blockdb
from blockdb.commands.context import Context
from blockdb.commands.invocation import parse_line
from blockdb.errors import Unavailable
from blockdb_repl.interrupted import told_of

from .conftest import Run


class Records:
    """A collection that has one key, or does not answer."""

    def __init__(self, answers: bool = True) -> None:
        self._answers = answers

    def exists(self, key: bytes) -> bool:
        if not self._answers:
            raise Unavailable("no server answers")
        return key == b"here"


def told(line: str, *, server: object = None, transaction: object = None, answers: bool = True) -> str:
    database: Any = Records(answers)
    context = Context(lambda: database, server=server, transaction=transaction)  # type: ignore[arg-type]
    return told_of(parse_line(line), context)[0]


def test_what_is_said_of_a_write() -> None:
    assert told("put here 1") == "Interrupted, and 'here' is stored."
    assert told("put away 1") == "Interrupted: 'away' is not stored."
    assert "may be on its way; to put it again is safe" in told("put away 1", server=SimpleNamespace())
    assert "nobody can say whether it was stored (no server answers)" in told("put here 1", answers=False)
    assert told("put here 1", transaction=SimpleNamespace(id=1)) == "Interrupted; nothing is stored before the commit."
    assert "collection create may have been done, or not" in told("collection create users")
    assert told("scan") == "Interrupted."


def test_a_script_says_it_too(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(blockdb.Database, "put", interrupted)
    ran = run("repl", stdin=b"put a 1\nget a\n")
    assert (ran.code, ran.out) == (130, b"")
    assert ran.err == "Interrupted: 'a' is not stored.\nInterrupted.\n"


def test_reading_stops(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []

    def scan(*_: object, **__: object) -> Iterator[tuple[bytes, bytes]]:
        try:
            yield b"a", b"1"
            raise KeyboardInterrupt
        finally:
            taken.append("closed")

    monkeypatch.setattr(blockdb.Database, "scan", scan)
    ran = run("repl", stdin=b"scan\nget a\n")
    assert (ran.code, ran.out) == (130, b'{"key":"a","value":"1"}\n')
    assert (ran.err, taken) == ("Interrupted.\n", ["closed"])
