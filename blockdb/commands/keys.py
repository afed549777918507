"""keys show, keys rotate: the key that the database signs with."""

from __future__ import annotations

from argparse import Namespace

from .command import Command, Need
from .context import Context
from .results import Document, Result, Words

__all__ = ["COMMANDS"]


def show(context: Context, _: Namespace) -> Result:
    """Print the public key."""
    key = context.database.verifier_key()
    earlier = list(context.database.earlier_keys())
    return Document(key + "\n", {"key": key, "earlier": earlier})


def rotate(context: Context, _: Namespace) -> Result:
    """Sign with a new key."""
    key = context.database.rotate_key()
    text = "A new key signs from now on; what was signed before stays good. Give this to those who check:"
    return Words(f"{text}\n{key}", {"key": key}, role="success")


COMMANDS = (
    Command(
        "keys show",
        "Print the public key by which receipts and checkpoints are checked.",
        show,
        details="In the form that C2SP's signed notes have (name+id+key). It holds for all collections. With "
        "--format json the keys before it are told, each with the note by which it handed over.",
        examples=(("keys show", "The verifier key"),),
        formats=("table", "json", "jsonl", "raw"),
    ),
    Command(
        "keys rotate",
        "Sign with a new key from now on.",
        rotate,
        details="Old blocks, receipts and checkpoints stay good under the old key. The journal keeps the old key's "
        "signature under the new one.",
        examples=(("keys rotate", "Make a new key"),),
        need=Need.WRITE,
        formats=("table", "json", "jsonl"),
        dangerous=True,
    ),
)
