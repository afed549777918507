"""The alerts that are on, a line each, above the panels of metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from blockdb.commands.display import human_time, printable

from ..drawing import fitted_line
from ..theme import palette

if TYPE_CHECKING:
    from blockdb.alerts import Alert

__all__ = ["AlertBar"]

MOST_LINES = 3


class AlertBar(Widget):
    """What somebody should look at; nothing where there is nothing."""

    def __init__(self) -> None:
        super().__init__(id="alerts")
        self._alerts: Sequence[Alert] = ()

    def show(self, alerts: Sequence[Alert]) -> None:
        """Shows these, critical ones first as they come."""
        if alerts != self._alerts:
            self._alerts = alerts
            self.display = bool(alerts)
            self.styles.height = min(len(alerts), MOST_LINES)
            self.refresh()

    def render_line(self, y: int) -> Strip:
        style = palette(self.app).style

        def styled(role: str) -> Style:
            return style(role, "panel")

        return fitted_line([(text, styled(role)) for text, role in self._pieces(y)], self.size.width, styled("text"))

    def _pieces(self, y: int) -> list[tuple[str, str]]:
        if y >= len(self._alerts):
            return []
        if y == MOST_LINES - 1 and len(self._alerts) > MOST_LINES:
            return [(f" … and {len(self._alerts) - y} more", "muted"), ("  blockdb alerts", "accent")]
        alert = self._alerts[y]
        role = "error" if alert.severity == "critical" else "warning"
        subject = f" {alert.subject}" if alert.subject else ""
        return [
            (f" ✗ {printable(alert.name + subject)}", role),
            (f"  {printable(alert.message)}", "text"),
            (f"  since {human_time(alert.since_ms)[:16]}Z", "muted"),
        ]
