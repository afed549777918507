r"""`\format`, `\x`, `\timing`: how results are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blockdb.commands.command import COLUMNAR_FORMATS, FORMATS
from blockdb.commands.failures import DONE, UsageError

from .directive import Directive, Switch, perhaps_a_word, switch

if TYPE_CHECKING:
    from ..session import Session

__all__ = ["DIRECTIVES"]

OWN = "default"
"""The format that each command has by itself."""
_CHOICES = (OWN, *FORMATS, *COLUMNAR_FORMATS)


def _format_name(text: str) -> str | None:
    name = perhaps_a_word(text)
    if name is not None and name not in _CHOICES:
        raise UsageError(f"there is no format {name}; there are {', '.join(_CHOICES)}")
    return name


def _format(session: Session, name: str | None) -> int:
    if name is not None:
        session.format = None if name == OWN else name
    session.output.note(f"Format: {session.format or OWN}.", "muted")
    return DONE


def _vertical(session: Session, wanted: Switch) -> int:
    is_on = session.format == "vertical"
    if wanted is None or wanted != is_on:
        session.format = None if is_on else "vertical"
    return _format(session, None)


def _timing(session: Session, wanted: Switch) -> int:
    session.timing = not session.timing if wanted is None else wanted
    session.output.note(f"Timing is {'on' if session.timing else 'off'}.", "muted")
    return DONE


def _on_off() -> tuple[str, ...]:
    return "on", "off"


DIRECTIVES = (
    Directive(
        "format",
        "Set the format of all results, or say which it is.",
        _format_name,
        _format,
        "[NAME]",
        details=f"NAME is one of {', '.join(_CHOICES)}; {OWN} leaves it to each command. A command that has not the "
        "format goes on in its own; --format on a line goes before all this.",
        examples=((r"\format jsonl", "A line of JSON for each record"), (r"\format default", "As at the beginning")),
        choices=lambda: _CHOICES,
    ),
    Directive(
        "x",
        "Turn the vertical format on or off: a field a line.",
        switch,
        _vertical,
        "[on|off]",
        examples=((r"\x", "The other of the two"),),
        choices=_on_off,
    ),
    Directive(
        "timing",
        "Say after each command how long it took.",
        switch,
        _timing,
        "[on|off]",
        details="It is the time of the whole command here at the client: the way to a server and back, and the "
        "writing of the result. It goes to standard error.",
        examples=((r"\timing on", "From now on"), (r"\timing", "The other of the two")),
        choices=_on_off,
    ),
)
