r"""Sealed files: what stands on the disk for the files of an encrypted database. Format page: docs/formats/sealed.md.

    header (80) | pages      a file that is written once: 16 KiB of it in each page
    header (80) | pieces     a file that grows: one piece for each time that something was appended

Everything is sealed with XChaCha20-Poly1305 under the data key that the header names, and bound to the header (so to
collection, kind and number of the file) and to its place in the file: nothing opens anywhere but where it was sealed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import IntEnum
from struct import Struct
from typing import Final, NamedTuple
from uuid import UUID

from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt as aead_open
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt as aead_seal
from nacl.exceptions import CryptoError
from xxhash import xxh3_64_digest

from blockdb.format.buffer import Buffer
from blockdb.format.frame import BadFrame, TornFrame
from blockdb.format.keyring import DataKeys

MAGIC: Final = b"BlockDB sealed 1"
PAGE_BYTES: Final = 16 * 1024
"""How much of a file is opened at a time: about 15 µs of work."""

TAG_BYTES: Final = 16
NONCE_BYTES: Final = 24
FILE_ID_BYTES: Final = 16

_HEADER: Final = Struct("<16s8s16sIIQ16s")
_CHECK_BYTES: Final = 8
HEADER_BYTES: Final = _HEADER.size + _CHECK_BYTES
_NUMBER: Final = Struct("<Q")
_PIECE: Final = Struct(f"<I{NONCE_BYTES}s")
PIECE_EXTRA_BYTES: Final = _PIECE.size + TAG_BYTES
"""How many bytes a piece has beside what it holds."""

FILLER: Final = b"\xff"
"""What stands in the place of each byte of a piece that does not open: no frame begins with it."""


class Kind(IntEnum):
    """What sort of file it is."""

    CHAIN = 1
    PACKED = 2
    TABLE = 3
    SIGNING_KEY = 4
    SALVAGED = 5
    NODES = 6
    REDACTIONS = 7
    INDEX = 8
    TRANSACTIONS = 9
    ACTS = 10
    RAFT = 11
    OUTCOMES = 12
    PENDING = 13


GROWING: Final = frozenset({Kind.CHAIN, Kind.NODES, Kind.TRANSACTIONS, Kind.ACTS, Kind.RAFT})
"""The kinds of files that grow: they consist of pieces, the others of pages."""

_NUMBERED: Final = {".chain": Kind.CHAIN, ".chain.zst": Kind.PACKED, ".sst": Kind.TABLE, ".idx": Kind.INDEX}
_LOGS: Final = {".acts": Kind.ACTS, ".log": Kind.RAFT, ".outcomes": Kind.OUTCOMES, ".pending": Kind.PENDING}
_LOG_NAME: Final = re.compile(r"(\d{8})(\.acts|\.log|\.outcomes|\.pending)(\.tmp)?")
_OF_COLLECTIONS: Final = {"tree.nodes": Kind.NODES, "redactions.toml": Kind.REDACTIONS}
_OF_DATABASE: Final = {"salvaged.jsonl": Kind.SALVAGED, "transactions.log": Kind.TRANSACTIONS}
_NUMBERED_NAME: Final = re.compile(r"(\d{8})(\.chain\.zst|\.chain|\.sst|\.idx)(\.\d+)?(\.tmp)?")


class Binding(NamedTuple):
    """Which file of which collection something belongs to."""

    kind: Kind
    collection: bytes = bytes(16)
    number: int = 0


def binding_of(*path: str) -> Binding | None:
    """What a file is bound to, by the last parts of its path; None where files of that name are not sealed.

    The name may be that of a temporary file.
    """
    above, directory, name = ("", "", *path)[-3:]
    found = _NUMBERED_NAME.fullmatch(name)
    if found is not None:
        return Binding(_NUMBERED[found[2]], _uuid(above), int(found[1]))
    log = _LOG_NAME.fullmatch(name)
    if log is not None:
        return Binding(_LOGS[log[2]], number=int(log[1]))
    name = name.removesuffix(".tmp")
    if name in _OF_COLLECTIONS:
        return Binding(_OF_COLLECTIONS[name], _uuid(directory))
    if name in _OF_DATABASE:
        return Binding(_OF_DATABASE[name])
    return Binding(Kind.SIGNING_KEY) if (directory, name) == ("keys", "signing.toml") else None


def _uuid(directory: str) -> bytes:
    """The 16 bytes of the UUID in the name of a collection's directory."""
    return UUID(directory.removeprefix("col_")).bytes


