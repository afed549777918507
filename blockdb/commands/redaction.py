"""redact: erase a value for good, and keep what proves that there was one."""

from __future__ import annotations

from argparse import Namespace

from .choice import COLLECTION, collection_of
from .command import Command, Completes, Need, option, positional
from .context import Context
from .display import plural, quoted
from .records import KEY_BASE64, argument_bytes
from .results import Result, Words

__all__ = ["COMMANDS"]

QUARANTINED = "quarantine/ holds files that earlier repairs set aside; they may still have the value: remove them"


def redact(context: Context, arguments: Namespace) -> Result:
    """Erase values."""
    keys = [argument_bytes(key, arguments.key_base64, "key") or b"" for key in arguments.key]
    done = collection_of(context, arguments).redact_many(keys, reason=arguments.reason, by=arguments.by)
    what = f"key {quoted(keys[0])}" if len(keys) == 1 else plural(len(done.sequences), "key")
    return Words(
        f"Redacted {what}: the value is gone for good, the hash remains",
        {"sequences": list(done.sequences), "files": done.files, "quarantined": done.quarantined},
        failures=(f"Note: {QUARANTINED}",) if done.quarantined else (),
        role="success",
    )


COMMANDS = (
    Command(
        "redact",
        "Erase a value for good; its hash and all proofs stay.",
        redact,
        (
            positional("key", "The key whose value is erased; several may be given.", Completes.KEY, nargs="+"),
            option("--reason", metavar="TEXT", required=True, help="Why: kept in the journal, for everybody to see."),
            option("--by", metavar="WHO", help="Who does it (default: your login name)."),
            KEY_BASE64,
            COLLECTION,
        ),
        details="For databases that were made with the setting redactable. The value goes from the chain, from packed "
        "files and from memory, and cannot be had back; the key stays, and cannot be stored again. A get of it fails "
        "with Redacted. Copies made before still have the value: see docs/REDACTION.md.",
        examples=(('redact user:1001 --reason "asked for by the person"', "Erase one value"),),
        need=Need.WRITE,
        dangerous=True,
    ),
)
