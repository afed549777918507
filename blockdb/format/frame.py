"""Frames: what a chain file is made of. Format page: docs/formats/chain.md.

    frame = check (4 bytes) | type (1 byte) | body

`check` is the first four bytes of the XXH3-64 digest of all that follows it in the frame. The type of a record is
0x00: that byte is at the same time the leaf prefix of RFC 6962, so a record's leaf hash is SHA-256 over the very
bytes that stand on the disk, without copying or rearranging them.
"""

from __future__ import annotations

from typing import Final

from xxhash import xxh3_64_digest

CHECK_BYTES: Final = 4
RECORD: Final = 0x00
BATCH: Final = 0x42  # "B"
TRANSACTION: Final = 0x54  # "T"
SEAL: Final = 0x53  # "S"


class BadFrame(ValueError):
    """The bytes at this place are no frame: damaged, or never written."""


class TornFrame(BadFrame):
    """The frame is longer than what is left of the file: its write was cut short, or the file was."""


def with_check(body: bytes) -> bytes:
    """The frame around `body` (type byte first)."""
    return xxh3_64_digest(body)[:CHECK_BYTES] + body


def check_of(body: bytes | memoryview) -> bytes:
    """The check that stands before `body`."""
    return xxh3_64_digest(body)[:CHECK_BYTES]
