"""collection create-index, drop-index, indexes: what finds documents by the values of their fields."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from .choice import THE_COLLECTION, collection_of
from .command import FLAT, Command, Completes, Need, flag, option, positional
from .context import Context
from .results import Column, Result, Table, Words

if TYPE_CHECKING:
    from blockdb import IndexInfo

__all__ = ["COMMANDS"]

_COLUMNS = (
    Column("name", "NAME", role="key"),
    Column("fields", "FIELDS"),
    Column("kind", "KIND"),
    Column("entries", "ENTRIES", "count"),
    Column("size_bytes", "SIZE", "bytes"),
    Column("lookups", "LOOKUPS", "count"),
    Column("state", "STATE"),
)


def create(context: Context, arguments: Namespace) -> Result:
    """Make an index."""
    collection = collection_of(context, arguments)
    with context.progress("Indexing", None, "records"):
        made = collection.create_index(
            arguments.name, arguments.fields, unique=arguments.unique, sparse=arguments.sparse
        )
    words = f"Index '{made.name}' created successfully"
    return Words(words, {"collection_id": collection.id, "index": asdict(made)}, role="success")


def drop(context: Context, arguments: Namespace) -> Result:
    """Remove an index."""
    collection = collection_of(context, arguments)
    collection.drop_index(arguments.name)
    words = f"Index '{arguments.name}' dropped successfully"
    return Words(words, {"collection_id": collection.id, "name": arguments.name}, role="success")


def listing(context: Context, arguments: Namespace) -> Result:
    """List the indexes of a collection."""
    return Table(_COLUMNS, map(_row, collection_of(context, arguments).indexes()))


def _row(info: IndexInfo) -> dict[str, Any]:
    kinds = [kind for kind in ("unique", "sparse") if getattr(info, kind)]
    return {**asdict(info), "fields": ", ".join(info.fields), "kind": ", ".join(kinds) or "-"}


def fields(text: str) -> list[str]:
    """Paths with commas between them; a comma in double quotes belongs to a name."""
    parts, quoted = [""], False
    for character in text:
        quoted ^= character == '"'
        if character == "," and not quoted:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


_NAME = positional("name", "The name of the index.")

COMMANDS = (
    Command(
        "collection create-index",
        "Make an index: documents are found by the values of these fields, and given in their order.",
        create,
        (
            THE_COLLECTION,
            _NAME,
            option(
                "--fields",
                metavar="PATH,...",
                type=fields,
                completes=Completes.FIELDS,
                required=True,
                help="What it is about, the first field before the others: email, address.city, items[].price.",
            ),
            flag("--unique", help="No two documents may have the same values there."),
            flag("--sparse", help="Documents that lack one of the fields are left out."),
        ),
        details="Writers go on meanwhile. Every value of the collection must be a JSON document, now and from then on. "
        "docs/INDEXES.md says more.",
        examples=(
            ("collection create-index users email_index --fields email --unique", "No email twice"),
            ("collection create-index users by_place --fields country,city", "Two fields"),
        ),
        need=Need.WRITE,
    ),
    Command(
        "collection drop-index",
        "Remove an index; the documents stay.",
        drop,
        (THE_COLLECTION, positional("name", "The name of the index.", Completes.INDEX)),
        examples=(("collection drop-index users email_index", "Drop it"),),
        need=Need.WRITE,
    ),
    Command(
        "collection indexes",
        "List the indexes of a collection.",
        listing,
        (THE_COLLECTION,),
        examples=(("collection indexes users", "Those of users"),),
        formats=FLAT,
    ),
)
