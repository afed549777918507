"""Changing a closed database as someone would who knows its formats: every check of the files is made to match."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from mmap import ACCESS_READ, mmap
from pathlib import Path
from struct import error as StructError
from typing import Any, Final, NamedTuple

from blockdb.database.creation import DEFAULT_COLLECTION
from blockdb.format import batch, checked_toml, record
from blockdb.format import mark as mark_format
from blockdb.format.block import TAG, Seal, decode_seal, encode_seal
from blockdb.format.frame import CHECK_BYTES, BadFrame, TornFrame, with_check
from blockdb.format.place import place_of, split_place
from blockdb.format.record import RecordFrame
from blockdb.format.segment import HEADER_BYTES
from blockdb.format.walk import DamagedChain, bodies, skip, walk, walk_part
from blockdb.layout import CollectionFiles, DatabaseFiles, segment_numbers
from blockdb.ledger.chain import BlockRecords, Head, Sealer, signed
from blockdb.ledger.merkle import Frontier
from blockdb.ledger.signature import Signer

PORTION_RECORDS: Final = 1_000
FIRST_PLACE: Final = place_of(0, HEADER_BYTES)
_TAG_OFFSET: Final = CHECK_BYTES + 5
"""Where in the frame of a seal the tag of its header stands."""


class Span(NamedTuple):
    """The bytes that a frame takes in the chain file `number`."""

    number: int
    at: int
    end: int


@dataclass(frozen=True)
class Target:
    """A record that was chosen, and where it stands."""

    span: Span
    record: RecordFrame
    sequence: int


class Forger:
    """Works on one collection of a database that nobody has open. Its chain files must not be packed."""

    def __init__(self, path: Path, files: CollectionFiles | None = None) -> None:
        """`files` are those of the collection, if it is not the default one."""
        self.path = path
        self.database = DatabaseFiles(path)
        self.files = files or self._default()

    def _default(self) -> CollectionFiles:
        names = checked_toml.decode(self.database.registry.read_bytes())["collections"]
        return self.database.collection(names[DEFAULT_COLLECTION])

    @property
    def chain(self) -> Path:
        """The first chain file."""
        return self.files.segment(0)

    # Reading.

    def numbers(self) -> list[int]:
        """The numbers of the chain files."""
        return segment_numbers(path.name for path in self.files.chain.iterdir())

    def _mapped(self, number: int) -> mmap:
        with self.files.segment(number).open("rb") as file:
            return mmap(file.fileno(), 0, access=ACCESS_READ)

    def frames(self) -> list[tuple[int, int, RecordFrame | Seal]]:
        """The records and seals of the first chain file. Raises DamagedChain. O(bytes)."""
        buffer = self._mapped(0)
        return list(walk(buffer, HEADER_BYTES, len(buffer)))

    def seals(self, first: int = 0) -> Iterator[tuple[Span, Seal]]:
        """The seals of the blocks from number `first` on, found by what all seals have. O(bytes), quickly."""
        wanted = first
        for number in self.numbers():
            buffer, at = self._mapped(number), HEADER_BYTES
            while (found := buffer.find(TAG, at)) >= 0:
                at = found + 1
                try:
                    seal, size = decode_seal(buffer, found - _TAG_OFFSET)
                except BadFrame:
                    continue
                if seal.header.number == wanted:
                    wanted += 1
                    yield Span(number, found - _TAG_OFFSET, found - _TAG_OFFSET + size), seal

    def seal(self, number: int) -> Seal:
        """The seal of a block."""
        [(_, seal)] = islice(self.seals(number), 1)
        return seal

    def records_of(self, seal: Seal) -> Iterator[Target]:
        """The records from the first of a block on, to the end of its chain file. Raises DamagedChain."""
        number, start = split_place(seal.first_place)
        buffer, sequence = self._mapped(number), seal.header.first_sequence
        for at, end, frame in walk_part(buffer, start, len(buffer)):
            if isinstance(frame, RecordFrame):
                yield Target(Span(number, at, end), frame, sequence)
                sequence += 1

    def bodies(self, place: int = FIRST_PLACE) -> Iterator[bytes]:
        """The bodies of all records from a place on, unchecked. Raises DamagedChain where there is no frame."""
        first, offset = split_place(place)
        for number in self.numbers()[first:]:
            buffer = self._mapped(number)
            while True:
                try:
                    found, offsets = bodies(buffer, offset, len(buffer), PORTION_RECORDS)
                except (BadFrame, StructError, IndexError):
                    raise DamagedChain(offset, TornFrame("there is no frame where one should be")) from None
                yield from found
                if len(found) < PORTION_RECORDS:
                    break
                offset = offsets[-1] + CHECK_BYTES + len(found[-1])
            offset = HEADER_BYTES

    def _batch_around(self, span: Span) -> tuple[int, batch.BatchHeader] | None:
        """Where the batch begins that a frame is part of, and its header; None where it stands alone."""
        buffer, at = self._mapped(span.number), HEADER_BYTES
        while at <= span.at:
            try:
                header = batch.decode(buffer, at)
            except BadFrame:
                at = self._behind(buffer, at)
                continue
            end = at + header.header_bytes + header.size
            if end > span.at:
                return at, header
            at = end
        return None

    @staticmethod
    def _behind(buffer: mmap, at: int) -> int:
        """Where the record or the seal at a place ends."""
        try:
            return at + decode_seal(buffer, at)[1]
        except BadFrame:
            return record.end_of(buffer, at)

    # Changes that keep every place what it was.

    def patch(self, number: int, at: int, data: bytes) -> None:
        """Overwrite bytes of a chain file."""
        with self.files.segment(number).open("r+b") as file:
            file.seek(at)
            file.write(data)

    def change_record(self, number: int, change: Callable[[RecordFrame], bytes]) -> None:
        """Put another body of the same size in the place of that of a record of the first chain file."""
        records = [(at, end, frame) for at, end, frame in self.frames() if isinstance(frame, RecordFrame)]
        at, end, frame = records[number]
        self.put_body(Target(Span(0, at, end), frame, number), change(frame))

    def put_body(self, target: Target, body: bytes) -> None:
        """Put another body of the same size in the place of a record's."""
        frame = with_check(body)
        assert len(frame) == target.span.end - target.span.at
        self.patch(target.span.number, target.span.at, frame)

    def change_seal(self, number: int, change: Callable[[Seal], Seal]) -> None:
        """Put another seal of the same size in the place of a block's, in the first chain file."""
        at, end, seal = [step for step in self.frames() if isinstance(step[2], Seal)][number]
        assert isinstance(seal, Seal)
        data = encode_seal(change(seal))
        assert len(data) == end - at
        self.patch(0, at, data)

    def rechain(self, first: int, signer: Signer) -> None:
        """Recompute the seals from block `first` on from the records, and sign them. O(bytes from there on)."""
        seals = list(self.seals(first))
        header = seals[0][1].header
        before = Frontier(header.first_sequence, seals[0][1].frontier)
        sealer = Sealer(header.collection, Head(first, header.previous_hash), before)
        leaves = (sha256(record.leaf_of(body)).digest() for body in self.bodies(seals[0][1].first_place))
        for span, seal in seals:
            header = seal.header
            about = BlockRecords(header.data_bytes, header.first_time_ms, header.last_time_ms, seal.first_place)
            made = sealer.seal(list(islice(leaves, header.records)), about)
            self.patch(span.number, span.at, encode_seal(signed(made, signer)))

    # Changes that move what follows, or take it away.

    def insert(self, target: Target, key: bytes, value: bytes) -> None:
        """Put a new record before another one, as if it had been written then."""
        self._splice(target.span, with_check(self.body_like(target.record, key, value)), cut=0)

    def remove(self, target: Target) -> None:
        """Take a record out."""
        self._splice(target.span, b"", cut=target.span.end - target.span.at)

    @staticmethod
    def body_like(like: RecordFrame, key: bytes, value: bytes) -> bytes:
        """The body of a record of the same kind and time as another one."""
        if like.kind == record.PLAIN:
            return record.encode(like.time_ms, key, value)
        return record.encode_redactable(like.time_ms, key, value, bytes(record.SALT_BYTES))

    def _splice(self, span: Span, data: bytes, *, cut: int) -> None:
        """Put `data` in the place of `cut` bytes of a record's frame; its batch and the mark are told."""
        around = self._batch_around(span)
        with self.files.segment(span.number).open("r+b") as file:
            file.seek(span.at + cut)
            rest = file.read()
            file.seek(span.at)
            file.write(data + rest)
            file.truncate()
        if around is not None:
            at, header = around
            told = header._replace(records=header.records + (1 if data else -1), size=header.size + len(data) - cut)
            self.patch(span.number, at, batch.encode_header(told))
        if span.number == self.numbers()[-1]:
            self.end_here()

    def append(self, key: bytes, value: bytes) -> None:
        """Write one more record at the end, as the writer would."""
        *_, last = self.bodies()
        with self.files.segment(self.numbers()[-1]).open("ab") as file:
            file.write(with_check(record.encode(record.time_of(last), key, value)))
        self.end_here()

    def end_with(self, blocks: int) -> None:
        """Leave a chain of so many blocks and nothing after them: a history as it was, with its own signatures.

        What was cut off of a batch, its header is told; seals that stood after the cut are written behind it.
        """
        seals = list(islice(self.seals(), blocks))
        header = seals[-1][1].header
        last = self._last_of(seals[-1][1])
        around = self._batch_around(last)
        self.cut(place_of(last.number, last.end))
        with self.files.segment(last.number).open("ab") as file:
            for span, seal in seals:
                if (span.number, span.at) >= (last.number, last.end):
                    file.write(encode_seal(seal))
        if around is not None:
            start, announced = around
            at = start + announced.header_bytes
            kept, _ = skip(self._mapped(last.number), at, last.end)
            self.patch(last.number, start, batch.encode_header(announced._replace(records=kept, size=last.end - at)))
        assert header.number == blocks - 1
        self.end_here()

    def _last_of(self, seal: Seal) -> Span:
        """Where the last record of a block stands."""
        number, start = split_place(seal.first_place)
        left = seal.header.records
        while True:
            buffer = self._mapped(number)
            found, offsets = bodies(buffer, start, len(buffer), left)
            left -= len(found)
            if not left:
                return Span(number, offsets[-1], offsets[-1] + CHECK_BYTES + len(found[-1]))
            number, start = number + 1, HEADER_BYTES

    def cut(self, place: int) -> int:
        """Cut the chain off at a place and say nothing to the mark. Returns how many bytes are gone."""
        number, offset = split_place(place)
        gone = 0
        for later in [later for later in self.numbers() if later > number]:
            gone += self.files.segment(later).stat().st_size
            self.files.segment(later).unlink()
        gone += self.files.segment(number).stat().st_size - offset
        with self.files.segment(number).open("r+b") as file:
            file.truncate(offset)
        return gone

    def end_here(self) -> int:
        """Tell the mark that the chain ends where its last file does, and return that place."""
        number = self.numbers()[-1]
        end = place_of(number, self.files.segment(number).stat().st_size)
        mark = mark_format.decode(self.files.mark.read_bytes())
        self.files.mark.write_bytes(mark_format.encode(mark._replace(written=end, forced=end)))
        return end

    # Keys and other small files.

    def change_toml(self, path: Path, change: Callable[[dict[str, Any]], object]) -> None:
        """Change the values of a checked TOML file in place."""
        values = checked_toml.decode(path.read_bytes())
        change(values)
        path.write_bytes(checked_toml.encode(values))

    def signer(self) -> Signer:
        """The database's own key: whoever can read the directory can sign."""
        return Signer(bytes.fromhex(checked_toml.decode(self.database.signing_key.read_bytes())["seed"]))

    def put_key(self, seed: bytes) -> Signer:
        """Make another key the one that signs, and list it after those that signed before. As a rotation looks."""
        signer = Signer(seed)
        self.change_toml(self.database.signing_key, lambda values: values.update(seed=seed.hex()))
        self.change_toml(self.database.public_keys, lambda values: values["keys"].append(signer.public_key.hex()))
        return signer
