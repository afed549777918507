"""collection schema: what the documents of a collection have to be like."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blockdb.errors import InvalidData

from .choice import THE_COLLECTION, collection_of
from .command import Argument, Command, Completes, Need, flag, option
from .context import Context
from .display import quoted
from .failures import IoError, UsageError
from .records import NO_STDIN
from .results import Column, Document, Result, Table, Words

if TYPE_CHECKING:
    from blockdb import Schema, SchemaVersion

__all__ = ["COMMANDS", "SCHEMA_FILE", "read_schema"]

MAX_FILE_BYTES = 16 * 1024 * 1024

SCHEMA_FILE: Argument = option(
    "--schema",
    metavar="FILE",
    completes=Completes.FILE,
    help="What its documents have to be like: a schema or a JSON Schema, see docs/SCHEMAS.md (-: standard input).",
)


def read_schema(context: Context, name: str) -> Schema:
    """The schema that a file holds, as such or as JSON Schema. Raises InvalidData, `IoError`."""
    from blockdb import Schema
    from blockdb.documents.values import parse

    try:
        source = parse(_bytes_of(context, name))
        is_other = "$schema" in source or "properties" in source
        return Schema.from_json_schema(source) if is_other else Schema.from_json(source)
    except InvalidData as error:
        raise InvalidData(f"{name}: {error}") from None


def _bytes_of(context: Context, name: str) -> bytes:
    if name == "-":
        if context.stdin is None:
            raise UsageError(NO_STDIN)
        return context.stdin.read(MAX_FILE_BYTES)
    try:
        with Path(name).expanduser().open("rb") as file:
            return file.read(MAX_FILE_BYTES)
    except OSError as error:
        raise IoError(f"cannot open {name}: {error.strerror}") from error


def schema(context: Context, arguments: Namespace) -> Result:
    """Show the schema of a collection, or set it."""
    if arguments.set is not None:
        return _set(context, arguments)
    collection = collection_of(context, arguments)
    if arguments.history:
        return _history(collection.schemas())
    found = collection.schema
    if found is None:
        return Words(f"Collection {quoted(collection.name.encode())} has no schema: its values are any bytes")
    data = found.to_json_schema() if arguments.json_schema else found.to_json()
    return Document(json.dumps(data, indent=2, ensure_ascii=False) + "\n", data)


def _set(context: Context, arguments: Namespace) -> Result:
    if arguments.history or arguments.json_schema:
        raise UsageError("--set is given alone, or with --by; a file that holds JSON Schema is known by itself")
    wanted = read_schema(context, arguments.set)
    collection = collection_of(context, arguments)
    done = collection.set_schema(wanted, by=arguments.by)
    return Words(
        f"Schema of collection {quoted(collection.name.encode())} set: version {done.version}, "
        f"from record {done.first_sequence} on",
        {"collection_id": collection.id, "version": done.version, "first_sequence": done.first_sequence},
        role="success",
    )


def _history(versions: tuple[SchemaVersion, ...]) -> Table:
    columns = (
        Column("version", "Version", "count"),
        Column("first_sequence", "From record", "count"),
        Column("time_ms", "Set", "time"),
        Column("by", "By"),
        Column("fields", "Fields", "count"),
    )
    return Table(columns, _rows(versions))


def _rows(versions: tuple[SchemaVersion, ...]) -> Iterator[Mapping[str, Any]]:
    for each in versions:
        who = {"time_ms": each.time_ms, "by": each.by}
        yield {"version": each.version, "first_sequence": each.first_sequence, **who, "fields": len(each.schema.fields)}


COMMANDS = (
    Command(
        "collection schema",
        "Show what the documents of a collection have to be like, or set it.",
        schema,
        (
            THE_COLLECTION,
            option(
                "--set",
                metavar="FILE",
                completes=Completes.FILE,
                help="Set the schema that this file holds, as such or as JSON Schema (-: standard input).",
            ),
            option("--by", metavar="WHO", help="Who sets it (default: your login name)."),
            flag("--json-schema", help="Show it as JSON Schema (draft 2020-12)."),
            flag("--history", help="List its versions, each with the first record that was written under it."),
        ),
        details="A schema that follows another one has to be compatible: what was valid stays valid. The first one, "
        "and one that names new fields, is held against the records that are there. docs/SCHEMAS.md says what a "
        "schema is, and which changes are compatible.",
        examples=(
            ("collection schema users", "Show it"),
            ("collection schema users --set users.json", "Set it, or replace it by the next version"),
            ("collection schema users --json-schema", "For other programs"),
            ("collection schema users --history", "Its versions"),
        ),
        need_with={"set": Need.WRITE},
    ),
)
