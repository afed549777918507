"""Take the pictures of the documentation from the application itself: `make pictures`, or only those that are named."""

from __future__ import annotations

import asyncio
import io
import os
import re
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pexpect
import pyte
from rich.console import Console
from rich.style import Style
from rich.text import Text
from textual.pilot import Pilot

from blockdb.commands.alerts import lookout
from blockdb.commands.cluster_demo import Stage, running, wait_for_leader, writing
from blockdb.commands.servers import Server
from blockdb_tui.app import ClusterExplorer, Explorer
from blockdb_tui.cluster.scene import Scene
from blockdb_tui.origin import DemoDirectory, Served

HERE: Final = Path(__file__).parent
SIZE: Final = (140, 38)
THEME: Final = "basalt"
BLOCKS: Final = 55
"""When so many are sealed, the demo has loaded and its writer is at work."""
LOOK_S: Final = 1.5
"""So long a view may take to show what it has."""
MOST_S: Final = 120.0
"""So long what is at work may take, the lab above all."""

ORDERS: Final = ("0", "j", "enter")
OF_ONE: Final[dict[str, tuple[str, ...]]] = {
    "dashboard": ("d",),
    "explorer": ("2", "h", "m"),
    "records": ("1", "j", "j", "j"),
    "proof": ("1", "P", "l", "l", "l"),
    "query": (*ORDERS, "Q", *"status = 'open' and number > 40", "enter"),
    "lab": ("escape", "4", "enter"),
}
"""The pictures of one database, in the order in which they are taken, and the keys that lead to each."""

SHELL: Final = (
    """put order:1 '{"city": "Oslo", "items": ["lamp", "rug"], "paid": true}'""",
    "put user:1 Ada",
    "put user:2 Grace",
    "get order:1",
    "scan --prefix user:",
    "verify",
)
"""What is typed into the shell."""


async def take_of_one(names: Sequence[str]) -> None:
    """Open the demo, and take the pictures that are named of it, all but the shell's and the cluster's."""
    origin = DemoDirectory(None)
    explorer = Explorer(origin, theme=THEME, lookout=lookout)
    try:
        async with explorer.run_test(size=SIZE) as pilot:
            while explorer.database is None or explorer.database.stats().blocks < BLOCKS:
                await pilot.pause(0.2)
            for name, keys in OF_ONE.items():
                if name in names:
                    await pilot.press(*keys)
                    await pilot.pause(LOOK_S)
                    await _at_rest(pilot)
                    await _shot(pilot, name, "blockdb-tui --demo")
                    await _close_what_lies_over(pilot)
    finally:
        origin.close()


async def _at_rest(pilot: Pilot[int]) -> None:
    until_s = time.monotonic() + MOST_S
    while time.monotonic() < until_s and "At work" in pilot.app.export_screenshot().replace("&#160;", " "):
        await pilot.pause(LOOK_S)


async def _shot(pilot: Pilot[int], name: str, title: str) -> None:
    pilot.app.clear_notifications()
    await pilot.pause()
    (HERE / f"{name}.svg").write_text(pilot.app.export_screenshot(title=title))


async def _close_what_lies_over(pilot: Pilot[int]) -> None:
    while len(pilot.app.screen_stack) > 1:
        await pilot.press("escape")


async def take_cluster() -> None:
    """Start three nodes, have the one that leads killed, and take a picture when another one does."""
    with running(Namespace(dir=None, nodes=3, engine="raft", port=None)) as cluster:
        leader = wait_for_leader(cluster)
        with writing(cluster):
            origin = Served(Server(urls=cluster.urls))
            scene = Scene.live(origin.nodes(), lambda: int(time.time() * 1000), Stage(cluster))
            explorer = ClusterExplorer(origin, theme=THEME, scene=scene)
            try:
                async with explorer.run_test(size=SIZE) as pilot:
                    await pilot.pause(12)
                    cluster.kill(leader)
                    await pilot.pause(8)
                    cluster.restart(leader)
                    await pilot.pause(20)
                    await _shot(pilot, "cluster", "blockdb cluster demo")
            finally:
                scene.close()
                origin.close()


def take_shell() -> None:
    """Run the shell on a terminal of our own, type into it, and take a picture of what stands there."""
    width, height = 100, 36
    screen = pyte.Screen(width, height)
    stream = pyte.ByteStream(screen)
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "HOME": home, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        words = ["-m", "blockdb.commands.main", "-d", "shop", "repl", "--theme", THEME]
        shell = pexpect.spawn(sys.executable, words, cwd=home, env=environment, dimensions=(height, width))
        while "shop>" not in "".join(screen.display):
            _feed(shell, stream)
        for line in (*(f"{line}\r" for line in SHELL), "scan --"):
            shell.send(line)
            _feed(shell, stream)
        _draw(screen)
        shell.close(force=True)


def _feed(shell: Any, stream: Any) -> None:
    """Shows what comes, until a moment has gone by; where the cursor is, a terminal tells who asks."""
    until_s = time.monotonic() + LOOK_S
    while time.monotonic() < until_s:
        try:
            data = shell.read_nonblocking(65_536, timeout=0.2)
        except pexpect.TIMEOUT:
            continue
        stream.feed(data)
        if b"\x1b[6n" in data:
            cursor = stream.listener.cursor
            shell.send(f"\x1b[{cursor.y + 1};{cursor.x + 1}R")


def _draw(screen: Any) -> None:
    """The cells of a terminal as a picture."""
    console = Console(record=True, width=screen.columns, file=io.StringIO(), force_terminal=True)
    for y in range(screen.lines):
        line = Text()
        for x in range(screen.columns):
            cell = screen.buffer[y][x]
            style = Style(color=_colour(cell.fg), bgcolor=_colour(cell.bg), bold=cell.bold, reverse=cell.reverse)
            line.append(cell.data, style)
        console.print(line)
    console.save_svg(str(HERE / "shell.svg"), title="blockdb repl")


def _colour(name: str) -> str | None:
    """A colour of pyte as one of rich."""
    if name == "default":
        return None
    return f"#{name}" if re.fullmatch("[0-9a-f]{6}", name) else name


def main(names: Sequence[str]) -> None:
    """Take the pictures that are named, or all."""
    if wanted := [name for name in OF_ONE if not names or name in names]:
        asyncio.run(take_of_one(wanted))
    if not names or "cluster" in names:
        asyncio.run(take_cluster())
    if not names or "shell" in names:
        take_shell()


if __name__ == "__main__":
    main(sys.argv[1:])
