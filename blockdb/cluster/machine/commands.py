"""Commands: everything that changes a database of a cluster, as it stands in the replicated log.

Format page: docs/formats/commands.md.

    command = [version, id (16), time_ms, seed, content]        MessagePack arrays throughout
    content = [tag, ...]                                        the fields of one of the classes here

The time is that of the node that proposed it: what is applied never goes back behind the command before. Ids, salts
and keys follow from the seed. Nothing else from outside has a part in what a command does.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from xxhash import xxh3_64_digest

from blockdb.errors import UnsupportedFormat

__all__ = [
    "Commit",
    "CommitPart",
    "CommitRead",
    "Content",
    "CreateCollection",
    "CreateIndex",
    "CreateToken",
    "Decide",
    "DropCollection",
    "DropIndex",
    "Envelope",
    "Finish",
    "Genesis",
    "Prepare",
    "Put",
    "PutEach",
    "PutMany",
    "RecordState",
    "Redact",
    "RevokeToken",
    "RotateKey",
    "SetSchema",
    "decode",
    "digest_of",
    "enclose",
    "encode",
    "lasting",
]

VERSION: Final = 1
ID_BYTES: Final = 16
SEED_BYTES: Final = 32

Items = tuple[tuple[bytes, bytes], ...]
"""Keys and values."""


class Envelope(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A command as it stands in the log."""

    version: int
    id: bytes
    """The same where a command is sent again: it is applied once."""
    time_ms: int
    seed: bytes
    """32 bytes of chance; none where no chance is needed."""
    content: msgspec.Raw


class _Content(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=True):
    """What is to be done. A collection goes by the 16 bytes of its UUID; `by` is who wants it."""


class Put(_Content, frozen=True, tag=1):
    """Store a record."""

    collection: bytes
    key: bytes
    value: bytes


class PutMany(_Content, frozen=True, tag=2):
    """Store records, all or nothing."""

    collection: bytes
    items: Items


class PutEach(_Content, frozen=True, tag=3):
    """Store records, each for itself and under an id of its own, as if each was a command."""

    collection: bytes
    items: tuple[tuple[bytes, bytes, bytes], ...]
    """Id, key, value."""


