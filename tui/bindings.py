"""All keys that can be rebound, as the application, its views and its panes declare them."""

from __future__ import annotations

import inspect
import pkgutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import ModuleType

from textual.app import App
from textual.binding import Binding
from textual.dom import DOMNode
from textual.keys import format_key
from textual.screen import ModalScreen

from .screens.view import View

__all__ = ["Bound", "all_bindings", "as_markdown", "as_text"]

EVERYWHERE, NEAR, AT_THE_FOCUS = 2, 1, 0

PAGE = """# The keys of the explorer

Every key, by the id that a file of keys calls it ([EXPLORER.md](EXPLORER.md#keys-of-your-own)). Where one key stands at
several, the pane that has the focus is asked first, then the view, then the explorer. This page is generated:
`python -m blockdb_tui.bindings > docs/KEYS.md`.

| id | keys | what it does |
|---|---|---|
"""


@dataclass(frozen=True)
class Bound:
    """One binding: its id, the keys that it has by itself, and what it does."""

    id: str
    keys: tuple[str, ...]
    words: str
    room: str
    """Where it is declared: of bindings of one room, no two may have the same key."""
    reach: int
    """How far from the focus it is looked for: the nearest has the key."""
    modal: bool
    """Whether it is of something that comes over a view: then nothing else is heard."""

    def meets(self, other: Bound) -> bool:
        """Whether a key could mean both, as one looks from the focus outward."""
        if self.room == other.room:
            return True
        if self.modal or other.modal:
            return AT_THE_FOCUS in (self.reach, other.reach) and EVERYWHERE not in (self.reach, other.reach)
        return self.reach != other.reach

    @property
    def shown(self) -> str:
        """Its keys as people read them."""
        return " ".join(shown_key(key) for key in self.keys)


def shown_key(key: str) -> str:
    """A key as people read it: `ctrl+p` as `^p`, `slash` as `/`."""
    modifier, _, name = key.rpartition("+")
    shown = format_key(name)
    return f"^{shown}" if modifier == "ctrl" else f"{modifier}+{shown}" if modifier else shown


@cache
def all_bindings() -> Mapping[str, Bound]:
    """Every binding by its id, those of the application first, then view by view. It imports all of them."""
    found: dict[str, Bound] = {}
    for kind in _kinds():
        for binding in vars(kind).get("BINDINGS", ()):
            assert isinstance(binding, Binding), kind
            assert binding.id, (kind, binding)
            assert binding.id not in found, f"two bindings have the id {binding.id}"
            found[binding.id] = _bound(kind, binding)
    return found


def _kinds() -> Iterator[type[DOMNode]]:
    for module in _modules():
        for _, kind in inspect.getmembers(module, inspect.isclass):
            if issubclass(kind, DOMNode) and kind.__module__ == module.__name__:
                yield kind


def _modules() -> Iterator[ModuleType]:
    assert __package__ is not None
    yield import_module(".app", __package__)
    yield import_module(".replayer", __package__)
    yield import_module(".tour.guided", __package__)
    for folder in ("screens", "widgets"):
        package = import_module(f".{folder}", __package__)
        for found in pkgutil.iter_modules(package.__path__):
            yield import_module(f".{folder}.{found.name}", __package__)


def _bound(kind: type[DOMNode], binding: Binding) -> Bound:
    keys = tuple(each.key for each in Binding.make_bindings([binding]))
    is_everywhere = issubclass(kind, App) or kind is View
    is_added = issubclass(kind, App) and not kind.__module__.endswith(".app")  # of what explorers only sometimes are
    room = "everywhere" if is_everywhere and not is_added else kind.__module__
    reach = EVERYWHERE if is_everywhere else AT_THE_FOCUS if ".widgets." in kind.__module__ else NEAR
    return Bound(binding.id or "", keys, _words(kind, binding), room, reach, _is_in_modal(kind.__module__))


def _is_in_modal(module: str) -> bool:
    """Whether a module is that of something that comes over a view."""
    kinds = (other for other in vars(import_module(module)).values() if inspect.isclass(other))
    return any(issubclass(other, ModalScreen) and other.__module__ == module for other in kinds)


def _words(kind: type[DOMNode], binding: Binding) -> str:
    """What it does: the first line that documents its action, unless that has parameters which say more."""
    name = binding.action.rpartition(".")[2]
    action = getattr(kind, f"action_{name}", None)
    if action is None or not action.__module__.startswith(f"{__package__}."):
        return f"{binding.description}."
    words = inspect.getdoc(action) or ""
    return words.partition("\n")[0] if words and "(" not in binding.action else f"{binding.description}."


def as_text() -> str:
    """All bindings as columns, for a terminal."""
    rows = [(bound.id, bound.shown, bound.words) for bound in all_bindings().values()]
    first, second = (max(len(row[column]) for row in rows) for column in (0, 1))
    return "".join(f"{name:<{first}}  {keys:<{second}}  {words}\n" for name, keys, words in rows)


def as_markdown() -> str:
    """All bindings as a page of Markdown."""
    rows = (f"| `{bound.id}` | {_cell(bound)} | {bound.words} |\n" for bound in all_bindings().values())
    return PAGE + "".join(rows)


def _cell(bound: Bound) -> str:
    return " ".join(f"`{shown_key(key)}`" for key in bound.keys).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(as_markdown())
