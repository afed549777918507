"""find, count, explain: documents by their fields."""

from __future__ import annotations

import json
from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .choice import COLLECTION, collection_of, named
from .columnar import columnar
from .command import COLUMNAR_FORMATS, FORMATS, Command, Completes, option, positional
from .context import Context
from .display import human_count, plural
from .exporting import replaced
from .failures import UsageError
from .moment import AS_OF
from .parsing import count
from .records import ALL, LIMIT, screenful, trust_of_reads
from .results import Column, Facts, Records, Result, Table, Value, Words
from .shapes import json_text
from .standing import standing_at

if TYPE_CHECKING:
    from blockdb import AnyCollection, AsOf
    from blockdb.documents.document import Document
    from blockdb.documents.paths import Path as FieldPath

__all__ = ["COMMANDS", "check_fields", "parameter"]

KEY, SEQUENCE, TIME = "_key", "_sequence", "_time"


def parameter(text: str) -> tuple[str, Any]:
    """`name=value`: a value that is JSON stands for what it says, any other for its text."""
    name, mark, value = text.partition("=")
    if not (mark and name.isidentifier()):
        raise ArgumentTypeError(f"{text!r} is not like city=Oslo")
    try:
        return name, json.loads(value)
    except (ValueError, RecursionError):
        return name, value


def parameters_of(arguments: Namespace) -> dict[str, Any]:
    """The parameters of a filter, none of which is given twice."""
    found: dict[str, Any] = {}
    for name, value in arguments.param:
        if name in found:
            raise UsageError(f"the parameter {name} is given twice")
        found[name] = value
    return found


def find(context: Context, arguments: Namespace) -> Result:
    """List the documents for which a filter is true."""
    asked = getattr(arguments, "format", None)
    limit = screenful(context, arguments.limit, arguments.all)
    results = _results(context, arguments, limit)
    fields = None if arguments.fields is None else _fields(arguments.fields)

    def more() -> str | None:
        cursor = getattr(results, "cursor", None)
        if cursor is None or context.transaction is not None:
            return None
        shown = "" if limit == arguments.limit else "; --all shows them"
        return f"there may be more{shown}, --after {cursor} goes on"

    if asked in COLUMNAR_FORMATS or arguments.output is not None:
        return _columnar(arguments, asked, fields, results, more)
    if fields is None:
        items = ((document.key, json_text(document.value).encode()) for document in results)
        return Records(items, more=more, are_documents=True, trust=lambda: trust_of_reads(context, once=True))
    columns = [_column(path) for path in fields]
    return Table(tuple(columns), (_row(fields, document) for document in results), more)


def _results(context: Context, arguments: Namespace, limit: int | None) -> Iterator[Document]:
    """What is found; in the shell's transaction, if one is open."""
    page = {"order": arguments.order or "", "offset": arguments.offset}
    asked = arguments.filter or "", parameters_of(arguments)
    if context.transaction is not None:
        if arguments.after is not None or arguments.as_of is not None:
            raise UsageError("a transaction reads what is there now; leave --after and --as-of out, or commit it first")
        name = named(context, arguments)
        return context.transaction.find(*asked, **page, limit=arguments.limit, collection=name)
    collection = collection_of(context, arguments)
    return collection.find(*asked, **page, limit=limit, after=arguments.after, as_of=arguments.as_of)


def _columnar(
    arguments: Namespace,
    asked: str | None,
    fields: Sequence[FieldPath] | None,
    results: Iterator[Document],
    more: Callable[[], str | None],
) -> Result:
    """The result as Arrow or Parquet: into a file, or as bytes for standard output."""
    shape = asked if asked in COLUMNAR_FORMATS else _shape_of(arguments.output or "")
    rows = [_row(fields, document) if fields else _whole_row(document) for document in results]
    names = [str(path) for path in fields] if fields else None
    data = columnar(rows, names, shape)
    if arguments.output is None:
        return Value(b"", data, more=more)
    with replaced(Path(arguments.output).expanduser()) as file:
        file.write(data)
    return Words(f"Wrote {plural(len(rows), 'document')} to {arguments.output}", more=more(), role="success")


def _shape_of(name: str) -> str:
    for shape in COLUMNAR_FORMATS:
        if name.endswith(f".{shape}"):
            return shape
    raise UsageError(f"--output writes {' or '.join(COLUMNAR_FORMATS)}; say which with --format")


def check_fields(text: str) -> None:
    """See that a text is a list of fields. Raises `QueryError`."""
    from blockdb.query.parser import parse_fields

    parse_fields(text)


def _fields(text: str) -> list[FieldPath]:
    """The fields that were asked for, and before them the key, unless it is among them."""
    from blockdb.documents.paths import Path as FieldPath
    from blockdb.query.parser import parse_fields

    fields = list(parse_fields(text))
    key = FieldPath((KEY,))
    return fields if key in fields else [key, *fields]


def _column(path: FieldPath) -> Column:
    name = str(path)
    kind = {KEY: "text", SEQUENCE: "count", TIME: "time"}.get(name, "json")
    return Column(name, name, kind, "key" if name == KEY else "text")


def _row(fields: Sequence[FieldPath], document: Document) -> dict[str, Any]:
    return {str(path): _cell(path, document) for path in fields}


def _cell(path: FieldPath, document: Document) -> Any:
    name = str(path)
    if name == KEY:
        return _key_text(document)
    if name in (SEQUENCE, TIME):
        return document.sequence if name == SEQUENCE else document.time_ms
    found = path.values(document.value)
    return found if path.plural else found[0] if found else None


