"""Which collection a command is about: the one that is named, else the shell's current one, else the default one."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from .command import Argument, Completes, option, positional
from .context import Context

if TYPE_CHECKING:
    from blockdb import AnyCollection

__all__ = ["COLLECTION", "ONLY", "THE_COLLECTION", "collection_of", "is_named", "named"]

COLLECTION: Argument = option(
    *("-c", "--collection"),
    metavar="NAME",
    completes=Completes.COLLECTION,
    help="Of this collection (its name or id); else of the one that the shell uses, else of the default one.",
)

ONLY: Argument = option(
    *COLLECTION.names, metavar="NAME", completes=Completes.COLLECTION, help="This collection alone."
)
"""The same for a command that is about the whole database."""

THE_COLLECTION: Argument = positional("collection", "The name or the id of the collection.", Completes.COLLECTION)


def collection_of(context: Context, arguments: Namespace) -> AnyCollection:
    """The collection that a command is about; the default one is the database. Raises `CollectionNotFound`."""
    name = named(context, arguments)
    return context.database if name is None else context.database.collection(name)


def named(context: Context, arguments: Namespace) -> str | None:
    """The collection that a command is about, by its name or id; None for the default one."""
    return getattr(arguments, "collection", None) or context.collection


def is_named(arguments: Namespace) -> bool:
    """Whether a collection was named: commands that are about the whole database keep to it then."""
    return getattr(arguments, "collection", None) is not None
