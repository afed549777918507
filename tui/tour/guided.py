"""The explorer on the demonstration, which offers the tour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events
from textual.binding import Binding, BindingType

from ..app import Explorer
from ..screens.small import TooSmall
from .card import TourCard
from .engine import LOOK_S, Tour, TourKey
from .step import Ground

if TYPE_CHECKING:
    from blockdb.commands.playground import Playground

    from ..cluster.scene import Scene
    from ..origin import Origin
    from .step import Step

__all__ = ["Guided"]

OFFER_S = 12.0


class Guided(Explorer):
    """Its keys go before those of the views while the tour is shown, except where something is typed."""

    CSS_PATH = "../explorer.tcss"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+g", "tour", "Tour", key_display="^g", id="tour.start"),
        Binding("n,enter", "tour_on", "Next", show=False, priority=True, id="tour.on"),
        Binding("b", "tour_back", "Back", show=False, priority=True, id="tour.back"),
        Binding("space", "tour_play", "Play", show=False, priority=True, id="tour.play"),
        Binding("escape", "tour_leave", "Leave", show=False, priority=True, id="tour.leave"),
    ]

    def __init__(
        self, origin: Origin, *, begins_at_once: bool = False, script: Sequence[Step] = (), **options: Any
    ) -> None:
        """`options` are those of the explorer; `script` is the tour's own unless another one is given."""
        super().__init__(origin, **options)
        self._begins_at_once = begins_at_once
        self._script = script
        self._is_pressed = False
        self._playground: Playground | None = None
        self.tour: Tour | None = None
        self.is_on_tour = False

    def on_mount(self) -> None:
        """Offers the tour, or begins it."""
        self.set_interval(LOOK_S, self.show_tour)
        if self._begins_at_once:
            self.call_after_refresh(self.action_tour)
        else:
            self.say(
                "^g starts a guided tour: a record stored, proven, forged, and a server killed.", timeout_s=OFFER_S
            )

    # ── the cluster of the tour ──

    def start_cluster(self) -> Scene:
        """Starts one, and gives its scene; waits some seconds. Raises BlockDBError, OSError."""
        from blockdb.commands.playground import Playground
        from blockdb.commands.servers import Server

        from ..cluster.scene import Scene
        from ..origin import Served

        playground = self._playground = Playground()
        stage = playground.begin()
        nodes = Served(Server(urls=playground.urls)).nodes()
        return Scene.live(nodes, self.wall_clock_ms, stage)

    def close_tour(self) -> None:
        """Ends its cluster."""
        if self._playground is not None:
            self._playground.close()

    def say(self, words: str, severity: str = "information", timeout_s: float = 4) -> None:
        """On the tour it is the card that tells how things go; what fails is said all the same."""
        if not self.is_on_tour or severity == "error":
            super().say(words, severity, timeout_s)

    # ── keys ──

    async def on_event(self, event: events.Event) -> None:
        """Knows which keys the tour presses: they are for the views. Meanwhile all others but Esc are of no effect."""
        is_key = isinstance(event, events.Key) and not isinstance(event, TourKey)
        if is_key and self._is_pressing and event.key not in ("escape", "ctrl+q"):  # type: ignore[attr-defined]
            return
        self._is_pressed = isinstance(event, TourKey)
        try:
            await super().on_event(event)
        finally:
            self._is_pressed = False

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """While something is typed, or the tour presses keys itself, they are not about the tour."""
        if action.startswith("tour_"):
            is_typed = self._is_typed and not self._is_pressing
            return self.is_on_tour and not self._is_pressed and not is_typed
        return super().check_action(action, parameters)

    @property
    def _is_typed(self) -> bool:
        """Whether letters go into a line or an editor."""
        return self.focused is not None and self.focused.check_consume_key("n", "n")

    @property
    def _is_pressing(self) -> bool:
        return self.is_on_tour and self.tour is not None and self.tour.is_pressing

    def action_tour(self) -> None:
        """Begins the tour, or goes on where it was left."""
        if self.tour is None:
            from .script import SCRIPT

            self.tour = Tour(self, Ground(self, self.start_cluster), self._script or SCRIPT)
        self.is_on_tour = True
        if self._is_typed:
            self.screen.set_focus(None)  # its keys would be letters there
        self.clear_notifications()
        self.show_tour()

    def action_tour_on(self) -> None:
        """Does the step, or goes to the next one; leaves after the last."""
        if self.tour is not None:
            if self.tour.is_at_end:
                self.action_tour_leave()
            else:
                self.tour.go_on()

    def action_tour_back(self) -> None:
        """To the step before."""
        if self.tour is not None:
            self.tour.go_back()

    def action_tour_play(self) -> None:
        """Goes on by itself, or no longer."""
        if self.tour is not None:
            self.tour.toggle()

    def action_tour_leave(self) -> None:
        """Takes the card away; what was begun goes on."""
        self.is_on_tour = False
        if self.tour is not None:
            self.tour.is_playing = False
        for stack in self._screen_stacks.values():
            for screen in stack:
                screen.query(TourCard).remove()

    def show_tour(self) -> None:
        """Has the card on the screen in front, and up to date."""
        screen = self.screen if self.screen_stack else None
        if self.tour is None or not self.is_on_tour or screen is None or isinstance(screen, TooSmall):
            return
        if not screen.is_mounted:
            return
        cards = screen.query(TourCard)
        if not cards:
            screen.mount(TourCard(self.tour))
        for card in cards:
            card.update()