def _whole_row(document: Document) -> dict[str, Any]:
    return {KEY: _key_text(document), **document.value}


def _key_text(document: Document) -> str:
    return document.key.decode("utf-8", "backslashreplace")


def count_documents(context: Context, arguments: Namespace) -> Result:
    """Count the documents for which a filter is true, or all keys."""
    collection = collection_of(context, arguments)
    if arguments.filter is None:
        if arguments.param:
            raise UsageError("--param belongs to a filter; '' is one that lets every document through")
        found = collection.count() if arguments.as_of is None else _count_then(collection, arguments.as_of)
    else:
        found = collection.count(where=arguments.filter, parameters=parameters_of(arguments), as_of=arguments.as_of)
    return Words(str(found), {"count": found})


def _count_then(collection: AnyCollection, as_of: AsOf) -> int:
    """How many keys there were: all records are, unless they expire, and then they are counted one by one."""
    if collection.describe().settings.ttl_seconds is not None:
        return sum(1 for _ in collection.keys(as_of=as_of))
    return standing_at(collection, as_of).records


def explain(context: Context, arguments: Namespace) -> Result:
    """Say how a query is answered, and what that takes."""
    told = collection_of(context, arguments).explain(
        arguments.filter or "",
        parameters_of(arguments),
        order=arguments.order or "",
        limit=arguments.limit,
        offset=arguments.offset,
        as_of=arguments.as_of,
    )
    facts = (
        ("Filter", told.filter or "none"),
        ("Access", told.access),
        *(("Range", text) for text in told.ranges[:10]),
        *([("Range", f"and {human_count(len(told.ranges) - 10)} more")] if len(told.ranges) > 10 else ()),
        *([("Then asked", told.residual)] if told.residual else ()),
        ("Order", told.order),
        ("Sorted", told.sort),
        *([("Estimated", f"{human_count(told.estimated)} entries")] if told.estimated is not None else ()),
        ("Touched", plural(told.touched, "record")),
        ("Returned", plural(told.returned, "document")),
        *([("Left out", f"{plural(told.left_out, 'value')} without a JSON object")] if told.left_out else ()),
        *([("Redacted", plural(told.redacted, "record"))] if told.redacted else ()),
        ("Time", f"{told.elapsed_ms:.2f} ms"),
        *(("Note", note) for note in told.notes),
    )
    from dataclasses import asdict

    return Facts("How the query is answered:", facts, asdict(told))


FILTER = positional(
    "filter",
    "What has to be true of a document, such as \"age >= 30 and city = 'Oslo'\".",
    Completes.FILTER,
    nargs="?",
)
PARAMETER = option(
    *("-p", "--param"),
    metavar="NAME=VALUE",
    type=parameter,
    action="append",
    default=[],
    help="The value of :NAME in the filter; JSON, or else text. Can be given several times.",
)
ORDER = option("--order", metavar="FIELDS", help="Order, such as 'age desc, name'.", completes=Completes.ORDER)
OFFSET = option("--offset", metavar="N", type=count, default=0, help="Leave out the first N.")

COMMANDS = (
    Command(
        "find",
        "List the documents for which a filter is true.",
        find,
        (
            FILTER,
            COLLECTION,
            PARAMETER,
            ORDER,
            LIMIT,
            OFFSET,
            option("--after", metavar="CURSOR", help="Go on where another page of the same query ended."),
            ALL,
            option(
                "--fields",
                metavar="FIELDS",
                help="These fields alone, such as 'name, address.city'; a column each.",
                completes=Completes.FIELDS,
            ),
            AS_OF,
            option(
                *("-o", "--output"),
                metavar="FILE",
                completes=Completes.FILE,
                help="Write arrow or parquet to FILE, whole or not at all.",
            ),
        ),
        details="docs/QUERIES.md has the language. Without --order, documents come as they were stored. JSON lines "
        "have a key and a value each, and import takes them back; with --fields they have the fields. Arrow and "
        "Parquet need the extra blockdb[arrow], and hold the result in memory. What is no JSON object is left out.",
        examples=(
            ("find \"age >= 30 and city = 'Oslo'\" --order 'age desc' --limit 10", "The ten oldest"),
            ("find 'city = :city' --param city=Oslo --fields name,age --format csv", "Two fields, as CSV"),
            ("find \"tags contains 'vip'\" -c users -o vips.parquet", "Of a collection, as Parquet"),
        ),
        formats=(*FORMATS, *COLUMNAR_FORMATS),
    ),
    Command(
        "count",
        "Count the documents for which a filter is true, or all records.",
        count_documents,
        (FILTER, COLLECTION, PARAMETER, AS_OF),
        details="Without a filter, all records are counted, documents or not.",
        examples=(
            ("count", "All records"),
            ("count \"city = 'Oslo'\" -c users", "Documents of a collection"),
        ),
    ),
    Command(
        "explain",
        "Say how a query is answered: by which index, and how many records it touches.",
        explain,
        (FILTER, COLLECTION, PARAMETER, ORDER, LIMIT, OFFSET, AS_OF),
        details="The query is run for that, and its documents are not shown.",
        examples=(("explain \"city = 'Oslo'\" --order age", "Whether an index is used"),),
        formats=("table", "json", "jsonl", "csv"),
    ),
)
