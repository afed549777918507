"""The words of the command line that lead somewhere: to a view, a collection, a block, a record, a theme, and out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from blockdb.commands.command import Completes
from blockdb.commands.failures import UsageError
from blockdb.commands.line import to_bytes

from .views import views_of

if TYPE_CHECKING:
    from .app import Explorer

__all__ = ["Way", "ways"]


@dataclass(frozen=True)
class Way:
    """A word that leads somewhere, perhaps with what it leads to."""

    word: str
    means: str
    takes: Completes
    go: Callable[[str | None], object]
    needs: bool = False
    """Whether it says nothing alone."""

    @property
    def metavar(self) -> str:
        """The word that stands for what it leads to."""
        name = "NUMBER" if self.needs and self.takes is Completes.NOTHING else _METAVARS.get(self.takes, "")
        return name if self.needs or not name else f"[{name}]"


_METAVARS: Final = {Completes.COLLECTION: "COLLECTION", Completes.KEY: "KEY", Completes.THEME: "THEME"}


def ways(explorer: Explorer) -> dict[str, Way]:
    """The words that lead somewhere, by themselves."""

    def to_view(mode: str) -> Callable[[str | None], object]:
        def go(collection: str | None) -> None:
            if collection is None:
                explorer.call_later(explorer.action_view, mode)
            else:
                explorer.enter(collection, mode)

        return go

    def quit_(_: str | None) -> object:
        return explorer.call_later(explorer.run_action, "quit")

    found = [
        Way(view.mode, f"Go to {view.title.lower()}, perhaps of a collection", Completes.COLLECTION, to_view(view.mode))
        for view in views_of(explorer)
    ]
    found += [
        Way("use", "Go into a collection", Completes.COLLECTION, lambda it: _use(explorer, it)),
        Way("block", "Go to a block", Completes.NOTHING, lambda it: explorer.visit_block(_number(it)), needs=True),
        Way("key", "Go to a record", Completes.KEY, lambda it: explorer.visit_key(to_bytes(it or "")), needs=True),
        Way("theme", "Wear a theme", Completes.THEME, lambda it: _wear(explorer, it)),
        *(Way(word, "Leave the explorer", Completes.NOTHING, quit_) for word in ("q", "quit", "exit")),
    ]
    return {way.word: way for way in found}


def _number(text: str | None) -> int:
    digits = (text or "").replace(",", "").removeprefix("#")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 19):
        raise UsageError(f"{text} is no block; blocks have numbers from 0 up")
    return int(digits)


def _use(explorer: Explorer, name: str | None) -> None:
    if name is not None:
        explorer.enter(name)
    elif explorer.database is not None:
        explorer.use(explorer.database)


def _wear(explorer: Explorer, name: str | None) -> None:
    if name is None:
        explorer.action_theme()
    elif name not in explorer.wardrobe.names:
        raise UsageError(f"there is no theme {name}; there are {', '.join(explorer.wardrobe.names)}")
    else:
        explorer.theme = name
