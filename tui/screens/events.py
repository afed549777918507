"""What happened, of a recording: on the nodes, in the engine, and the alerts."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from textual.widget import Widget

from ..widgets.happenings import Happenings
from .view import View

__all__ = ["EventsView"]


class EventsView(View):
    """Stands in place of the audit log, which is not recorded: it names keys."""

    NAME = "acts"
    OF_COLLECTION = False
    REPLAYS = True

    def body(self) -> Iterable[Widget]:
        self.first_pane = self.happenings = Happenings(id="happenings")
        return (self.happenings,)

    def replayed(self) -> None:
        super().replayed()
        replay = self.explorer.replay
        if replay is not None:
            self.happenings.show(replay.recording, replay.playhead.time_ms)

    def shown_as_command(self) -> str:
        return f"blockdb replay {shlex.quote(self.explorer.origin.name)}"
