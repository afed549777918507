"""The web server before the explorers: textual-serve's, with a door that looks at who comes in.

A page of somebody else's can have a browser send requests to any address, this machine's too. So every request has to
name a host of this server (against DNS rebinding), those of other pages are turned away, and all need the cookie that
only the URL with the key gives.
"""

from __future__ import annotations

import asyncio
import hmac
import sys
import weakref
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import aiohttp_jinja2
from aiohttp import web
from textual_serve.server import Server

from .one_browser import MOST_CELLS, OneBrowser
from .serving import Address

__all__ = ["BrowserServer"]

MOST_BROWSERS: Final = 16
"""Each has a process of some 60 MB."""
LARGEST_MESSAGE_BYTES: Final = 1 << 20

POLICY: Final = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Nothing comes from elsewhere, not even the fonts that textual-serve's page asks for."""
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class BrowserServer(Server):
    """Serves explorers: each browser gets a process of its own, which ends with it."""

    def __init__(self, command: Sequence[str], address: Address) -> None:
        super().__init__("", host=address.host, port=address.port, title="BlockDB")
        self._words = command
        self._address = address
        self._browsers: weakref.WeakSet[web.WebSocketResponse] = weakref.WeakSet()

    async def application(self) -> web.Application:
        """What aiohttp runs."""
        application = await self._make_app()
        application.middlewares.append(self._guard)
        return application

    def tell(self, port: int) -> None:
        """Says where it is."""
        print(f"The explorer is served at {self._address.url(port)}")  # noqa: T201
        print("Whoever has this address can open it. ^C ends it.", flush=True)  # noqa: T201

    async def on_startup(self, app: web.Application) -> None:
        """Nothing is said before it can be reached: `tell` does it."""

    async def on_shutdown(self, app: web.Application) -> None:
        """Ends all explorers."""
        await asyncio.gather(*(browser.close(code=1001, message=b"the server ends") for browser in set(self._browsers)))

    # ── the door ──

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            response = self._turned_away(request) or self._let_in(request) or await handler(request)
        except web.HTTPException as error:
            error.headers.update(HEADERS)
            raise
        if not response.prepared:
            response.headers.update(HEADERS)
        return response

    def _turned_away(self, request: web.Request) -> web.Response | None:
        """The answer to somebody who has no business here."""
        if not self._address.admits(request.host):
            return _refusal(421, f"This server is not {request.host[:200]}.")
        origin = request.headers.get("Origin")
        is_socket = request.path == "/ws"
        if (origin is not None or is_socket) and origin != f"{self._address.scheme}://{request.host}":
            return _refusal(403, "This is asked for by the page of another site.")
        if is_socket and len(self._browsers) >= MOST_BROWSERS:
            return _refusal(503, f"{MOST_BROWSERS} browsers have it open, which is as many as may.")
        return None

    def _let_in(self, request: web.Request) -> web.Response | None:
        """A cookie for who has the key; a refusal for who has neither. The key leaves the URL, and so the history."""
        name = f"blockdb_explorer_{self._port_of(request)}"
        if self._fits(request.query.get("key")):
            response = web.Response(status=303, headers={"Location": "/"})
            is_secure = self._address.is_encrypted
            response.set_cookie(name, self._address.key, secure=is_secure, httponly=True, samesite="Strict", path="/")
            return response
        if self._fits(request.cookies.get(name)):
            return None
        return _refusal(403, "Open the whole address that blockdb-tui --serve has printed, with its key.")

    def _fits(self, key: str | None) -> bool:
        return key is not None and hmac.compare_digest(key.encode("utf-8", "replace"), self._address.key.encode())

    @staticmethod
    def _port_of(request: web.Request) -> int:
        """Cookies are not told apart by port, so their names are."""
        found = request.transport.get_extra_info("sockname") if request.transport is not None else None
        return int(found[1]) if found else 0

    # ── what is behind it ──

    async def handle_index(self, request: web.Request) -> web.Response:
        """The page, whose addresses are those by which the browser reached it."""
        context: dict[str, Any] = {
            "font_size": _bounded(request.query.get("fontsize"), 16, 8, 40),
            "app_websocket_url": f"{'wss' if self._address.is_encrypted else 'ws'}://{request.host}/ws",
            "config": {"static": {"url": "/static/"}},
            "application": {"name": self.title},
        }
        return aiohttp_jinja2.render_template("app_index.html", request, context)

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """An explorer for a browser, until one of them ends."""
        socket = web.WebSocketResponse(heartbeat=15, max_msg_size=LARGEST_MESSAGE_BYTES)
        await socket.prepare(request)
        self._browsers.add(socket)
        browser = OneBrowser(
            self._words,
            write_bytes=socket.send_bytes,
            write_str=socket.send_str,
            close=socket.close,
            download_manager=self.download_manager,
        )
        width = _bounded(request.query.get("width"), 80, 1, MOST_CELLS)
        height = _bounded(request.query.get("height"), 24, 1, MOST_CELLS)
        try:
            await browser.start(width, height)
            await self._process_messages(socket, browser)
        except (ValueError, LookupError, TypeError, AttributeError, AssertionError):
            await socket.close(code=1007, message=b"that is no message of the page")
        except (ConnectionError, RuntimeError) as error:  # it went away while it was being written to
            sys.stderr.write(f"A browser was lost: {error}\n")
        finally:
            self._browsers.discard(socket)
            await asyncio.shield(browser.stop())
        return socket


def _refusal(status: int, words: str) -> web.Response:
    return web.Response(status=status, text=f"{words}\n")


def _bounded(text: str | None, usual: int, least: int, most: int) -> int:
    """A number out of a URL, whatever stands there."""
    if text is None or not (text.isascii() and text.isdigit() and len(text) < 10):
        return usual
    return min(max(int(text), least), most)
