"""Errors across the wire: which status they are, how they are told, and how the client raises the same one again."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec

from blockdb import errors
from blockdb.errors import BlockDBError, StorageError, Violation

__all__ = ["GRPC_CODES", "STATUSES", "Failure", "error_of", "failure_of", "short_message"]

STATUSES: Final[Mapping[str, HTTPStatus]] = {
    "AnchorFailed": HTTPStatus.BAD_GATEWAY,
    "AppendOnly": HTTPStatus.METHOD_NOT_ALLOWED,
    "BlockNotFound": HTTPStatus.NOT_FOUND,
    "CollectionNotFound": HTTPStatus.NOT_FOUND,
    "ConfigError": HTTPStatus.BAD_REQUEST,
    "Deadlock": HTTPStatus.CONFLICT,
    "DuplicateCollection": HTTPStatus.CONFLICT,
    "DuplicateIndex": HTTPStatus.CONFLICT,
    "DuplicateKey": HTTPStatus.CONFLICT,
    "Forbidden": HTTPStatus.FORBIDDEN,
    "HistoryConflict": HTTPStatus.CONFLICT,
    "IdempotencyConflict": HTTPStatus.UNPROCESSABLE_ENTITY,
    "IndexNotFound": HTTPStatus.NOT_FOUND,
    "InvalidData": HTTPStatus.BAD_REQUEST,
    "InvalidProof": HTTPStatus.BAD_REQUEST,
    "KeyNotFound": HTTPStatus.NOT_FOUND,
    "MethodNotAllowed": HTTPStatus.METHOD_NOT_ALLOWED,
    "NotFound": HTTPStatus.NOT_FOUND,
    "QueryError": HTTPStatus.BAD_REQUEST,
    "RateLimited": HTTPStatus.TOO_MANY_REQUESTS,
    "ReadOnly": HTTPStatus.CONFLICT,
    "Redacted": HTTPStatus.GONE,
    "RequestTimeout": HTTPStatus.GATEWAY_TIMEOUT,
    "RequestTooLarge": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "TransactionClosed": HTTPStatus.NOT_FOUND,
    "TransactionTimeout": HTTPStatus.CONFLICT,
    "Unauthenticated": HTTPStatus.UNAUTHORIZED,
    "Unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
    "DatabaseClosed": HTTPStatus.SERVICE_UNAVAILABLE,
    "UniqueViolation": HTTPStatus.CONFLICT,
    "ValidationError": HTTPStatus.UNPROCESSABLE_ENTITY,
    "WritesStopped": HTTPStatus.SERVICE_UNAVAILABLE,
}
"""What each kind of error is in HTTP; those that are not named are errors of the server."""

GRPC_CODES: Final[Mapping[HTTPStatus, str]] = {
    HTTPStatus.BAD_REQUEST: "INVALID_ARGUMENT",
    HTTPStatus.UNAUTHORIZED: "UNAUTHENTICATED",
    HTTPStatus.FORBIDDEN: "PERMISSION_DENIED",
    HTTPStatus.NOT_FOUND: "NOT_FOUND",
    HTTPStatus.METHOD_NOT_ALLOWED: "UNIMPLEMENTED",
    HTTPStatus.CONFLICT: "FAILED_PRECONDITION",
    HTTPStatus.GONE: "NOT_FOUND",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "RESOURCE_EXHAUSTED",
    HTTPStatus.UNPROCESSABLE_ENTITY: "INVALID_ARGUMENT",
    HTTPStatus.TOO_MANY_REQUESTS: "RESOURCE_EXHAUSTED",
    HTTPStatus.INTERNAL_SERVER_ERROR: "INTERNAL",
    HTTPStatus.BAD_GATEWAY: "UNAVAILABLE",
    HTTPStatus.SERVICE_UNAVAILABLE: "UNAVAILABLE",
    HTTPStatus.GATEWAY_TIMEOUT: "DEADLINE_EXCEEDED",
}
"""What each status is in gRPC."""

_OWN_GRPC_CODES: Final[Mapping[str, str]] = {
    "Corruption": "DATA_LOSS",
    "Deadlock": "ABORTED",
    "DuplicateCollection": "ALREADY_EXISTS",
    "DuplicateIndex": "ALREADY_EXISTS",
    "DuplicateKey": "ALREADY_EXISTS",
    "TransactionTimeout": "ABORTED",
    "UniqueViolation": "ALREADY_EXISTS",
}
"""Kinds of errors that gRPC tells apart where HTTP does not."""


class Failure(msgspec.Struct, kw_only=True):
    """An error as a program is told it: enough to raise it again."""

    kind: str
    message: str
    arguments: list[Any] = []

    @property
    def status(self) -> HTTPStatus:
        """Its status in HTTP."""
        return STATUSES.get(self.kind, HTTPStatus.INTERNAL_SERVER_ERROR)

    @property
    def grpc_code(self) -> str:
        """The name of its code in gRPC."""
        return _OWN_GRPC_CODES.get(self.kind) or GRPC_CODES[self.status]


def failure_of(error: BaseException) -> Failure:
    """How an error is told. One that is nobody's purpose is told without its text, which may say too much."""
    if not isinstance(error, BlockDBError):
        return Failure(kind="Internal", message="The server has met a bug; its log says more, under the request's id.")
    reduced = error.__reduce__()
    arguments = list(reduced[1]) if isinstance(reduced, tuple) and type(reduced[1]) is tuple else [str(error)]
    return Failure(kind=type(error).__name__, message=str(error), arguments=arguments)


def short_message(error: BaseException) -> str:
    """What people are told in JSON: without the advice that is about another door."""
    if isinstance(error, errors.DuplicateKey) and not error.expired:
        return f"Key '{error.key.decode('utf-8', 'backslashreplace')}' already exists"
    if isinstance(error, errors.KeyNotFound):
        return f"Key '{error.key.decode('utf-8', 'backslashreplace')}' not found"
    if isinstance(error, errors.DuplicateCollection):
        return f"Collection with name '{error.name}' already exists"
    if isinstance(error, errors.CollectionNotFound):
        return f"Collection '{error.name}' not found"
    if isinstance(error, errors.ValidationError):
        return f"Document validation failed: {'; '.join(map(_violation, error.violations))}"
    return failure_of(error).message


def _violation(violation: Violation) -> str:
    return f"missing required field '{violation.path}'" if violation.rule == "Required" else str(violation)


def error_of(failure: Failure) -> BlockDBError:
    """The error that was told. What only the server's own trouble can be is a StorageError."""
    cls = getattr(errors, failure.kind, None)
    if isinstance(cls, type) and issubclass(cls, BlockDBError):
        try:
            found = cls(*_restored(cls, failure.arguments))
        except (TypeError, ValueError, AttributeError):
            found = None
        if found is not None:
            return found
    return StorageError(f"The server could not do it ({failure.kind}): {failure.message}")


def _restored(cls: type[BlockDBError], arguments: list[Any]) -> list[Any]:
    """Arguments as the class takes them: what were tuples are so again."""
    if cls is errors.ValidationError:
        violations, key = arguments
        return [tuple(Violation(**each) for each in violations), key]
    return [tuple(each) if isinstance(each, list) else each for each in arguments]
