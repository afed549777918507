"""The explorer in a browser: who is let in, what a browser sees, and that its process ends with it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

import blockdb
from blockdb.commands.failures import UsageError
from blockdb.server.certificates import make
from blockdb_tui.main import main
from blockdb_tui.web import serving
from blockdb_tui.web.server import BrowserServer
from blockdb_tui.web.serving import Address

WAIT_S = 30.0
PROGRAM = [sys.executable, "-m", "blockdb_tui.main"]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    with blockdb.open(tmp_path / "db") as db:
        db.put_many([(b"user:%d" % number, b'{"n": %d}' % number) for number in range(10)])
    return tmp_path / "db"


# ── where, and for whom ──


def test_an_address_is_a_port_or_a_host_and_a_port() -> None:
    assert (Address.parse("8080").host, Address.parse("8080").port) == ("127.0.0.1", 8080)
    assert Address.parse("[::1]:80").host == "::1"
    assert Address.parse("localhost:80").is_of_this_machine
    assert not Address.parse("0.0.0.0:80").is_of_this_machine
    assert not Address.parse("example.org:80").is_of_this_machine
    for wrong in ("", "x", "1:2:x", "70000", "-1", "a:٣"):
        with pytest.raises(UsageError, match="--serve takes"):
            Address.parse(wrong)


def test_names_of_others_are_not_this_server() -> None:
    here = Address.parse("8080")
    assert all(here.admits(host) for host in ("127.0.0.1:8080", "localhost:8080", "[::1]:8080", "localhost", "[::1]"))
    assert not any(
        here.admits(host) for host in ("evil.example:8080", "192.168.1.7:8080", "localhost.evil.example", "")
    )
    everywhere = Address.parse("0.0.0.0:8080")
    assert everywhere.admits("192.168.1.7:8080")
    assert not everywhere.admits("evil.example:8080")
    assert Address.parse("box.example:8080").admits("Box.example:8080")


def test_what_a_browser_gets_is_what_was_asked_for_without_the_serving() -> None:
    asked = ["db", "--serve=8080", "--theme", "okabe", "--serve-armed", "--serve-insecure", "--tls-key=k"]
    assert serving.split(asked) == ["db", "--theme", "okabe"]


@pytest.mark.parametrize(
    ("arguments", "words", "code"),
    [
        (["--demo", "--serve", "nonsense"], "--serve takes PORT or HOST:PORT", 2),
        (["--demo", "--serve", "0.0.0.0:8080"], "say --serve-insecure", 2),
        (["--demo", "--serve", "0", "--theme", "neon"], "there is no such theme", 2),
        (["--demo", "--serve", "0", "--tls-key", "x"], "--tls-certificate and --tls-key go together", 2),
        (["--demo", "--serve", "0", "--tls-key", "x", "--tls-certificate", "x"], "x cannot be read", 2),
        (["--demo", "--serve", "0", *2 * ["--tls-key", __file__], "--tls-certificate", __file__], "no certificate", 2),
        (["/nowhere", "--serve", "0"], "/nowhere is not there", 3),
    ],
)
def test_what_is_not_served_says_why(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str, code: int
) -> None:
    assert main(arguments) == code
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


def test_a_port_that_somebody_has_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["--demo", "--serve", str(port)]) == 3
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in capsys.readouterr().err


def test_without_the_extra_it_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["--demo", "--serve", "0"]) == 2
    assert "pip install 'blockdb[web]'" in capsys.readouterr().err


async def test_with_a_certificate_all_of_it_is_encrypted(tmp_path: Path) -> None:
    make(tmp_path, (), days=1)
    certificate, key, authority = (str(tmp_path / name) for name in ("server.crt", "server.key", "ca.crt"))
    address = Address.parse("localhost:0", is_encrypted=True)
    tls = serving._tls(certificate, key)
    runner = web.AppRunner(await BrowserServer(["false"], address).application())
    await runner.setup()
    with serving._listening(address) as listener:
        try:
            await web.SockSite(runner, listener, ssl_context=tls).start()
            url = address.url(listener.getsockname()[1])
            assert url.startswith("https://localhost:")
            trusting = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=authority))
            async with aiohttp.ClientSession(connector=trusting) as session, session.get(url) as page:
                assert page.history[0].cookies[f"blockdb_explorer_{page.url.port}"]["secure"]
                assert f"wss://localhost:{page.url.port}/ws" in await page.text()
            with pytest.raises(aiohttp.ClientError):
                async with aiohttp.ClientSession() as session, session.get(url.replace("https", "http")):
                    pass
        finally:
            await runner.cleanup()


# ── with a browser ──


@contextmanager
def served(*arguments: str) -> Iterator[tuple[URL, subprocess.Popen[str]]]:
    """A server on a port of its own, and its address with the key."""
    server = subprocess.Popen([*PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert server.stdout is not None
        first = server.stdout.readline()
        found = re.search(r"http://\S+", first)
        assert found is not None, first
        yield URL(found.group()), server
    finally:
        if server.poll() is None:
            server.terminate()
        server.communicate(timeout=WAIT_S)


def children(pid: int) -> list[int]:
    return [int(found) for found in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def until_ended(*pids: int) -> None:
    async with asyncio.timeout(WAIT_S):
        while True:
            if not any(map(is_alive, pids)):
                return
            await asyncio.sleep(0.02)


class Browser:
    """What textual-serve's page does, with the websocket alone."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws
        self.seen = ""

    async def sees(self, words: str) -> None:
        async with asyncio.timeout(WAIT_S):
            while words not in re.sub(r"\x1b\[[\d;?]*\$?[a-zA-Z]", "", self.seen):
                message = await self.ws.receive()
                assert message.type is aiohttp.WSMsgType.BINARY, message
                self.seen += message.data.decode()

    async def types(self, keys: str) -> None:
        self.seen = ""
        await self.ws.send_str(json.dumps(["stdin", keys]))

    async def ends(self) -> None:
        async with asyncio.timeout(WAIT_S):
            while (await self.ws.receive()).type is aiohttp.WSMsgType.BINARY:
                pass


