"""Reading the record under the cursor into the pane of its value, and having it proven there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import blockdb
from blockdb.commands.display import human_bytes, printable

from .marks import read_with_version, schema_mark
from .offloop import off_loop

if TYPE_CHECKING:
    from blockdb import AnyCollection
    from blockdb.commands.standing import Standing

    from .app import Explorer
    from .widgets.value_view import ValueView
    from .widgets.virtual_table import VirtualTable

__all__ = ["read_into"]

GONE = "It is not there any more."
GONE_SINCE = "It has expired since, and its place in the chain is not told any more. Its value was:"
SHOWN_BYTES = 4096
"""Of a value that has expired since."""


async def read_into(
    value: ValueView,
    collection: AnyCollection,
    key: bytes,
    *,
    explorer: Explorer,
    is_wanted: Callable[[], bool],
    beside: VirtualTable[Any],
) -> None:
    """Reads a record off the event loop, shows it if it `is_wanted` still, and proves it once the cursor rests on it.

    The rows `beside` are drawn again when something has become known.
    """
    trusting = explorer.trusting
    try:
        past = explorer.past
        then = None if past.as_of_in(collection.name) is None else await off_loop(past.standing_in, collection)
        record, version = await off_loop(read_with_version, collection, key, then)
        gone = GONE if then is None or record is not None else await off_loop(_expired_since, collection, key, then)
    except (blockdb.BlockDBError, OSError) as error:
        trust = trusting.could_not_be_read(collection, key, error)
        if not explorer.missed(error) and is_wanted():
            value.show(None, "" if trust is not None else printable(f"{type(error).__name__}: {error}"), trust=trust)
            beside.refresh()
        return
    if not is_wanted():
        return
    if record is None:
        value.show(None, gone)
        return

    def wear() -> None:
        beside.refresh()
        if value.record is not None and value.record.sequence == record.sequence:
            value.wear(trusting.of_record(collection, record))

    value.show(record, marks=schema_mark(version), trust=trusting.of_record(collection, record))
    trusting.look_into(collection, record, wear)


def _expired_since(collection: AnyCollection, key: bytes, then: Standing) -> str:
    """What there is to say of a record that was there at a moment, and is there no more."""
    value = collection.get(key, as_of=then.as_of)
    if value is None:
        return GONE
    cut = "" if len(value) <= SHOWN_BYTES else f"\n… {human_bytes(len(value))} in all"
    return f"{GONE_SINCE}\n\n{printable(value[:SHOWN_BYTES], keep_newlines=True)}{cut}"
