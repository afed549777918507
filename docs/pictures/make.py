"""Take the pictures of the documentation from the application itself: `make pictures`."""

from __future__ import annotations

import asyncio
from pathlib import Path

from textual.pilot import Pilot

from blockdb_tui.app import Explorer
from blockdb_tui.origin import DemoDirectory

HERE = Path(__file__).parent
SIZE = (120, 36)
BLOCKS = 55
"""When so many are sealed, the demo has loaded and its writer is at work."""


async def take(name: str, *keys: str) -> None:
    """Open the demo, press the keys, and keep what is on the screen."""
    origin = DemoDirectory(None)
    explorer = Explorer(origin, theme="basalt")
    try:
        async with explorer.run_test(size=SIZE) as pilot:
            await _loaded(explorer, pilot)
            await pilot.press(*keys)
            await pilot.pause(2)
            (HERE / f"{name}.svg").write_text(explorer.export_screenshot(title="blockdb-tui --demo"))
    finally:
        origin.close()


async def _loaded(explorer: Explorer, pilot: Pilot[int]) -> None:
    while explorer.database is None or explorer.database.stats().blocks < BLOCKS:
        await pilot.pause(0.2)


if __name__ == "__main__":
    asyncio.run(take("explorer", "2", "h", "m"))
