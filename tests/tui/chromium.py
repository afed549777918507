"""A headless Chromium, driven through its debugging protocol."""

from __future__ import annotations

import asyncio
import base64
import subprocess
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

WAIT_S = 60.0


class Page:
    """The page of a browser."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self._ws = ws
        self._calls = 0

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._calls += 1
        await self._ws.send_json({"id": self._calls, "method": method, "params": parameters})
        while True:
            answer: dict[str, Any] = await self._ws.receive_json(timeout=WAIT_S)
            if answer.get("id") == self._calls:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result

    async def goes_to(self, url: str) -> None:
        await self.call("Page.enable")
        await self.call("Page.navigate", url=url)

    async def value(self, expression: str) -> Any:
        found = await self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        return found["result"].get("value")

    async def until(self, expression: str) -> None:
        async with asyncio.timeout(WAIT_S):
            while True:
                if await self.value(expression):
                    return
                await asyncio.sleep(0.05)

    async def picture_with_colour(self, colour: str, patience_s: float) -> bytes:
        """A picture (PNG) of the page, as soon as most of it has a colour."""
        async with asyncio.timeout(patience_s):
            while True:
                shot = await self.call("Page.captureScreenshot", format="png")
                picture = base64.b64decode(shot["data"])
                if share_of(picture, bytes.fromhex(colour[1:])) > 0.5:
                    return picture
                await asyncio.sleep(0.1)


@asynccontextmanager
async def chromium(profile: Path) -> AsyncIterator[Page]:
    """A browser with an empty profile."""
    arguments = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
    browser = await asyncio.create_subprocess_exec(
        *("chromium", *arguments, "--remote-debugging-port=0", "--window-size=1200,700", "about:blank"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        assert browser.stderr is not None
        async with asyncio.timeout(WAIT_S):
            while b"DevTools listening on ws://" not in (line := await browser.stderr.readline()):
                assert line, "chromium has ended"
        port = line.decode().partition("ws://")[2].split("/")[0].rpartition(":")[2]
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json") as answer:
                pages = [it for it in await answer.json() if it["type"] == "page"]
            async with session.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0) as ws:
                yield Page(ws)
    finally:
        browser.terminate()
        await asyncio.wait_for(browser.communicate(), WAIT_S)


def share_of(png: bytes, colour: bytes) -> float:
    """The share of the pixels of a PNG (8 bits, RGB or RGBA, not interlaced) that have a colour."""
    width, height = int.from_bytes(png[16:20]), int.from_bytes(png[20:24])
    depth = {2: 3, 6: 4}[png[25]]
    at, packed = 8, b""
    while at < len(png):
        length = int.from_bytes(png[at : at + 4])
        if png[at + 4 : at + 8] == b"IDAT":
            packed += png[at + 8 : at + 8 + length]
        at += length + 12
    found, row = 0, bytearray(width * depth)
    lines, stride = zlib.decompress(packed), width * depth + 1
    for start in range(0, height * stride, stride):
        row = _unfiltered(lines[start], bytearray(lines[start + 1 : start + stride]), row, depth)
        found += sum(row[x : x + 3] == colour for x in range(0, len(row), depth))
    return found / (width * height)


def _unfiltered(kind: int, line: bytearray, above: bytearray, depth: int) -> bytearray:
    """A line of a PNG without its filter (PNG specification, section 9)."""
    for at in range(len(line)):
        left = line[at - depth] if at >= depth else 0
        up, corner = above[at], above[at - depth] if at >= depth else 0
        nearest = min((left, up, corner), key=lambda it: abs(left + up - corner - it))
        line[at] = (line[at] + (0, left, up, (left + up) // 2, nearest)[kind]) & 0xFF
    return line
