"""The database handle's audit log: reading who did what, and writing it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from time import time_ns
from typing import Final

from blockdb.database.anchoring import AnchoringDatabase
from blockdb.database.redaction import login_name
from blockdb.storage.audit_log import ActReader, AuditLog, newest_first
from blockdb.types import Act

LOCAL: Final = "local"
"""The door of whoever needs no server, and what their names begin with."""


class AuditedDatabase(AnchoringDatabase):
    """What of a database handle has to do with the audit log. `Database` has the rest."""

    def acts(
        self,
        *,
        after: int = -1,
        before: int | None = None,
        limit: int | None = None,
        reverse: bool = False,
        principal: str | None = None,
        operation: str | None = None,
        failed: bool = False,
    ) -> Iterator[Act]:
        """Who did what: the entries of the audit log after number `after`, the newest first with `reverse`.

        With `before`, those before that number. Those alone of a principal (name or token id) or an operation, or that
        `failed`; `limit` of them at most. Works beside a server. O(entries looked at). Raises Corruption, StorageError.
        """
        found = (
            act
            for act in self._acts(after, reverse)
            if (before is None or act.sequence < before)
            and (principal is None or principal in (act.principal, act.token_id))
            and (operation is None or operation == act.operation)
            and not (failed and act.outcome == "ok")
        )
        return islice(found, limit)

    def follow_acts(self, after: int = -1) -> ActReader:
        """A reader whose `take` gives the entries after number `after`, and then those that came since."""
        self._refreshed()
        core = self._core
        return ActReader(core.door, core.files.audit_log, core.audit_log.database, after)

    def audit_log(self) -> AuditLog:
        """The audit log for writing; it is made where there is none, and closed with the database.

        Raises ReadOnly, Corruption, StorageError.
        """
        self._refreshed()
        return self._core.audit_log.open()

    def begin_audit_log_anew(self) -> None:
        """Have the journal say that the audit log which there was is no more. Raises ReadOnly, StorageError."""
        self._refreshed()
        self._core.audit_log.begin_anew()

    def journal_audit_log(self) -> None:
        """Have the journal say how far the audit log is, so that it cannot be put back. Raises StorageError."""
        self._refreshed()
        self._core.audit_log.record()

    def record_act(
        self,
        operation: str,
        collection: str | None = None,
        keys: Sequence[bytes] = (),
        outcome: str = "ok",
        token_id: str = "",
    ) -> None:
        """Enter what was done here into the audit log, under the user's login name, if the database has such a log.

        `token_id` is the token that it was about. Raises ReadOnly, Corruption, StorageError.
        """
        if self._core.audit_log.exists:
            who, key = (f"{LOCAL}:{login_name()}", token_id, "", LOCAL), keys[0] if keys else b""
            what = (operation, collection, key, len(key), len(keys), outcome, "", -1)
            about = Act._make((time_ns() // 1_000_000, *who, *what))
            self.audit_log().append(about)

    def _acts(self, after: int, reverse: bool) -> Iterator[Act]:
        if not reverse:
            yield from self.follow_acts(after).take()
            return
        self._refreshed()
        core = self._core
        for act in newest_first(core.door, core.files.audit_log, core.audit_log.database):
            if act.sequence <= after:
                return
            yield act
