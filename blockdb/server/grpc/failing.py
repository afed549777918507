"""Errors as gRPC tells them: a code, words, and metadata with which a program raises the same error again."""

from __future__ import annotations

from typing import Final

import grpc
import msgspec

from blockdb.errors import RateLimited
from blockdb.wire.failures import failure_of

__all__ = ["FAILURE_KEY", "KIND_KEY", "MOST_WORDS", "Refusal", "refusal_of"]

KIND_KEY: Final = "blockdb-error"
"""The error's kind, in trailing metadata."""
FAILURE_KEY: Final = "blockdb-error-bin"
"""The error with its arguments in MessagePack, as over HTTP; missing where they are too long for metadata."""

MOST_WORDS: Final = 1_000
"""Characters of a message that are told: of metadata, most clients take no more than 8 KiB altogether."""
_MOST_BYTES: Final = 3 * 1024


class Refusal(msgspec.Struct, frozen=True):
    """What an error is told as."""

    code: grpc.StatusCode
    words: str
    metadata: tuple[tuple[str, str | bytes], ...]


def refusal_of(error: BaseException, request_id: str) -> Refusal:
    """How an error is told."""
    failure = failure_of(error)
    metadata: list[tuple[str, str | bytes]] = [("x-request-id", request_id), (KIND_KEY, failure.kind)]
    packed = msgspec.msgpack.encode(failure)
    if len(packed) <= _MOST_BYTES:
        metadata.append((FAILURE_KEY, packed))
    if isinstance(error, RateLimited):
        metadata.append(("grpc-retry-pushback-ms", str(max(1, round(error.retry_after_s * 1000)))))
    words = failure.message
    shown = words if len(words) <= MOST_WORDS else f"{words[:MOST_WORDS]}…"
    return Refusal(grpc.StatusCode[failure.grpc_code], shown, tuple(metadata))
