"""Changing a closed database as someone would who knows its formats: every check is made to match again."""

from array import array
from collections.abc import Callable

from blockdb.format import table as table_format
from blockdb.tampering import forger


class Forger(forger.Forger):
    """The forger of the tamper lab, who knows tables too."""

    def change_table(self, change: Callable[["TableParts"], object], number: int = 0) -> None:
        """Change the parts of the first table, or of a later one."""
        path = sorted(self.files.tables.iterdir())[number]
        parts = TableParts(path.read_bytes())
        change(parts)
        path.write_bytes(parts.encode())


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
