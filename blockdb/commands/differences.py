"""diff: what came between two moments, and the proof that nothing else changed."""

from __future__ import annotations

from argparse import Namespace
from itertools import islice
from typing import TYPE_CHECKING, Any

from .choice import COLLECTION, collection_of
from .command import Command, Completes, Need, flag, positional
from .context import Context
from .display import human_bytes, human_count, human_time, printable
from .failures import DONE, FAILED
from .moment import moment_or_now
from .records import ALL, KEY_BASE64, LIMIT, PREFIX, argument_bytes, screenful
from .results import Facts, Records, Result
from .standing import Standing
from .trust import FAILED as NOT_CONSISTENT

if TYPE_CHECKING:
    from .comparing import Comparison

__all__ = ["COMMANDS", "facts_of"]

SHOWN_GROUPS = 12


def diff(context: Context, arguments: Namespace) -> Result:
    """Compare two moments of a collection."""
    from .comparing import added, compare

    collection = collection_of(context, arguments)
    prefix = argument_bytes(arguments.prefix, arguments.key_base64, "prefix") or b""
    found = compare(context.database, collection, arguments.older, arguments.newer, prefix)
    if arguments.keys:
        limit = screenful(context, arguments.limit, arguments.all)
        items = ((record.key, None) for record in islice(added(collection, found, prefix), limit))
        more = None if limit is None else "there may be more; --all shows them, --limit chooses"
        return Records(items, True, more=more if limit != arguments.limit else None)
    title = f"From {found.older_words} to {found.newer_words}"
    code = FAILED if found.consistency.degree is NOT_CONSISTENT else DONE
    return Facts(title, tuple(facts_of(found)), _data(found), code)


def facts_of(found: Comparison) -> list[tuple[str, str]]:
    """What there is to say, as names and words; they may hold stored bytes only in names of groups, made printable."""
    older, newer, proof = found.older, found.newer, found.consistency
    about = "about " if found.is_sample else ""
    facts = [
        ("Records", f"+{human_count(found.records)}  ({human_count(older.records)} → {human_count(newer.records)})"),
        ("Blocks", f"+{human_count(found.blocks)}  ({human_count(older.blocks)} → {human_count(newer.blocks)})"),
        ("Data", f"{'' if found.bytes_are_counted else 'about '}+{human_bytes(found.data_bytes)}"),
    ]
    if found.first_ms is not None and found.last_ms is not None:
        facts.append(("Stored", f"{human_time(found.first_ms)} to {human_time(found.last_ms)}"))
    shown = found.groups[:SHOWN_GROUPS]
    told = [f"{about}{human_count(count)}  {printable(group)}…" for group, count in shown]
    facts += [("" if at else "Keys", words) for at, words in enumerate(told)]
    if len(found.groups) > len(shown):
        facts.append(("", f"and {human_count(len(found.groups) - len(shown))} other beginnings of keys"))
    if found.is_sample:
        facts.append(("", f"from a sample of {human_count(found.looked_at)} records, evenly spread"))
    facts += [("Schema", f"version {it.version} was set {human_time(it.time_ms)}") for it in found.schemas]
    facts += [
        ("Head then", _head(older)),
        ("Head later", _head(newer)),
        ("Tree then", f"{_hex(proof.old_root) or 'not told'} of {human_count(older.records)}"),
        ("Tree later", f"{_hex(proof.root) or 'not told'} of {human_count(newer.records)}"),
        ("Consistency", str(proof)),
    ]
    return facts


def _head(standing: Standing) -> str:
    head = standing.head
    return "no block was sealed" if head is None else f"{head.hash.hex()} (block {human_count(head.number)})"


def _data(found: Comparison) -> dict[str, Any]:
    proof = found.consistency
    return {
        "from": _side(found.older, proof.old_root),
        "to": _side(found.newer, proof.root),
        "records": found.records,
        "blocks": found.blocks,
        "bytes": found.data_bytes,
        "groups": [{"prefix": group.decode("utf-8", "backslashreplace"), "records": n} for group, n in found.groups],
        "is_sample": found.is_sample,
        "schema_versions": [version.version for version in found.schemas],
        "consistency": proof.degree.word,
        "consistency_proof": [node.hex() for node in proof.proof],
    }


def _hex(root: bytes | None) -> str | None:
    return None if root is None else root.hex()


def _side(standing: Standing, root: bytes | None) -> dict[str, Any]:
    return {
        "records": standing.records,
        "blocks": standing.blocks,
        "time_ms": standing.time_ms,
        "head_hash": None if standing.head is None else standing.head.hash.hex(),
        "root": _hex(root),
    }


def _moment(name: str, metavar: str, help: str, **options: Any) -> Any:
    return positional(name, help, Completes.MOMENT, metavar=metavar, type=moment_or_now, **options)


COMMANDS = (
    Command(
        "diff",
        "Compare two moments: what came between, and that nothing changed.",
        diff,
        (
            _moment("older", "FROM", "A block (42), a record (seq:1000), a time, or '5m ago'."),
            _moment("newer", "TO", "Another moment; else now.", nargs="?"),
            PREFIX,
            flag("--keys", help="List the keys that came, in the order in which they were stored."),
            LIMIT,
            ALL,
            KEY_BASE64,
            COLLECTION,
        ),
        details="Records are only ever added: what came between two moments is all the difference there is. That is "
        "proven: the consistency proof (RFC 6962) between the two trees is recomputed here, and the exit code is 1 if "
        "it does not hold. Of more than 20,000 records that came the beginnings of their keys are told from a sample, "
        "and it is said so. Indexes are not kept with the time at which they were made. --prefix narrows down what is "
        "said of keys; whichever moment is the earlier comes first. With --key-base64 the prefix is given as base64.",
        examples=(
            ("diff 10 20", "From the seal of block 10 to that of block 20"),
            ("diff '1h ago'", "What the last hour brought"),
            ("diff seq:1000 now --keys --limit 20", "The first keys that came since record 1,000"),
        ),
        need=Need.PROVE,
        formats=("table", "json", "jsonl", "csv", "raw"),
    ),
)
