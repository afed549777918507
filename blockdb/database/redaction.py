"""What a redaction has to do with the database as a whole: who made it, and the journal that keeps it."""

from __future__ import annotations

import os
from getpass import getuser

from blockdb.storage.redaction import Event


def login_name() -> str:
    """The name of the user, as the system has it; its number where there is none."""
    try:
        return getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def record_event(event: Event) -> None:
    """Put the event of a redaction into the journal of the database and force it, unless one with its `id` is there.

    It is called before the first byte is erased, and again when a redaction is finished that was cut short.
    """
