"""The shell on a terminal, at work with a server that is killed and started again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.repl.test_shell import ENTER, Shell, start
from tests.server.restartable import Restartable

__all__ = ["start"]

pytestmark = pytest.mark.torture


def test_a_server_that_is_killed_and_started_again(start: Callable[..., Shell], tmp_path: Path) -> None:
    server = Restartable(tmp_path / "db")
    server.up()
    try:
        shell = start("repl", "--url", server.url)
        shell.until(f"{server.url.removeprefix('http://')}>")
        shell.run("put a 1", "Successfully stored key-value pair")
        shell.run("begin", "[transaction ")
        shell.run("put b 2", "stored by its commit")
        server.down()
        shell.until("is lost; trying again")
        shell.until("connection lost, trying again")
        shell.type("get a" + ENTER)
        shell.until("Waiting for")
        server.up()
        shell.until("Connected again after")
        shell.until("was lost with the connection")
        shell.run("get b --format json", lambda screen: "[transaction" not in screen.splitlines()[-3])
        shell.run("get a", "\n1\n")
        shell.run(r"\connect ./other", "This is ./other now")
        shell.type("exit" + ENTER)
        assert shell.ended() == 0
    finally:
        server.down()
