"""put, get, scan: records in and out."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from .choice import COLLECTION, collection_of, named
from .command import FORMATS, Argument, Command, Completes, Need, flag, option, positional
from .context import Context
from .display import human_count, quoted
from .failures import IoError, UsageError
from .line import to_bytes
from .memory import Last
from .moment import AS_OF
from .parsing import count
from .results import Nothing, Records, Result, Value, Words
from .shapes import decode_base64
from .trust import CAME_PROVEN, Prover, Proving, Trust, read

if TYPE_CHECKING:
    from blockdb import AnyTransaction

__all__ = ["COMMANDS", "GET", "PUT", "SCAN", "SCREENFUL", "argument_bytes", "screenful", "stored", "trust_of_reads"]

SCREENFUL = 100
"""Rows that a listing shows a person who set no limit."""

NO_STDIN = "there is no standard input to read (in a script it is the script itself); give the name of a file"
NOT_ASKED = read("not proven; get --prove and scan --prove do that")
STORED = "Successfully stored key-value pair"


def argument_bytes(text: str | None, base64: bool, what: str) -> bytes | None:
    """The bytes that an argument stands for; None stays None. Raises `InvalidData` for bad base64."""
    if text is None:
        return None
    return decode_base64(text, what) if base64 else to_bytes(text)


def screenful(context: Context, limit: int | None, everything: bool) -> int | None:
    """The limit of a listing: what was asked for, else a screenful where a person looks at it, else none."""
    return SCREENFUL if limit is None and context.on_screen and not everything else limit


def put(context: Context, arguments: Namespace) -> Result:
    """Store one record."""
    return stored(context, arguments, STORED)


def stored(context: Context, arguments: Namespace, words: str) -> Result:
    """Store one record, and say it in these words."""
    key = argument_bytes(arguments.key, arguments.base64, "key") or b""
    if arguments.file:
        value = read_file(arguments.value, context)
    else:
        value = argument_bytes(arguments.value, arguments.base64, "value") or b""
    if context.transaction is not None:
        context.transaction.put(key, value, collection=named(context, arguments))
        id_ = context.transaction.id
        return Words(f"Part of transaction {id_}: stored by its commit", {"transaction": id_}, role="success")
    sequence = _put(context, arguments, key, value)
    return Words(words, {"sequence": sequence}, role="success")


def _put(context: Context, arguments: Namespace, key: bytes, value: bytes) -> int:
    """Store a record; a shell has it traced, for whoever asks about it afterwards."""
    collection, name = collection_of(context, arguments), named(context, arguments)
    ask = getattr(collection, "trace", None) if context.in_shell else None
    trace = None if ask is None else ask()
    begun_s = perf_counter()
    try:
        sequence = collection.put(key, value)
    except BaseException:
        if trace is not None:
            trace.end()
        raise
    context.memory.last = Last(name, key, trace, (perf_counter() - begun_s) * 1e3)
    return sequence


def read_file(name: str, context: Context) -> bytes:
    """The content of a file, or of standard input for `-`. Raises `IoError`."""
    from blockdb import MAX_VALUE_BYTES

    if name == "-":
        if context.stdin is None:
            raise UsageError(NO_STDIN)
        return context.stdin.read(MAX_VALUE_BYTES + 1)
    try:
        with Path(name).expanduser().open("rb") as file:
            return file.read(MAX_VALUE_BYTES + 1)
    except (OSError, ValueError) as error:
        raise IoError(f"cannot read {name}: {getattr(error, 'strerror', error)}") from error


def get(context: Context, arguments: Namespace) -> Result:
    """Look one record up."""
    key = argument_bytes(arguments.key, arguments.key_base64, "key") or b""
    if context.transaction is not None:
        _check_present(arguments)
        value = context.transaction.get(key, collection=named(context, arguments))
    else:
        value = collection_of(context, arguments).get(key, as_of=arguments.as_of)
    if value is not None:
        last = context.memory.last
        if last is None or (last.collection, last.key) != (named(context, arguments), key):
            context.memory.last = Last(named(context, arguments), key)
        _, trust = with_trust(context, arguments, [(key, value)], at_once=True)
        return Value(key, value, arguments.base64, trust=trust)
    return Nothing(1, f"key {quoted(key)} is not stored") if arguments.exists else Nothing()


def with_trust(
    context: Context, arguments: Namespace, items: Iterable[tuple[bytes, bytes]], *, at_once: bool = False
) -> tuple[Iterator[tuple[bytes, bytes]], Callable[[], Trust | None]]:
    """Records, each proven before it comes where that was asked for, and what is said of them all afterwards.

    The first that is not proven raises InvalidProof; when that is looked at `at_once`, here.
    """
    if not arguments.prove:
        return iter(items), lambda: trust_of_reads(context, once=not at_once)
    proving = Proving(Prover(context.database), collection_of(context, arguments), items)
    proven = iter(proving)
    return iter(list(proven)) if at_once else proven, proving.trust


def trust_of_reads(context: Context, *, once: bool = False) -> Trust | None:
    """How far what is read can be trusted, where nobody asked for a proof of each; a shell may say it `once`."""
    is_verified = context.server is not None and context.server.verified and context.transaction is None
    trust = CAME_PROVEN if is_verified else NOT_ASKED
    if once and trust == context.memory.told:
        return None
    context.memory.told = trust
    return trust


def _check_present(arguments: Namespace) -> None:
    if arguments.as_of is not None:
        raise UsageError("a transaction reads what is there now; leave --as-of out, or commit it first")
    if arguments.prove:
        raise UsageError("no checkpoint covers what a transaction reads; leave --prove out, or commit it first")


def _scan_in(transaction: AnyTransaction, context: Context, arguments: Namespace, page: dict[str, Any]) -> Result:
    """What a transaction sees: all of it is read, so that nothing is left to say how to go on."""
    _check_present(arguments)
    page = {name: value for name, value in page.items() if name != "as_of"}
    found = transaction.scan(**page, collection=named(context, arguments))
    items = ((key, None if arguments.keys_only else value) for key, value in found)
    return Records(items, arguments.keys_only, arguments.base64)


def scan(context: Context, arguments: Namespace) -> Result:
    """Walk through the keys in order."""
    asked: dict[str, Any] = {
        name: argument_bytes(getattr(arguments, name), arguments.key_base64, name)
        for name in ("prefix", "start", "end")
    }
    if context.transaction is not None:
        wanted = {name: getattr(arguments, name) for name in ("offset", "reverse", "as_of", "limit")} | asked
        return _scan_in(context.transaction, context, arguments, wanted)
    collection = collection_of(context, arguments)
    limit = screenful(context, arguments.limit, arguments.all)
    page = {name: getattr(arguments, name) for name in ("offset", "reverse", "as_of")} | {**asked, "limit": limit}
    more = None
    if limit != arguments.limit and arguments.as_of is not None:
        more = "there may be more; --all shows them, --limit and --offset choose"
    elif limit != arguments.limit:
        left = collection.count(**asked) - arguments.offset - SCREENFUL
        more = f"{human_count(left)} more; --all shows them, --limit and --offset choose" if left > 0 else None
    if arguments.keys_only:
        if arguments.prove:
            raise UsageError("it is records that are proven, with their values; leave --keys-only or --prove out")
        return Records(((key, None) for key in collection.keys(**page)), True, arguments.base64, more)
    items, trust = with_trust(context, arguments, collection.scan(**page))
    return Records(items, False, arguments.base64, more, trust=trust)


PROVE = flag("--prove", help="Prove each record before it is printed, and print none that is not proven.")
KEY_BASE64 = flag("--key-base64", help="The key is given as base64.")
LIMIT = option("-n", "--limit", metavar="N", type=count, help="At most N rows.")
ALL = flag("--all", help=f"All rows, on a terminal too (there {SCREENFUL} are shown when no limit is set).")
PREFIX = option("--prefix", metavar="TEXT", completes=Completes.KEY, help="Only keys that begin with TEXT.")


def _bound(name: str, help: str) -> Argument:
    return option(name, metavar="KEY", completes=Completes.KEY, help=help)


PUT = (
    positional("key", "The key, 1 to 65,535 bytes."),
    positional("value", "The value, up to 64 MB; it may be empty."),
    flag("--base64", help="Key and value are given as base64."),
    flag("--file", help="VALUE is the name of a file that holds the value, or - for standard input."),
)

GET = (
    positional("key", "The key to look up.", Completes.KEY),
    flag("--base64", help="Print the value as base64."),
    KEY_BASE64,
    flag("--exists", help="Exit with 1 if the key is not there."),
    PROVE,
    AS_OF,
)

SCAN = (
    PREFIX,
    _bound("--start", "From this key on."),
    _bound("--end", "Up to this key, which is not listed."),
    LIMIT,
    option("--offset", metavar="N", type=count, default=0, help="Leave out the first N."),
    ALL,
    flag("--reverse", help="From the last key to the first."),
    AS_OF,
    flag("--keys-only", help="Keys without their values."),
    PROVE,
    flag("--base64", help="Print keys and values as base64."),
    flag("--key-base64", help="PREFIX, START and END are given as base64."),
)
"""The arguments of these commands, which are those of `collection put` and so on as well."""

COMMANDS = (
    Command(
        "put",
        "Store a record.",
        put,
        (*PUT, COLLECTION),
        details="A key is stored once and for ever: a second put of it is refused, whatever the value.",
        examples=(
            ('put user:1001 "John Doe"', "Store a text"),
            ("put YmluYXJ5X2tleQ== YmluYXJ5X3ZhbHVl --base64", "Store bytes"),
            ("put photo:1 portrait.jpg --file", "Store a file's content"),
        ),
        need=Need.WRITE_OR_MAKE,
        in_transaction=True,
    ),
    Command(
        "get",
        "Print the value of a key.",
        get,
        (*GET, COLLECTION),
        details="A key that is not there prints nothing, and that is no failure unless --exists is given. The format "
        "raw prints the bytes of the value and nothing after them. On a terminal a line below says how far it can be "
        "trusted: with --prove a receipt for it is made, and every hash of it recomputed here.",
        examples=(
            ("get user:1001", "Print a value"),
            ("get photo:1 --format raw", "Print the very bytes, to send them to a file"),
            ("get YmluYXJ5X2tleQ== --key-base64 --base64", "Look up and print bytes as base64"),
            ("get user:1001 --as-of block:7", "What was stored when block 7 was sealed"),
            ("get user:1001 --prove", "Only if it can be proven, whoever has the data"),
        ),
        formats=FORMATS,
    ),
    Command(
        "scan",
        "List records in the order of their keys.",
        scan,
        (*SCAN, COLLECTION),
        details="On a terminal the default format is a table; elsewhere it is JSON lines, which import takes back. The "
        "format raw prints each value (or key, with --keys-only) and a newline.",
        examples=(
            ("scan --prefix user: --limit 10", "The first ten keys that begin with user:"),
            ("scan --start a --end b --reverse", "A range, backwards"),
            ("scan --keys-only --format raw", "Just the keys, one a line"),
        ),
        formats=FORMATS,
    ),
)
