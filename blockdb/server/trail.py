"""The trail: everything that somebody asks of the server is entered in the audit log before it is answered.

Nothing is done that cannot be recorded. Where an entry cannot be written, its request fails, and all that come after it
are refused before anything is done, until that entry could be written after all. Once a force has failed nobody knows
what the disk holds, and that lasts until the server is started again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from threading import Event, Lock, Thread
from time import monotonic, time_ns
from typing import Final

from blockdb.database.database import Database
from blockdb.errors import BlockDBError, StorageError, WritesStopped
from blockdb.security.roles import Reach, Right
from blockdb.server.service import Call, Outcome, Service
from blockdb.server.tokens import TokenFile, TokenInfo
from blockdb.serving.files import identity_of
from blockdb.types import Act

__all__ = ["ALL", "CHANGES", "OFF", "AuditTrail"]

CHANGES: Final = "changes"
ALL: Final = "all"
OFF: Final = "off"
"""What `[security] audit` may say."""

OK: Final = "ok"
INTERNAL: Final = "Internal"
"""The outcome of what has met a bug."""

FORCE_EVERY_S: Final = 1.0
SIGN_EVERY_S: Final = 10.0
JOURNAL_EVERY_S: Final = 600.0
AT_THE_DOOR_A_SECOND: Final = 50
"""Of those who are turned away at the door so many are entered each; of the others, how many there were."""

_TURNED_AWAY: Final = frozenset({"RateLimited", "Unauthenticated"})
_REFUSED: Final = frozenset({"Forbidden", *_TURNED_AWAY})
_READING: Final = frozenset({Right.READ, Right.AUDIT, None})
_ENDING: Final = frozenset({"abort", "commit"})
"""What is done with the right to read alone, and changes something."""
_NOWHERE: Final = Reach(None)


class AuditTrail:
    """Enters what is done through the doors of a server. Safe for threads.

    Entries survive a killed process once `enter` returns. They are forced to the disk each second and signed every ten,
    by a thread of its own, and on `close`, which has to come before the database is closed.
    """

    def __init__(self, database: Database, what: str = CHANGES) -> None:
        """`what` is to be entered: `changes` (all but reads, and whoever is refused), `all`, or `off`: nothing.

        Raises Corruption where the log that is there is not what was signed, StorageError.
        """
        self._database = database
        self._what = what
        self._log = None if what == OFF else database.audit_log()
        self._entering = Lock()
        self._owed: list[Act] = []
        """What was done and could not be written yet."""
        self._failure: WritesStopped | None = None
        self._second = self._at_the_door = 0
        self._uncounted = 0
        self._token_file = TokenFile(database.path)
        self._tokens_seen = identity_of(self._token_file.path)
        self._tokens = self._known_tokens()
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="blockdb-trail", daemon=True)
        if self._log is not None:
            self._thread.start()

    def attach(self, service: Service) -> None:
        """Have a service ask first, and tell of each call before it is answered."""
        if self._log is not None:
            service.guards.append(self.check)
            service.record = self.enter

    def renew(self) -> None:
        """Another copy of the database took the place of the one that was open; the log is the same."""
        if self._log is not None:
            with self._entering:
                self._log = self._database.audit_log()

    def check(self, call: Call) -> None:
        """Before something is done: raise WritesStopped unless it can be entered."""
        if (self._owed or self._failure is not None) and self._takes(call, OK):
            with self._entering:
                self._settle()

    def enter(self, outcomes: Iterable[Outcome]) -> None:
        """Enter what became of calls, with one write. O(calls). Raises WritesStopped."""
        acts = [act for call, error, _ in outcomes if (act := self._act(call, error)) is not None]
        if acts:
            self._append(acts)

    def _act(self, call: Call, error: BaseException | None) -> Act | None:
        """The entry of a call; None where it has none."""
        outcome = OK if error is None else type(error).__name__ if isinstance(error, BlockDBError) else INTERNAL
        if not self._takes(call, outcome) or (outcome in _TURNED_AWAY and self._is_crowded()):
            return None
        who, where = call.principal, call.reach or _NOWHERE
        keys = where.keys or ()
        key = keys[0] if keys else b""
        return Act(
            time_ns() // 1_000_000,
            who.name,
            who.token_id or "",
            call.peer,
            call.door,
            call.operation.name,
            where.collection,
            key,
            len(key),
            max(len(keys), call.keys),
            outcome,
            call.request_id,
        )

    def close(self) -> None:
        """Write, force and sign what was entered. Idempotent. Raises StorageError."""
        if self._log is None or self._stopping.is_set():
            return
        self._stopping.set()
        self._thread.join()
        self._count_the_crowd()
        self._look_at_tokens()
        with self._entering:
            self._settle()
        self._log.sign()

    def _takes(self, call: Call, outcome: str) -> bool:
        """Whether a call that ends so is entered."""
        operation = call.operation
        is_change = operation.right not in _READING or operation.name in _ENDING
        return is_change or self._what == ALL or outcome in _REFUSED

    def _append(self, acts: Sequence[Act]) -> None:
        with self._entering:
            self._owed += acts
            self._settle()

    def _settle(self) -> None:
        """Write what is owed, in order. Raises WritesStopped."""
        assert self._log is not None, "nothing is entered where there is no log"
        if self._failure is not None:
            raise self._failure
        try:
            if self._owed:
                self._log.append_all(self._owed)
                self._owed.clear()
        except StorageError as error:
            what = "What is done cannot be entered in the audit log, so nothing more is done until it can"
            raise WritesStopped(f"{what}: {error}") from error

    def _is_crowded(self) -> bool:
        """Whether many were turned away in this second already; this one is only counted then."""
        now = int(monotonic())
        with self._entering:
            if now != self._second:
                self._second, self._at_the_door = now, 0
            self._at_the_door += 1
            is_crowded = self._at_the_door > AT_THE_DOOR_A_SECOND
            self._uncounted += is_crowded
        return is_crowded

    def _count_the_crowd(self) -> None:
        """Enter how many were turned away without an entry of their own. Raises WritesStopped."""
        with self._entering:
            many, self._uncounted = self._uncounted, 0
        if many:
            now_ms = time_ns() // 1_000_000
            self._append([Act(now_ms, "", "", "", "", "turned_away", None, b"", 0, many, "Unauthenticated", "")])

    # In a thread of its own.

    def _known_tokens(self) -> dict[str, TokenInfo]:
        with suppress(BlockDBError):  # who asks is told that it cannot be read
            return {info.id: info for info in self._token_file.list()}
        return {}

    def _look_at_tokens(self) -> None:
        """Enter which tokens somebody made or revoked beside the server. Raises WritesStopped."""
        seen = identity_of(self._token_file.path)
        if seen == self._tokens_seen:
            return
        self._tokens_seen = seen
        before, self._tokens = self._tokens, self._known_tokens()
        made, gone = self._tokens.keys() - before.keys(), before.keys() - self._tokens.keys()
        for operation, ids in (("token create", made), ("token revoke", gone)):
            for token_id in sorted(ids):
                who = ("local", token_id, "", "local")
                self._append([Act(time_ns() // 1_000_000, *who, operation, None, b"", 0, 0, OK, "")])

    def _run(self) -> None:
        signed = journaled = monotonic()
        while not self._stopping.wait(FORCE_EVERY_S):
            now = monotonic()
            is_signing, is_journaling = now - signed >= SIGN_EVERY_S, now - journaled >= JOURNAL_EVERY_S
            try:
                self._look_after(is_signing, is_journaling)
            except BlockDBError:
                continue  # it is tried again; a force that failed is noted
            signed = now if is_signing else signed
            journaled = now if is_journaling else journaled

    def _look_after(self, is_signing: bool, is_journaling: bool) -> None:
        """Have the disk hold what was entered, and perhaps sign it. Raises BlockDBError."""
        assert self._log is not None, "the thread runs where there is one"
        with suppress(WritesStopped):  # whoever asks next is told
            self._count_the_crowd()
            self._look_at_tokens()
        try:
            self._log.force()
        except WritesStopped as error:
            self._failure = error
            raise
        if is_signing:
            self._log.sign()
        if is_journaling:
            self._database.journal_audit_log()
