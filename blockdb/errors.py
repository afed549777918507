"""One family of errors: a class for each thing that a caller can do something about.

Every message says what happened and what to do. `str(error)` is that message; the name of the class is the
error's kind, which the command line prints as `Error: <Kind>: <message>`.
"""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = [
    "AnchorFailed",
    "AppendOnly",
    "BlockDBError",
    "BlockNotFound",
    "CollectionNotFound",
    "ConfigError",
    "Corruption",
    "DatabaseClosed",
    "DatabaseLocked",
    "DatabaseNotFound",
    "Deadlock",
    "DuplicateCollection",
    "DuplicateKey",
    "HistoryConflict",
    "InvalidData",
    "InvalidProof",
    "KeyNotFound",
    "MasterKeyError",
    "ReadOnly",
    "Redacted",
    "StorageError",
    "TransactionClosed",
    "TransactionTimeout",
    "UnsupportedFormat",
    "WritesStopped",
]


class BlockDBError(Exception):
    """The root of the family: catch this to catch everything that BlockDB raises on purpose."""


class InvalidData(BlockDBError, ValueError):
    """A key, value or argument is not acceptable: wrong type, empty, or beyond a documented limit."""


class DuplicateKey(BlockDBError):
    """The key is already stored. Nothing was written.

    `key` is the first offending key as bytes; `expired` says that reads do not show its record any more.
    """

    def __init__(self, key: bytes, expired: bool = False) -> None:
        self.key = key
        self.expired = expired
        shown = key.decode("utf-8", "backslashreplace")
        what = "has expired, but the chain keeps it" if expired else "already exists"
        super().__init__(f"Key '{shown}' {what}. BlockDB is append-only and does not allow updates.")

    def __reduce__(self) -> tuple[type[DuplicateKey], tuple[bytes, bool]]:
        return type(self), (self.key, self.expired)


class AppendOnly(BlockDBError):
    """Somebody asked to change or delete what is stored; no door of the database does that."""


class Deadlock(BlockDBError):
    """Transactions waited for each other, and this one, the youngest, gave way: nothing of it was stored."""


class TransactionTimeout(BlockDBError):
    """The transaction took longer than it may (`transaction_timeout`) and gave way: nothing of it was stored."""


class TransactionClosed(BlockDBError):
    """The transaction was committed or aborted already."""


class Redacted(BlockDBError):
    """The value of the key was erased for good, on purpose; its hash, and with it every proof, stays.

    `time_ms` (Unix time in milliseconds), `by` and `reason` say when, who and why; None where that is not known here.
    """

    def __init__(
        self, key: bytes, time_ms: int | None = None, by: str | None = None, reason: str | None = None
    ) -> None:
        self.key = key
        self.time_ms = time_ms
        self.by = by
        self.reason = reason
        shown = key.decode("utf-8", "backslashreplace")
        when = "" if time_ms is None else f" at {datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
        who = "" if by is None else f" by {by}"
        why = "" if reason is None else f" ({reason})"
        what = f"The value of key '{shown}' was redacted{when}{who}{why}"
        super().__init__(f"{what}: it is gone for good, its hash remains.")

    def __reduce__(self) -> tuple[type[Redacted], tuple[bytes, int | None, str | None, str | None]]:
        return type(self), (self.key, self.time_ms, self.by, self.reason)


class BlockNotFound(BlockDBError, LookupError):
    """There is no sealed block of that number."""


class KeyNotFound(BlockDBError, LookupError):
    """Something was asked about a key that is not stored. `key` is the key as bytes."""

    def __init__(self, key: bytes) -> None:
        self.key = key
        super().__init__(f"Key '{key.decode('utf-8', 'backslashreplace')}' is not stored.")

    def __reduce__(self) -> tuple[type[KeyNotFound], tuple[bytes]]:
        return type(self), (self.key,)


class CollectionNotFound(BlockDBError, LookupError):
    """There is no collection of that name or id. `name` is what was asked for."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"Collection '{name}' not found; `blockdb collection list` shows those that there are.")

    def __reduce__(self) -> tuple[type[CollectionNotFound], tuple[str]]:
        return type(self), (self.name,)


class DuplicateCollection(BlockDBError):
    """There is a collection of that name. `name` is it."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"Collection with name '{name}' already exists. Choose another name, or use that one.")

    def __reduce__(self) -> tuple[type[DuplicateCollection], tuple[str]]:
        return type(self), (self.name,)


class InvalidProof(BlockDBError, ValueError):
    """A receipt or checkpoint does not prove what it should, or not to somebody who trusts these keys."""


class ConfigError(BlockDBError, ValueError):
    """A setting is unknown, of the wrong type or out of range; the message names the key."""


class DatabaseNotFound(BlockDBError):
    """There is no database at that path and none may be created there."""


class DatabaseLocked(BlockDBError):
    """Another writer has the directory; the message says which process."""


class MasterKeyError(BlockDBError):
    """The database is encrypted, and the master key is missing or another one; the message says how to give it."""


class DatabaseClosed(BlockDBError):
    """The handle was closed, or belongs to the parent of a forked process."""


class ReadOnly(BlockDBError):
    """A write was asked of a handle that was opened with `read_only=True`."""


class StorageError(BlockDBError):
    """The operating system refused: no space, no permission, an input/output error.

    What was acknowledged before is safe, and what failed was not written.
    """


class WritesStopped(StorageError):
    """A force to disk failed, so nobody knows what the disk holds; this handle takes no more writes."""


class Corruption(BlockDBError):
    """Stored bytes are not what was written.

    `path` is the file, `offset` the place in it (None where it concerns the whole file).
    """

    def __init__(self, path: str, offset: int | None, what: str) -> None:
        self.path = path
        self.offset = offset
        self.what = what
        place = path if offset is None else f"{path} at byte {offset}"
        advice = "run `blockdb verify --repair`, or restore it from a copy"
        super().__init__(f"{place}: {what}. Nothing of it was served; {advice}.")

    def __reduce__(self) -> tuple[type[Corruption], tuple[str, int | None, str]]:
        return type(self), (self.path, self.offset, self.what)


class AnchorFailed(BlockDBError):
    """An anchor or a witness could not be asked, or did not do its work: nothing is known from it."""


class HistoryConflict(BlockDBError):
    """An anchor or a witness has seen another history than this one: it was rewritten, cut, rolled back or forked.

    `size` is how many entries a witness has seen; None where more is known than that.
    """

    def __init__(self, what: str, size: int | None = None) -> None:
        self.size = size
        super().__init__(what)

    def __reduce__(self) -> tuple[type[HistoryConflict], tuple[str, int | None]]:
        return type(self), (str(self), self.size)


class UnsupportedFormat(BlockDBError):
    """A file was written by a newer version of BlockDB; the message names both versions."""
