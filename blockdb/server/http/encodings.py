"""Bodies that come or go compressed (RFC 9110, 8.4), bounded: nothing is inflated beyond what is taken anyway."""

from __future__ import annotations

import zlib
from typing import Final, Protocol

import zstandard

from blockdb.errors import InvalidData, RequestTooLarge

__all__ = ["ACCEPTED", "Inflater", "chosen", "deflater", "inflater"]

ACCEPTED: Final = "zstd, gzip, deflate"
MAX_WINDOW_BYTES: Final = 8 * 1024**2
"""What RFC 9659 lets a client expect of zstd over HTTP."""
ZSTD_STEP_BYTES: Final = 128
"""At a time: its smallest block has 4 bytes and says 128 KiB, so no more than 4 MiB come of a step."""
_GZIP, _ZLIB = 31, 15


class Inflater(Protocol):
    """A body that is decompressed as it comes."""

    def feed(self, piece: bytes, most_bytes: int) -> bytes:
        """What a piece says. Raises RequestTooLarge where that has more than `most_bytes`, InvalidData."""

    def end(self) -> None:
        """Nothing comes any more. Raises InvalidData where something is missing."""


def inflater(name: str) -> Inflater:
    """What inflates a `Content-Encoding`. Raises InvalidData for one that is not known."""
    match name.strip().lower():
        case "gzip" | "x-gzip":
            return _Zlib(_GZIP)
        case "deflate":
            return _Zlib(_ZLIB)
        case "zstd":
            return _Zstd()
    raise InvalidData(f"Content-Encoding: {name!r} is not known here; {ACCEPTED} are.")


def _too_large(most_bytes: int) -> RequestTooLarge:
    return RequestTooLarge(
        f"Decompressed, the request has more than {most_bytes:,} bytes (`max_body_bytes`). Send it in parts."
    )


class _Zlib:
    def __init__(self, window: int) -> None:
        self._window = window
        self._member = zlib.decompressobj(window)

    def feed(self, piece: bytes, most_bytes: int) -> bytes:
        found = bytearray()
        try:
            while piece:
                if self._member.eof:  # gzip may have one member after the other
                    if self._window != _GZIP:
                        raise InvalidData("The body goes on after the end of what was compressed.")
                    self._member = zlib.decompressobj(self._window)
                found += self._member.decompress(piece, most_bytes - len(found) + 1)
                if len(found) > most_bytes:
                    raise _too_large(most_bytes)
                piece = self._member.unconsumed_tail or self._member.unused_data
        except zlib.error as error:
            raise _damaged(error) from None
        return bytes(found)

    def end(self) -> None:
        if not self._member.eof:
            raise _cut_short()


class _Zstd:
    def __init__(self) -> None:
        self._frames = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES)
        self._frame = self._frames.decompressobj()

    def feed(self, piece: bytes, most_bytes: int) -> bytes:
        found = bytearray()
        try:
            for start in range(0, len(piece), ZSTD_STEP_BYTES):
                rest = piece[start : start + ZSTD_STEP_BYTES]
                while rest:
                    if self._frame.eof:
                        self._frame = self._frames.decompressobj()
                    found += self._frame.decompress(rest)
                    rest = self._frame.unused_data
                if len(found) > most_bytes:
                    raise _too_large(most_bytes)
        except zstandard.ZstdError as error:
            raise _damaged(error) from None
        return bytes(found)

    def end(self) -> None:
        if not self._frame.eof:
            raise _cut_short()


def _damaged(error: Exception) -> InvalidData:
    return InvalidData(f"The body cannot be decompressed: {error}.")


def _cut_short() -> InvalidData:
    return InvalidData("The body ends in the middle of what was compressed.")


# Answers.


class _Deflater(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self, mode: int = ..., /) -> bytes: ...


def chosen(accepted: bytes) -> bytes | None:
    """The encoding for an answer to who accepts these (`Accept-Encoding`): zstd, gzip, or None."""
    weights: dict[bytes, bool] = {}
    for part in accepted.lower().split(b","):
        name, _, weight = part.partition(b";")
        weights[name.strip()] = weight.replace(b" ", b"").rstrip(b"0.") not in (b"q=", b"q")
    for name in (b"zstd", b"gzip"):
        if weights.get(name, False):
            return name
    return None


def deflater(name: bytes) -> _Deflater:
    """What compresses an answer; quick rather than small."""
    if name == b"zstd":
        return zstandard.ZstdCompressor(level=1).compressobj()
    return zlib.compressobj(1, zlib.DEFLATED, _GZIP)
