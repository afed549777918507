"""witness init, witness trust, witness serve: cosigning the checkpoints of others that extend what was seen."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from .command import Command, Completes, Need, Where, flag, option, positional
from .context import Context
from .failures import IoError
from .results import Nothing, Result, Words
from .serving import INSTALL, port

__all__ = ["COMMANDS"]

_DIR = positional("dir", "Directory of the witness.", Completes.FILE)


def init(_: Context, arguments: Namespace) -> Result:
    """Make a witness."""
    from blockdb.witness.witness import create

    key = create(Path(arguments.dir), arguments.name)
    return Words(str(key), {"vkey": str(key)})


def trust(_: Context, arguments: Namespace) -> Result:
    """Let a witness cosign the checkpoints of a log."""
    from blockdb.witness.witness import Witness

    origin = Witness(Path(arguments.dir)).trust(arguments.vkey, arguments.origin)
    return Words(f"Checkpoints of {origin} are cosigned", {"origin": origin}, role="success")


def serve(context: Context, arguments: Namespace) -> Result:
    """Serve a witness until the process is told to end."""
    from blockdb.witness.witness import Witness

    try:
        from blockdb.witness import serving
    except ModuleNotFoundError as error:
        raise IoError(f"a witness needs the package {error.name}: {INSTALL}") from error
    witness = Witness(Path(arguments.dir))
    listening = serving.listen(arguments.host, arguments.port, insecure=arguments.insecure_public)
    serving.serve(witness, listening, lambda url: context.announce(f"{witness.key.name} listens on {url}"))
    return Nothing()


COMMANDS = (
    Command(
        "witness init",
        "Make a witness, which cosigns checkpoints of logs that it trusts.",
        init,
        (
            _DIR,
            option(
                "--name",
                metavar="NAME",
                required=True,
                help="Its name, best a URL without https://, such as witness.example.org/w1.",
            ),
        ),
        details="Makes a key, which only its owner can read, and prints the public key that others give as --key. A "
        "witness should run on a machine, and belong to somebody, other than the databases that it watches.",
        examples=(("witness init ./witness --name witness.example.org/w1", "Make one, and print its key"),),
        need=Need.NOTHING,
    ),
    Command(
        "witness trust",
        "Let a witness cosign the checkpoints of a log.",
        trust,
        (
            _DIR,
            positional("vkey", "The log's public key, as `keys show` prints it."),
            option("--origin", metavar="ORIGIN", help="Origin of the checkpoints; else the name of the key."),
        ),
        details="A witness that serves notices it. A second key for the same origin is added to the first.",
        examples=(('witness trust ./witness "$VKEY"', "A log"),),
        need=Need.NOTHING,
    ),
    Command(
        "witness serve",
        "Serve a witness over HTTP.",
        serve,
        (
            _DIR,
            option("--host", metavar="HOST", default="127.0.0.1", help="Address to listen on."),
            option("--port", metavar="PORT", type=port, default=8377, help="Port; 0 takes a free one."),
            flag("--insecure-public", help="Allow an address that others can reach, although nothing is encrypted."),
        ),
        details="The protocol is C2SP tlog-witness: POST /add-checkpoint. GET /checkpoint/HASH, with the SHA-256 of an "
        "origin in hex, shows the last checkpoint of that log which was cosigned. What is cosigned is on the disk "
        "before the answer leaves. ^C and SIGTERM end it in order.\n\n"
        f"It needs two more packages: {INSTALL}.",
        examples=(
            ("witness serve ./witness", "On the loopback address"),
            ("witness serve ./witness --port 0", "On a free port, which is printed"),
        ),
        need=Need.NOTHING,
        where=Where.COMMAND_LINE,
        formats=("table",),
    ),
)
