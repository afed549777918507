"""encryption: the keys of an encrypted database, and what one of its files holds."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from .command import Command, Completes, Need, Where, option, positional
from .context import Context
from .failures import IoError, UsageError
from .opening import asker, secrets
from .results import Facts, Result, Value, Words

if TYPE_CHECKING:
    from blockdb.masterkey import MasterKeySource

__all__ = ["COMMANDS"]

NEW = "BLOCKDB_NEW_"


def encryption(context: Context, arguments: Namespace) -> Result:
    """Do what the first argument says."""
    return _ACTIONS[arguments.action](context, arguments)


def _show(context: Context, _: Namespace) -> Result:
    from blockdb.database.encryption import describe

    found = describe(_path(context))
    kind = "a passphrase, made a key by Argon2id" if found["master"] == "passphrase" else "a master key"
    facts = (
        ("Wrapped with", f"{kind}, whose id is {found['master_id']}"),
        ("Data key for new files", found["current"]),
        ("Data keys of older files", ", ".join(found["older"]) or "none"),
    )
    return Facts("Encryption:", facts, found)


def _new_key(_: Context, arguments: Namespace) -> Result:
    path = Path(_file(arguments))
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


def _rewrap(context: Context, arguments: Namespace) -> Result:
    from blockdb.database.encryption import rewrap
    from blockdb.masterkey import FILE_VARIABLE, KEY_VARIABLE, PASSPHRASE_VARIABLE, MasterKeySource

    names = (KEY_VARIABLE, FILE_VARIABLE, PASSPHRASE_VARIABLE)
    environ = {name: os.environ[other] for name in names if (other := name.replace("BLOCKDB_", NEW)) in os.environ}
    new = MasterKeySource(arguments.new_master_key_file, environ=environ, ask=asker())
    master_id = rewrap(_path(context), _source(context), new)
    text = f"The data keys are wrapped with master key {master_id} now; the old one opens nothing of this directory"
    return Words(text, {"master_id": master_id}, role="success")


def _new_data_key(context: Context, _: Namespace) -> Result:
    from blockdb.database.encryption import new_data_key

    key_id = new_data_key(_path(context), _source(context))
    return Words(f"New files are sealed with data key {key_id} from now on", {"current": key_id}, role="success")


def _open(context: Context, arguments: Namespace) -> Result:
    from blockdb.database.encryption import contents

    path = Path(_file(arguments))
    return Value(os.fsencode(path), contents(_path(context), _source(context), path).removesuffix(b"\n"))


_ACTIONS: dict[str, Callable[[Context, Namespace], Result]] = {
    "show": _show,
    "new-key": _new_key,
    "rewrap": _rewrap,
    "new-data-key": _new_data_key,
    "open": _open,
}


def _path(context: Context) -> Path:
    assert context.config is not None
    return Path(context.config.data_dir)


def _source(context: Context) -> MasterKeySource:
    from blockdb.masterkey import MasterKeySource

    assert context.config is not None
    given = secrets(context.config)
    return MasterKeySource(given["master_key_file"], ask=given["ask_passphrase"])


def _file(arguments: Namespace) -> str:
    if arguments.file is None:
        raise UsageError(f"encryption {arguments.action} takes the name of a file")
    return str(arguments.file)


COMMANDS = (
    Command(
        "encryption",
        "Look after the keys of an encrypted database.",
        encryption,
        (
            positional("action", "show, new-key, rewrap, new-data-key or open.", choices=tuple(_ACTIONS)),
            positional("file", "The file that new-key makes, or that open opens.", Completes.FILE, nargs="?"),
            option(
                "--new-master-key-file",
                metavar="FILE",
                completes=Completes.FILE,
                help="For rewrap: the new master key; else BLOCKDB_NEW_MASTER_KEY, else a passphrase, from "
                "BLOCKDB_NEW_PASSPHRASE or typed.",
            ),
        ),
        details="show tells which keys there are, and needs none. new-key makes a master key in a file. rewrap wraps "
        "the data keys with another master key: no other file changes, and whoever has an old copy of "
        "keys/encryption.toml can still open it with the old one. new-data-key has the files that are written from "
        "now on sealed with a new data key; the others keep theirs. open writes what a sealed file holds to standard "
        "output. Nobody may be writing the database while its keys change.",
        examples=(
            ("encryption new-key master.key", "Make a master key"),
            ("encryption rewrap --new-master-key-file new.key", "Change the master key"),
            ("encryption show", "Which keys there are"),
        ),
        need=Need.NOTHING,
        where=Where.COMMAND_LINE,
    ),
)