class SealedHeader(NamedTuple):
    """Which key it takes, what the file is bound to, and what makes it different from all other files."""

    key_id: bytes
    collection: bytes
    kind: int
    number: int
    size: int
    """How many bytes the file has when it is opened; 0 for one that grows."""
    file_id: bytes
    """Chance, so that a part of an older file of the same name does not open either."""


def encode_header(header: SealedHeader) -> bytes:
    """The first bytes of a sealed file."""
    packed = _HEADER.pack(MAGIC, *header)
    return packed + xxh3_64_digest(packed)


def decode_header(buffer: Buffer) -> SealedHeader:
    """The header of a sealed file. Raises TornFrame or BadFrame."""
    if len(buffer) < HEADER_BYTES:
        raise TornFrame("the sealed file is shorter than its header")
    packed = buffer[: _HEADER.size]
    magic, *fields = _HEADER.unpack(packed)
    if magic != MAGIC or xxh3_64_digest(packed) != buffer[_HEADER.size : HEADER_BYTES]:
        raise BadFrame("the header of the sealed file is damaged, or of an unknown version, or the file is not sealed")
    return SealedHeader(*fields)


def _key_of(buffer: Buffer, binding: Binding, keys: DataKeys) -> tuple[SealedHeader, bytes]:
    header = decode_header(buffer)
    if (header.kind, header.collection, header.number) != binding:
        raise BadFrame("the sealed file belongs elsewhere")
    key = keys.get(header.key_id)
    if key is None:
        raise BadFrame(f"the file is sealed with the data key {header.key_id.hex()}, which the database does not have")
    return header, key


def new_header(binding: Binding, keys: DataKeys, size: int, file_id: bytes) -> bytes:
    """The header of a new file, under the data key that new files take."""
    return encode_header(SealedHeader(keys.current, binding.collection, binding.kind, binding.number, size, file_id))


# Files that are written once.


def file_bytes(size: int) -> int:
    """How many bytes a sealed file has that holds `size`."""
    return HEADER_BYTES + size + _page_count(size) * TAG_BYTES


