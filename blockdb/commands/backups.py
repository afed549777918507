"""backup and restore: a whole database out to one file or a pipe, and back again."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from blockdb.errors import DatabaseNotFound

from .chain import problem_object
from .command import Command, Completes, Need, Where, flag, option, positional
from .context import Context
from .display import human_bytes, plural
from .exporting import replaced
from .failures import FAILED, CannotOpen, IoError
from .opening import secrets
from .results import Result, Stream, Words

if TYPE_CHECKING:
    from blockdb import Backup, Restored

    from .servers import Server

__all__ = ["COMMANDS"]


def backup(context: Context, arguments: Namespace) -> Result:
    """Write a copy of everything to a file, or to standard output."""
    import blockdb

    if context.server is not None:
        return _from_server(context, context.server, arguments)
    assert context.config is not None, "front ends give it"
    try:
        stream = blockdb.backup(context.config.data_dir, signing_key=arguments.signing_key)
    except DatabaseNotFound as error:
        raise CannotOpen(str(error)) from error
    if arguments.file == "-":
        return Stream(stream)
    written = 0
    with stream, replaced(Path(arguments.file).expanduser()) as file:
        for chunk in _shown(context, stream):
            written += file.write(chunk)
    header = stream.header
    text = (
        f"Backed up {plural(len(header.collections), 'collection')}, {human_bytes(header.most_bytes)}, to "
        f"{arguments.file}: {human_bytes(written)}\n{_about_keys(stream)}"
    )
    facts = {"id": header.id, "file_bytes": written, "database_bytes": header.most_bytes}
    return Words(text, {**facts, "signing_key": header.signing_key, "encrypted": header.encrypted}, role="success")


def _from_server(context: Context, server: Server, arguments: Namespace) -> Result:
    """The same of a database that a server has; the token has to allow it."""
    stream = context.database.backup(signing_key=arguments.signing_key)
    if arguments.file == "-":
        return Stream(stream)
    written = 0
    bar = context.progress("Backing up", None, "bytes")
    with replaced(Path(arguments.file).expanduser()) as file, bar as advance_to:
        for chunk in stream:
            written += file.write(chunk)
            advance_to(written)
    text = f"Backed up the database of {server.url} to {arguments.file}: {human_bytes(written)}"
    return Words(text, {"file_bytes": written, "signing_key": arguments.signing_key}, role="success")


def _shown(context: Context, stream: Backup) -> Iterator[bytes]:
    """The chunks, while it is shown how far the files have been read."""
    with context.progress("Backing up", stream.header.most_bytes, "bytes") as advance_to:
        for chunk in stream:
            advance_to(stream.done_bytes)
            yield chunk


def _about_keys(stream: Backup) -> str:
    kept = "The signing key is in it" if stream.header.signing_key else "The signing key is not in it: keep a copy"
    return kept + ("; the master key is not" if stream.header.encrypted else "")


def restore(context: Context, arguments: Namespace) -> Result:
    """Make a database of a backup."""
    import blockdb

    with ExitStack() as stack:
        given = secrets(context.config) if context.config is not None else {}
        restored = blockdb.restore(_source(arguments.file, stack), arguments.to, **given)
    return _told(restored)


def _source(name: str, stack: ExitStack) -> BinaryIO:
    if name == "-":
        return sys.stdin.buffer
    try:
        return stack.enter_context(Path(name).expanduser().open("rb"))
    except OSError as error:
        raise IoError(f"cannot open {name}: {error.strerror}") from error


def _told(restored: Restored) -> Words:
    report = restored.report
    lines = [f"Restored {plural(restored.files, 'file')}, {human_bytes(restored.size_bytes)}, to {restored.path}"]
    problems = () if report is None else report.problems
    if report is None:
        lines.append("It is encrypted, and was not audited: give the master key and run `blockdb audit`")
    elif report.valid:
        lines.append(f"✓ Everything is as it was written: {plural(report.records, 'record')} recomputed")
    else:
        lines.append(f"✗ {plural(len(problems), 'problem')} found: the database that was backed up had them")
    if not restored.header.signing_key:
        lines.append("The signing key is not in the backup: name its file (--key-file) to write to the database")
    data = {
        "path": str(restored.path),
        "files": restored.files,
        "size_bytes": restored.size_bytes,
        "valid": None if report is None else report.valid,
        "records": None if report is None else report.records,
        "problems": [problem_object(problem) for problem in problems],
        "signing_key": restored.header.signing_key,
    }
    failures = tuple(f"Error: Corruption: {problem}" for problem in problems)
    return Words(
        "\n".join(lines),
        data,
        failures=failures,
        role="error" if problems else "success",
        exit_code=FAILED if problems else 0,
    )


_FILE = positional("file", "The backup; - for standard output or input.", Completes.FILE)

COMMANDS = (
    Command(
        "backup",
        "Copy the whole database to one file, while it is used.",
        backup,
        (_FILE, flag("--signing-key", help="Have the secret key in it: who gets the file can sign as the database.")),
        details="All collections as of one moment, as a tar archive in a Zstandard frame. It opens nothing and holds "
        "nobody up, also beside a server. What is encrypted stays so, and needs no master key. Tokens and certificates "
        "of a server are not in it. With --url the server makes it. JSON has the fields id, file_bytes, "
        "database_bytes, signing_key and encrypted; of a server's only file_bytes and signing_key.",
        examples=(
            ("backup monday.tar.zst", "To a file, whole or not at all"),
            ("backup - --signing-key", "To a pipe: to another machine, say"),
        ),
        need=Need.NOTHING,
        where=Where.COMMAND_LINE,
    ),
    Command(
        "restore",
        "Make a database of a backup, and audit it.",
        restore,
        (
            _FILE,
            option(
                "--to", metavar="DIR", completes=Completes.FILE, required=True, help="A directory that is not there."
            ),
        ),
        details="Nothing is left where the backup is not whole. The exit code is 1 if the audit finds a problem. "
        "Without the signing key the database can be read; name the key's file to write to it, or run `verify "
        "--repair`, which makes another one. JSON has the fields path, files, size_bytes, valid, records, problems and "
        "signing_key.",
        examples=(("restore monday.tar.zst --to ./restored", "Make a database of it"),),
        need=Need.NOTHING,
        where=Where.COMMAND_LINE,
    ),
)
