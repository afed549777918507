"""Every view at four sizes in two themes: what stands on each line, and a digest of how it is coloured.

The characters are the same in all themes, so they are kept once, as text that can be read in a review; of the colours
each line has a digest of its own, which says where a difference is. `make snapshots` keeps them anew.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from blockdb_tui.screens import cluster
from blockdb_tui.screens.changes import ChangesView
from blockdb_tui.screens.cluster import ClusterView
from blockdb_tui.views import VIEWS, views_of
from tests.tui.covering import app_of
from tests.tui.drive import NEVER_S, exploring, screen_text, settled, until
from tests.tui.fake import FakeDatabase, attended, waiting
from tests.tui.fake_cluster import live
from tests.tui.test_snapshots import compare

KEPT = Path(__file__).parent / "text" / "matrix"
SIZES = ((80, 24), (100, 30), (160, 45), (200, 50))
THEMES = ("basalt", "paper")
MOST_BYTES = 2_000_000


def everything() -> FakeDatabase:
    """A database of which every view has something to show."""
    database, other = attended(read_only=False), waiting()
    database.under_way, database.ended, database.changes = other.under_way, other.ended, other.changes
    return database


def colouring(pilot: Pilot[Any]) -> str:
    """A digest of the styles of each line of the screen."""
    lines = []
    for strip in pilot.app.screen._compositor.render_strips():
        pieces: list[tuple[str, int]] = []
        for segment in strip:
            style = str(segment.style)
            before = pieces.pop() if pieces and pieces[-1][0] == style else (style, 0)
            pieces.append((style, before[1] + segment.cell_length))
        lines.append(hashlib.sha256(repr(pieces).encode()).hexdigest()[:6])
    return "\n".join(lines) + "\n"


def nameless(text: str, theme: str) -> str:
    """A screen without the name of the theme, which one view tells."""
    return text.replace(theme.ljust(8), "·" * 8)


async def complete(pilot: Pilot[Any], mode: str) -> None:
    """Waits until a view shows all that it is going to show by itself."""
    screen = pilot.app.screen
    assert app_of(pilot).current_mode == mode
    if isinstance(screen, ChangesView):
        await until(pilot, lambda: "1 of 60" in screen_text(pilot))
    pilot.app.clear_notifications()
    screen.refresh(layout=True)
    await settled(pilot)
    if isinstance(screen, ClusterView):
        screen.tick()  # which draws the line as long as there is room for now
        await settled(pilot)


@pytest.mark.torture
@pytest.mark.parametrize("theme", THEMES)
async def test_every_view_at_every_size(
    theme: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "DRAW_EVERY_S", NEVER_S)
    monkeypatch.setenv("HOME", "/nowhere")
    monkeypatch.setenv("BLOCKDB_THEMES", "/nowhere/themes")
    async with exploring(everything(), SIZES[0], theme=theme, scene=live()) as pilot:
        for width, height in SIZES:
            await pilot.resize_terminal(width, height)
            for view in views_of(app_of(pilot)):
                await pilot.app.run_action(f"view('{view.mode}')")
                await complete(pilot, view.mode)
                name = f"{view.mode}-{width}x{height}"
                compare(nameless(screen_text(pilot), theme), KEPT / f"{name}.txt", request)
                compare(colouring(pilot), KEPT / f"{name}.{theme}", request)


def test_what_is_kept_stays_small_and_is_of_views_that_there_are() -> None:
    kept = {f"{mode}-{width}x{height}" for mode in VIEWS for width, height in SIZES}
    assert {path.name for path in KEPT.iterdir()} == {f"{it}.{end}" for it in kept for end in ("txt", *THEMES)}
    assert sum(path.stat().st_size for path in KEPT.iterdir()) < MOST_BYTES
