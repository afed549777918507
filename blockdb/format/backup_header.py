"""What a backup says of itself, in `backup.json`, its first file. Format page: docs/formats/backup-header.md.

It may go on from another one, which it names: then it has what is new since then, and says what stays.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Any, Final, NamedTuple

from blockdb.format.frame import BadFrame

FORMAT: Final = 2
OLD_FORMAT: Final = 1
"""Without the members that an increment needs of what it goes on from."""

FULL: Final = "full"
INCREMENT: Final = "increment"


class LogFile(NamedTuple):
    """A file of a log, as a backup has it: by this the next one tells whether it is still the same file."""

    size: int
    inode: int
    time_ns: int
    """When it was changed last; 0 where it may have grown since."""
    tail: str = ""
    """Of one that may grow: the SHA-256 of its last bytes (`TAIL_BYTES` of them at most), hexadecimal."""


TAIL_BYTES: Final = 4096


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
    """The id of the backup that this one goes on from,"""
    parent_digest: str | None = None
    """and the SHA-256 of its header."""
    logs: Mapping[str, LogFile] = field(default_factory=dict)
    """The files of chains and of the audit log, by their paths."""
    redactions: Mapping[str, str] = field(default_factory=dict)
    """The SHA-256 of what is noted of redactions, by the ids of collections."""
    parts: Mapping[str, int] = field(default_factory=dict)
    """Of an increment: the files of which it has what comes after so many bytes."""
    kept: Sequence[str] = ()
    """Of an increment: the files that stay what they are in the backup that it goes on from."""

    def encode(self) -> bytes:
        """As JSON."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1, ensure_ascii=False).encode() + b"\n"

    def digest(self) -> str:
        """What the header of the backup that goes on from this one names it by."""
        return sha256(self.encode()).hexdigest()


_ID: Final = re.compile("col_[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

_OLD_TYPES: Final[Mapping[str, type | tuple[type, ...]]] = {
    **dict.fromkeys(("id", "database", "checkpoint", "kind"), str),
    **dict.fromkeys(("time_ms", "most_bytes"), int),
    **dict.fromkeys(("encrypted", "signing_key"), bool),
    **dict.fromkeys(("collections", "ends"), dict),
    "parent": (str, type(None)),
}
_TYPES: Final[Mapping[str, type | tuple[type, ...]]] = {
    **_OLD_TYPES,
    "parent_digest": (str, type(None)),
    **dict.fromkeys(("logs", "redactions", "parts"), dict),
    "kept": list,
}


def decode_header(data: bytes) -> Header:
    """What `Header.encode` gave. Raises BadFrame, also for a format or a kind of backup that is not known."""
    try:
        values: dict[str, Any] = json.loads(data)
        found = values.pop("format")
        kinds = {OLD_FORMAT: (FULL,), FORMAT: (FULL, INCREMENT)}
        if values["kind"] not in kinds.get(found, ()):
            raise BadFrame(f"it is a backup of another kind ({found}, {values['kind']}): a newer BlockDB can read it")
        types = _OLD_TYPES if found == OLD_FORMAT else _TYPES
        if values.keys() != types.keys() or not all(isinstance(values[name], is_) for name, is_ in types.items()):
            raise BadFrame("its first file is not that of a backup")
        if not all(isinstance(id_, str) and _ID.fullmatch(id_) for id_ in values["collections"].values()):
            raise BadFrame("its first file names a collection that is none")
        logs = {path: _log_file(*parts) for path, parts in values.pop("logs", {}).items()}
        kept = tuple(map(str, values.pop("kept", ())))
        header = Header(**values, logs=logs, kept=kept)
        if found == FORMAT and header.encode() != data:
            raise BadFrame("its first file is not that of a backup")
        return header
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, BadFrame):
            raise
        raise BadFrame("its first file is not that of a backup") from None


def _log_file(size: int, inode: int, time_ns: int, tail: str) -> LogFile:
    if not all(type(number) is int for number in (size, inode, time_ns)) or type(tail) is not str:
        raise TypeError
    return LogFile(size, inode, time_ns, tail)
