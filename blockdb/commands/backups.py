"""backup and restore: a whole database out to one file or a pipe, and back again."""

from __future__ import annotations

import sys
from argparse import ArgumentTypeError, Namespace
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from blockdb.errors import DatabaseNotFound

from .anchors import ANCHOR, ANCHOR_KEY, named_anchors
from .chain import problem_object
from .command import Command, Completes, Need, Where, flag, option, positional
from .context import Context
from .display import human_bytes, human_time, plural, printable
from .exporting import replaced
from .failures import FAILED, CannotOpen, IoError, UsageError
from .moment import moment
from .opening import secrets
from .results import Result, Stream, Words

if TYPE_CHECKING:
    from blockdb import AsOf, Backup, Restored

    from .servers import Server

__all__ = ["COMMANDS"]


def backup(context: Context, arguments: Namespace) -> Result:
    """Write a copy of everything to a file, or to standard output."""
    import blockdb

    if context.server is not None:
        return _from_server(context, context.server, arguments)
    assert context.config is not None, "front ends give it"
    try:
        stream = blockdb.backup(context.config.data_dir, signing_key=arguments.signing_key, since=_since(arguments))
    except DatabaseNotFound as error:
        raise CannotOpen(str(error)) from error
    if arguments.file == "-":
        return Stream(stream)
    written = 0
    with stream, replaced(Path(arguments.file).expanduser()) as file:
        for chunk in _shown(context, stream):
            written += file.write(chunk)
    header = stream.header
    what = plural(len(header.collections), "collection") if header.parent is None else "what is new"
    text = (
        f"Backed up {what}, {human_bytes(header.most_bytes)}, to {arguments.file}: {human_bytes(written)}\n"
        f"{_about_keys(stream)}"
    )
    facts = {"id": header.id, "since": header.parent, "file_bytes": written, "database_bytes": header.most_bytes}
    return Words(text, {**facts, "signing_key": header.signing_key, "encrypted": header.encrypted}, role="success")


def _from_server(context: Context, server: Server, arguments: Namespace) -> Result:
    """The same of a database that a server has; the token has to allow it."""
    stream = context.database.backup(signing_key=arguments.signing_key, since=_since(arguments))
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


def _since(arguments: Namespace) -> Path | None:
    """The older backup. Raises `IoError`."""
    if arguments.since is None:
        return None
    path = Path(arguments.since).expanduser()
    with _opened(path):
        if Path(arguments.file).expanduser().exists() and path.samefile(Path(arguments.file).expanduser()):
            raise UsageError(f"{arguments.file} is the older backup, which the new one needs: name another file")
        return path


def restore(context: Context, arguments: Namespace) -> Result:
    """Make a database of a backup, or of several that go on from each other."""
    import blockdb

    if arguments.check:
        return _checked(arguments)
    target, to = _target(context, arguments)
    with ExitStack() as stack:
        first, *more = [_source(name, stack) for name in _names(arguments.file)]
        given = secrets(context.config) if context.config is not None else {}
        restored = blockdb.restore(
            first,
            target,
            increments=more,
            to=to,
            collection=arguments.collection,
            anchors=named_anchors(arguments.anchors),
            accept_older=arguments.accept_older,
            **given,
        )
    return _told(restored)


def _checked(arguments: Namespace) -> Words:
    """See that backups are whole, and restore nothing."""
    from blockdb.database.backup.restore import check

    with ExitStack() as stack:
        found = check([_source(name, stack) for name in _names(arguments.file)])
    lines = [
        f"✓ {printable(name)} is whole: {plural(len(it.new), 'file')}, {human_bytes(it.size_bytes)}, of "
        f"{human_time(it.header.time_ms)}"
        for name, it in found
    ]
    told = [
        {"name": name, "id": it.header.id, "since": it.header.parent, "time_ms": it.header.time_ms}
        | {"files": len(it.new), "size_bytes": it.size_bytes}
        for name, it in found
    ]
    return Words("\n".join(lines), {"whole": True, "backups": told}, role="success")


def _target(context: Context, arguments: Namespace) -> tuple[Path, AsOf | None]:
    """Where the database is to be, and of which moment. Raises `UsageError`.

    What `--to` has been told is the directory, as in earlier versions, where `--into` is missing and it is no moment.
    """
    to = None
    if arguments.to is not None:
        try:
            to = moment(arguments.to)
        except ArgumentTypeError as error:
            if arguments.into is not None:
                raise UsageError(f"--to: {error}") from None
            return Path(arguments.to).expanduser(), None
    if arguments.into is not None:
        return Path(arguments.into).expanduser(), to
    if context.config is None:
        raise UsageError("say where the database is to be: --into DIR")
    return Path(context.config.data_dir), to


def _names(given: Sequence[str]) -> list[str]:
    """The backups, in order: those that were named, or all in a directory. Raises `IoError`, InvalidData."""
    if len(given) > 1 or not Path(given[0]).expanduser().is_dir():
        return list(given)
    from blockdb.database.backup.linking import in_order
    from blockdb.interface.backups import read_header

    paths = sorted(path for path in Path(given[0]).expanduser().iterdir() if path.is_file() and path.name[0] != ".")
    return [name for name, _ in in_order([(str(path), read_header(path)) for path in paths])]


