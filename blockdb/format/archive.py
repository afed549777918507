"""The stream of a backup: a tar archive of the simplest kind. Format page: docs/formats/backup.md.

    backup.json | files of the database... | SHA256SUMS | two blocks of zeros

Each file is a block of 512 bytes that tells path and size (POSIX ustar), then its bytes, padded to whole blocks. All of
it is one Zstandard frame. Nothing is accepted but regular files under the names that a database has.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from blockdb.format.frame import BadFrame

BLOCK_BYTES: Final = 512
END: Final = bytes(2 * BLOCK_BYTES)
HEADER_PATH: Final = "backup.json"
SUMS_PATH: Final = "SHA256SUMS"
MAX_LIST_BYTES: Final = 256 * 1024 * 1024
"""What the first and the last file may have."""
MAX_WINDOW_BYTES: Final = 8 * 1024 * 1024
"""What unpacking may take of memory; a backup takes a quarter of it."""

_CHECK_AT: Final = 148
_OCTAL_SIZE: Final = 8**11
_UUID: Final = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_PATH: Final = re.compile(
    rf"{re.escape(HEADER_PATH)}|{SUMS_PATH}|restored\.toml|keys/(?:public|signing|encryption)\.toml"
    r"|global_metadata/(?:collections|anchors)\.toml|transactions\.(?:log|mark)"
    r"|audit/(?:[0-9]{8}\.acts|acts\.mark|head)"
    rf"|collections/col_{_UUID}/(?:(?:metadata|pending|manifest|redactions|indexes)\.toml|log\.mark|checkpoint"
    r"|chain/[0-9]{8}\.chain(?:\.zst)?|tables/[0-9]{8}\.sst|indexes/[0-9]{8}\.idx)"
)


class Entry(NamedTuple):
    """A file of the archive: its path, with slashes, and how many bytes it has."""

    path: str
    size: int


def encode_entry(entry: Entry) -> bytes:
    """The block that stands before a file."""
    if not _PATH.fullmatch(entry.path):
        raise ValueError(f"no file of a database has the path {entry.path!r}")
    size = b"%011o\0" % entry.size if entry.size < _OCTAL_SIZE else b"\x80" + entry.size.to_bytes(11, "big")
    owner = b"0000000\0" * 2
    head = entry.path.encode().ljust(100, b"\0") + b"0000600\0" + owner + size + b"00000000000\0"
    block = (head + b" " * 8 + b"0").ljust(257, b"\0") + b"ustar\00000"
    block = block.ljust(BLOCK_BYTES, b"\0")
    return block[:_CHECK_AT] + b"%06o\0 " % sum(block) + block[_CHECK_AT + 8 :]


def decode_entry(block: bytes) -> Entry | None:
    """What a block tells; None for one of zeros, with which the archive ends. Raises BadFrame.

    Only what `encode_entry` makes is taken: no links, no devices, no other paths.
    """
    if block == bytes(BLOCK_BYTES):
        return None
    try:
        path = block[:100].rstrip(b"\0").decode("ascii")
        field_ = block[124:136]
        size = int.from_bytes(field_[1:], "big") if field_[0] == 0x80 else int(field_[:11], 8)
        entry = Entry(path, size)
        if encode_entry(entry) == block:
            return entry
    except (ValueError, IndexError, OverflowError):
        pass
    raise BadFrame("what stands there is no file of a backup")


def padding(size: int) -> bytes:
    """What follows so many bytes, up to the next whole block."""
    return bytes(-size % BLOCK_BYTES)


def encode_sums(sums: Mapping[str, bytes]) -> bytes:
    """The SHA-256 digests of all files by their paths, as `sha256sum` takes them."""
    return "".join(f"{digest.hex()}  {path}\n" for path, digest in sums.items()).encode()
