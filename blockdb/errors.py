"""One family of errors: a class for each thing that a caller can do something about.

Every message says what happened and what to do. `str(error)` is that message; the name of the class is the
error's kind, which the command line prints as `Error: <Kind>: <message>`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from unicodedata import combining, east_asian_width

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
    "DuplicateIndex",
    "DuplicateKey",
    "Forbidden",
    "HistoryConflict",
    "IndexNotFound",
    "InvalidData",
    "InvalidProof",
    "KeyNotFound",
    "MasterKeyError",
    "QueryError",
    "RateLimited",
    "ReadOnly",
    "Redacted",
    "RequestTimeout",
    "RequestTooLarge",
    "StorageError",
    "TransactionClosed",
    "TransactionTimeout",
    "Unauthenticated",
    "Unavailable",
    "UniqueViolation",
    "UnsupportedFormat",
    "ValidationError",
    "Violation",
    "WritesStopped",
]


_SHOWN_CHARACTERS = 80


def _shown(value: object) -> str:
    """A JSON value, or the beginning of a long one."""
    import json  # here: `blockdb --version` needs none

    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


class BlockDBError(Exception):
    """The root of the family: catch this to catch everything that BlockDB raises on purpose."""


class InvalidData(BlockDBError, ValueError):
    """A key, value or argument is not acceptable: wrong type, empty, or beyond a documented limit."""


class QueryError(InvalidData):
    """A filter, an order or a list of fields is not written as such, or its parameters do not fit.

    `text` is what was given, `position` the place in it (characters from 0) where it goes wrong, and `what` says how.
    `pointer` is two lines: the text, shortened around the place, and a caret below it. `str(error)` is all of that.
    """

    def __init__(self, text: str, position: int, what: str) -> None:
        self.text = text
        self.position = position
        self.what = what
        self.pointer = _pointer(text, position)
        super().__init__(f"{what}\n{self.pointer}" if text else what)

    def __reduce__(self) -> tuple[type[QueryError], tuple[str, int, str]]:
        return type(self), (self.text, self.position, self.what)


def _pointer(text: str, position: int, width: int = 100) -> str:
    """The text around a place and a caret below it, on one line each; what is not printable is a dot."""
    first = max(0, min(position - width // 2, len(text) - width))
    shown = [char if char.isprintable() else "·" for char in text[first : first + width]]
    before, after = "…" if first else "", "…" if first + width < len(text) else ""
    columns = sum(2 if east_asian_width(char) in "WF" else not combining(char) for char in shown[: position - first])
    return f"  {before}{''.join(shown)}{after}\n  {' ' * (len(before) + columns)}^"


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing of a document that is not as its schema says."""

    path: str
    """Where: names, and members of arrays by their number (`items[3].price`)."""
    rule: str
    """What is violated: `Type`, `Required`, or the name of a rule, such as `MinLength`."""
    message: str
    """What is expected there, and what was found."""

    def __str__(self) -> str:
        return f"`{self.path}` {self.message}"


class ValidationError(InvalidData):
    """A document is not as the schema of its collection says. Nothing was written.

    `violations` has all that is wrong with it, each with its path; `key` is the key that it was given with.
    """

    def __init__(self, violations: tuple[Violation, ...], key: bytes | None = None) -> None:
        self.violations = violations
        self.key = key
        whose = "" if key is None else f" of key '{key.decode('utf-8', 'backslashreplace')}'"
        told = "; ".join(map(str, violations[:5]))
        more = f"; and {len(violations) - 5} more" if len(violations) > 5 else ""
        super().__init__(f"The document{whose} is not as the schema says: {told}{more}.")

    def __reduce__(self) -> tuple[type[ValidationError], tuple[tuple[Violation, ...], bytes | None]]:
        return type(self), (self.violations, self.key)


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
    """The transaction gave way, and nothing of it was stored: run it again.

    It was the youngest of some that waited for each other; or, in a cluster, another node stored what it had not seen.
    """


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


class IndexNotFound(BlockDBError, LookupError):
    """The collection has no index of that name. `name` is what was asked for."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"Index '{name}' not found; `blockdb collection indexes ID` shows those that there are.")

    def __reduce__(self) -> tuple[type[IndexNotFound], tuple[str]]:
        return type(self), (self.name,)


class DuplicateIndex(BlockDBError):
    """The collection has an index of that name. `name` is it."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"Index with name '{name}' already exists. Choose another name, or drop that one.")

    def __reduce__(self) -> tuple[type[DuplicateIndex], tuple[str]]:
        return type(self), (self.name,)


class UniqueViolation(BlockDBError):
    """Two documents may not have the same values in the fields of a unique index. Nothing was written.

    `index` is its name, `fields` its paths, `values` the values (JSON; None also where a field is missing), `key` the
    key of the record that has them. `other` is the key of another stored record that has them, where an index was to
    be made.
    """

    def __init__(
        self, index: str, fields: tuple[str, ...], values: tuple[object, ...], key: bytes, other: bytes | None = None
    ) -> None:
        self.index = index
        self.fields = fields
        self.values = values
        self.key = key
        self.other = other
        shown = ", ".join(f"{field} = {_shown(value)}" for field, value in zip(fields, values, strict=True))
        keys = " and ".join(f"'{key.decode('utf-8', 'backslashreplace')}'" for key in (key, other) if key is not None)
        what = f"record {keys} has" if other is None else f"records {keys} both have"
        super().__init__(f"Index '{index}' is unique, and {what} {shown}{' already' * (other is None)}.")

    def __reduce__(self) -> tuple[type[UniqueViolation], tuple[object, ...]]:
        return type(self), (self.index, self.fields, self.values, self.key, self.other)


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


class Unauthenticated(BlockDBError):
    """Nobody knows who is asking: there is no token, or it is not known here, was revoked, or has expired."""


class Forbidden(BlockDBError):
    """Who is asking may not do this; the message says what they would have to be allowed."""


class RateLimited(BlockDBError):
    """There were too many requests in a short time. `retry_after_s` is when to try again."""

    def __init__(self, retry_after_s: float) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(f"There were too many requests with this token. Try again in {retry_after_s:.3g} s.")

    def __reduce__(self) -> tuple[type[RateLimited], tuple[float]]:
        return type(self), (self.retry_after_s,)


class RequestTooLarge(InvalidData):
    """A request, or what it would be once it is decompressed, is larger than the server takes."""


class IdempotencyConflict(InvalidData):
    """An Idempotency-Key was given that had stood for another request before."""


class RequestTimeout(BlockDBError):
    """A request took longer than it may. Of a write nobody can say whether it was stored: look, or try it again."""


class Unavailable(BlockDBError):
    """No server can be reached, or the one that was is about to stop; nothing is known of what was asked last."""