class CommitPart(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a transaction stores in one collection."""

    collection: bytes
    items: Items


class CommitRead(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a transaction has read that others may change: keys that were not there, and ranges."""

    collection: bytes
    records: int
    """How many records the collection had then."""
    keys: tuple[bytes, ...] = ()
    ranges: tuple[tuple[bytes, bytes | None], ...] = ()
    """Of each its first key, and the first one behind it; None: there is none."""


class Commit(_Content, frozen=True, tag=4):
    """Store what a transaction wrote, unless somebody has written since to what it read."""

    parts: tuple[CommitPart, ...]
    """In the order of the collections' UUIDs, each once."""
    reads: tuple[CommitRead, ...] = ()


class CreateCollection(_Content, frozen=True, tag=5):
    """Make a collection; its id follows from the seed."""

    name: str
    by: str
    block_records: int
    redactable: bool
    settings: dict[str, Any]
    description: str = ""
    schema: bytes | None = None
    """JSON."""


class DropCollection(_Content, frozen=True, tag=6):
    """Remove a collection for good."""

    collection: bytes
    by: str


class SetSchema(_Content, frozen=True, tag=7):
    """Have all documents from now on be as a schema says."""

    collection: bytes
    by: str
    schema: bytes
    """JSON."""
    known: int = 0
    """So many of the first records are valid under it, says who has looked: all nodes have the same."""


class CreateIndex(_Content, frozen=True, tag=8):
    """Make an index."""

    collection: bytes
    by: str
    name: str
    fields: tuple[str, ...]
    unique: bool = False
    sparse: bool = False


class DropIndex(_Content, frozen=True, tag=9):
    """Remove an index."""

    collection: bytes
    by: str
    name: str


class Redact(_Content, frozen=True, tag=10):
    """Erase the values of keys for good."""

    collection: bytes
    by: str
    keys: tuple[bytes, ...]
    reason: str


class RecordState(_Content, frozen=True, tag=11):
    """Have the journal tell the state of all collections, with the roots of the keys of some."""

    keys: tuple[tuple[str, int, bytes], ...] = ()
    """UUID, number of records, root of the tree over their keys."""


class Genesis(_Content, frozen=True, tag=12):
    """Make the database itself: its ids follow from the seed, and its signing key too, unless it is given."""

    block_records: int
    redactable: bool
    encrypted: bool
    signing_seed: bytes = b""
    """32 bytes, for a database that signs with the key of another one."""


class Prepare(_Content, frozen=True, tag=13):
    """Take part in a transaction over several partitions: nobody else may be in its way until it ends."""

    transaction: bytes
    """16 bytes."""
    home: str
    """The partition that decides; empty: this one."""
    others: tuple[str, ...]
    """In the home: the other partitions that take part; elsewhere none."""
    parts: tuple[CommitPart, ...]
    """As those of a commit."""
    reads: tuple[CommitRead, ...] = ()


class Decide(_Content, frozen=True, tag=14):
    """Decide a transaction in its home, and end it there. The first decision counts."""

    transaction: bytes
    commit: bool


class Finish(_Content, frozen=True, tag=15):
    """End a transaction as its home has decided. In the home: all others have ended it, and it may be forgotten."""

    transaction: bytes
    commit: bool


class RotateKey(_Content, frozen=True, tag=16):
    """Sign with another key from now on, which follows from the seed."""


class CreateToken(_Content, frozen=True, tag=17):
    """Have a token be good at all nodes, whose secret only those know who made it."""

    id: str
    name: str
    role: str
    secret_sha256: bytes
    collections: tuple[str, ...] | None = None
    prefix: bytes = b""
    expires_ms: int | None = None


class RevokeToken(_Content, frozen=True, tag=18):
    """Have a token be good for nothing any more."""

    id: str


Content = (
    Put
    | PutMany
    | PutEach
    | Commit
    | CreateCollection
    | DropCollection
    | SetSchema
    | CreateIndex
    | DropIndex
    | Redact
    | RecordState
    | Genesis
    | Prepare
    | Decide
    | Finish
    | RotateKey
    | CreateToken
    | RevokeToken
)

_encoder: Final = msgspec.msgpack.Encoder()
_envelopes: Final = msgspec.msgpack.Decoder(Envelope)
_contents: Final = msgspec.msgpack.Decoder(Content)


def encode(id_: bytes, time_ms: int, seed: bytes, content: Content) -> bytes:
    """A command, as it is appended to the log."""
    return enclose(id_, time_ms, seed, _encoder.encode(content))


def enclose(id_: bytes, time_ms: int, seed: bytes, content: bytes) -> bytes:
    """The same for a content that is encoded already."""
    return _encoder.encode(Envelope(VERSION, id_, time_ms, seed, msgspec.Raw(content)))


def decode(data: bytes) -> tuple[Envelope, Content]:
    """A command. Raises UnsupportedFormat for one of a newer version: it must not be passed over."""
    try:
        envelope = _envelopes.decode(data)
        if envelope.version == VERSION and len(envelope.id) == ID_BYTES and len(envelope.seed) in (0, SEED_BYTES):
            return envelope, _contents.decode(envelope.content)
        what = f"version {envelope.version}"
    except msgspec.MsgspecError as error:
        what = str(error)
    raise UnsupportedFormat(
        f"The log of the cluster has a command that this version of BlockDB does not understand ({what}): upgrade this "
        "node. Nothing after it was applied."
    )


def digest_of(content: bytes) -> bytes:
    """What tells one content from another."""
    return xxh3_64_digest(content)


def lasting(content: Content, encoded: bytes) -> bytes:
    """What of a content is the same where its command is sent again: what a transaction has read need not be.

    Nor what is to be decided, by whoever wants to know what was; nor how many records were looked at before.
    """
    if isinstance(content, SetSchema):
        return _encoder.encode(msgspec.structs.replace(content, known=0))
    if isinstance(content, (Commit, Prepare)):
        return _encoder.encode(content.parts)
    return content.transaction if isinstance(content, Decide) else encoded


def encode_content(content: object) -> bytes:
    """The bytes of a content, or of a part of one."""
    return _encoder.encode(content)
