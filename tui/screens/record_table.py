"""The table of the view of records, and what its help says."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from blockdb.commands.trust import LEGEND

from ..listing import Row
from ..past_listing import ByKeyThen
from ..widgets.virtual_table import VirtualTable

__all__ = ["RecordTable"]


class RecordTable(VirtualTable[Row]):
    """The table of the view."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "Open", id="records.open"),
    ]

    class Sought(VirtualTable.Event):
        """The first row or the last one is wanted, `to_end`, and the list does not reach so far yet."""

        def __init__(self, table: RecordTable, *, to_end: bool) -> None:
            super().__init__(table)
            self.to_end = to_end

    def action_first(self) -> None:
        if isinstance(self.listing, ByKeyThen) and not self.listing.has_top:
            self.post_message(self.Sought(self, to_end=False))
        else:
            super().action_first()

    def action_last(self) -> None:
        if isinstance(self.listing, ByKeyThen) and not self.listing.has_end:
            self.post_message(self.Sought(self, to_end=True))
        else:
            super().action_last()

    HELP = (
        """Every record, in the order of the keys, or the newest first. The table fetches only what is in view, so \
it is as quick on ten million records as on ten. When records come in, it takes them up without moving the cursor; \
follow keeps the cursor on the newest instead.

A filter is the beginning of a key. In it, and in a jump, \\x1b stands for a byte and \\\\ for a backslash.

A query (w) finds documents by their fields: city = 'Oslo' and age >= 30, tags[] = 'vip', order by age desc behind it \
if you like. Tab completes fields and words; what is wrong is marked at its place. What is found comes as it is found, \
10,000 documents at most, and the lower edge says what it took. Esc stops a search, and once more leaves it.

"""
        + LEGEND
    )
