"""The database as a whole, its change stream, and the server."""

from __future__ import annotations

from typing import Any

from blockdb.alerts import Alert
from blockdb.statistics import ServerStatistics, Statistics
from blockdb.types import Change, Progress, Report
from blockdb.wire.messages.records import InCollection
from blockdb.wire.operation import Message


class Whoami(Message, kw_only=True):
    """Who is asking, as the server knows them."""

    name: str
    role: str
    collections: list[str] | None
    prefix: bytes
    expires_ms: int | None


class About(Message, kw_only=True):
    """What is served."""

    version: str
    data_dir: str
    default_collection: str
    collection_id: str
    read_only: bool


class Snapshot(Message, kw_only=True):
    """All that is counted and timed of a collection and the database."""

    statistics: Statistics


class ServerSnapshot(Message, kw_only=True):
    """All that the server counts and times of its own work."""

    statistics: ServerStatistics


class Alerts(Message, kw_only=True):
    """What somebody should look at, critical things first."""

    alerts: list[Alert]


class Audited(Message, kw_only=True):
    """How far an audit is, or, in the last answer, what it found."""

    progress: Progress | None = None
    report: Report | None = None


class Watch(InCollection, kw_only=True):
    """Records from the one after `after` on (-1: from the first), or from now on."""

    prefix: bytes | None = None
    after: int | None = None
    timeout_s: float | None = None
    token: str | None = None
    """In place of `after`: the token of a `Watched` of several partitions."""

    @property
    def begin(self) -> int | str | None:
        """Where it begins, as `Collection.watch` takes it."""
        return self.after if self.token is None else self.token


class Watched(Message, kw_only=True, omit_defaults=True):
    """A record that was stored; None where nothing came for a while. `position` is where to go on after.

    In several partitions, that is `token`, and `position` is -1.
    """

    position: int
    change: Change | None = None
    token: str | None = None

    @property
    def place(self) -> int | str:
        """Where to go on after, as a feed tells it."""
        return self.position if self.token is None else self.token


def told_as(place: int | str) -> dict[str, Any]:
    """The members of a `Watched` that say where to go on after."""
    return {"position": place} if isinstance(place, int) else {"position": -1, "token": place}


def asked_as(after: int | str | None) -> dict[str, Any]:
    """The members of a `Watch` that say where it begins."""
    return {"token": after, "after": None} if isinstance(after, str) else {"after": after, "token": None}


class Acts(Message, kw_only=True):
    """Entries of the audit log after number `after`, with `reverse` the newest first; `limit` at most (1,000).

    Those before number `before` alone, of a principal (name or token id) or an operation, or that `failed`.
    """

    after: int = -1
    limit: int = 100
    reverse: bool = False
    principal: str | None = None
    operation: str | None = None
    failed: bool = False
    before: int | None = None


class Entered(Message, kw_only=True):
    """An entry of the audit log; `key` is the first of `key_count`, and has `key_bytes` bytes."""

    sequence: int
    time_ms: int
    principal: str
    token_id: str
    peer: str
    door: str
    operation: str
    collection: str | None
    key: bytes
    key_bytes: int
    key_count: int
    outcome: str
    request_id: str


class AuditLog(Message, kw_only=True):
    """Entries of the audit log."""

    entries: list[Entered]


class Backup(Message, kw_only=True):
    """A backup of all collections; with `signing_key`, the secret key is in it."""

    signing_key: bool = False


class BackupSince(Message, kw_only=True):
    """What is new since an older backup, of which `since` is the header: its `backup.json`, as text."""

    since: str
    signing_key: bool = False
