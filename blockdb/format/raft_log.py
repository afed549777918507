r"""The log of consensus: batches of entries, each with the hard state. Format page: docs/formats/raft.md.

    "BlockDB raft 1\n\0" (16) | owner (16) | number u32 | base u64 | previous (8) | check (8)
    batch = head | entry*
    head  = check (8) | "\xb5RH\n" | vote length u16 | size u32 | place u64 | previous (8) | body check (8)
          | term u64 | commit u64 | forced u64 | vote
    entry = check (8) | kind u8 | data length u32 | index u64 | term u64 | data

The bytes of the log are counted on and on over its files: `base` is how many there were before the first one of the
file. `previous` is the check of the head before, so that none is left out, or taken from an older copy of the log; the
body check covers all entries of the batch, so that all of them count, or none. An entry has a check of its own too,
since single ones are read. An entry takes the place of all that the log had from its index on.

A head can be found without what is before it: it begins with bytes of its own, and names the place where it stands. So
one that was written after a force tells that what is damaged before it was on the disk: `vouched`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from struct import Struct
from struct import error as StructError
from typing import Final, NamedTuple

from xxhash import xxh3_64_digest

from blockdb.format.buffer import Buffer
from blockdb.format.consensus import Entry, HardState, Kind
from blockdb.format.frame import BadFrame, TornFrame
from blockdb.format.walk import DamagedChain

MAGIC: Final = b"BlockDB raft 1\n\0"
CHECK_BYTES: Final = 8
FIRST: Final = bytes(CHECK_BYTES)
"""What the first head of a log names as the check of the one before."""

_HEADER: Final = Struct("<16s16sIQ8s")
HEADER_BYTES: Final = _HEADER.size + CHECK_BYTES
_SIGN: Final = b"\xb5RH\n"
_HEAD: Final = Struct("<4sHIQ8s8sQQQ")
HEAD_BYTES: Final = CHECK_BYTES + _HEAD.size
"""How many bytes the head of a batch has beside the vote."""
_PROPOSAL: Final = Struct("<8sQ")
ORIGIN_BYTES: Final = 8
PROPOSAL_BYTES: Final = _PROPOSAL.size
_ENTRY: Final = Struct("<BIQQ")
ENTRY_BYTES: Final = CHECK_BYTES + _ENTRY.size
"""How many bytes an entry has beside its data."""

MAX_VOTE_BYTES: Final = 65_535
MAX_BATCH_BYTES: Final = 1 << 30
"""What the entries of one batch may have, so also an entry."""

_KINDS: Final = {int(kind): kind for kind in Kind}


class FileHeader(NamedTuple):
    """Whose log it is, which file of it, and what comes before."""

    owner: bytes
    number: int
    base: int
    """How many bytes the log has before this file."""
    previous: bytes
    """The check of the last head before this file."""


class Head(NamedTuple):
    """The head of a batch."""

    check: bytes
    size: int
    """How many bytes of entries follow."""
    place: int
    previous: bytes
    body_check: bytes
    state: HardState
    forced: int
    """Up to this place everything was on the disk when the batch was written."""
    end: int
    """The offset after it, where its entries begin."""


class Batch(NamedTuple):
    """A batch, all of which is intact."""

    head: Head
    entries: tuple[tuple[int, int], ...]
    """Index and term of each entry."""
    offsets: tuple[int, ...]
    """Where they begin in the file."""

    @property
    def end(self) -> int:
        """The offset after it."""
        return self.head.end + self.head.size


def encode_header(header: FileHeader) -> bytes:
    """The first bytes of a file."""
    packed = _HEADER.pack(MAGIC, *header)
    return packed + xxh3_64_digest(packed)


def decode_header(buffer: Buffer) -> FileHeader:
    """The header of a file. Raises TornFrame where it is shorter than that, BadFrame where it is damaged."""
    if len(buffer) < HEADER_BYTES:
        raise TornFrame("the file is shorter than its header")
    packed = buffer[: _HEADER.size]
    magic, *fields = _HEADER.unpack(packed)
    if magic != MAGIC or xxh3_64_digest(packed) != buffer[_HEADER.size : HEADER_BYTES]:
        raise BadFrame("the header of the file is damaged, or of an unknown version")
    return FileHeader(*fields)


def encode_entry(entry: Entry) -> bytes:
    """An entry as it stands in a file. O(bytes)."""
    index, term, kind, data = entry.index, entry.term, entry.kind, entry.data
    packed = _ENTRY.pack(kind, len(data), index, term) + data
    return xxh3_64_digest(packed) + packed


def decode_entry(buffer: Buffer, offset: int) -> Entry:
    """The entry that begins at `offset`. Raises TornFrame or BadFrame."""
    end = _end_of(buffer, offset)
    packed = buffer[offset + CHECK_BYTES : end]
    kind, _, index, term = _ENTRY.unpack_from(packed)
    if xxh3_64_digest(packed) != buffer[offset : offset + CHECK_BYTES] or kind not in _KINDS:
        raise BadFrame("the check of the entry does not match its bytes")
    return Entry(index, term, _KINDS[kind], packed[_ENTRY.size :])


def _end_of(buffer: Buffer, offset: int) -> int:
    try:
        size = _ENTRY.unpack_from(buffer, offset + CHECK_BYTES)[1]
    except StructError:
        raise TornFrame("the file ends inside an entry") from None
    end: int = offset + ENTRY_BYTES + size
    if end > len(buffer):
        raise TornFrame("the file ends inside an entry")
    return end


def encode_batch(state: HardState, entries: Sequence[bytes], place: int, previous: bytes, forced: int) -> bytes:
    """A batch of encoded entries, to be written at `place` after the head with that check. O(bytes).

    Raises ValueError where it is too large, or who got the vote has too long a name.
    """
    body, vote = b"".join(entries), state.vote.encode()
    if len(body) > MAX_BATCH_BYTES or len(vote) > MAX_VOTE_BYTES:
        raise ValueError(f"a batch has {MAX_BATCH_BYTES} bytes at most, and the name of a node {MAX_VOTE_BYTES}")
    checks = previous, xxh3_64_digest(body)
    packed = _HEAD.pack(_SIGN, len(vote), len(body), place, *checks, state.term, state.commit, forced) + vote
    return b"".join((xxh3_64_digest(packed), packed, body))


def decode_head(buffer: Buffer, offset: int) -> Head:
    """The head that begins at `offset`. Raises TornFrame or BadFrame."""
    packed = buffer[offset + CHECK_BYTES : offset + HEAD_BYTES]
    if len(packed) < _HEAD.size:
        raise TornFrame("the file ends inside the head of a batch")
    sign, vote_bytes, size, place, previous, body_check, term, commit, forced = _HEAD.unpack(packed)
    end = offset + HEAD_BYTES + vote_bytes
    if sign != _SIGN:
        raise BadFrame("no batch begins here")
    if end > len(buffer):
        raise TornFrame("the file ends inside the head of a batch")
    vote, check = buffer[offset + HEAD_BYTES : end], buffer[offset : offset + CHECK_BYTES]
    if xxh3_64_digest(packed + vote) != check:
        raise BadFrame("the check of the head of a batch does not match its bytes")
    try:
        state = HardState(term, vote.decode(), commit)
    except UnicodeDecodeError:
        raise BadFrame("the head of a batch is intact and cannot be read") from None
    return Head(check, size, place, previous, body_check, state, forced, end)


def decode_batch(buffer: Buffer, offset: int) -> Batch:
    """The batch that begins at `offset`. Raises TornFrame or BadFrame. O(bytes)."""
    head = decode_head(buffer, offset)
    at, end = head.end, head.end + head.size
    if end > len(buffer):
        raise TornFrame("the file ends inside a batch")
    if xxh3_64_digest(buffer[at:end]) != head.body_check:
        raise BadFrame("the check of a batch does not match its entries")
    entries, offsets = [], []
    while at < end:
        after = _end_of(buffer, at)
        _, _, index, term = _ENTRY.unpack_from(buffer, at + CHECK_BYTES)
        entries.append((index, term))
        offsets.append(at)
        at = after
    return Batch(head, tuple(entries), tuple(offsets))


def walk(buffer: Buffer, header: FileHeader) -> Iterator[Batch]:
    """The batches of a file. Raises DamagedChain; before its offset all of them are intact. O(bytes)."""
    offset, previous = HEADER_BYTES, header.previous
    while offset < len(buffer):
        try:
            batch = decode_batch(buffer, offset)
            if (batch.head.place, batch.head.previous) != (header.base + offset, previous):
                raise BadFrame("the batch does not follow the one before it: one of them was changed, or moved")
        except BadFrame as error:
            raise DamagedChain(offset, error) from None
        offset, previous = batch.end, batch.head.check
        yield batch


def vouched(buffer: Buffer, offset: int, base: int) -> int:
    """Up to which place everything was forced, as far as a head tells that stands anywhere after `offset`. O(bytes)."""
    found = 0
    at = buffer.find(_SIGN, offset)
    while at >= 0:
        try:
            head = decode_head(buffer, at - CHECK_BYTES)
            found = max(found, head.forced if head.place == base + at - CHECK_BYTES else 0)
        except BadFrame:
            pass
        at = buffer.find(_SIGN, at + 1)
    return found


def wrap(origin: bytes, number: int, command: bytes) -> bytes:
    """The data of a command's entry. `origin` are 8 bytes that a node draws anew whenever it starts."""
    return _PROPOSAL.pack(origin, number) + command


def unwrap(data: bytes) -> tuple[bytes, int, bytes]:
    """Origin, number and command of what `wrap` gave. Raises ValueError."""
    if len(data) < PROPOSAL_BYTES:
        raise ValueError(f"an entry of {len(data)} bytes is too short to hold a command")
    origin, number = _PROPOSAL.unpack_from(data)
    return origin, number, data[PROPOSAL_BYTES:]
