"""Which keys the tests press, so that one that nobody presses shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from textual.pilot import Pilot

from blockdb_tui.app import Explorer

F = TypeVar("F", bound=Callable[..., Any])
S = TypeVar("S")

covered: set[str] = set()
"""The ids of the bindings that are pressed by the test modules imported so far."""


def covers(*ids: str) -> Callable[[F], F]:
    """Says which bindings a test presses."""
    covered.update(ids)
    return lambda function: function


def shown(pilot: Pilot[Any], kind: type[S]) -> S:
    """The screen in front, which is of that kind."""
    assert isinstance(pilot.app.screen, kind)
    return pilot.app.screen


def app_of(pilot: Pilot[Any]) -> Explorer:
    assert isinstance(pilot.app, Explorer)
    return pilot.app


def said(pilot: Pilot[Any]) -> list[str]:
    """What was said in passing."""
    return [notice.message for notice in pilot.app._notifications]
