"""Which form of the metrics somebody wants, by the `Accept` of the request (RFC 9110, section 12.5.1)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

__all__ = ["JSON", "OPENMETRICS", "TEXT", "chosen"]

JSON: Final = "application/json"
OPENMETRICS: Final = "application/openmetrics-text"
TEXT: Final = "text/plain"


def chosen(accept: str) -> str:
    """Which of JSON, TEXT and OPENMETRICS somebody wants who sends this `Accept`; JSON where they do not say."""
    wanted = {JSON: 0.0, TEXT: 0.0, OPENMETRICS: 0.0}
    for entry in accept.split(","):
        kind, *parameters = (part.strip().lower() for part in entry.split(";"))
        for told in _meant(kind):
            wanted[told] = max(wanted[told], _quality(parameters))
    best = max(wanted.values())
    if not best or wanted[JSON] == best:
        return JSON
    return OPENMETRICS if wanted[OPENMETRICS] == best else TEXT


def _meant(kind: str) -> tuple[str, ...]:
    if kind in ("*/*", "application/*"):
        return (JSON,)
    if kind == "text/*":
        return (TEXT,)
    return (kind,) if kind in (JSON, TEXT, OPENMETRICS) else ()


def _quality(parameters: Iterable[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return min(max(float(parameter[2:]), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0
