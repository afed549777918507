"""The body of an answer as it comes in: bounded, and decompressed where it is compressed. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Final

__all__ = ["ENCODINGS", "BadBody", "Collector"]

ENCODINGS: Final = ("gzip", "identity")
PIECE_BYTES: Final = 1 << 20


class BadBody(ValueError):
    """A body is too large, or is not what its headers say."""


class Collector:
    """Collects a body of `max_bytes` at most, decompressed. Methods raise BadBody."""

    def __init__(self, headers: Mapping[str, str], max_bytes: int) -> None:
        encoding = headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ENCODINGS:
            raise BadBody(f"its encoding is {encoding[:20]!r}, which was not asked for")
        self._inflate = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16) if encoding == "gzip" else None
        self._max_bytes = max_bytes
        self._parts: list[bytes] = []
        self._size = 0
        length = headers.get("content-length", "")
        if length.isascii() and length.isdecimal():
            self._check(int(length))

    def add(self, data: bytes) -> None:
        """Take the next bytes."""
        if self._inflate is None:
            self._keep(data)
            return
        try:
            while data:
                self._keep(self._inflate.decompress(data, PIECE_BYTES))
                data = self._inflate.unconsumed_tail
        except zlib.error:
            raise BadBody("its compression is damaged") from None

    def done(self) -> bytes:
        """The body, which has come to its end."""
        if self._inflate is not None and not self._inflate.eof:
            raise BadBody("its compressed body was cut short")
        return b"".join(self._parts)

    def _keep(self, data: bytes) -> None:
        self._parts.append(data)
        self._size += len(data)
        self._check(self._size)

    def _check(self, size: int) -> None:
        if size > self._max_bytes:
            raise BadBody(f"it is larger than the {self._max_bytes} bytes that are taken of one answer")
