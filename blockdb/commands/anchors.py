"""anchor add, anchor list, anchor remove: what remembers the database's checkpoints where the data is not."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from .command import Argument, Command, Completes, Need, option, positional
from .context import Context
from .failures import UsageError
from .results import Column, Result, Table, Words

if TYPE_CHECKING:
    from blockdb import Anchor

__all__ = ["ANCHOR", "ANCHOR_KEY", "COMMANDS", "named_anchors"]


def _part(kind: str) -> Callable[[str], tuple[str, str]]:
    def part(text: str) -> tuple[str, str]:
        return kind, text

    return part


_ANCHORS: dict[str, Any] = {"dest": "anchors", "action": "append"}
ANCHOR: Argument = option(
    "--anchor",
    metavar="FILE|URL",
    completes=Completes.FILE,
    help="Check against this anchor too. Can be given several times.",
    type=_part("anchor"),
    **_ANCHORS,
)
ANCHOR_KEY: Argument = option(
    "--anchor-key",
    metavar="VKEY",
    help="Key of the witness that the --anchor before it names.",
    type=_part("key"),
    **_ANCHORS,
)


def named_anchors(parts: Sequence[tuple[str, str]] | None) -> list[Anchor]:
    """The anchors that the arguments `--anchor` and `--anchor-key` name. Raises `UsageError`."""
    from blockdb import Anchor

    found: list[Anchor] = []
    for kind, text in parts or ():
        if kind == "anchor":
            found.append(Anchor(text))
        elif not found or found[-1].key is not None:
            raise UsageError("--anchor-key follows the --anchor of the witness whose key it is")
        else:
            found[-1] = Anchor(found[-1].where, text)
    return found


def add(context: Context, arguments: Namespace) -> Result:
    """Add an anchor, and give it the present checkpoint."""
    anchor = context.database.add_anchor(arguments.where, arguments.key)
    return Words(f"Checkpoints are given to {anchor.where} from now on", _row(anchor), role="success")


def show(context: Context, _: Namespace) -> Result:
    """List the anchors."""
    return Table(_COLUMNS, map(_row, context.database.anchors()))


_COLUMNS = (Column("where", "ANCHOR"), Column("kind", "KIND", role="muted"), Column("key", "KEY", role="muted"))


def _row(anchor: Anchor) -> dict[str, Any]:
    return {"where": anchor.where, "kind": "file" if anchor.key is None else "witness", "key": anchor.key or ""}


def remove(context: Context, arguments: Namespace) -> Result:
    """Take an anchor off the list."""
    anchor = context.database.remove_anchor(arguments.where)
    return Words(f"Checkpoints are no longer given to {anchor.where}", _row(anchor), role="success")


COMMANDS = (
    Command(
        "anchor add",
        "Keep checkpoints where the data is not: in a file, or with a witness.",
        add,
        (
            positional("where", "A file outside the database, or the URL of a witness.", Completes.FILE),
            option("--key", metavar="VKEY", help="The witness's key, as `witness init` printed it."),
        ),
        details="The anchor is given the present checkpoint at once, and each one that `blockdb checkpoint` publishes. "
        "A file gets them one after the other, and none that does not extend the last; a witness (C2SP tlog-witness) "
        "cosigns them. `blockdb verify` then finds a history that was rewritten, cut, rolled back or forked, and "
        "tells between which two checkpoints. An anchor is worth most on a machine that whoever runs the database "
        "cannot write to.",
        examples=(
            ("anchor add /mnt/safe/checkpoints", "A file on another disk"),
            ('anchor add https://witness.example.org --key "$VKEY"', "A witness"),
        ),
        need=Need.WRITE,
        directory_only=True,
    ),
    Command(
        "anchor list",
        "List the anchors.",
        show,
        examples=(("anchor list", "All of them"),),
        formats=("table", "json", "jsonl", "csv"),
    ),
    Command(
        "anchor remove",
        "Take an anchor off the list; what it keeps stays.",
        remove,
        (positional("where", "The file or the URL.", Completes.FILE),),
        examples=(("anchor remove /mnt/safe/checkpoints", "Remove a file"),),
        need=Need.WRITE,
        directory_only=True,
    ),
)
