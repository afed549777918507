"""What a redaction has to do with the database as a whole: who made it, and the journal that keeps it."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from getpass import getuser

from blockdb.database.proofs.journal import Journal
from blockdb.errors import BlockDBError, Redacted
from blockdb.storage.redaction import Event
from blockdb.storage.redactor import REDACTION


def login_name() -> str:
    """The name of the user, as the system has it; its number where there is none."""
    try:
        return getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def record_event(journal: Journal, event: Event) -> None:
    """Put the event of a redaction into the journal, unless it is there: as the last one of its collection.

    It is called before the first byte is erased, and again when a redaction is finished that was cut short. Raises
    StorageError, Corruption.
    """
    for _, other in journal.events(REDACTION, newest_first=True):
        if other["collection"] == event["collection"]:
            if other["id"] == event["id"]:
                journal.force()  # whoever wrote it may have been killed before it was on the disk
                return
            break
    journal.append(event)


def explained(open_journal: Callable[[], Journal | None], collection: str, error: Redacted) -> Redacted:
    """The error with what the journal says of when, who and why, as far as it can be read. O(redactions)."""
    key = error.key.hex()
    with suppress(BlockDBError, OSError, KeyError):
        journal = open_journal()
        for _, event in journal.events(REDACTION, newest_first=True) if journal is not None else ():
            if event["collection"] == collection and any(entry["key"] == key for entry in event["records"]):
                return Redacted(error.key, event["time_ms"], event["by"], event["reason"])
    return error