def _page_count(size: int) -> int:
    return max(1, -(-size // PAGE_BYTES))  # an empty file has a page too: its header is to be sealed


def seal(data: bytes, binding: Binding, keys: DataKeys, file_id: bytes) -> bytes:
    """The sealed file that holds `data`. `file_id` is 16 bytes of chance, different for each file. O(bytes)."""
    head, key = new_header(binding, keys, len(data), file_id), keys[keys.current]
    pages = (
        aead_seal(data[number * PAGE_BYTES : (number + 1) * PAGE_BYTES], head, file_id + _NUMBER.pack(number), key)
        for number in range(_page_count(len(data)))
    )
    return b"".join((head, *pages))


class Pages:
    """The bytes of a sealed file, opened a page at a time: slices of it are bytes. Safe for threads.

    Raises TornFrame or BadFrame where the file is not what was sealed there.
    """

    def __init__(self, buffer: Buffer, binding: Binding, keys: DataKeys) -> None:
        header, self._key = _key_of(buffer, binding, keys)
        if len(buffer) != file_bytes(header.size):
            raise TornFrame(f"the sealed file has {len(buffer)} bytes and should have {file_bytes(header.size)}")
        self._buffer = buffer
        self._head = buffer[:HEADER_BYTES]
        self._file_id = header.file_id
        self._size = header.size
        self._last = (-1, b"")

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, part: slice) -> bytes:
        start, stop, _ = part.indices(self._size)
        if start >= stop:
            return b""
        first, last = start // PAGE_BYTES, (stop - 1) // PAGE_BYTES
        base = first * PAGE_BYTES
        pages = self.page(first) if first == last else b"".join(map(self.page, range(first, last + 1)))
        return pages[start - base : stop - base]

    def page(self, number: int) -> bytes:
        """One page; the last one that was opened is kept, since neighbours are often asked for one after the other."""
        kept, data = self._last
        if kept != number:
            data = self._open(number)
            self._last = number, data
        return data

    def _open(self, number: int) -> bytes:
        at = HEADER_BYTES + number * (PAGE_BYTES + TAG_BYTES)
        sealed = self._buffer[at : at + PAGE_BYTES + TAG_BYTES]
        try:
            return aead_open(sealed, self._head, self._file_id + _NUMBER.pack(number), self._key)
        except CryptoError:
            raise BadFrame(f"page {number} of the sealed file was changed, or belongs elsewhere") from None


# Files that grow.


class Pieces:
    """Where a reader or a writer of a file that grows stands, after some of its pieces.

    Each piece is bound to the one before it, so that none can be left out, or put in from an older copy.
    """

    def __init__(self, buffer: Buffer, binding: Binding, keys: DataKeys) -> None:
        """Stand before the first piece of a file. Raises TornFrame or BadFrame."""
        _, self._key = _key_of(buffer, binding, keys)
        self._head = buffer[:HEADER_BYTES]
        self.at = HEADER_BYTES
        """Where the next piece begins in the file,"""
        self.offset = 0
        """and in what the file holds."""
        self._tag = bytes(TAG_BYTES)

    def seal(self, data: bytes, nonce: bytes) -> bytes:
        """The piece that holds `data`, to be written next; `nonce` must never have been one before. O(bytes)."""
        sealed = aead_seal(data, self._place(), nonce, self._key)
        return _PIECE.pack(len(data), nonce) + sealed

    def went_on(self, piece: bytes) -> None:
        """The piece was written."""
        self.at += len(piece)
        self.offset += len(piece) - PIECE_EXTRA_BYTES
        self._tag = piece[-TAG_BYTES:]

    def open(self, buffer: Buffer) -> Iterator[bytes | int]:
        """What the following pieces hold, as far as they are whole; of one that does not open, how many bytes."""
        while (end := self._end(buffer)) is not None:
            piece = buffer[self.at : end]
            size, nonce = _PIECE.unpack_from(piece)
            try:
                yield aead_open(piece[_PIECE.size :], self._place(), nonce, self._key)
            except CryptoError:
                yield size
            self.went_on(piece)

    def skip(self, buffer: Buffer, offset: int) -> None:
        """Go on past all pieces that hold nothing from `offset` on. O(pieces)."""
        while (end := self._end(buffer)) is not None and self.offset + end - self.at - PIECE_EXTRA_BYTES <= offset:
            self.went_on(buffer[self.at : end])

    def _end(self, buffer: Buffer) -> int | None:
        """Where the next piece ends, None where it is not whole."""
        if self.at + _PIECE.size > len(buffer):
            return None
        end = self.at + int(_PIECE.unpack_from(buffer, self.at)[0]) + PIECE_EXTRA_BYTES
        return end if end <= len(buffer) else None

    def _place(self) -> bytes:
        return self._head + _NUMBER.pack(self.offset) + self._tag


def open_pieces(buffer: Buffer, binding: Binding, keys: DataKeys) -> bytes:
    """All that a file holds that grew, with `FILLER` in the place of what does not open. O(bytes).

    Where the last piece was cut short, a zero stands for it: too little to be a frame. Raises TornFrame or BadFrame
    where not even the header is intact.
    """
    pieces = Pieces(buffer, binding, keys)
    held = [filled(found) for found in pieces.open(buffer)]
    return b"".join([*held, bytes(pieces.at < len(buffer))])


def filled(found: bytes | int) -> bytes:
    """What stands for a piece that was opened, or for one that was not."""
    return FILLER * found if isinstance(found, int) else found


def salvage(buffer: Buffer, binding: Binding, keys: DataKeys) -> bytes:
    """What can still be had of a damaged file: `FILLER` or zeros stand for what does not open. O(bytes)."""
    try:
        if binding.kind in GROWING:
            return open_pieces(buffer, binding, keys)
        size = _key_of(buffer, binding, keys)[0].size
        pages = Pages(buffer[:].ljust(file_bytes(size), b"\0")[: file_bytes(size)], binding, keys)
    except BadFrame:
        return b""
    return b"".join(_salvaged(pages))


def _salvaged(pages: Pages) -> Iterator[bytes]:
    for number in range(_page_count(len(pages))):
        try:
            yield pages.page(number)
        except BadFrame:
            yield bytes(min(PAGE_BYTES, len(pages) - number * PAGE_BYTES))


def is_sealed(data: bytes) -> bool:
    """Whether a file that begins with these bytes is a sealed one, to judge by its first line."""
    return data[: len(MAGIC)] == MAGIC


def open_file(buffer: Buffer, binding: Binding, keys: DataKeys) -> bytes:
    """All that a sealed file holds, whatever its kind. O(bytes). Raises TornFrame or BadFrame."""
    return open_pieces(buffer, binding, keys) if binding.kind in GROWING else Pages(buffer, binding, keys)[:]
