"""Driving the explorer in a test: start it on a fake, wait for what it waits for, read what is on the screen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from textual import events
from textual.app import App
from textual.keys import _character_to_key
from textual.pilot import Pilot

from blockdb_tui.app import ClusterExplorer, Explorer
from blockdb_tui.origin import Origin
from blockdb_tui.replayer import Replayer
from blockdb_tui.tampering import Laboratory
from tests.tui.fake import NOW_MS, FakeDatabase, Given, sample
from tests.tui.fake_lab import FakeLab

WAIT_S = 60.0
NEVER_S = 3600.0
OFTEN_S = 0.2
"""For what is done again and again: a slow machine comes to rest in between, and `settled` waits for that."""
QUIET_ROUNDS = 5


def make_explorer(database: FakeDatabase | Origin | None = None, **options: Any) -> Explorer:
    """An explorer whose clocks stand still and that polls once: `take` gives it further snapshots."""
    is_fake = database is None or isinstance(database, FakeDatabase)
    origin: Any = Given(database or FakeDatabase(sample())) if is_fake else database  # type: ignore[arg-type]
    ticks = iter(range(1_000_000))
    defaults: dict[str, Any] = {
        "clock": lambda: NOW_MS / 1000,
        "steady": lambda: next(ticks) * 0.25,
        "poll_s": NEVER_S,
        "rest_s": 0.0,
        "laboratory": Laboratory(FakeLab),  # type: ignore[arg-type]
    }
    if "replay" in options:
        return Replayer(options.pop("replay"), **{**defaults, **options})
    kind: Any = options.pop("kind", ClusterExplorer if "scene" in options else Explorer)
    return kind(origin, **{**defaults, **options})


@asynccontextmanager
async def exploring(
    database: FakeDatabase | Given | None = None, size: tuple[int, int] = (120, 40), **options: Any
) -> AsyncIterator[Pilot[int]]:
    """A running explorer that has opened its database and shows it."""
    app = make_explorer(database, **options)
    async with app.run_test(size=size, notifications=True, tooltips=True) as pilot:
        await settled(pilot)
        yield pilot


async def settled(pilot: Pilot[Any]) -> None:
    """Waits until nothing is being read, no message waits, and everything is painted."""
    app = pilot.app
    assert isinstance(app, Explorer)
    await until(pilot, lambda: bool(app.history.moments) or app.trouble[3] == "error" or app.is_replay)
    quiet = 0
    async with asyncio.timeout(WAIT_S):
        while quiet < QUIET_ROUNDS:
            await asyncio.sleep(0.001)
            _raise_what_broke(app)
            quiet = quiet + 1 if app._exit or _is_idle(app) else 0
    if not app._exit:
        app.screen._on_timer_update()


def _raise_what_broke(app: App[Any]) -> None:
    """Raises what an explorer has ended with; its last screen would pass for what it shows."""
    if app._exception is not None:
        raise app._exception


def _is_idle(app: Explorer) -> bool:
    """Whether no worker works, no message is in a queue and no callback is due."""
    if any(not worker.is_finished and worker.group not in ("connection", "verify") for worker in app.workers):
        return False
    if app.screen._layout_required:
        app.screen._on_timer_update()  # rather than wait for its time
        return False
    pumps = [app, *(node for screen in app.screen_stack for node in screen.walk_children(with_self=True))]
    if any(node._layout_required for node in app.screen.walk_children()):
        return False
    return not any(pump.message_queue_size or pump._next_callbacks for pump in pumps) and not app.screen._callbacks


async def until(pilot: Pilot[Any], condition: Callable[[], bool]) -> None:
    """Waits for a condition, not for a time; gives up after a minute."""
    async with asyncio.timeout(WAIT_S):
        while not condition():
            await asyncio.sleep(0.002)
            _raise_what_broke(pilot.app)
            if pilot.app.is_running and pilot.app.screen_stack:
                pilot.app.screen._on_timer_update()


async def press(pilot: Pilot[Any], *keys: str) -> None:
    """Presses keys one after another, each when the one before has had its effect.

    The pilot's own way sleeps for a tenth of a second at every key, in case.
    """
    for key in keys:
        driver = pilot.app._driver
        assert driver is not None
        name = _character_to_key(key) if len(key) == 1 and not key.isalnum() else key
        event = events.Key(name, " " if key == "space" else key if len(key) == 1 else None)
        event.set_sender(pilot.app)
        driver.send_message(event)
        await settled(pilot)


def screen_text(pilot: Pilot[Any]) -> str:
    """What is on the screen, as text."""
    strips = pilot.app.screen._compositor.render_strips()
    return "\n".join(strip.text.rstrip() for strip in strips) + "\n"
