"""collection ...: what a database holds beside plain records; and `use`, which chooses one in the shell."""

from __future__ import annotations

from argparse import ArgumentTypeError, Namespace
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from .chain import verify_collection
from .choice import THE_COLLECTION, collection_of
from .command import FLAT, FORMATS, Command, Completes, Need, Where, option, positional
from .context import Context
from .display import human_bytes, human_count, human_time
from .failures import UsageError
from .records import GET, PUT, SCAN, get, scan, stored
from .results import Column, Document, Facts, Result, Table, Words
from .schemas import SCHEMA_FILE, read_schema

if TYPE_CHECKING:
    from blockdb import CollectionInfo, CollectionStats

__all__ = ["COMMANDS"]

STORED = "Successfully stored document in collection"


def setting(text: str) -> tuple[str, Any]:
    """`key=value`; the value is a whole number, true, false, or a word."""
    key, mark, value = text.partition("=")
    if not (key and mark):
        raise ArgumentTypeError(f"{text!r} is not like ttl_seconds=3600")
    if value in ("true", "false"):
        return key, value == "true"
    return key, int(value) if value.isascii() and value.isdigit() and len(value) < 19 else value


def create(context: Context, arguments: Namespace) -> Result:
    """Make a collection."""
    settings: dict[str, Any] = {}
    for key, value in arguments.setting:
        if key in settings:
            raise UsageError(f"the setting {key} is given twice")
        settings[key] = value
    schema = None if arguments.schema is None else read_schema(context, arguments.schema)
    made = context.database.create_collection(
        arguments.name,
        schema=schema,
        settings=settings,
        description=arguments.description,
        created_by=arguments.by,
    )
    words = f"Collection '{made.name}' created with ID: {made.id}"
    return Words(words, {"collection_id": made.id, "name": made.name}, role="success")


def listing(context: Context, _: Namespace) -> Result:
    """List the collections."""
    found = context.database.collections()
    lines = [f"  • {info.name} ({info.id}) - {_size(info.stats)}" for info in found]
    text = "\n".join(["Collections:", *lines]) if found else "No collections"
    table = Table(tuple(Column(name, name) for name in _LISTED), map(_listed, found))
    return Document(text + "\n", {"collections": [_data(info) for info in found]}, table=table)


_LISTED = ("name", "id", "description", "created_at", "created_by", "document_count", "total_size_bytes")


def _listed(info: CollectionInfo) -> dict[str, Any]:
    found = {**_data(info), **asdict(info.stats)}
    return {name: found[name] for name in _LISTED}


def _size(stats: CollectionStats) -> str:
    return f"{stats.document_count} documents, {stats.total_size_bytes} bytes"


def _data(info: CollectionInfo) -> dict[str, Any]:
    return asdict(info)


def describe(context: Context, arguments: Namespace) -> Result:
    """Describe a collection."""
    info = collection_of(context, arguments).describe()
    facts = (
        ("ID", info.id),
        ("Description", info.description or "-"),
        ("Schema", "-" if info.schema is None else f"version {info.schema['version']}"),
        ("Created", f"{human_time(info.created_at * 1000)}{f' by {info.created_by}' if info.created_by else ''}"),
        *((f"Setting {name}", _shown(value)) for name, value in asdict(info.settings).items() if value is not None),
        *_facts(info.stats),
    )
    return Facts(f"Collection '{info.name}'", facts, _data(info))


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _facts(stats: CollectionStats) -> tuple[tuple[str, str], ...]:
    return (
        ("Documents", human_count(stats.document_count)),
        ("Total size", human_bytes(stats.total_size_bytes)),
        ("Index size", human_bytes(stats.index_size_bytes)),
        ("Last updated", human_time(stats.last_updated * 1000)),
        ("Operations", human_count(stats.operations_count)),
    )


def stats(context: Context, arguments: Namespace) -> Result:
    """Say how much a collection holds."""
    collection = collection_of(context, arguments)
    found = collection.collection_stats()
    data: Mapping[str, Any] = {"collection_id": collection.id, "name": collection.name, "stats": asdict(found)}
    return Facts(f"Statistics of collection '{collection.name}':", _facts(found), data)


def drop(context: Context, arguments: Namespace) -> Result:
    """Remove a collection, once it is sure that it is meant."""
    database = context.database
    collection = database.collection(arguments.collection)
    name, collection_id = collection.name, collection.id
    given = arguments.yes
    if given is None and context.ask is not None:
        given = context.ask(f"Everything in collection '{name}' will be gone for good. Its name, to drop it: ")
    if given is None:
        raise UsageError(f"nobody is there to be asked; drop it with --yes {name}")
    if given not in (name, collection_id):
        raise UsageError(f"'{given}' is not the name of the collection; nothing was dropped")
    database.drop_collection(collection_id)
    if context.collection in (name, collection_id):
        context.use(None)
    words = f"Collection '{name}' dropped successfully"
    return Words(words, {"collection_id": collection_id, "name": name}, role="success")


