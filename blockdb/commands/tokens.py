"""token create, token list, token revoke: who may ask a server for what."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Any

from blockdb.errors import BlockDBError

from .command import Command, Completes, Need, Where, option, positional
from .context import Context
from .entering import enter_apart
from .line import to_bytes
from .results import Column, Document, Result, Table, Words

if TYPE_CHECKING:
    from blockdb.client.tokens import RemoteTokens
    from blockdb.security.tokens import TokenInfo
    from blockdb.server.tokens import TokenFile

__all__ = ["COMMANDS"]

_UNITS_S = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_LONGEST_S = 100 * 366 * 86_400


def create(context: Context, arguments: Namespace) -> Result:
    """Make a token, and show it."""
    from blockdb.security.roles import Role

    expires_ms = None if arguments.expires is None else int(arguments.expires(time()) * 1000)
    prefix = to_bytes(arguments.prefix or "")
    if context.server is not None:
        info, token = _tokens(context).create(
            arguments.name, arguments.role, collections=arguments.collection, prefix=prefix, expires_ms=expires_ms
        )
    else:
        info, token = _file(context).create(
            arguments.name, Role(arguments.role), arguments.collection, prefix, expires_ms=expires_ms
        )
        _enter(context, "token create", info.id)
        _tell_of_node(context)
    note = f"This is the token '{info.name}', which is not shown again; `blockdb token revoke {info.id}` revokes it."
    return Document(f"{token}\n", {"token": token, **_row(info)}, note=note)


def show(context: Context, _: Namespace) -> Result:
    """List the tokens."""
    if context.server is not None:
        return Table(_COLUMNS, map(_row, _tokens(context).list()))
    _tell_of_node(context)
    return Table(_COLUMNS, map(_row, _file(context).list()))


def revoke(context: Context, arguments: Namespace) -> Result:
    """Revoke a token."""
    if context.server is not None:
        info = _tokens(context).revoke(arguments.id)
    else:
        info = _file(context).revoke(arguments.id)
        _enter(context, "token revoke", info.id)
        _tell_of_node(context)
    return Words(f"The token '{info.name}' ({info.id}) is good for nothing any more", _row(info), role="success")


_COLUMNS = (
    Column("id", "ID"),
    Column("name", "NAME"),
    Column("role", "ROLE"),
    Column("collections", "COLLECTIONS", "json"),
    Column("prefix", "PREFIX"),
    Column("created_ms", "CREATED", "time", "muted"),
    Column("expires_ms", "EXPIRES", "time"),
    Column("expired", "EXPIRED", "json"),
)


def _row(info: TokenInfo) -> dict[str, Any]:
    return {
        "id": info.id,
        "name": info.name,
        "role": info.role.value,
        "collections": None if info.collections is None else sorted(info.collections),
        "prefix": info.prefix.decode("utf-8", "backslashreplace") or None,
        "created_ms": info.created_ms,
        "expires_ms": info.expires_ms,
        "expired": info.is_expired(time() * 1000),
    }


def _enter(context: Context, operation: str, token_id: str) -> None:
    """Enter what was done in the audit log. Where that cannot be it is said: it was done."""
    assert context.config is not None
    try:
        enter_apart(context.config, operation, token_id)
    except BlockDBError as error:
        context.announce(f"Note: this was done, and could not be entered in the audit log: {error}")


def _tokens(context: Context) -> RemoteTokens:
    found: RemoteTokens = context.database.tokens  # type: ignore[attr-defined]
    return found


def _tell_of_node(context: Context) -> None:
    """Of a node of a cluster it is said that its own file is not what the others go by."""
    from blockdb.layout import DatabaseFiles

    assert context.config is not None
    if DatabaseFiles(Path(context.config.data_dir)).raft.id.exists():
        context.announce(
            "Note: this directory is that of a node of a cluster, and its own tokens are good at this node alone. With "
            "--url and the address of any node, it is about those that are good at all nodes."
        )


def _file(context: Context) -> TokenFile:
    from blockdb.server.tokens import TokenFile

    assert context.config is not None
    return TokenFile(Path(context.config.data_dir).absolute())


def _moment(text: str) -> Callable[[float], float]:
    """`30d`, or a time as in ISO 8601: the Unix time (seconds) that is meant, said from now."""
    if found := re.fullmatch(r"([1-9][0-9]{0,9})([mhdw])", text):
        length_s = int(found[1]) * _UNITS_S[found[2]]
        if length_s <= _LONGEST_S:
            return lambda now_s: now_s + length_s
    from datetime import datetime  # here: it is slow to load

    try:
        time_s = datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        raise ArgumentTypeError(
            f"{text!r} is no time: give 90m, 12h, 30d, 4w (up to 100 years), or one such as 2027-01-01T00:00:00Z"
        ) from None
    return lambda _: time_s


_NEEDS: dict[str, Any] = {"need": Need.NOTHING, "where": Where.COMMAND_LINE}

COMMANDS = (
    Command(
        "token create",
        "Make a token, with which programs may ask a server.",
        create,
        (
            option("--name", metavar="NAME", required=True, help="Who or what will use it; logs tell this name."),
            option(
                "--role",
                metavar="ROLE",
                required=True,
                choices=("reader", "writer", "auditor", "admin"),
                help="What it is good for: reader (read), writer (read and write), auditor (read and verify), admin.",
            ),
            option(
                "--collection",
                metavar="NAME",
                completes=Completes.COLLECTION,
                action="append",
                help="Only this collection, and never the database as a whole. Can be given several times.",
            ),
            option("--prefix", metavar="TEXT", help="Only keys that begin with TEXT."),
            option(
                "--expires",
                metavar="WHEN",
                type=_moment,
                help="When it ceases to be good: in 90m, 12h, 30d or 4w, or at a time (ISO 8601). Else never.",
            ),
        ),
        details="The token goes to standard output, and is not shown again: the file of tokens (server/tokens.toml) "
        "has its hash alone. Who has the token may do what its role allows, so hand it on as a password. A server that "
        "runs notices new and revoked tokens within a second.\n\n"
        "With --url it is made by way of a server, which takes a token whose role is admin, and never gets to know the "
        "new one. In a cluster it is good at all nodes then.",
        examples=(
            ("token create --name shop --role writer --url http://10.0.0.1:8080", "For all nodes of a cluster"),
            ("token create --name ci --role auditor --expires 30d", "For the whole database, for 30 days"),
            ("token create --name shop --role writer --collection orders", "For one collection"),
        ),
        formats=("table", "json", "jsonl"),
        **_NEEDS,
        changes=True,
    ),
    Command(
        "token list",
        "List the tokens, without their secrets.",
        show,
        examples=(("token list", "All of them"),),
        **{**_NEEDS, "formats": ("table", "json", "jsonl", "csv")},
    ),
    Command(
        "token revoke",
        "Revoke a token for good.",
        revoke,
        (positional("id", "Its id, as `token list` shows it; it stands in the token, after bdb_."),),
        details="A server that runs refuses it within a second; with --url, so do all nodes of a cluster.",
        examples=(("token revoke 0123456789abcdef", "Revoke one"),),
        **_NEEDS,
        changes=True,
        dangerous=True,
    ),
)
