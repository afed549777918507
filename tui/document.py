"""A value as lines fit to show: JSON, text or hex. Whatever its size, only the lines asked for are made.

A line is a list of pieces: a role of the palette, and text that is safe on any terminal.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, Protocol

from rich.cells import cell_len

from blockdb.commands.display import human_bytes, printable

__all__ = ["MODES", "Document", "Layout", "Line", "Mode", "Prose", "best_mode", "read_as"]

Mode = Literal["json", "text", "hex"]
MODES: tuple[Mode, ...] = ("json", "text", "hex")
Line = list[tuple[str, str]]

FORMATTED_BYTES = 1 << 20  # beyond this JSON and text are cut, in words; hex shows everything
DEEPEST_INDENT = 24
FAR_FROM_EDGE = 16


class Layout(Protocol):
    """A document set out for one width."""

    @property
    def height(self) -> int:
        """How many lines there are."""

    def line(self, index: int) -> Line:
        """The pieces of one line."""


class Document(Protocol):
    """A value read one way. `note` says in words what is not shown; empty if everything is."""

    note: str

    def layout(self, width: int) -> Layout:
        """Set out for `width` cells; may take a while for a long document, so call it off the event loop."""


def best_mode(data: bytes) -> Mode:
    """How a value is best read: an object or a list as JSON, what is mostly text as text, the rest in hex."""
    if data[:256].lstrip(b" \t\r\n")[:1] in (b"{", b"[") and len(data) <= FORMATTED_BYTES and _is_json(data):
        return "json"
    sample = data[:4096]
    odd = sum(byte < 0x20 and byte not in b"\t\r\n" for byte in sample) + sample.decode("utf-8", "replace").count(
        "\ufffd"
    )
    return "text" if odd * 10 <= len(sample) else "hex"


def read_as(data: bytes, mode: Mode) -> Document:
    """The value as a document of that mode; JSON that is none is read as text, and the note says so."""
    if mode == "hex":
        return Hex(data)
    if mode == "text":
        return Prose(_text_lines(data), _cut_note(data))
    if len(data) > FORMATTED_BYTES:
        return Prose(_text_lines(data), f"too long to set out as JSON; {_cut_note(data)}")
    if not _is_json(data):
        return Prose(_text_lines(data), "not JSON: shown as text")
    return Prose(list(_json_lines(data.decode())), "")


def _cut_note(data: bytes) -> str:
    if len(data) <= FORMATTED_BYTES:
        return ""
    return f"the first {human_bytes(FORMATTED_BYTES)} of {human_bytes(len(data))}; hex shows all"


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        return False
    return True


def _text_lines(data: bytes) -> list[Line]:
    text = printable(data[:FORMATTED_BYTES].replace(b"\r\n", b"\n"), keep_newlines=True)
    return [[("text", line)] for line in text.split("\n")]


_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)
_WORDS = {"true": "boolean", "false": "boolean", "null": "null"}


def _json_lines(text: str) -> Iterator[Line]:
    """The tokens of a valid JSON text, one entry a line. No token is changed: `1e2` and a name given twice stay."""
    tokens = _TOKEN.findall(text)
    depth, line = 0, []
    for at, token in enumerate(tokens):
        after = tokens[at + 1] if at + 1 < len(tokens) else ""
        if token in "{[":
            line.append(("muted", token))
            if after not in ("}", "]"):
                depth += 1
                yield line
                line = _indent(depth)
        elif token in "}]":
            if tokens[at - 1] not in "{[":
                depth -= 1
                yield line
                line = _indent(depth)
            line.append(("muted", token))
        elif token == ",":
            yield [*line, ("muted", ",")]
            line = _indent(depth)
        elif token == ":":
            line.append(("muted", ": "))
        else:
            line.append((_token_role(token, after), printable(token)))
    yield line


def _indent(depth: int) -> Line:
    return [("border", "  " * min(depth, DEEPEST_INDENT))] if depth else []


def _token_role(token: str, after: str) -> str:
    if token.startswith('"'):
        return "key" if after == ":" else "string"
    return _WORDS.get(token, "number")


@dataclass
class Prose:
    """Lines of any length, wrapped to the width; what is left of a line stands under its own indent."""

    lines: Sequence[Line]
    note: str

    def layout(self, width: int) -> Wrapped:
        return Wrapped(self.lines, max(width, 8))


class Wrapped:
    """Where each line of a text is broken for one width; the pieces are cut only when a line is drawn."""

    def __init__(self, lines: Sequence[Line], width: int) -> None:
        self._lines = lines
        self._breaks = [_breaks(line, width) for line in lines]
        self._starts = list(accumulate((len(breaks) for breaks in self._breaks), initial=0))

    @property
    def height(self) -> int:
        return self._starts[-1]

    def line(self, index: int) -> Line:
        number = bisect_right(self._starts, index) - 1
        part = index - self._starts[number]
        breaks = self._breaks[number]
        end = breaks[part + 1] if part + 1 < len(breaks) else None
        cut = _cut(self._lines[number], breaks[part], end)
        return [("border", " " * _hang(self._lines[number])), *cut] if part else cut


def _hang(line: Line) -> int:
    """How far the rest of a wrapped line is set in: the indent of its first part and a little more."""
    return len(line[0][1]) + 2 if len(line) > 1 and not line[0][1].strip() else 0


def _breaks(line: Line, width: int) -> Sequence[int]:
    """The characters at which the parts of a wrapped line begin: after a blank, if one is not far from the edge."""
    text = "".join(piece for _, piece in line)
    rest = max(width - _hang(line), 4)
    breaks = [0]
    room = width
    while (end := breaks[-1] + _fitting(text, breaks[-1], room)) < len(text):
        blank = text.rfind(" ", max(breaks[-1] + room // 2, end - FAR_FROM_EDGE), end)
        breaks.append(blank + 1 if blank > 0 else end)
        room = rest
    return breaks


def _fitting(text: str, start: int, width: int) -> int:
    """How many characters from `start` on fit into `width` cells; at least one."""
    piece = text[start : start + width]
    if piece.isascii():
        return len(piece)
    cells = list(accumulate(map(cell_len, piece)))
    return max(1, bisect_right(cells, width))


def _cut(line: Line, start: int, end: int | None) -> Line:
    cut, at = [], 0
    for role, text in line:
        piece = text[max(start - at, 0) : None if end is None else max(end - at, 0)]
        if piece:
            cut.append((role, piece))
        at += len(text)
    return cut


class Hex:
    """Any bytes, each in hex and as a character."""

    note = ""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def layout(self, width: int) -> HexRows:
        return HexRows(self.data, width)


class HexRows:
    """Rows of 8, 16 or 32 bytes, as many as the width holds: offset, hex in groups of eight, characters."""

    def __init__(self, data: bytes, width: int) -> None:
        self._data = data
        self._digits = 8 if len(data) <= 1 << 32 else 16
        self.per_row = next((n for n in (32, 16, 8) if self._width(n) <= width), 4)

    def _width(self, per_row: int) -> int:
        return self._digits + 2 + 3 * per_row + (per_row - 1) // 8 + 1 + per_row

    @property
    def height(self) -> int:
        return max(1, -(-len(self._data) // self.per_row))

    def line(self, index: int) -> Line:
        start = index * self.per_row
        row = self._data[start : start + self.per_row]
        pieces: Line = [("muted", f"{start:0{self._digits}x}  ")]
        for at in range(0, self.per_row, 8):
            group = row[at : at + 8]
            pieces.append(("number" if at // 8 % 2 else "key", f"{group.hex(' '):<24}"))
            pieces.append(("muted", " " if at + 8 < self.per_row else ""))
        pieces.append(("string", " " + "".join(chr(byte) if 0x20 <= byte < 0x7F else "·" for byte in row)))
        return pieces
