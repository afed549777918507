"""The stream of a backup: a tar archive of the simplest kind. Format page: docs/formats/backup.md.

    backup.json | files of the database... | SHA256SUMS | two blocks of zeros

Each file is a block of 512 bytes that tells path and size (POSIX ustar), then its bytes, padded to whole blocks. All of
it is one Zstandard frame. Nothing is accepted but regular files under the names that a database has.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, NamedTuple

from blockdb.format.frame import BadFrame

BLOCK_BYTES: Final = 512
END: Final = bytes(2 * BLOCK_BYTES)
HEADER_PATH: Final = "backup.json"
SUMS_PATH: Final = "SHA256SUMS"
MAX_LIST_BYTES: Final = 256 * 1024 * 1024
"""What the first and the last file may have."""

FORMAT: Final = 1
FULL: Final = "full"

_CHECK_AT: Final = 148
_OCTAL_SIZE: Final = 8**11
_UUID: Final = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_PATH: Final = re.compile(
    rf"{re.escape(HEADER_PATH)}|{SUMS_PATH}|keys/(?:public|signing|encryption)\.toml"
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


@dataclass(frozen=True)
class Header:
    """What a backup says of itself, before anything else."""

    id: str
    """A UUID of its own."""
    time_ms: int
    database: str
    """The id of the default collection."""
    encrypted: bool
    signing_key: bool
    """Whether the secret key is in it."""
    most_bytes: int
    """The files have so many, or fewer."""
    collections: Mapping[str, str]
    """Their ids by their names."""
    ends: Mapping[str, int] = field(default_factory=dict)
    """The places at which the chains end, by the ids of collections."""
    checkpoint: str = ""
    """The last signed checkpoint of the database as a whole."""
    kind: str = FULL
    parent: str | None = None
    """The id of the backup that this one goes on from."""

    def encode(self) -> bytes:
        """As JSON."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1, ensure_ascii=False).encode() + b"\n"


_TYPES: Final[Mapping[str, type | tuple[type, ...]]] = {
    **dict.fromkeys(("id", "database", "checkpoint", "kind"), str),
    **dict.fromkeys(("time_ms", "most_bytes"), int),
    **dict.fromkeys(("encrypted", "signing_key"), bool),
    **dict.fromkeys(("collections", "ends"), dict),
    "parent": (str, type(None)),
}


def decode_header(data: bytes) -> Header:
    """What `Header.encode` gave. Raises BadFrame, also for a format or a kind of backup that is not known."""
    try:
        values: dict[str, Any] = json.loads(data)
        found = values.pop("format")
        if found != FORMAT or values["kind"] != FULL:
            raise BadFrame(f"it is a backup of another kind ({found}, {values['kind']}): a newer BlockDB can read it")
        if values.keys() != _TYPES.keys() or not all(isinstance(values[name], is_) for name, is_ in _TYPES.items()):
            raise BadFrame("its first file is not that of a backup")
        return Header(**values)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, BadFrame):
            raise
        raise BadFrame("its first file is not that of a backup") from None


def encode_sums(sums: Mapping[str, bytes]) -> bytes:
    """The SHA-256 digests of all files by their paths, as `sha256sum` takes them."""
    return "".join(f"{digest.hex()}  {path}\n" for path, digest in sums.items()).encode()
