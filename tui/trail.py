"""The way that led here: the collection, the views that were passed through, and what is open in the one in front."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from .views import VIEWS

if TYPE_CHECKING:
    from .navigation import Navigation

__all__ = ["Crumb", "trail"]


class Crumb(NamedTuple):
    """One place of the way. `go` leads back to it; None where one is now."""

    words: str
    go: Callable[[], object] | None


def trail(explorer: Navigation) -> list[Crumb]:
    """The places from the first to where one is; that one alone where nothing was entered and nothing opened."""
    view, inside = explorer.view, explorer.inside
    if view is None:
        return []
    passed = [(steps, mode) for steps, mode in enumerate(explorer.came_from) if mode != "collections"]
    crumbs = [Crumb(_place(explorer, mode), lambda steps=steps: explorer.back_to(steps)) for steps, mode in passed]  # type: ignore[misc]
    if inside is not None and view.OF_COLLECTION:
        crumbs.insert(0, Crumb(inside, explorer.back_to_collections))
    title = VIEWS[view.NAME].title
    if words := view.crumb():
        return [*crumbs, Crumb(title, view.step_out), Crumb(words, None)]
    return [*crumbs, Crumb(title, None)]


def _place(explorer: Navigation, mode: str) -> str:
    """A view that was passed through, and what was open in it."""
    view = next((view for view in explorer.views() if mode == view.NAME), None)
    words = "" if view is None else view.crumb()
    return f"{VIEWS[mode].title} {words}".rstrip()
