"""The line at the bottom: what the database holds now, and how long the last command took."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.utils import get_cwidth

from blockdb.errors import BlockDBError, RequestTimeout, Unavailable

if TYPE_CHECKING:
    from blockdb import AnyCollection, AnyDatabase, Statistics

    from .notices import Notices
    from .session import Session

from blockdb.commands.display import human_count, human_duration, plural, printable, shortened
from blockdb.commands.locating import title_of

from .connection import Connection, seconds

__all__ = ["Toolbar"]

PERIOD_S = 1.0
SILENCE_S = 3.0
"""When an answer takes longer, it is said so."""
PARTING_S = 1.0
"""How long is waited at the end for a look at a server, which may never answer."""


class Toolbar:
    """Looks at the database once a second, in a thread of its own, so that the prompt never waits for it."""

    def __init__(
        self,
        connection: Connection,
        target: Callable[[], AnyDatabase | AnyCollection],
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """`target` gives the collection that is used at the moment; it may have to be opened first."""
        self._connection = connection
        self._target = target
        self._steady = steady
        self._asked_at_s: float | None = None
        self._statistics: Statistics | None = None
        self._node = ""
        self._proven = ""
        self._leader: str | None = None
        self.notices: Notices | None = None
        """Told of each look."""
        self._alone: object = None
        """Where there is no cluster, so that it is not asked for again."""
        self._closed = False
        self._due = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, changed: Callable[[], None]) -> None:
        """Begin to look, if that has not been done; `changed` is called when there is something new to show."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, args=(changed,), name="toolbar", daemon=True)
            self._thread.start()

    def _watch(self, changed: Callable[[], None]) -> None:
        while not self._closed:
            before = self._shown()
            self._due.clear()
            self._look()
            if self._shown() != before or self._connection.lost_s is not None:
                changed()
            self._due.wait(PERIOD_S)

    def _shown(self) -> tuple[bool, int, int, str] | None:
        now = self._statistics
        told = f"{self._node} {self._proven}"
        return None if now is None else (self._connection.lost_s is None, now.records, now.blocks, told)

    def look(self) -> None:
        """Look now; at a server, which may be slow, in the thread."""
        self._due.set() if self._connection.is_server else self._look()

    def _look(self) -> None:
        self._asked_at_s = self._steady()
        try:
            target = self._target()
            self._statistics = target.stats()
            proven = getattr(target, "proven_records", None)  # of a client that looks at proofs
            self._proven = "" if proven is None else plural(proven, "record")
            self._node = self._node_asked()
            if self.notices is not None:
                self.notices.look(self._connection(), self._statistics, self._leader)
        except BlockDBError as error:
            self._connection.missed(error)
        else:
            self._connection.found()
        finally:
            self._asked_at_s = None

    def _node_asked(self) -> str:
        """The node of a cluster that answers, and what it is there; empty where there is no cluster."""
        self._leader = None
        location = self._connection.location
        cluster = getattr(self._connection(), "cluster", None) if self._connection.is_server else None
        if cluster is None or location is self._alone:
            return ""
        try:
            state = cluster.state()
        except (Unavailable, RequestTimeout):
            raise
        except BlockDBError:  # it does not say, or not to everybody
            self._alone = location
            return ""
        if state.engine == "lone":
            self._alone = location
            return ""
        self._leader = state.leader
        return printable(f"{state.node_id} {state.state.lower()}")

    def fragments(self, session: Session, columns: int, mode: str = "") -> StyleAndTextTuples:
        """The pieces of the line, as many as there is room for; `mode` is that of an editor with modes."""
        now, trouble = self._statistics, self._trouble()
        if now is None and not trouble:
            return [("class:bottom-toolbar.label", " …")]
        place = title_of(self._connection.location) if self._connection.is_server or now is None else now.data_dir
        shown = shortened(printable(place.removeprefix("http://")), 40 if self._connection.is_server else 30)
        pieces = [Piece(0, [("", f" {shown} ")])]
        if mode:
            pieces.append(Piece(0, [("class:bottom-toolbar.label", f"  {mode}")]))
        if now is None or trouble:
            return _fitting([*pieces, Piece(0, [("class:bottom-toolbar.warning", f" {trouble}")])], columns)
        if self._node:
            pieces.append(_labelled(2, "node", self._node))
        if session.collection is not None:
            pieces.append(_labelled(6, "in", shortened(printable(session.collection), 20)))
        pieces += [
            _labelled(7, "records", human_count(now.records)),
            _labelled(3, "height", plural(now.blocks, "block")),
        ]
        if (transaction := session.transaction) is not None:
            state = "open" if transaction.is_active else "ended"
            pieces.append(_labelled(1, "tx", f"{transaction.id} {state} {seconds(session.transaction_age_s or 0)}"))
        pieces.append(_labelled(4, "proven", session.proven or self._proven or "—"))
        if session.latency_s is not None:
            pieces.append(_labelled(5, "last", human_duration(session.latency_s)))
        if now.read_only:
            pieces.append(Piece(0, [("class:bottom-toolbar.warning", "  read-only")]))
        return _fitting(pieces, columns)

    def _trouble(self) -> str:
        """What keeps the figures from being true, in a few words."""
        lost_s, asked_at_s = self._connection.lost_s, self._asked_at_s
        if lost_s is not None:
            return f"connection lost, trying again … ({seconds(lost_s)})"
        silent_s = 0.0 if asked_at_s is None else self._steady() - asked_at_s
        return f"no answer for {seconds(silent_s)} …" if silent_s >= SILENCE_S else ""

    def close(self) -> None:
        """Stop looking, so that the database can be closed."""
        self._closed = True
        self._due.set()
        if self._thread is not None:
            self._thread.join(PARTING_S if self._connection.is_server else None)


@dataclass(frozen=True)
class Piece:
    """A part of the line. Where there is no room, the ones with the highest `rank` go first; 0 never goes."""

    rank: int
    fragments: StyleAndTextTuples

    @property
    def width(self) -> int:
        """The cells that it takes."""
        return sum(get_cwidth(fragment[1]) for fragment in self.fragments)


def _labelled(rank: int, label: str, text: str) -> Piece:
    return Piece(rank, [("class:bottom-toolbar.label", f"  {label} "), ("", text)])


def _fitting(pieces: list[Piece], columns: int) -> StyleAndTextTuples:
    """As many of the pieces as fit."""
    left = list(pieces)
    while sum(piece.width for piece in left) > columns and any(piece.rank for piece in left):
        left.remove(max(left, key=lambda piece: piece.rank))
    return [fragment for piece in left for fragment in piece.fragments]
