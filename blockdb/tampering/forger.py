"""Changing a closed database as someone would who knows its formats: every check of the files is made to match."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from blockdb.database.creation import DEFAULT_COLLECTION
from blockdb.format import batch, checked_toml, record
from blockdb.format import mark as mark_format
from blockdb.format.block import Seal, encode_seal
from blockdb.format.frame import with_check
from blockdb.format.place import place_of, split_place
from blockdb.format.record import RecordFrame
from blockdb.format.segment import HEADER_BYTES
from blockdb.format.walk import walk
from blockdb.layout import DatabaseFiles, segment_numbers
from blockdb.ledger.chain import BlockRecords, Head, Sealer, signed
from blockdb.ledger.merkle import Frontier
from blockdb.ledger.signature import Signer


class Frame(NamedTuple):
    """A record or a seal, and the bytes of the chain file `number` that it takes."""

    number: int
    at: int
    end: int
    content: RecordFrame | Seal


@dataclass(frozen=True)
class Target:
    """A record that was chosen, with what stands around it."""

    frame: Frame
    record: RecordFrame
    sequence: int
    batch_at: int | None
    """Where the header of its batch begins; None where it was written alone."""


class Forger:
    """Works on the default collection of a database that nobody has open. Its chain files must not be packed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database = DatabaseFiles(path)
        names = checked_toml.decode(self.database.registry.read_bytes())["collections"]
        self.files = self.database.collection(names[DEFAULT_COLLECTION])

    @property
    def chain(self) -> Path:
        """The first chain file."""
        return self.files.segment(0)

    # Reading.

    def numbers(self) -> list[int]:
        """The numbers of the chain files."""
        return segment_numbers(path.name for path in self.files.chain.iterdir())

    def walk(self) -> Iterator[Frame]:
        """Every record and seal, in the order of the chain. Raises DamagedChain. O(bytes)."""
        for number in self.numbers():
            content = self.files.segment(number).read_bytes()
            for at, end, frame in walk(content, HEADER_BYTES, len(content)):
                yield Frame(number, at, end, frame)

    def frames(self) -> list[tuple[int, int, RecordFrame | Seal]]:
        """The records and seals of the first chain file."""
        return [(frame.at, frame.end, frame.content) for frame in self.walk() if frame.number == 0]

    def seals(self) -> Iterator[tuple[Frame, Seal]]:
        """Every seal. O(bytes)."""
        for frame in self.walk():
            if isinstance(frame.content, Seal):
                yield frame, frame.content

    def record(self, wanted: Callable[[int, RecordFrame], bool]) -> Target | None:
        """The first record of which `wanted` is true; it is asked with sequence number and record. O(bytes)."""
        sequence, number, end = 0, -1, HEADER_BYTES
        batch_at: int | None = None
        batch_end = 0
        for frame in self.walk():
            if frame.number != number:
                number, end, batch_end = frame.number, HEADER_BYTES, 0
            if not isinstance(frame.content, RecordFrame):
                end = frame.end
                continue
            if frame.at != end:  # what walking leaves out is the header of a batch
                batch_at, batch_end = end, end + self._batch_bytes(number, end)
            if wanted(sequence, frame.content):
                return Target(frame, frame.content, sequence, batch_at if frame.at < batch_end else None)
            sequence, end = sequence + 1, frame.end
        return None

    def _batch_bytes(self, number: int, at: int) -> int:
        return batch.HEADER_BYTES + self._batch_header(number, at).size

    def _batch_header(self, number: int, at: int) -> batch.BatchHeader:
        with self.files.segment(number).open("rb") as file:
            file.seek(at)
            return batch.decode(file.read(batch.HEADER_BYTES), 0)

    # Changes that keep every place what it was.

    def patch(self, number: int, at: int, data: bytes) -> None:
        """Overwrite bytes of a chain file."""
        with self.files.segment(number).open("r+b") as file:
            file.seek(at)
            file.write(data)

    def change_record(self, number: int, change: Callable[[RecordFrame], bytes]) -> None:
        """Put another body of the same size in the place of a record's."""
        target = self.record(lambda sequence, _: sequence == number)
        assert target is not None
        self.put_body(target, change(target.record))

    def put_body(self, target: Target, body: bytes) -> None:
        """Put another body of the same size in the place of a record's."""
        frame = with_check(body)
        assert len(frame) == target.frame.end - target.frame.at
        self.patch(target.frame.number, target.frame.at, frame)

    def change_seal(self, number: int, change: Callable[[Seal], Seal]) -> None:
        """Put another seal of the same size in the place of a block's."""
        frame, seal = list(self.seals())[number]
        data = encode_seal(change(seal))
        assert len(data) == frame.end - frame.at
        self.patch(frame.number, frame.at, data)

    def rechain(self, signer: Signer) -> int:
        """Recompute every seal from the records, and sign those that are others now.

        Returns the number of the first block that is. O(all bytes).
        """
        leaves: list[bytes] = []
        patches: list[tuple[int, int, bytes]] = []
        sealer: Sealer | None = None
        first = 0
        for frame in self.walk():
            if isinstance(frame.content, RecordFrame):
                leaves.append(sha256(frame.content.leaf).digest())
                continue
            seal, header = frame.content, frame.content.header
            sealer = sealer or Sealer(header.collection, Head(), Frontier())
            about = BlockRecords(header.data_bytes, header.first_time_ms, header.last_time_ms, seal.first_place)
            made = sealer.seal(leaves[: header.records], about)
            del leaves[: header.records]
            if made.header != header:
                first = first if patches else header.number
                patches.append((frame.number, frame.at, encode_seal(signed(made, signer))))
        for patch in patches:
            self.patch(*patch)
        return first

    # Changes that move what follows.

    def insert(self, target: Target, key: bytes, value: bytes) -> None:
        """Put a new record before another one, as if it had been written then."""
        self._splice(target, with_check(self.body_like(target.record, key, value)), cut=0)

    def remove(self, target: Target) -> None:
        """Take a record out."""
        self._splice(target, b"", cut=target.frame.end - target.frame.at)

    @staticmethod
    def body_like(like: RecordFrame, key: bytes, value: bytes) -> bytes:
        """The body of a record of the same kind and time as another one."""
        if like.kind == record.PLAIN:
            return record.encode(like.time_ms, key, value)
        return record.encode_redactable(like.time_ms, key, value, bytes(record.SALT_BYTES))

    def _splice(self, target: Target, data: bytes, *, cut: int) -> None:
        """Put `data` in the place of `cut` bytes of the record's frame; its batch and the mark are told."""
        number, at = target.frame.number, target.frame.at
        content = self.files.segment(number).read_bytes()
        head, tail = content[:at], content[at + cut :]
        change = len(data) - cut
        if target.batch_at is not None:
            header = batch.decode(content, target.batch_at)
            told = batch.BatchHeader(header.records + (1 if data else -1), header.size + change)
            start = target.batch_at + batch.HEADER_BYTES
            head = head[: target.batch_at] + (batch.encode_header(told) if told.records else b"") + head[start:]
        self.files.segment(number).write_bytes(head + data + tail)
        if number == self.numbers()[-1]:
            self.end_here()

    def append(self, key: bytes, value: bytes) -> None:
        """Write one more record at the end, as the writer would."""
        times = [frame.content.time_ms for frame in self.walk() if isinstance(frame.content, RecordFrame)]
        with self.files.segment(self.numbers()[-1]).open("ab") as file:
            file.write(with_check(record.encode(times[-1], key, value)))
        self.end_here()

    def end_with(self, blocks: int) -> None:
        """Leave a chain of so many blocks, each with its own seal right after its records, and nothing after them.

        That is a history as it was: no hash and no signature covers where a seal stands. O(all bytes).
        """
        seals = [seal for _, seal in islice(self.seals(), blocks)]
        ends = {seal.header.first_sequence + seal.header.records - 1: seal for seal in seals}
        sequence, first_place = 0, 0
        for number in self.numbers():
            content = self.files.segment(number).read_bytes()
            kept = bytearray(content[:HEADER_BYTES])
            for at, end, frame in walk(content, HEADER_BYTES, len(content)):
                if isinstance(frame, Seal) or sequence > max(ends):
                    continue
                first_place = first_place or place_of(number, len(kept))
                kept += content[at:end]
                if (seal := ends.get(sequence)) is not None:
                    kept += encode_seal(seal._replace(first_place=first_place))
                    first_place = 0
                sequence += 1
            self.files.segment(number).write_bytes(kept)
            if len(kept) == HEADER_BYTES and number:
                self.files.segment(number).unlink()
        self.end_here()

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

    def end_here(self) -> None:
        """Tell the mark that the chain ends where its last file does."""
        number = self.numbers()[-1]
        end = place_of(number, self.files.segment(number).stat().st_size)
        mark = mark_format.decode(self.files.mark.read_bytes())
        self.files.mark.write_bytes(mark_format.encode(mark._replace(written=end, forced=end)))

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


def value_offset(target: Target) -> int:
    """Where in its chain file the value of a record begins."""
    return target.frame.end - len(target.record.value)