def _source(name: str, stack: ExitStack) -> BinaryIO:
    return sys.stdin.buffer if name == "-" else stack.enter_context(_opened(Path(name).expanduser()))


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise IoError(f"cannot open {path}: {error.strerror}") from error


def _told(restored: Restored) -> Words:
    report, point = restored.report, restored.point
    lines = [f"Restored {plural(restored.files, 'file')}, {human_bytes(restored.size_bytes)}, to {restored.path}"]
    problems = () if report is None else report.problems
    if point is not None:
        held = ", ".join(
            f"{printable(name)}: {plural(count, 'record')}" for name, count in sorted(point.records.items())
        )
        lines.append(f"As of {human_time(point.time_ms)}: {held}")
    if report is None:
        lines.append("It is encrypted, and was not audited: give the master key and run `blockdb audit`")
    elif report.valid:
        lines.append(f"✓ Everything is as it was written: {plural(report.records, 'record')} recomputed")
    else:
        lines.append(f"✗ {plural(len(problems), 'problem')} found: the database that was backed up had them")
    lines += map(printable, restored.notes)
    if not restored.has_signing_key:
        lines.append("The signing key is not in the backup: name its file (--key-file) to write to the database")
    data = {
        "path": str(restored.path),
        "files": restored.files,
        "size_bytes": restored.size_bytes,
        "valid": None if report is None else report.valid,
        "records": None if report is None else report.records,
        "problems": [problem_object(problem) for problem in problems],
        "signing_key": restored.has_signing_key,
        "time_ms": None if point is None else point.time_ms,
        "collections": None if point is None else dict(point.records),
        "notes": list(restored.notes),
    }
    failures = tuple(f"Error: Corruption: {problem}" for problem in problems)
    return Words(
        "\n".join(lines),
        data,
        failures=failures,
        role="error" if problems else "success",
        exit_code=FAILED if problems else 0,
    )


COMMANDS = (
    Command(
        "backup",
        "Copy the whole database to one file, while it is used.",
        backup,
        (
            positional("file", "The backup; - for standard output.", Completes.FILE),
            option(
                "--since",
                metavar="OLDER",
                completes=Completes.FILE,
                help="An older backup, or its backup.json: have in the new one what is new since then.",
            ),
            flag("--signing-key", help="Have the secret key in it: who gets the file can sign as the database."),
        ),
        details="All collections as of one moment, as a tar archive in a Zstandard frame. It opens nothing and holds "
        "nobody up, also beside a server. What is encrypted stays so, and needs no master key. Tokens and certificates "
        "of a server are not in it. With --url the server makes it. With --since it goes on from an older one, which "
        "restore then takes before it. JSON has the fields id, since (the id of the older one, or null), file_bytes, "
        "database_bytes, signing_key and encrypted; of a server's only file_bytes and signing_key.",
        examples=(
            ("backup monday.tar.zst", "To a file, whole or not at all"),
            ("backup tuesday.tar.zst --since monday.tar.zst", "What is new since then"),
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
            positional(
                "file",
                "The backup, and those that go on from it, in order; a directory that has them; - for standard input.",
                Completes.FILE,
                nargs="+",
            ),
            option(
                "--into",
                metavar="DIR",
                completes=Completes.FILE,
                help="A directory that is not there; else that of --data-dir.",
            ),
            option(
                "--to",
                metavar="WHEN",
                help="Go back to block:N, seq:N (after that record), or a time (ISO 8601). Without --into, what is "
                "none of these is the directory.",
            ),
            option(
                "--collection",
                metavar="NAME",
                completes=Completes.COLLECTION,
                help="To which collection the block or the record of --to belongs.",
            ),
            ANCHOR,
            ANCHOR_KEY,
            flag("--accept-older", help="Restore also what an anchor is newer than."),
            flag("--check", help="Restore nothing: see that the backups are whole; exit code 1 where one is not."),
        ),
        details="Nothing is left where a backup is not whole, one is missing, or an anchor says otherwise. With --to, "
        "all collections are those of one moment, after whole commits: a time is the same for all; a block or a record "
        "cuts its collection, and the others at the time of the last record there. Files on the database's own list of "
        "anchors are asked too. The exit code is 1 if the audit finds a problem. Without the signing key the "
        "database can be read; name the key's file to write to it, or run `verify --repair`, which makes another one. "
        "JSON has the fields path, files, size_bytes, valid, records, problems, signing_key, time_ms and collections "
        "(with --to: the moment, and how many records each has), and notes.\n\n"
        "With --check all is read, and each file held against its SHA-256; the first fault is named. Nothing is "
        "written, and nothing recomputed: that takes restoring. JSON has whole and, for each of backups, name, id, "
        "since, time_ms, files and size_bytes.",
        examples=(
            ("restore monday.tar.zst --into ./restored", "Make a database of it"),
            ("restore monday.tar.zst tuesday.tar.zst --into ./restored", "And what was new the day after"),
            ("restore --check ./backups", "See that all of a directory are whole"),
            ("restore ./backups --into ./restored --to 2026-11-20T12:00:00Z", "As it was at noon"),
        ),
        need=Need.NOTHING,
        where=Where.COMMAND_LINE,
    ),
)
