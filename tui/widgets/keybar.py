"""The line at the bottom: the keys that do something here, as many as there is room for."""

from __future__ import annotations

from rich.segment import Segment
from textual import events
from textual.binding import ActiveBinding, Binding
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget

from ..theme import palette

__all__ = ["KeyBar", "heard_on"]

ALWAYS = ("app.help", "app.quit")


def heard_on(screen: Screen[object]) -> list[ActiveBinding]:
    """The bindings that do something now, from the focus outward, in the order in which they were declared.

    Textual puts those that have other keys than their own behind all others, and those that go first among the others.
    """
    nodes = {node: place for place, (node, _) in enumerate(screen._binding_chain)}
    declared = {
        (node, binding.id): place for node in nodes for place, (_, binding) in reversed(list(enumerate(node._bindings)))
    }
    return sorted(
        screen.active_bindings.values(),
        key=lambda it: (nodes.get(it.node, len(nodes)), declared.get((it.node, it.binding.id), 0)),
    )


class KeyBar(Widget):
    """The visible bindings of the focused pane and its screen; a click on one does what its key does."""

    def __init__(self) -> None:
        super().__init__(id="keybar")
        self._keys: list[tuple[int, int, str]] = []

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._changed)

    def _changed(self, screen: Screen[object]) -> None:
        self.refresh()

    def _visible(self) -> list[Binding]:
        seen: dict[str, Binding] = {}
        for active in heard_on(self.screen):
            if active.binding.show and active.enabled:
                seen.setdefault(active.binding.action, active.binding)
        return sorted(seen.values(), key=lambda binding: not binding.priority)  # what goes before all stands first

    def render_line(self, y: int) -> Strip:
        """The keys from the left; those of the whole application that are always good to know at the right end."""
        width = self.size.width
        shown = self._visible()
        right = [binding for binding in shown if binding.id in ALWAYS]
        end = width - sum(self._width(binding) for binding in right)
        self._keys = []
        segments, at = [self._ground(" ")], 1
        for binding in shown:
            if binding not in right and at + self._width(binding) <= end:
                at = self._place(binding, segments, at)
        segments.append(self._ground(" " * (end - at)))
        at = end
        for binding in right:
            at = self._place(binding, segments, at)
        return Strip(segments).adjust_cell_length(width)

    def _width(self, binding: Binding) -> int:
        return len(self.app.get_key_display(binding)) + len(binding.description) + 3

    def _place(self, binding: Binding, segments: list[Segment], at: int) -> int:
        key, words = self.app.get_key_display(binding), f" {binding.description}  "
        segments += [self._ground(key, "accent", bold=True), self._ground(words)]
        self._keys.append((at, at + len(key) + len(words) - 2, binding.key))
        return at + len(key) + len(words)

    def _ground(self, text: str, role: str = "muted", *, bold: bool = False) -> Segment:
        return Segment(text, palette(self.app).style(role, "panel", bold=bold))

    def on_click(self, event: events.Click) -> None:
        for start, end, key in self._keys:
            if start <= event.x < end:
                self.app.simulate_key(key)
