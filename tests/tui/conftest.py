"""Tests that are coroutines run in a loop of their own."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path
from typing import Any

import pytest
from textual.cache import LRUCache
from textual.css.stylesheet import Stylesheet
from textual.notifications import Notification
from textual.widgets import Input

# What a screen shows is no matter of time: a cursor is always there, and what was said stays until it is cleared.
Input.cursor_blink._default = False
Notification.time_left = property(lambda _: 3600.0)

SHEETS: LRUCache[frozenset[tuple[str, str]], LRUCache[Any, Any]] = LRUCache(8)
"""What was parsed of style sheets, by the colours that were put into them."""

parse = Stylesheet.parse


def parse_once(self: Stylesheet) -> None:
    """Parse what no explorer before this one has parsed: to start one takes half the time."""
    colours = frozenset(self._variables.items())
    if colours not in SHEETS:
        SHEETS[colours] = LRUCache(512)
    own, self._parse_cache = self._parse_cache, SHEETS[colours]
    try:
        parse(self)
    finally:
        self._parse_cache = own


Stylesheet.parse = parse_once


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


@pytest.fixture(autouse=True)
def nobodys_terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test fills the clipboard of whoever runs it, goes by their keys, or leaves where it was in their files."""
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / ".home"))
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME", "TMUX", "STY"):
        monkeypatch.delenv(name, raising=False)
