"""Auditing indexes: whether they have the entries of the chain's records, and no other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from itertools import pairwise
from operator import index as same_number
from pathlib import Path
from typing import Any, Final

from rbloom import Bloom
from xxhash import xxh3_64_intdigest

from blockdb.audit.files import map_file, read_values
from blockdb.audit.findings import Findings
from blockdb.audit.stretch import Chain
from blockdb.audit.watch import Watch
from blockdb.documents.indexing import IndexDefinition, Keyer
from blockdb.documents.values import parse
from blockdb.errors import InvalidData
from blockdb.format import index as index_format
from blockdb.format.buffer import Buffer
from blockdb.format.frame import BadFrame
from blockdb.format.index import GROUP, IndexHeader, place_bytes, value_of
from blockdb.format.keyring import DataKeys
from blockdb.format.ordered import decode_all
from blockdb.format.pages import HEADER_BYTES as FILE_HEADER_BYTES
from blockdb.format.pages import PAGE_BYTES, bad_pages, file_bytes
from blockdb.format.place import OFFSET_BITS, OFFSET_MASK, place_of
from blockdb.format.record import RecordFrame
from blockdb.format.segment import HEADER_BYTES
from blockdb.format.walk import walk_part
from blockdb.layout import CollectionFiles
from blockdb.types import REDACTED

INDEXES: Final = "indexes"
REDACTIONS: Final = "redactions"
ATTEMPTS: Final = 5
"""A live writer may merge files while they are opened; then they are looked at again."""

TELLING_RECORDS: Final = 4096
_MODULUS: Final = 1 << 256


class Sum:
    """A sum over entries in any order: of the same ones it is the same, of others another one."""

    def __init__(self) -> None:
        self.entries = 0
        self._sum = 0

    def add(self, entry: bytes, place: int) -> None:
        """Count an entry."""
        self.entries += 1
        self._sum += int.from_bytes(sha256(place_bytes(place) + entry).digest())

    def is_same(self, other: Sum) -> bool:
        """Whether both are over the same entries."""
        return self.entries == other.entries and (self._sum - other._sum) % _MODULUS == 0


class FileAudit:
    """An index file whose bytes are intact. It is read anew here, on purpose."""

    def __init__(self, path: Path, buffer: Buffer, header: IndexHeader) -> None:
        self.path = path
        self.header = header
        self._buffer = buffer

    def entries(self) -> Iterator[tuple[bytes, int]]:
        """The entries with their places, in the order in which they stand."""
        header, buffer = self.header, self._buffer
        ends = self._numbers(header.ends_offset, header.entries, "I")
        places = self._numbers(header.places_offset, header.entries * header.unique, "Q")
        for number, (start, end) in enumerate(pairwise((0, *ends))):
            entry = buffer[FILE_HEADER_BYTES + start : FILE_HEADER_BYTES + end]
            yield entry, places[number] if header.unique else int.from_bytes(entry[-8:])

    def wrong(self) -> str | None:
        """What is wrong with its order, its fences or its filter; None where nothing is."""
        header, buffer = self.header, self._buffer
        bloom = Bloom.load_bytes(buffer[header.filter_offset : header.checks_offset], same_number)
        last, fences = b"", list[bytes]()
        for number, (entry, _) in enumerate(self.entries()):
            if entry <= last:
                return "the order of the entries is wrong"
            if xxh3_64_intdigest(value_of(entry, bool(header.unique))) not in bloom:
                return "the Bloom filter denies an entry"
            if number % GROUP == 0:
                fences.append(entry)
            last = entry
        ends = self._numbers(header.fence_ends_offset, header.fences, "I")
        kept = [
            buffer[header.fences_offset + start : header.fences_offset + end] for start, end in pairwise((0, *ends))
        ]
        return None if kept == fences else "the fences are not those of the entries"

    def _numbers(self, offset: int, count: int, form: str) -> list[int]:
        size = 4 if form == "I" else 8
        return memoryview(self._buffer[offset : offset + count * size]).cast(form).tolist()  # type: ignore[call-overload, no-any-return]


class IndexesAudit:
    """The indexes of a collection as they are now, to be held against a chain that is read after them."""

    def __init__(self, files: CollectionFiles, collection: bytes, findings: Findings, keys: DataKeys | None) -> None:
        self._files = files
        self._collection = collection
        self._findings = findings
        self._keys = keys
        self._redactions = self._redactions_now()
        self._found: list[tuple[IndexDefinition, list[FileAudit]]] = []
        if not files.index_list.exists():
            return
        for _ in range(ATTEMPTS):
            before, seen = len(findings.problems), _bytes_of(files.index_list)
            self._found = list(self._opened())
            if len(findings.problems) == before or seen == _bytes_of(files.index_list):
                break
            del findings.problems[before:]

    def check(self, chain: Chain, watch: Watch, end: int | None) -> None:
        """Hold them against a chain in which nothing is wrong, up to its end. Raises Cancelled."""
        before = len(self._findings.problems)
        for definition, files in self._found:
            for file in files:
                watch.read(file_bytes(file.header))
                self._check_file(definition, file, chain, watch, end)
            if definition.unique:
                self._check_unique(definition, files)
        if self._redactions.get("event") or self._redactions != self._redactions_now():
            del self._findings.problems[before:]  # values were erased meanwhile: from the chain, or from the indexes

    def _redactions_now(self) -> Mapping[str, Any]:
        """How many redactions there were, and the one that is under way."""
        path, unheard = self._files.redactions, Findings(self._findings.root)
        return (read_values(path, REDACTIONS, unheard, self._keys) or {}) if path.exists() else {}

    def _opened(self) -> Iterator[tuple[IndexDefinition, list[FileAudit]]]:
        path, findings = self._files.index_list, self._findings
        values = read_values(path, INDEXES, findings)
        for stored in (values or {}).get("indexes", ()):
            try:
                definition = _definition_of(stored)
            except (InvalidData, KeyError, TypeError, ValueError) as error:
                findings.add(path, f"it defines an index that cannot be: {error}")
                continue
            files = [self._open_file(definition, number) for number in stored["files"]]
            whole = [file for file in files if file is not None]
            if len(whole) == len(files):
                self._check_joined(definition, whole, (stored["covered_place"], stored["covered"]))
            yield definition, whole

    def _open_file(self, definition: IndexDefinition, number: int) -> FileAudit | None:
        path, findings = self._files.index_file(number), self._findings
        buffer = map_file(path, findings, self._keys)
        if buffer is None:
            return None
        try:
            header = index_format.decode_header(buffer)
        except BadFrame as error:
            findings.add(path, str(error), offset=0)
            return None
        about = header.collection, header.index_id, header.number, header.unique
        if about != (self._collection, definition.uuid, number, definition.unique):
            findings.add(path, "the file holds another index", offset=0)
            return None
        damaged = list(bad_pages(buffer, header))
        for page in damaged:
            what = "a page of the index file does not match its check"
            findings.add(path, what, offset=FILE_HEADER_BYTES + page * PAGE_BYTES)
        return None if damaged else FileAudit(path, buffer, header)

    def _check_joined(self, definition: IndexDefinition, files: list[FileAudit], covered: tuple[int, int]) -> None:
        place, records = HEADER_BYTES, 0
        for file in files:
            if file.header.first_place != place:
                what, found = "the index file does not go on from the one before", f"place {file.header.first_place}"
                self._findings.add(file.path, what, expected=f"place {place}", found=found)
            place, records = file.header.end_place, records + file.header.records
        if (place, records) != covered:
            what = f"the files of the index {definition.name} do not have the records that it says"
            expected, found = f"{covered[1]} records", f"{records} records"
            self._findings.add(self._files.index_list, what, expected=expected, found=found)

    def _check_file(
        self, definition: IndexDefinition, file: FileAudit, chain: Chain, watch: Watch, end: int | None
    ) -> None:
        wrong = file.wrong()
        if wrong is not None:
            self._findings.add(file.path, wrong)
            return
        header = file.header
        if header.end_place > (place_of(len(chain.segments), 0) if end is None else end):
            self._findings.add(file.path, "the index file has more records than the chain")
            return
        wanted, kept = Sum(), Sum()
        for _, entry, place in _entries_of(chain, definition, header.first_place, header.end_place, watch):
            wanted.add(entry, place)
        for entry, place in file.entries():
            kept.add(entry, place)
        if not wanted.is_same(kept):
            self._tell_difference(definition, file, chain, watch)

    def _tell_difference(self, definition: IndexDefinition, file: FileAudit, chain: Chain, watch: Watch) -> None:
        """Name what the chain has and the file has not, or the other way round."""
        header, path, kept = file.header, file.path, set(file.entries())
        for key, entry, place in _entries_of(chain, definition, header.first_place, header.end_place, watch):
            if (entry, place) in kept:
                kept.discard((entry, place))
            else:
                what, expected = "the index does not have the values of the record", _shown(definition, entry)
                self._findings.add(path, what, key=key, expected=f"{expected} at place {place}", found="nothing")
        for entry, place in sorted(kept):
            what, found = "the index has values that no record has", _shown(definition, entry)
            self._findings.add(path, what, expected="nothing", found=f"{found} at place {place}")

    def _check_unique(self, definition: IndexDefinition, files: list[FileAudit]) -> None:
        seen: set[bytes] = set()
        for file in files if len(files) > 1 else ():
            for entry, _ in file.entries():
                if entry in seen:
                    what = f"two records have the same values, and the index {definition.name} is unique"
                    self._findings.add(file.path, what, found=_shown(definition, entry))
                seen.add(entry)


def _entries_of(
    chain: Chain, definition: IndexDefinition, start: int, stop: int, watch: Watch
) -> Iterator[tuple[bytes, bytes, int]]:
    """The key of each record between two places of the chain, its entries, and its place. Raises Cancelled."""
    keyer, records = definition.keyer(), 0
    for number in range(start >> OFFSET_BITS, (stop >> OFFSET_BITS) + 1):
        buffer = chain.segments[number] if number < len(chain.segments) else b""
        first = start & OFFSET_MASK if number == start >> OFFSET_BITS else HEADER_BYTES
        last = stop & OFFSET_MASK if number == stop >> OFFSET_BITS else len(buffer)
        for offset, _, frame in walk_part(buffer, first, last):
            if isinstance(frame, RecordFrame):
                place, records = place_of(number, offset), records + 1
                if records % TELLING_RECORDS == 0:
                    watch.tell(0, 0)
                for entry in _entries_at(keyer, frame, place, definition.unique):
                    yield frame.key, entry, place


def _entries_at(keyer: Keyer, frame: RecordFrame, place: int, unique: bool) -> list[bytes]:
    if frame.value is REDACTED:
        return []
    try:
        values = keyer(parse(frame.value))
    except InvalidData:
        return []
    return values if unique else [value + place_bytes(place) for value in values]


def _definition_of(stored: Mapping[str, Any]) -> IndexDefinition:
    names = ("id", "name", "unique", "sparse", "created_at")
    definition = IndexDefinition(fields=tuple(stored["fields"]), **{name: stored[name] for name in names})
    definition.check()
    _ = definition.uuid
    return definition


def _shown(definition: IndexDefinition, entry: bytes) -> str:
    try:
        values, _ = decode_all(entry, len(definition.fields))
    except BadFrame:
        return entry.hex()
    return ", ".join(f"{field} = {value!r}" for field, value in zip(definition.fields, values, strict=True))


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
