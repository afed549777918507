"""What happened: on the nodes of a cluster, in the engine, and what there was to be alarmed about."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from blockdb.alerts import Alert

from ..display import human_count, printable
from .lanes import STATES, Moment

__all__ = ["KINDS", "Alarms", "Event", "Happening", "Kind", "Note", "told_of", "words_of"]


class Kind(msgspec.Struct, frozen=True):
    """How a kind of event is shown; of several at one place the one of the greatest weight."""

    glyph: str
    role: str
    word: str
    weight: int


KINDS = {
    "term": Kind("·", "muted", "term", 0),
    "state": Kind("·", "muted", "state", 1),
    "vote": Kind("•", "secondary", "vote", 2),
    "snapshot": Kind("▼", "primary", "snapshot", 4),
    "contact": Kind("×", "warning", "lost", 3),
    "reached": Kind("○", "success", "reached", 3),
    "election": Kind("▲", "warning", "election", 5),
    "members": Kind("±", "primary", "members", 6),
    "mended": Kind("✚", "success", "mended", 7),
    "leader": Kind("◆", "accent", "leader", 8),
    "nobody": Kind("◇", "warning", "no leader", 3),
    "fault": Kind("!", "error", "done here", 9),
    "stopped": Kind("■", "error", "stopped", 10),
    "diverged": Kind("≠", "error", "diverged", 11),
    "sealed": Kind("▪", "primary", "sealed", 0),
    "flush": Kind("▾", "secondary", "flushed", 1),
    "compaction": Kind("≡", "secondary", "compacted", 2),
    "scrub": Kind("✓", "success", "scrubbed", 2),
    "stall": Kind("‖", "warning", "stalled", 5),
    "failing": Kind("✗", "error", "failing", 10),
    "mending": Kind("○", "success", "works again", 6),
    "verified": Kind("✓", "success", "verified", 6),
    "damage": Kind("✗", "error", "damage", 11),
    "opened": Kind("○", "success", "opened", 3),
    "lost": Kind("×", "error", "no answer", 9),
    "alert": Kind("!", "warning", "alert", 8),
    "calm": Kind("○", "muted", "alert over", 4),
}
"""The kinds of events that a cluster tells of, some of them in two parts; `fault`, what somebody did here; and those of
the engine, of the connection to it, and of alerts."""

UNKNOWN = Kind("?", "muted", "other", 0)


class Happening(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="line", tag="event"):
    """One thing that happened on a node, as it told; the fields are those of `blockdb`'s events of a cluster."""

    time_ms: Moment
    node_id: str
    kind: str
    term: int = 0
    index: int = 0
    other: str = ""
    what: str = ""

    @property
    def shown(self) -> Kind:
        """How it is shown."""
        if self.kind == "contact" and self.what == "reached":
            return KINDS["reached"]
        is_nobody = self.kind == "leader" and not self.other
        return KINDS.get("nobody" if is_nobody else self.kind, UNKNOWN)

    @property
    def lane(self) -> str:
        """The node in whose lane it belongs: that of a new leader is its own, whoever tells of it."""
        return self.other if self.kind == "leader" and self.other else self.node_id

    @property
    def where(self) -> str:
        """The node that told it."""
        return self.node_id

    @property
    def is_routine(self) -> bool:
        """Whether it happens all the time."""
        return False


class Note(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="line", tag="engine"):
    """One thing that the engine did, or that was seen of it."""

    time_ms: Moment
    kind: str
    what: str = ""
    collection: str = ""

    @property
    def shown(self) -> Kind:
        """How it is shown."""
        return KINDS.get(self.kind, UNKNOWN)

    @property
    def where(self) -> str:
        """The collection; empty: the whole."""
        return self.collection

    @property
    def is_routine(self) -> bool:
        """Whether it happens all the time: nobody looks for it on a time line."""
        return self.kind in ("sealed", "flush")


class Alarms(msgspec.Struct, frozen=True, tag_field="line", tag="alerts"):
    """All alerts that are on from a moment on."""

    time_ms: Moment
    alerts: tuple[Alert, ...] = ()


Event: TypeAlias = Happening | Note


def words_of(event: Event) -> str:
    """What happened, in words that are safe to show."""
    if isinstance(event, Note):
        return printable(event.what)
    other, what = printable(event.other), printable(event.what)
    said = {
        "leader": f"{other} leads" if other else "nobody leads",
        "vote": f"votes for {other}",
        "election": "stands for election",
        "term": "goes on to a new term",
    }.get(event.kind, "")
    if event.kind == "snapshot" and other:
        said = f"{other}:" if what else other
    if event.kind == "contact":
        said, what = other, "" if other and what in ("lost", "reached") else what
    if event.kind == "state":
        said, what = f"is {STATES[what][1] if what in STATES else what} now", ""
    parts = [said, what if what != said else ""]
    if event.term:
        parts.append(f"· term {human_count(event.term)}")
    if event.index:
        parts.append(f"· entry {human_count(event.index)}")
    return " ".join(filter(None, parts)).removeprefix("· ")


def told_of(event: Event) -> str:
    """The same with where it was, unless that begins it anyway."""
    where, words = printable(event.where), words_of(event)
    return words if words.startswith(where) else f"{where} {words}".rstrip()