@asynccontextmanager
async def visitor(url: URL) -> AsyncIterator[aiohttp.ClientSession]:
    """Somebody who has opened the address."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        async with session.get(url) as page:
            assert page.status == 200
            assert page.url.query_string == ""
            assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
            assert "/ws" in await page.text()
        yield session


def ws_url(url: URL) -> URL:
    return url.with_path("/ws").with_query(width="100", height="30")


@asynccontextmanager
async def browsing(url: URL) -> AsyncIterator[Browser]:
    async with (
        visitor(url) as session,
        session.ws_connect(ws_url(url), origin=str(url.origin())) as ws,
    ):
        browser = Browser(ws)
        await browser.sees("Health")
        await browser.types("1")
        yield browser


@pytest.mark.torture
async def test_a_browser_has_an_explorer_that_ends_with_it(database: Path) -> None:
    with served(str(database), "--serve", "0") as (url, server):
        async with browsing(url) as one, browsing(url) as other:
            await one.sees("user:3")
            await other.sees("user:3")
            explorers = children(server.pid)
            assert len(explorers) == 2
            await one.types("2")
            await one.sees("open until it is full")
            await one.types("!")
            await one.sees("served to read only")
            await one.ws.send_str(json.dumps(["resize", {"width": 10**9, "height": 40}]))
            await one.types("1")
            await one.sees("user:3")
            await one.types("q")
            await one.ends()
            await until_ended(explorers[0])
            assert is_alive(explorers[1])
        await until_ended(*explorers)
        async with browsing(url) as mad:
            await mad.sees("user:3")
            (explorer,) = children(server.pid)
            await mad.ws.send_str("no JSON")
            await mad.ends()
            await until_ended(explorer)
        async with browsing(url) as last:
            await last.sees("user:3")
            (explorer,) = children(server.pid)
            server.send_signal(signal.SIGINT)
            assert server.wait(WAIT_S) == 0
            await last.ends()
            await until_ended(explorer)


@pytest.mark.torture
async def test_an_explorer_ends_when_its_server_is_killed(database: Path) -> None:
    with served(str(database), "--serve", "0", "--serve-armed") as (url, server):
        async with browsing(url) as browser:
            await browser.sees("user:3")
            await browser.types("!")
            await browser.sees("Armed")
            (explorer,) = children(server.pid)
            server.kill()
            await until_ended(explorer)


@pytest.mark.torture
async def test_an_explorer_that_hangs_is_ended(database: Path) -> None:
    with served(str(database), "--serve", "0") as (url, server):
        async with browsing(url) as browser:
            await browser.sees("user:3")
            (explorer,) = children(server.pid)
            os.kill(explorer, signal.SIGSTOP)
        await until_ended(explorer)


@pytest.mark.torture
async def test_pages_of_others_and_who_has_no_key_are_turned_away(database: Path) -> None:
    with served(str(database), "--serve", "0") as (url, server):
        evil = f"http://evil.example:{url.port}"
        async with aiohttp.ClientSession() as stranger:
            for address, headers, status in (
                (url.with_query({}), {}, 403),
                (url.with_query(key="guessed"), {}, 403),
                (url.with_path("/static/js/textual.js").with_query({}), {}, 403),
                (url, {"Host": f"evil.example:{url.port}"}, 421),
                (url, {"Origin": evil}, 403),
            ):
                async with stranger.get(address, headers=headers) as answer:
                    assert answer.status == status
                    assert "Content-Security-Policy" in answer.headers
        async with visitor(url) as session:
            for headers in ({"Origin": evil}, {}, {"Host": f"evil.example:{url.port}", "Origin": evil}):
                with pytest.raises(aiohttp.WSServerHandshakeError):
                    await session.ws_connect(ws_url(url), headers=headers)
        assert not children(server.pid)


@pytest.mark.torture
@pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no chromium")
async def test_a_real_browser_shows_it(database: Path, tmp_path: Path) -> None:
    from tests.tui.chromium import chromium

    with served(str(database), "--serve", "0") as (url, _):
        async with chromium(tmp_path / "profile") as page:
            await page.goes_to(str(url))
            await page.until("document.body.classList.contains('-first-byte')")
            assert await page.value("location.search") == ""
            assert await page.value("document.cookie") == ""
            picture = await page.picture_with_colour("#101418", WAIT_S)
            assert picture.startswith(b"\x89PNG")
