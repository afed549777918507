r"""profile list, profile show, \connect: servers by name, and going on with another database in the shell."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from .command import FLAT, Command, Completes, Need, Where, positional
from .context import Context
from .failures import UsageError
from .profiles import load_profiles, profile_of, profiles_path
from .results import Column, Facts, Result, Table, Words
from .servers import Server

__all__ = ["COMMANDS"]


def listing(_: Context, __: Namespace) -> Result:
    """List the profiles."""
    found = load_profiles()
    more = None if found else f"No profile: there is nothing in {profiles_path()}."
    return Table(_COLUMNS, map(_row, found.values()), more)


_COLUMNS = (
    Column("name", "NAME", role="key"),
    Column("url", "SERVER"),
    Column("token", "TOKEN", role="muted"),
    Column("verified", "VERIFIED"),
    Column("collection", "COLLECTION"),
)


def _row(server: Server) -> dict[str, Any]:
    return {
        "name": server.profile,
        "url": server.url,
        "token": _token(server),
        "verified": "yes" if server.verified else "no",
        "collection": server.collection or "",
    }


def _token(server: Server) -> str:
    """Where the token is, and never what it is."""
    if server.token_file is not None:
        return str(server.token_file)
    return "in the profile" if server.token is not None else ""


def show(_: Context, arguments: Namespace) -> Result:
    """Show one profile."""
    server = profile_of(arguments.name)
    told: dict[str, Any] = {
        **_row(server),
        "verified": server.verified,
        "ca": None if server.ca is None else str(server.ca),
        "certificate": None if server.certificate is None else str(server.certificate),
        "key": None if server.key is None else str(server.key),
    }
    facts = (
        ("Server", server.url),
        ("Token", _token(server) or "none"),
        ("Proves what it is told", "yes" if server.verified else "no"),
        ("Collection", server.collection or "the default one"),
        ("Authority", told["ca"] or "those of the system"),
        ("Certificate of one's own", told["certificate"] or "none"),
    )
    return Facts(f"Profile {server.profile}:", facts, told)


def connect(context: Context, arguments: Namespace) -> Result:
    """Go on with another database."""
    if context.connect is None:
        raise UsageError("connect is a command of the shell only")
    if context.transaction is not None:
        raise UsageError(f"transaction {context.transaction.id} is open; commit or abort it first")
    where = context.connect(arguments.where)
    return Words(f"This is {where} now", {"location": where}, role="success")


COMMANDS = (
    Command(
        "profile list",
        "List the profiles, which are servers by name.",
        listing,
        details="They stand in ~/.config/blockdb/profiles.toml: sections [profiles.NAME] with url, and perhaps token "
        "or token_file, ca, certificate, key, verified, collection. With a token in it the file must be its owner's "
        "alone (chmod 600). Tokens are never shown.",
        examples=(("profile list", "All of them"),),
        need=Need.NOTHING,
        formats=("table", "json", "jsonl", "csv"),
    ),
    Command(
        "profile show",
        "Show one profile, without its token.",
        show,
        (positional("name", "The name of the profile.", Completes.PROFILE),),
        examples=(("profile show production", "What it says"),),
        need=Need.NOTHING,
        formats=FLAT,
    ),
    Command(
        "connect",
        "Go on with another database: a server, a profile, or a directory.",
        connect,
        (positional("where", "A URL, the name of a profile, or a path.", Completes.DATABASE),),
        details=r"\connect is the same. Where the other one cannot be opened, all stays as it is. A transaction must "
        "be committed or aborted first. A path with no slash in it is written ./NAME if a profile has that name.",
        examples=(
            ("connect http://127.0.0.1:8080", "A server"),
            ("connect production", "A profile"),
            ("connect ./blockdb_data", "A directory"),
        ),
        aliases=(r"\connect", r"\c"),
        need=Need.NOTHING,
        where=Where.SHELL,
    ),
)
