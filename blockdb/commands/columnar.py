"""Rows as Arrow or Parquet, for those who have pyarrow (the extra `blockdb[arrow]`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .failures import UsageError
from .shapes import json_text

__all__ = ["columnar"]


def columnar(rows: Sequence[Mapping[str, Any]], names: Sequence[str] | None, format: str) -> bytes:
    """The rows, with these columns or with all that any of them has.

    A column whose values are of one type has that type; of several, they are JSON as text. Raises `UsageError` where
    pyarrow is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UsageError(f"{format} needs pyarrow; install it with: pip install 'blockdb[arrow]'") from None
    columns = list(dict.fromkeys(name for row in rows for name in row)) if names is None else list(names)
    table = pyarrow.table({name: _column(pyarrow, [row.get(name) for row in rows]) for name in columns})
    sink = pyarrow.BufferOutputStream()
    if format == "parquet":
        pyarrow.parquet.write_table(table, sink)
    else:
        with pyarrow.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def _column(pyarrow: Any, values: list[Any]) -> Any:
    kinds = {type(value) for value in values if value is not None}
    if len(kinds) == 1 or kinds == {int, float}:
        try:
            array = pyarrow.array(values)
            if "struct<>" not in str(array.type):  # which Parquet does not have
                return array
        except (pyarrow.ArrowException, OverflowError):  # members of several types, or a number beyond 64 bits
            pass
    return pyarrow.array([None if value is None else json_text(value) for value in values], pyarrow.string())
