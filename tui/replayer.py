"""The explorer on a recording: time goes by as it did then, or as the keys say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.screen import Screen

from blockdb.commands.recordings.telling import offset_s

from .app import Explorer
from .origin import Recorded

if TYPE_CHECKING:
    from .replay import Replay

__all__ = ["Replayer"]

DRAW_EVERY_S = 0.25


def _events() -> Screen[None]:
    from .screens.events import EventsView

    return EventsView()


class Replayer(Explorer):
    """Its keys go before those of the views, except where something is typed."""

    MODES: ClassVar[dict[str, str | Callable[[], Screen[None]]]] = {**Explorer.MODES, "acts": _events}

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "replay_hold", "Play", key_display="space", priority=True, id="replay.hold"),
        Binding(
            "less_than_sign,comma", "replay_faster(-1)", "Slower", key_display="<", priority=True, id="replay.slower"
        ),
        Binding(
            "greater_than_sign,full_stop",
            "replay_faster(1)",
            "Faster",
            key_display=">",
            priority=True,
            id="replay.faster",
        ),
        Binding("left", "replay_move(-1)", "Back", priority=True, id="replay.back"),
        Binding("right", "replay_move(1)", "On", priority=True, id="replay.on"),
        Binding("n", "replay_event(1)", "Next event", priority=True, id="replay.next_event"),
        Binding("N", "replay_event(-1)", "Event before", show=False, priority=True, id="replay.previous_event"),
        Binding("J", "replay_jump", "Jump", priority=True, id="replay.jump"),
        Binding("home", "replay_ends(-1)", "First", show=False, priority=True, id="replay.first"),
        Binding("end", "replay_ends(1)", "Last", show=False, priority=True, id="replay.last"),
        Binding("h", "replay_move(-1)", "Back", show=False, id="replay.back_too"),
        Binding("l", "replay_move(1)", "On", show=False, id="replay.on_too"),
        Binding("g", "replay_ends(-1)", "First", show=False, id="replay.first_too"),
        Binding("G", "replay_ends(1)", "Last", show=False, id="replay.last_too"),
        Binding("pageup,H", "replay_move(-20)", "Far back", show=False, id="replay.far_back"),
        Binding("pagedown,L", "replay_move(20)", "Far on", show=False, id="replay.far_on"),
    ]

    def __init__(self, replay: Replay, **options: Any) -> None:
        """`options` are those of the explorer."""
        self.replay: Replay = replay
        self.DEFAULT_MODE = "metrics" if replay.scene is None else "cluster"  # type: ignore[misc]
        super().__init__(Recorded(Path(replay.name)), scene=replay.scene, **options)
        self.history = replay.history()
        self._shown_at_s = self.steady_s()

    def on_mount(self) -> None:
        """Time begins to go by."""
        self.set_interval(DRAW_EVERY_S, self.go_on)

    @property
    def state(self) -> tuple[str, str]:
        """Whether it plays, and how fast."""
        playhead = self.replay.playhead
        return (f"▶ ×{playhead.speed:g}" if playhead.is_running else "‖ paused"), "accent"

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys are letters where something is typed, and those of what stands in front where something does."""
        if action.startswith("replay_"):
            view = self.view
            return view is not None and view is self.screen and not view.prompt.asking
        return False if action in ("record", "verify") else super().check_action(action, parameters)

    def on_resize(self, event: Resize) -> None:
        """What comes into view is of the moment, too."""
        self.call_after_refresh(self.show_replay)

    def wall_clock_ms(self) -> int:
        """The time of day that it was."""
        return self.replay.playhead.time_ms

    # ── time ──

    def go_on(self) -> None:
        """Time has gone by."""
        now_s, before_s = self.steady_s(), self._shown_at_s
        self._shown_at_s = now_s
        if self.replay.playhead.is_running:
            self._go(lambda: self.replay.playhead.advance(now_s - before_s))

    def _go(self, how: Callable[[], object]) -> None:
        how()
        self.show_replay()

    def show_replay(self) -> None:
        """Has the view in front show the moment."""
        self.history = self.replay.history()
        self.alarms.alerts = self.replay.alerts()
        if (view := self.view) is not None:
            view.replayed()

    # ── keys ──

    def action_replay_hold(self) -> None:
        """Plays, or holds still; at its end it begins again."""
        self._go(self.replay.playhead.toggle)

    def action_replay_faster(self, by: int) -> None:
        """Plays faster or slower."""
        self._go(lambda: self.replay.playhead.faster(by))

    def action_replay_move(self, cells: int) -> None:
        """Along the line."""
        self._go(lambda: self.replay.playhead.move(cells))

    def action_replay_ends(self, end: int) -> None:
        """To the beginning or to the end."""
        self._go(self.replay.playhead.to_first if end < 0 else self.replay.playhead.to_last)

    def action_replay_event(self, by: int) -> None:
        """To the next event, or to the one before."""
        if not self.replay.playhead.to_event(by > 0):
            self.say("There is no event " + ("after" if by > 0 else "before") + " this moment.")
        self.show_replay()

    def action_replay_jump(self) -> None:
        """Asks for a moment."""
        if self.view is not None:
            self.view.prompt.ask("Seconds from the beginning (or 1:30)", done=self._seek)

    def _seek(self, text: str) -> None:
        try:
            after_s = offset_s(text)
        except ValueError:
            self.say(f"{text} is no time such as 90, 12.5 or 1:30.", "warning")
            return
        self._go(lambda: self.replay.playhead.seek(self.replay.recording.first_ms + after_s * 1000))