def put(context: Context, arguments: Namespace) -> Result:
    """Store a document in a collection."""
    return stored(context, arguments, STORED)


def verify(context: Context, arguments: Namespace) -> Result:
    """Check a collection."""
    context.announce("Verifying blockchain integrity...")
    return verify_collection(context, collection_of(context, arguments))


def use(context: Context, arguments: Namespace) -> Result:
    """Have the shell use another collection."""
    if arguments.collection is None:
        context.use(None)
        return Words("Using the default collection")
    name = context.database.collection(arguments.collection).name
    context.use(name)
    return Words(f"Using collection '{name}'", {"collection": name})


COMMANDS = (
    Command(
        "collection create",
        "Make a collection: records of one kind, with a chain and settings of their own.",
        create,
        (
            positional("name", "What it is to be called."),
            SCHEMA_FILE,
            option("--description", metavar="TEXT", default="", help="What it is for."),
            option(
                "--setting",
                metavar="KEY=VALUE",
                type=setting,
                action="append",
                default=[],
                help="A setting, such as ttl_seconds=3600. Can be given several times.",
            ),
            option("--by", metavar="WHO", help="Who makes it (default: your login name)."),
        ),
        details="Settings are max_document_size, ttl_seconds, compression_enabled, encryption_enabled, redactable, "
        "replication_factor, read_concern and write_concern; docs/COLLECTIONS.md explains them. They cannot be changed "
        "later.",
        examples=(
            ('collection create users --description "User data collection"', "Make one"),
            ("collection create sessions --setting ttl_seconds=3600", "Its records are shown for an hour"),
        ),
        need=Need.WRITE_OR_MAKE,
    ),
    Command(
        "collection list",
        "List the collections.",
        listing,
        examples=(("collection list", "All of them"), ("collection list --format json", "For a program")),
        formats=FLAT,
    ),
    Command(
        "collection describe",
        "Show what a collection is: its settings and its size.",
        describe,
        (THE_COLLECTION,),
        examples=(("collection describe users", "Describe it"),),
        formats=FLAT,
    ),
    Command(
        "collection drop",
        "Remove a collection with everything in it.",
        drop,
        (
            THE_COLLECTION,
            option("--yes", metavar="NAME", help="The name of the collection once more, where nobody can be asked."),
        ),
        details="On a terminal the name is asked for. What was dropped, when and by whom is kept in the database's "
        "journal; the records are not.",
        examples=(("collection drop users", "Drop it"), ("collection drop users --yes users", "In a script")),
        need=Need.WRITE,
        dangerous=True,
    ),
    Command(
        "collection put",
        "Store a document in a collection.",
        put,
        (THE_COLLECTION, *PUT),
        details="The same as put with --collection.",
        examples=(('collection put users user:1001 "John Doe"', "Store a text"),),
        need=Need.WRITE,
        in_transaction=True,
    ),
    Command(
        "collection get",
        "Print the value of a key of a collection.",
        get,
        (THE_COLLECTION, *GET),
        details="The same as get with --collection.",
        examples=(("collection get users user:1001", "Print a value"),),
        formats=FORMATS,
    ),
    Command(
        "collection list-docs",
        "List the documents of a collection in the order of their keys.",
        scan,
        (THE_COLLECTION, *SCAN),
        details="The same as scan with --collection.",
        examples=(("collection list-docs users --prefix user: --limit 10", "The first ten of a prefix"),),
        formats=FORMATS,
    ),
    Command(
        "collection stats",
        "Show how much a collection holds.",
        stats,
        (THE_COLLECTION,),
        details="Counted from the chain, so it is exact whatever became of the process that wrote it.",
        examples=(("collection stats users", "Show it"),),
        formats=("table", "json", "jsonl", "csv"),
    ),
    Command(
        "collection verify",
        "Check every record, block and signature of a collection.",
        verify,
        (THE_COLLECTION,),
        details="What is wrong is named on standard error, line by line, and the exit code is 1.",
        examples=(("collection verify users", "Check it"),),
        formats=FLAT,
    ),
    Command(
        "use",
        "Use a collection: the commands for records are about it from now on.",
        use,
        (positional("collection", "Its name or id; without it, the default one.", Completes.COLLECTION, nargs="?"),),
        details="It stands in the prompt. --collection names another one for a single command.",
        examples=(("use users", "Use this one"), ("use", "Go back to the default one")),
        where=Where.SHELL,
    ),
)
