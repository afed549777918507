"""cert: certificates to try TLS with."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from blockdb.errors import InvalidData

from .command import Command, Completes, Need, Where, option, positional
from .context import Context
from .failures import IoError
from .parsing import count
from .results import Result, Words
from .serving import INSTALL

__all__ = ["COMMANDS"]


def cert(_: Context, arguments: Namespace) -> Result:
    """Make certificates."""
    try:
        from blockdb.server.certificates import make
    except ModuleNotFoundError as error:
        raise IoError(f"certificates need the package {error.name}: {INSTALL}") from error
    if bool(arguments.cluster) != bool(arguments.node):
        raise InvalidData("A node's certificate takes both: --cluster NAME, and --node ID for each of its nodes.")
    made = make(
        Path(arguments.dir),
        arguments.host or (),
        arguments.client or (),
        arguments.days,
        cluster=arguments.cluster or "",
        nodes=arguments.node or (),
    )
    text = "\n".join(f"Made {file}" for file in made)
    return Words(text, {"files": [str(file) for file in made]}, role="success")


COMMANDS = (
    Command(
        "cert",
        "Make an authority and certificates, to try TLS with.",
        cert,
        (
            positional("dir", "Directory for them; made if need be.", Completes.FILE),
            option(
                "--host",
                metavar="NAME",
                action="append",
                help="A name or address of the server, besides localhost. Can be given several times.",
            ),
            option(
                "--client",
                metavar="NAME",
                action="append",
                help="Make a certificate for the client NAME too. Can be given several times.",
            ),
            option("--cluster", metavar="NAME", help="The cluster that the nodes belong to."),
            option(
                "--node",
                metavar="ID",
                action="append",
                help="Make a certificate for the node ID of a cluster too. Can be given several times.",
            ),
            option("--days", metavar="N", type=count, default=365, help="How long they are good, 1 to 3,650 (365)."),
        ),
        details="The first time it makes an authority (ca.crt, ca.key) and a certificate for a server (server.crt, "
        "server.key); later, certificates by the same authority, of those that are not there. Nothing is replaced: "
        "remove server.crt and server.key to have them made anew, and a server that runs takes the new ones up. Keys "
        "are readable by their owner alone. Who has ca.key can make certificates that clients with ca.crt trust, so "
        "for others to rely on, use an authority that is looked after. A node takes node-ID.crt, node-ID.key and "
        "ca.crt: by them nodes of one cluster know each other (URI blockdb://NAME/ID), users know it (--host).",
        examples=(
            ("cert tls", "An authority, and a certificate for localhost"),
            ("cert tls --host db.example.org --client shop", "For a host, and one for a client"),
            ("cert tls --cluster shop --node node1 --node node2 --node node3", "For the nodes of a cluster"),
        ),
        need=Need.NOTHING,
        where=Where.COMMAND_LINE,
    ),
)
