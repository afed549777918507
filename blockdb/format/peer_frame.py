"""Frames: what nodes of a cluster send each other. Format page: docs/formats/peer-frames.md."""

from __future__ import annotations

from enum import IntEnum
from struct import Struct
from typing import Final, cast

from xxhash import xxh3_64_digest

__all__ = ["BadFrame", "FrameKind", "FrameReader", "OtherVersion", "pack_frame"]

MAGIC: Final = b"bP"
VERSION: Final = 1
CHECK_BYTES: Final = 4
_HEAD: Final = Struct("<2sBBI4s")
HEADER_BYTES: Final = _HEAD.size + CHECK_BYTES
TLS_RECORD: Final = b"\x16\x03"
"""How a connection begins on which somebody speaks TLS."""


class FrameKind(IntEnum):
    """What the body of a frame is."""

    HELLO = 1
    WELCOME = 2
    REFUSAL = 3
    MESSAGES = 4
    PING = 5
    PONG = 6
    ASK = 7
    ANSWER = 8
    SNAPSHOT = 9
    CHUNK = 10
    END = 11
    DONE = 12
    PIECE = 13
    LAST_PIECE = 14


class BadFrame(ValueError):
    """What came is no frame: damaged, too long, or of somebody who speaks something else."""


class OtherVersion(BadFrame):
    """It is a frame, of a version that is not spoken here."""


def pack_frame(kind: FrameKind, body: bytes = b"") -> bytes:
    """The frame around a body."""
    head = _HEAD.pack(MAGIC, VERSION, kind, len(body), xxh3_64_digest(body)[:CHECK_BYTES])
    return b"".join((head, xxh3_64_digest(head)[:CHECK_BYTES], body))


class FrameReader:
    """Frames out of bytes as they come. It keeps what is not complete, and what follows it."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        """The longest body that is taken from here on."""
        self._buffer = bytearray()
        self._head: tuple[FrameKind, int, bytes] | None = None
        self._long = bytearray()
        """What has come of a message that comes in pieces: it grows in place, no longer than one frame may be."""

    def push(self, data: bytes) -> None:
        """Take what came."""
        self._buffer += data

    def pull(self) -> tuple[FrameKind, bytes] | None:
        """The next frame; None where more has to come. Raises BadFrame; nothing can be read after that.

        What came in pieces is given as if it had come in one frame, in the place of the last of them.
        """
        while (frame := self._pull()) is not None and frame[0] is FrameKind.PIECE:
            self._keep(frame[1])
        if frame is None or frame[0] is not FrameKind.LAST_PIECE:
            return frame
        self._keep(frame[1])
        body, self._long = self._long, bytearray()
        return FrameKind.MESSAGES, cast("bytes", body)  # whoever reads it takes any buffer, and a copy would take long

    def _keep(self, piece: bytes) -> None:
        self._long += piece
        if not piece or len(self._long) > self.limit_bytes:
            raise BadFrame(f"a message in pieces is empty, or longer than the {self.limit_bytes} bytes taken here")

    def _pull(self) -> tuple[FrameKind, bytes] | None:
        if self._head is None:
            if len(self._buffer) < HEADER_BYTES:
                self._check_beginning()
                return None
            self._head = _read_header(bytes(self._buffer[:HEADER_BYTES]), self.limit_bytes)
        kind, length, check = self._head
        end = HEADER_BYTES + length
        if len(self._buffer) < end:
            return None
        with memoryview(self._buffer) as view:
            body = bytes(view[HEADER_BYTES:end])
        del self._buffer[:end]
        self._head = None
        if xxh3_64_digest(body)[:CHECK_BYTES] != check:
            raise BadFrame("a frame was damaged on its way")
        return kind, body

    def _check_beginning(self) -> None:
        """Find garbage before a whole header of it has come."""
        beginning = bytes(self._buffer[: len(MAGIC)])
        if beginning != MAGIC[: len(beginning)]:
            raise BadFrame(_not_ours(beginning))


def _read_header(header: bytes, limit_bytes: int) -> tuple[FrameKind, int, bytes]:
    magic, version, kind, length, check = _HEAD.unpack_from(header)
    if magic != MAGIC:
        raise BadFrame(_not_ours(magic))
    if xxh3_64_digest(header[: _HEAD.size])[:CHECK_BYTES] != header[_HEAD.size :]:
        raise BadFrame("the header of a frame was damaged on its way")
    if version != VERSION:
        raise OtherVersion(f"it sends frames of version {version}, and this node reads version {VERSION}")
    if length > limit_bytes:
        raise BadFrame(f"a frame of {length} bytes is longer than the {limit_bytes} that are taken here")
    try:
        return FrameKind(kind), length, check
    except ValueError:
        raise BadFrame(f"there is no frame of kind {kind}") from None


def _not_ours(beginning: bytes) -> str:
    if beginning == TLS_RECORD[: len(beginning)]:
        return "it speaks TLS, and this node has none"
    return "what it says is not what nodes of BlockDB say"
