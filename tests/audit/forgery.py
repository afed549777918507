"""Changing a closed database as someone would who knows its formats: every check is made to match again."""

from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

from blockdb.format import checked_toml, record
from blockdb.format import table as table_format
from blockdb.format.block import Seal, encode_seal
from blockdb.format.frame import with_check
from blockdb.format.record import RecordFrame
from blockdb.format.segment import HEADER_BYTES
from blockdb.format.walk import walk
from blockdb.layout import CollectionFiles
from tests.storage.doors import change_mark, collection_of


class Forger:
    """Works on the first chain file, on tables and on TOML files of a database that is closed."""

    def __init__(self, path: Path, files: CollectionFiles | None = None) -> None:
        """`files` are those of the collection, where there are several."""
        self.path = path
        self.files = files or collection_of(path)
        self.chain = self.files.segment(0)

    def frames(self) -> list[tuple[int, int, RecordFrame | Seal]]:
        """The records and seals of the chain file."""
        content = self.chain.read_bytes()
        return list(walk(content, HEADER_BYTES, len(content)))

    def change_record(self, number: int, change: Callable[[RecordFrame], bytes]) -> None:
        """Put another body of the same size in the place of a record's."""
        at, end, frame = [step for step in self.frames() if isinstance(step[2], RecordFrame)][number]
        assert isinstance(frame, RecordFrame)
        self._put(at, end, with_check(change(frame)))

    def change_seal(self, number: int, change: Callable[[Seal], Seal]) -> None:
        """Put another seal of the same size in the place of a block's."""
        at, end, frame = [step for step in self.frames() if isinstance(step[2], Seal)][number]
        assert isinstance(frame, Seal)
        self._put(at, end, encode_seal(change(frame)))

    def append(self, key: bytes, value: bytes) -> None:
        """Write one more record at the end, as the writer would."""
        [*_, time_ms] = [frame.time_ms for _, _, frame in self.frames() if isinstance(frame, RecordFrame)]
        with self.chain.open("ab") as file:
            file.write(with_check(record.encode(time_ms, key, value)))
        end = self.chain.stat().st_size
        change_mark(self.path, written=end, forced=end)

    def change_toml(self, path: Path, change: Callable[[dict[str, Any]], object]) -> None:
        """Change the values of a checked TOML file in place."""
        values = checked_toml.decode(path.read_bytes())
        change(values)
        path.write_bytes(checked_toml.encode(values))

    def change_table(self, change: Callable[["TableParts"], object], number: int = 0) -> None:
        """Change the parts of the first table, or of a later one."""
        path = sorted(self.files.tables.iterdir())[number]
        parts = TableParts(path.read_bytes())
        change(parts)
        path.write_bytes(parts.encode())

    def _put(self, at: int, end: int, frame: bytes) -> None:
        assert len(frame) == end - at
        content = self.chain.read_bytes()
        self.chain.write_bytes(content[:at] + frame + content[end:])


class TableParts:
    """The sections of a table, open to change."""

    def __init__(self, data: bytes) -> None:
        self.header = header = table_format.decode_header(data)
        self.words = array("Q", data[table_format.HEADER_BYTES : header.order_offset])
        self.order = array("I", data[header.order_offset : header.order_offset + 4 * header.records])
        self.seals = array("Q", data[header.seals_offset : header.filter_offset])
        self.filter = data[header.filter_offset : header.checks_offset]

    def encode(self) -> bytes:
        """The file with these parts, all checks made to match."""
        header = self.header._replace(
            records=len(self.order), slots=len(self.words), seals=len(self.seals), filter_bytes=len(self.filter)
        )
        order = self.order.tobytes().ljust((4 * len(self.order) + 7) // 8 * 8, b"\0")
        return table_format.encode(header, self.words.tobytes() + order + self.seals.tobytes() + self.filter)
