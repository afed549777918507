"""What to say of a command that ^C has ended: a write may have been done, and that is looked up if it can be."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from blockdb.commands.choice import collection_of
from blockdb.commands.command import Need
from blockdb.commands.display import quoted
from blockdb.commands.records import argument_bytes
from blockdb.errors import BlockDBError

if TYPE_CHECKING:
    from blockdb.commands.context import Context
    from blockdb.commands.invocation import Invocation

__all__ = ["told_of"]

_WRITING = (Need.WRITE, Need.WRITE_OR_MAKE)
_SAFE = "to put it again is safe: what is stored is never stored twice"


def told_of(invocation: Invocation, context: Context) -> tuple[str, str]:
    """The words for a person, and their role."""
    command, arguments = invocation.command, invocation.arguments
    if command.need_of(arguments) not in _WRITING:
        return "Interrupted.", "muted"
    if context.transaction is not None and command.in_transaction:
        return "Interrupted; nothing is stored before the commit.", "muted"
    if command.name not in ("put", "collection put"):
        return f"Interrupted: {command.name} may have been done, or not; look before you do it again.", "warning"
    return _told_of_put(arguments, context)


def _told_of_put(arguments: Namespace, context: Context) -> tuple[str, str]:
    try:
        key = argument_bytes(arguments.key, arguments.base64, "key") or b""
        is_stored = collection_of(context, arguments).exists(key)
    except BlockDBError as error:
        return f"Interrupted: nobody can say whether it was stored ({error}); {_SAFE}.", "warning"
    if is_stored:
        return f"Interrupted, and {quoted(key)} is stored.", "warning"
    if context.server is not None:
        return f"Interrupted: {quoted(key)} is not stored so far, but may be on its way; {_SAFE}.", "warning"
    return f"Interrupted: {quoted(key)} is not stored.", "warning"
