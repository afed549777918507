r"""Packed chain files: the bytes of a chain file, compressed in chunks. Format page: docs/formats/packed.md.

    header frame | one Zstandard frame a chunk | seek table

This is the seekable format of Zstandard (facebook/zstd, contrib/seekable_format): header and seek table are skippable
frames (RFC 8878), so that `zstd -d` gives the chain file back. The chunks hold it without a gap; a chunk begins where a
frame of the chain does. The header's digests cover what the chunks' own checksums do not: every bit of the file.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from struct import Struct
from struct import error as StructError
from typing import Final, NamedTuple

from xxhash import xxh3_64_digest, xxh64_intdigest

from blockdb.format.buffer import Buffer, Slices
from blockdb.format.frame import CHECK_BYTES, BadFrame, TornFrame, check_of

MAGIC: Final = b"BlockDB packed 1"
LEVEL: Final = 3
CHUNK_BYTES: Final = 16 * 1024
"""A chunk ends with the frame that brings it to this: a cold read unpacks so much, in about 20 µs."""

_SKIPPABLE: Final = Struct("<II")
_HEADER_TAG: Final = 0x184D2A50
_TABLE_TAG: Final = 0x184D2A5E
_HEADER: Final = Struct("<16s16sIQ8s8s")
HEADER_BYTES: Final = _SKIPPABLE.size + _HEADER.size + CHECK_BYTES
_ENTRY: Final = Struct("<II")
_FOOTER: Final = Struct("<IBI")
_FOOTER_MAGIC: Final = 0x8F92EAB1
_FRAME_MAGIC: Final = bytes.fromhex("28b52ffda4")
_RAW_BLOCK_BYTES: Final = 128 * 1024
"""How a frame of raw blocks begins, and the most that such a block may have."""


class PackedHeader(NamedTuple):
    """Whose chain file it is, which one, how long, and the digests (XXH3-64) of the chunks and of the seek table."""

    collection: bytes
    number: int
    size: int
    chunks_digest: bytes
    table_digest: bytes


class Index(NamedTuple):
    """Where the chunks are: chunk `i` holds the bytes from `starts[i]` to `starts[i + 1]` of the chain file."""

    header: PackedHeader
    starts: Sequence[int]
    offsets: Sequence[int]
    """The same for the frames in the packed file."""

    @property
    def size(self) -> int:
        """How many bytes the chain file has."""
        return self.header.size

    @property
    def chunks(self) -> int:
        """How many there are."""
        return len(self.starts) - 1

    def chunk_of(self, offset: int) -> int:
        """The chunk that holds the byte at `offset` of the chain file. O(log chunks)."""
        return bisect_right(self.starts, offset) - 1


def encode(collection: bytes, number: int, data: Buffer, cuts: Sequence[int], *, compressed: bool = True) -> bytes:
    """The packed file of the chain file `data`, whose chunks begin at `cuts` (the first one at 0). O(bytes).

    Without `compressed`, the chunks are frames that hold their bytes as they are.
    """
    from zstandard import ZstdCompressor

    compress = ZstdCompressor(level=LEVEL, write_checksum=True).compress if compressed else _stored
    starts = [*cuts, len(data)]
    chunks = [compress(data[start:stop]) for start, stop in pairwise(starts)]
    sizes = [stop - start for start, stop in pairwise(starts)]
    entries = b"".join(map(_ENTRY.pack, map(len, chunks), sizes)) + _FOOTER.pack(len(chunks), 0, _FOOTER_MAGIC)
    table = _SKIPPABLE.pack(_TABLE_TAG, len(entries)) + entries
    body = b"".join(chunks)
    packed = _HEADER.pack(MAGIC, collection, number, len(data), xxh3_64_digest(body), xxh3_64_digest(table))
    head = _SKIPPABLE.pack(_HEADER_TAG, len(packed) + CHECK_BYTES) + packed
    return b"".join((head, check_of(head), body, table))


def _stored(data: bytes) -> bytes:
    """A Zstandard frame of raw blocks (RFC 8878, 3.1.1): single segment, content size in four bytes, checksum."""
    blocks = []
    for start in range(0, len(data), _RAW_BLOCK_BYTES):
        block = data[start : start + _RAW_BLOCK_BYTES]
        is_last = start + len(block) == len(data)
        blocks.append((len(block) << 3 | is_last).to_bytes(3, "little") + block)
    checksum = (xxh64_intdigest(data) & 0xFFFFFFFF).to_bytes(4, "little")
    return b"".join((_FRAME_MAGIC, len(data).to_bytes(4, "little"), *blocks, checksum))


def decode_header(buffer: Slices) -> PackedHeader:
    """The header of a packed file. Raises TornFrame or BadFrame."""
    if len(buffer) < HEADER_BYTES:
        raise TornFrame("the file is shorter than its header")
    head = buffer[: HEADER_BYTES - CHECK_BYTES]
    magic, *fields = _HEADER.unpack_from(head, _SKIPPABLE.size)
    if magic != MAGIC or check_of(head) != buffer[len(head) : HEADER_BYTES]:
        raise BadFrame("the header of the packed chain file is damaged, or of an unknown version")
    return PackedHeader(*fields)


def decode(buffer: Slices) -> Index:
    """The header and the seek table of a packed file. Raises TornFrame or BadFrame. O(chunks)."""
    header = decode_header(buffer)
    index = _seek_table(buffer, header)
    if xxh3_64_digest(buffer[index.offsets[-1] :]) != header.table_digest or index.starts[-1] != header.size:
        raise BadFrame("the seek table of the packed chain file is damaged")
    return index


def _seek_table(buffer: Slices, header: PackedHeader) -> Index:
    try:
        count, flags, magic = _FOOTER.unpack(buffer[max(len(buffer) - _FOOTER.size, 0) :])
    except StructError:
        raise TornFrame("the file is shorter than its seek table") from None
    end = len(buffer) - _FOOTER.size
    start = end - count * _ENTRY.size
    if magic != _FOOTER_MAGIC or flags or start < HEADER_BYTES + _SKIPPABLE.size:
        raise BadFrame("the packed chain file does not end with a seek table")
    entries = list(_ENTRY.iter_unpack(buffer[start:end]))
    offsets = list(accumulate((packed for packed, _ in entries), initial=HEADER_BYTES))
    if offsets[-1] != start - _SKIPPABLE.size:
        raise BadFrame("the seek table of the packed chain file does not fit the file")
    return Index(header, list(accumulate((size for _, size in entries), initial=0)), offsets)


def chunk(buffer: Slices, index: Index, number: int) -> bytes:
    """The bytes of the chain file that a chunk holds. Raises BadFrame where they are not what was packed."""
    return _unpack(
        buffer[index.offsets[number] : index.offsets[number + 1]], index.starts[number + 1] - index.starts[number]
    )


def _unpack(frame: bytes, size: int) -> bytes:
    from zstandard import ZstdDecompressor, ZstdError, frame_content_size

    try:
        if frame_content_size(frame) != size:  # before so much memory is asked for
            raise BadFrame(f"a packed chunk does not have the {size} bytes that it should have")
        return bytes(ZstdDecompressor().decompress(frame))
    except ZstdError as error:
        raise BadFrame(f"a packed chunk is damaged ({error})") from None


def are_chunks_intact(buffer: Slices, index: Index) -> bool:
    """Whether every bit of the chunks is as it was written. O(bytes)."""
    return xxh3_64_digest(buffer[HEADER_BYTES : index.offsets[-1]]) == index.header.chunks_digest


def unpack(buffer: Slices) -> bytes:
    """The whole chain file. Raises TornFrame or BadFrame. O(bytes)."""
    index = decode(buffer)
    if not are_chunks_intact(buffer, index):
        raise BadFrame("the chunks of the packed chain file do not match their digest")
    return b"".join(chunk(buffer, index, number) for number in range(index.chunks))


def salvage(buffer: Slices) -> bytes:
    """What can still be had of a damaged packed file: the chain file, with a few zeros in the place of a lost chunk.

    Without the seek table, everything up to the first damaged chunk.
    """
    try:
        return b"".join(_salvaged(buffer, decode(buffer)))
    except BadFrame:
        in_a_row = b"".join(_frames(buffer[HEADER_BYTES:]))
    try:
        index = _seek_table(buffer, PackedHeader(b"", 0, 0, b"", b""))
    except BadFrame:
        return in_a_row
    return max(in_a_row, b"".join(_salvaged(buffer, index)), key=len)


def _salvaged(buffer: Slices, index: Index) -> Iterator[bytes]:
    for number in range(index.chunks):
        try:
            yield chunk(buffer, index, number)
        except BadFrame:
            yield bytes(CHECK_BYTES)


def _frames(data: bytes) -> Iterator[bytes]:
    from zstandard import ZstdDecompressor, ZstdError

    while data:
        frame = ZstdDecompressor().decompressobj()
        try:
            unpacked = frame.decompress(data)
        except ZstdError:
            return
        if not frame.eof:
            return
        yield unpacked
        data = frame.unused_data
