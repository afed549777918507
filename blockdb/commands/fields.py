"""Two formats of text beside tables: `vertical`, a field a line, and `hex`, the bytes of a value as a dump."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .display import printable
from .output import Output
from .shapes import json_text

__all__ = ["hex_lines", "vertical", "written"]

ROW_BYTES = 16


def vertical(items: Iterable[Mapping[str, str]], output: Output, *, numbered: bool = True) -> None:
    """Write items a field a line, each below a line with its number. Fields are safe to show, and never cut."""
    for number, fields in enumerate(items, 1):
        if numbered:
            output.line(output.palette.paint("muted", f"--- {number} ---"))
        width = max(map(len, fields), default=0)
        for name, text in fields.items():
            output.line(f"{output.palette.paint('muted', name.ljust(width))}  {text}".rstrip())


def written(data: Mapping[str, Any]) -> dict[str, str]:
    """The fields of an object as text that is safe to show: those of objects in it as `outer.inner`, lists as JSON."""
    found: dict[str, str] = {}
    for name, value in data.items():
        if isinstance(value, Mapping) and value:
            found |= {f"{name}.{inner}": text for inner, text in written(value).items()}
        else:
            found[name] = printable(value if isinstance(value, str) else json_text(value))
    return found


def hex_lines(data: bytes) -> Iterator[str]:
    """A dump as `hexdump -C` writes it, but that nothing is left out: offset, 16 bytes, and those that are ASCII.

    The last line is the offset of the end: the number of bytes.
    """
    for start in range(0, len(data), ROW_BYTES):
        row = data[start : start + ROW_BYTES]
        halves = f"{row[:8].hex(' '):<23}  {row[8:].hex(' '):<23}"
        seen = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in row)
        yield f"{start:08x}  {halves}  |{seen}|"
    yield f"{len(data):08x}"
