"""encryption show, new-key, rewrap, new-data-key, open: the keys of an encrypted database, and what a file holds."""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .command import FLAT, Command, Completes, Need, Where, option, positional
from .context import Context
from .failures import IoError
from .opening import asker, secrets
from .results import Facts, Result, Value, Words

if TYPE_CHECKING:
    from blockdb.masterkey import MasterKeySource

__all__ = ["COMMANDS"]

NEW = "BLOCKDB_NEW_"


def show(context: Context, _: Namespace) -> Result:
    """Tell which keys there are, without opening any."""
    from blockdb.database.encryption import describe

    found = describe(_path(context))
    kind = "a passphrase, made a key by Argon2id" if found["master"] == "passphrase" else "a master key"
    facts = (
        ("Wrapped with", f"{kind}, whose id is {found['master_id']}"),
        ("Data key for new files", found["current"]),
        ("Data keys of older files", ", ".join(found["older"]) or "none"),
    )
    return Facts("Encryption:", facts, found)


def new_key(_: Context, arguments: Namespace) -> Result:
    """Make a master key."""
    path = Path(arguments.file)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise IoError(f"{path} is there already, and perhaps opens a database; choose another name") from None
    with open(descriptor, "w") as file:
        file.write(os.urandom(32).hex() + "\n")
        file.flush()
        os.fsync(descriptor)
    text = f"Made a master key in {path}. Keep a copy where the database is not: without it nothing can be read."
    return Words(text, {"file": str(path)}, role="success")


def change_master_key(context: Context, arguments: Namespace) -> Result:
    """Wrap the data keys with another master key."""
    from blockdb.database.encryption import rewrap
    from blockdb.masterkey import FILE_VARIABLE, KEY_VARIABLE, PASSPHRASE_VARIABLE, MasterKeySource

    names = (KEY_VARIABLE, FILE_VARIABLE, PASSPHRASE_VARIABLE)
    environ = {name: os.environ[other] for name in names if (other := name.replace("BLOCKDB_", NEW)) in os.environ}
    new = MasterKeySource(arguments.new_master_key_file, environ=environ, ask=asker())
    master_id = rewrap(_path(context), _source(context), new)
    text = f"The data keys are wrapped with master key {master_id} now; the old one opens nothing of this directory"
    return Words(text, {"master_id": master_id}, role="success")


def add_data_key(context: Context, _: Namespace) -> Result:
    """Have new files sealed with a new data key."""
    from blockdb.database.encryption import new_data_key

    key_id = new_data_key(_path(context), _source(context))
    return Words(f"New files are sealed with data key {key_id} from now on", {"current": key_id}, role="success")


def write_out(context: Context, arguments: Namespace) -> Result:
    """Give what a sealed file holds."""
    from blockdb.database.encryption import contents

    path = Path(arguments.file)
    return Value(os.fsencode(path), contents(_path(context), _source(context), path).removesuffix(b"\n"))


def _path(context: Context) -> Path:
    assert context.config is not None
    return Path(context.config.data_dir)


def _source(context: Context) -> MasterKeySource:
    from blockdb.masterkey import MasterKeySource

    assert context.config is not None
    given = secrets(context.config)
    return MasterKeySource(given["master_key_file"], ask=given["ask_passphrase"])


_NEEDS: dict[str, Any] = {"need": Need.NOTHING, "where": Where.COMMAND_LINE}
_OF_DIRECTORY: dict[str, Any] = {**_NEEDS, "directory_only": True}

COMMANDS = (
    Command(
        "encryption show",
        "Tell which keys an encrypted database has.",
        show,
        details="It takes no key: only their ids are told, and what they are wrapped with.",
        examples=(("encryption show", "Which keys there are"),),
        **_OF_DIRECTORY,
        formats=FLAT,
    ),
    Command(
        "encryption new-key",
        "Make a master key in a file.",
        new_key,
        (positional("file", "The file to make; it must not be there yet.", Completes.FILE),),
        details="Only its owner can read it. Keep a copy where the database is not: who loses it loses the database.",
        examples=(("encryption new-key master.key", "Make a master key"),),
        **_NEEDS,
    ),
    Command(
        "encryption rewrap",
        "Change the master key: wrap the data keys with another one.",
        change_master_key,
        (
            option(
                "--new-master-key-file",
                metavar="FILE",
                completes=Completes.FILE,
                help="The new master key; else BLOCKDB_NEW_MASTER_KEY, else a passphrase, from BLOCKDB_NEW_PASSPHRASE "
                "or typed.",
            ),
        ),
        details="No file changes but keys/encryption.toml; who has an old copy of that can still open it with the old "
        "master key. Nobody may be writing the database meanwhile.",
        examples=(("encryption rewrap --new-master-key-file new.key", "Change the master key"),),
        **_OF_DIRECTORY,
        changes=True,
        dangerous=True,
    ),
    Command(
        "encryption new-data-key",
        "Have new files sealed with a new data key.",
        add_data_key,
        details="Files that exist keep theirs. Nobody may be writing the database meanwhile.",
        examples=(("encryption new-data-key", "A new key for new files"),),
        **_OF_DIRECTORY,
        changes=True,
    ),
    Command(
        "encryption open",
        "Write what a sealed file holds to standard output.",
        write_out,
        (positional("file", "A file of the database.", Completes.FILE),),
        examples=(("encryption open db/quarantine/SALVAGE/salvaged.jsonl", "What a repair salvaged"),),
        **_OF_DIRECTORY,
    ),
)
