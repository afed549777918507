"""The columns in which tables show records."""

from __future__ import annotations

from blockdb.commands.display import human_bytes, human_count, human_time, printable

from .listing import REDACTED, Row
from .widgets.virtual_table import Column

__all__ = ["BY_TIME", "IN_BLOCK", "IN_KEY_ORDER"]


def _key(row: Row) -> str:
    return printable(row.key[:400])


def _value(row: Row) -> str:
    return row.trouble or printable(row.preview)


def _block(row: Row) -> str:
    return "open" if row.block is None else human_count(row.block)


def _role(row: Row) -> str:
    return "muted" if row.trouble == REDACTED else "error" if row.trouble else "text"


_KEY = Column("KEY", _key, share=1, role="key")
_VALUE = Column("VALUE", _value, share=1, role=_role, from_width=44)
_SIZE: Column[Row] = Column(
    "SIZE", lambda row: human_bytes(row.size), width=8, role="number", right=True, from_width=30
)
_SEQUENCE: Column[Row] = Column(
    "SEQUENCE", lambda row: human_count(row.sequence), width=11, role="secondary", right=True
)

IN_KEY_ORDER: list[Column[Row]] = [_KEY, _VALUE, _SIZE]
IN_BLOCK: list[Column[Row]] = [_SEQUENCE, *IN_KEY_ORDER]
BY_TIME: list[Column[Row]] = [
    *IN_BLOCK,
    Column(
        "BLOCK",
        _block,
        width=8,
        right=True,
        from_width=64,
        role=lambda row: "warning" if row.block is None else "primary",
    ),
    Column("COMMITTED (UTC)", lambda row: human_time(row.time_ms)[:19], width=19, role="muted", from_width=100),
]
