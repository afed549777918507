"""Results as text: table and vertical for people; json, jsonl, csv, raw and hex for programs.

Formats for programs do not depend on the terminal, its width or the locale. On a terminal, stored bytes are made
printable in every format; a pipe gets them as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

from blockdb.types import REDACTED

from .command import COLUMNAR_FORMATS, FOR_PEOPLE
from .display import human_bytes, human_count, human_time, printable, shortened
from .failures import INTERRUPTED, UsageError
from .fields import hex_lines, vertical, written
from .output import Output
from .results import Column, Document, Facts, Live, Nothing, Records, Result, Stream, Table, Value, Words
from .shapes import csv_line, document_lines, encode_base64, json_text, record_json, record_lines
from .trust import Trust

__all__ = ["default_format", "render"]

_SAMPLE = 100  # rows that decide how wide the columns of a table are
_GAP = "  "


def default_format(result: Result, output: Output) -> str:
    """The format where none was asked for: tables for people, JSON lines for programs."""
    return "table" if output.on_terminal or not isinstance(result, (Records, Table, Live)) else "jsonl"


def render(result: Result, output: Output, format: str | None = None) -> None:
    """Write a result in a format. Lazy rows are read here, so errors of the database may be raised here too."""
    shape = format or default_format(result, output)
    match result:
        case Words():
            _words(result, output, shape)
        case Document():
            _document(result, output, shape)
        case Value():
            _value(result, output, shape)
            _say_trust(result.trust, output, shape)
            _say_more(result, output, shape)
        case Stream():
            _stream(result, output)
        case Records():
            if _records(result, output, shape):
                _say_trust(result.trust, output, shape)
            _say_more(result, output, shape)
        case Table():
            _table(result, output, shape)
            _say_more(result, output, shape)
        case Facts():
            _facts(result, output, shape)
        case Live():
            _live(result, output, shape)
        case Nothing():
            pass


def _say_more(result: Value | Records | Table, output: Output, format: str) -> None:
    """Say that there is more. A table is for people; others are told where something was cut off."""
    more = result.more() if callable(result.more) else result.more if format in FOR_PEOPLE else None
    if more:
        output.note(more, "muted")


def _say_trust(trust_of: Callable[[], Trust | None] | None, output: Output, format: str) -> None:
    """Say below what is shown how far it can be trusted: to a person, never to a program."""
    if trust_of is None or format not in ("table", "vertical", "hex") or not output.on_terminal:
        return
    if (trust := trust_of()) is not None:
        output.note(trust.sentence, trust.degree.role)


def _words(words: Words, output: Output, format: str) -> None:
    told = {"success": words.exit_code == 0, "message": printable(words.text, keep_newlines=True), **words.data}
    if words.data and format in ("json", "jsonl"):
        _json(output, told)
    elif words.data and format == "csv":
        _csv_facts(told, output)
    elif words.data and format == "vertical":
        vertical([written({**told, "message": words.text})], output, numbered=False)
    elif words.text:
        output.words(words.text, words.role)
        if words.more and output.on_terminal:
            output.note(words.more, "muted")
    for failure in words.failures:
        output.error(failure)


def _document(document: Document, output: Output, format: str) -> None:
    if format in ("json", "jsonl"):
        _json(output, document.data)
    elif format == "csv" and document.table is not None:
        _table(document.table, output, format)
    elif format == "vertical":
        vertical([written(document.data)], output, numbered=False)
    elif format == "hex":
        _hex(document.text.encode(), output)
    else:
        shown = printable(document.text, keep_newlines=True) if output.on_terminal else document.text
        output.data(shown.encode())
        if document.note:
            output.note(document.note, "muted")
    for failure in document.failures:
        output.error(failure)


def _json(output: Output, data: Any) -> None:
    output.line(output.palette.paint_json(json_text(data)))


def _value(result: Value, output: Output, format: str) -> None:
    shown = encode_base64(result.value).encode() if result.base64 else result.value
    if format in COLUMNAR_FORMATS:
        if output.on_terminal:
            raise UsageError(f"{format} is for programs: send it to a file or a pipe")
        output.data(result.value)
    elif format in ("json", "jsonl"):
        output.line(output.palette.paint_json(record_json(result.key, result.value, result.base64)))
    elif format == "csv":
        _csv_records(Records(iter([(result.key, result.value)]), base64=result.base64), output)
    elif format == "vertical":
        vertical([_record_fields(result.key, result.value, base64=result.base64)], output, numbered=False)
    elif format == "hex":
        _hex(result.value, output)
    elif output.on_terminal:
        output.line(_highlighted(printable(shown, keep_newlines=True), output))
    else:
        output.data(shown if format == "raw" else shown + b"\n")


def _hex(data: bytes, output: Output) -> None:
    for line in hex_lines(data):
        output.line(line)


def _record_fields(key: bytes, value: bytes | None, *, base64: bool) -> dict[str, str]:
    encode = encode_base64 if base64 else printable
    shown = {} if value is None else {"value": "(redacted)" if value is REDACTED else encode(value)}
    return {"key": encode(key), **shown}


def _stream(result: Stream, output: Output) -> None:
    if output.on_terminal:
        raise UsageError("what comes is for programs: send it to a file or a pipe")
    for chunk in result.chunks:
        output.data(chunk)


def _highlighted(text: str, output: Output) -> str:
    """A value that looks like JSON, in colours; any other as it is."""
    return output.palette.paint_json(text) if text[:1] in ("{", "[") and text[-1:] in ("}", "]") else text


def _records(result: Records, output: Output, format: str) -> bool:
    """Writes records; whether it is a table with rows."""
    if format == "table":
        return _records_table(result, output)
    if format == "csv":
        _csv_records(result, output)
    elif format == "vertical":
        vertical((_record_fields(key, value, base64=result.base64) for key, value in result.items), output)
    elif format == "hex":
        for key, value in result.items:
            if value is not None:
                output.line(output.palette.paint("key", printable(key)))
            _hex(key if value is None else value, output)
    elif format == "raw":
        for key, value in result.items:
            data = key if value is None else value
            output.data((encode_base64(data).encode() if result.base64 else _raw(data, output)) + b"\n")
    else:
        shape = (
            document_lines(result.items)
            if result.are_documents
            else record_lines(result.items, "jsonl", base64=result.base64)
        )
        _json_lines(shape, output, format)
    return False


def _raw(data: bytes, output: Output) -> bytes:
    return printable(data).encode() if output.on_terminal else data


def _json_lines(lines: Iterable[str], output: Output, format: str) -> None:
    """JSON lines, or the same lines as one array, a member to a line."""
    lines = map(output.palette.paint_json, lines)
    if format == "jsonl":
        for line in lines:
            output.line(line)
        return
    before = "["
    for line in lines:
        output.data(f"{before}\n{line}".encode())
        before = ","
    output.line("[]" if before == "[" else "\n]")


def _csv_records(result: Records, output: Output) -> None:
    for line in record_lines(result.items, "csv", base64=result.base64, keys_only=result.keys_only):
        output.line(printable(line, keep_newlines=True) if output.on_terminal else line)


def _records_table(result: Records, output: Output) -> bool:
    columns = [Column("key", "KEY", role="key"), Column("value", "VALUE")][: 1 if result.keys_only else 2]
    rows = (list(_record_fields(key, value, base64=result.base64).values()) for key, value in result.items)
    return _write_table(columns, rows, output)


def _table(result: Table, output: Output, format: str) -> None:
    names = [column.name for column in result.columns]
    if format == "table":
        rows = ([_cell(column, row[column.name]) for column in result.columns] for row in result.rows)
        _write_table(result.columns, rows, output)
    elif format == "vertical":
        vertical(
            (
                {column.name: _cell(column, row[column.name], in_full=True) for column in result.columns}
                for row in result.rows
            ),
            output,
        )
    elif format == "csv":
        output.line(csv_line(names))
        for row in result.rows:
            output.line(csv_line([_field(column, row[column.name]) for column in result.columns]))
    else:
        _json_lines((json_text({name: row[name] for name in names}) for row in result.rows), output, format)


def _field(column: Column, value: Any) -> str:
    """A field as CSV has it."""
    if value is None:
        return ""
    if column.kind == "swatch":
        return " ".join(value)
    return json_text(value) if column.kind == "json" and not isinstance(value, str) else str(value)


def _cell(column: Column, value: Any, *, in_full: bool = False) -> str:
    """A field as a person reads it."""
    if value is None:
        return "-"
    match column.kind:
        case "count":
            return human_count(value)
        case "bytes":
            return human_bytes(value)
        case "time":
            return human_time(value)
        case "hash" if not in_full:
            return f"{value[:12]}…"
        case "json" if not isinstance(value, str):
            return printable(json_text(value))
        case "swatch":
            return " ".join(value)
    return printable(str(value))


def _write_table(columns: Sequence[Column], rows: Iterator[list[str]], output: Output) -> bool:
    """Rows under headings, written as they come: the first ones decide the widths. Whether there are any."""
    sample = list(islice(rows, _SAMPLE))
    widths = _widths(columns, sample, output.width)
    if not sample:
        return False
    headings = _GAP.join(_fit(column.heading, width, column) for column, width in zip(columns, widths, strict=True))
    output.line(output.palette.paint("muted", headings.rstrip()))
    for row in chain(sample, rows):
        cells = [_fit(cell, width, column) for cell, width, column in zip(row, widths, columns, strict=True)]
        painted = [_painted(cell, column, output) for cell, column in zip(cells, columns, strict=True)]
        if output.palette:
            for at, column in enumerate(columns):
                if column.kind == "swatch":
                    painted[at] = _swatch(row[at].split(), len(cells[at]), output)
        output.line(_GAP.join(painted).rstrip())
    return True


def _widths(columns: Sequence[Column], rows: Sequence[Sequence[str]], screen: int | None) -> list[int | None]:
    """The width of each column; the last one has what is left of the screen (None: as much as it wants)."""
    widths: list[int | None] = [
        max(_width(text) for text in (column.heading, *(row[index] for row in rows)))
        for index, column in enumerate(columns[:-1])
    ]
    if screen is None:
        return [*widths, None]
    if len(columns) == 2:  # a key as long as the screen would leave no room for its value
        widths = [min(width or 0, screen * 2 // 5) for width in widths]
    taken = sum((width or 0) + len(_GAP) for width in widths)
    return [*widths, max(screen - taken, 8)]


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _fit(text: str, width: int | None, column: Column) -> str:
    """`text` in exactly `width` cells; an ellipsis stands for what is cut off."""
    if width is None:
        return text
    length = _width(text)
    if length <= width:
        blanks = " " * (width - length)
        return blanks + text if column.kind in ("count", "bytes") else text + blanks
    if text.isascii():
        return text[: width - 1] + "…"
    from rich.cells import set_cell_size

    return set_cell_size(text, width - 1) + "…"


def _painted(cell: str, column: Column, output: Output) -> str:
    if column.name == "value":
        return _highlighted(cell.rstrip(), output) if cell.rstrip()[-1:] in ("}", "]", "…") else cell
    return output.palette.paint(column.role, cell)


def _swatch(colours: list[str], width: int, output: Output) -> str:
    """Colours as they look, in place of their names; what does not fit is left out."""
    shown = colours[: width // 2]
    return output.palette.swatch(shown) + " " * (width - 2 * len(shown))


def _live(result: Live, output: Output, format: str) -> None:
    try:
        for item in result.items:
            if item is None:
                output.insist_on_reader()
                continue
            text, data = item
            if format == "vertical":
                vertical([written(data)], output, numbered=False)
                output.line("")
            elif format == "table":
                output.line(text if output.width is None else shortened(text, output.width))
            else:
                output.line(output.palette.paint_json(json_text(data)))
            output.flush()
    except KeyboardInterrupt:
        output.note(result.interrupted(), "muted")
        result.exit_code = INTERRUPTED


def _facts(result: Facts, output: Output, format: str) -> None:
    if format == "table":
        output.line(output.palette.paint("accent", result.title))
        for label, text in result.facts:
            output.line(f"  {output.palette.paint('muted', f'{label}:')} {printable(text)}")
    elif format == "vertical":
        vertical([written(result.data)], output, numbered=False)
    elif format == "csv":
        _csv_facts(result.data, output)
    else:
        _json(output, result.data)


def _csv_facts(data: Mapping[str, Any], output: Output) -> None:
    """A fact a line; what is neither text nor number stands as JSON."""
    output.line("name,value")
    for name, value in data.items():
        line = csv_line([name, value if isinstance(value, str) else json_text(value)])
        output.line(printable(line, keep_newlines=True) if output.on_terminal else line)
