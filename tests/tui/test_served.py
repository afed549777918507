"""The explorer on a real server, which is killed and started again under it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from blockdb.client.link import Link
from blockdb.commands.servers import Server
from blockdb_tui.origin import Served
from tests.server.restartable import Restartable
from tests.tui.drive import OFTEN_S, make_explorer, press, screen_text, settled, until


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Restartable]:
    server = Restartable(tmp_path / "db")
    database = server.up()
    database.put_many([(b"key:%03d" % number, b"value %d" % number) for number in range(200)])
    yield server
    server.down()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blockdb_tui.connected.RETRY_S", OFTEN_S)
    monkeypatch.setattr("blockdb_tui.connected.TOLD_EVERY_S", OFTEN_S)


@pytest.fixture(autouse=True)
def never_on_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever asks the server from the thread that draws fails."""
    ask = Link.ask

    def checked(link: Link, request: Any) -> Any:
        assert threading.current_thread() is not threading.main_thread(), request.operation
        return ask(link, request)

    monkeypatch.setattr(Link, "ask", checked)


@pytest.mark.torture
@pytest.mark.parametrize("size", [(80, 24), pytest.param((180, 50), marks=pytest.mark.torture)])
async def test_a_server_that_is_killed_and_started_again(server: Restartable, size: tuple[int, int]) -> None:
    app = make_explorer(Served(Server(urls=(server.url,))), poll_s=OFTEN_S)
    async with app.run_test(size=size, notifications=True, tooltips=True) as pilot:
        await settled(pilot)
        await until(pilot, lambda: "key:000" in screen_text(pilot))
        server.down()
        await until(pilot, lambda: "No answer for" in screen_text(pilot))
        assert "key:000" in screen_text(pilot)
        await press(pilot, "2", "3", "1", "end", "home")  # keys do not wait for the server
        server.up().put(b"key:000:new", b"1")
        await until(pilot, lambda: "No answer for" not in screen_text(pilot))
        await until(pilot, lambda: "key:000:new" in screen_text(pilot))
    app.origin.close()


@pytest.mark.torture
async def test_every_view_of_a_server(server: Restartable) -> None:
    app = make_explorer(Served(Server(urls=(server.url,), collection="users")), poll_s=OFTEN_S)
    assert server.database is not None
    users = server.database.create_collection("users")
    users.put_many([(b"%d" % number, b'{"age": %d}' % number) for number in range(20)])
    async with app.run_test(size=(120, 40), notifications=True, tooltips=True) as pilot:
        await settled(pilot)
        assert app.inside == "users"
        assert app.target.path == server.url
        await press(pilot, "0")
        await until(pilot, lambda: "default" in screen_text(pilot) and "200" in screen_text(pilot))
        await press(pilot, "6")
        await until(pilot, lambda: "1 of 20" in screen_text(pilot))
        server.down()
        await until(pilot, lambda: "No answer for" in screen_text(pilot))
        server.up().collection("users").put(b"new", b"{}")
        await until(pilot, lambda: "1 of 21" in screen_text(pilot))
        for view in "12345":
            await press(pilot, view)
        await press(pilot, "1", "P")
        await until(pilot, lambda: "✓ holds" in screen_text(pilot))
        await press(pilot, "escape", "v")
        await until(pilot, lambda: "verified by the server" in screen_text(pilot))
    app.origin.close()


@pytest.mark.torture
async def test_a_server_goes_back(server: Restartable) -> None:
    app = make_explorer(Served(Server(urls=(server.url,))))
    async with app.run_test(size=(120, 40), notifications=True, tooltips=True) as pilot:
        await settled(pilot)
        await press(pilot, "A", *"seq:59", "enter")
        await until(pilot, lambda: "60 of 200 records" in screen_text(pilot))
        await until(pilot, lambda: "1 of 60" in screen_text(pilot))
        for view in ("2", "6", "5", "0", "3", "1"):
            await press(pilot, view)
        await press(pilot, "C", "enter")
        await until(pilot, lambda: "begins with the tree of 60" in " ".join(screen_text(pilot).split()))
        await press(pilot, "escape", "o", "A", "ctrl+u", "enter")
        await until(pilot, lambda: "200 rec" in screen_text(pilot))
    app.origin.close()
