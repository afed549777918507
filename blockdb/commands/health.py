"""health: whether a server is ready, for supervisors and scripts."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from blockdb.errors import Unavailable

from .command import Command, Need, Where, flag
from .context import Context
from .display import printable
from .failures import FAILED
from .results import Result, Words

if TYPE_CHECKING:
    from http.client import HTTPConnection

    from blockdb.config import Config

    from .servers import Server

__all__ = ["COMMANDS"]

PATIENCE_S: Final = 5.0
MOST_BYTES: Final = 64 * 1024
ANYWHERE: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}
"""Where a server that listens at all addresses is asked from the same machine."""


def health(context: Context, arguments: Namespace) -> Result:
    """Ask a server whether it is ready. Needs no token."""
    kind = "live" if arguments.live else "ready"
    rows = [_row(connection, kind) for connection in _connections(context)]
    is_well = all(row["healthy"] for row in rows)
    text = "\n".join(_line(row, kind) for row in rows)
    return Words(text, rows[0] if len(rows) == 1 else {"servers": rows}, exit_code=0 if is_well else FAILED)


def _line(row: dict[str, Any], kind: str) -> str:
    if row["healthy"]:
        return f"{row['address']} is {kind}"
    return printable(f"{row['address']} is not {kind}: {'; '.join(row['reasons']) or row['status']}")


def _row(connection: HTTPConnection, kind: str) -> dict[str, Any]:
    """What it says. Raises Unavailable where nobody answers."""
    from http.client import HTTPException

    import msgspec

    address = f"{connection.host}:{connection.port}"
    try:
        connection.request("GET", f"/health/{kind}")
        answer = connection.getresponse()
        body = answer.read(MOST_BYTES)
    except (OSError, HTTPException) as error:
        raise Unavailable(f"{address} does not answer: {str(error) or type(error).__name__}.") from None
    finally:
        connection.close()
    try:
        told = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError:
        told = {}
    reasons = told.get("reasons") or filter(None, [told.get("message")])
    return {
        "address": address,
        "healthy": answer.status == 200,
        "status": answer.status,
        "reasons": list(map(str, reasons)),
    }


def _connections(context: Context) -> Iterator[HTTPConnection]:
    """To the servers of `--url`; else to the one that the configuration describes, on this machine."""
    from blockdb.config import Sources

    if context.server is None:
        yield _to_own((context.sources or Sources()).config())
    else:
        for url in context.server.urls:
            yield _to(url, context.server)


def _to(url: str, server: Server) -> HTTPConnection:
    import ssl
    from http.client import HTTPConnection, HTTPSConnection

    parts = urlsplit(url)
    if parts.scheme != "https":
        return HTTPConnection(str(parts.hostname), parts.port, timeout=PATIENCE_S)
    trusted = ssl.create_default_context(cafile=None if server.ca is None else str(server.ca))
    if server.certificate is not None:
        trusted.load_cert_chain(server.certificate, server.key)
    return HTTPSConnection(str(parts.hostname), parts.port, timeout=PATIENCE_S, context=trusted)


def _to_own(config: Config) -> HTTPConnection:
    """On this machine, where who answers at the port is who was started there: no certificate is looked at."""
    import ssl
    from http.client import HTTPConnection, HTTPSConnection

    host = ANYWHERE.get(config.server.host, config.server.host)
    if not config.security.tls_certificate:
        return HTTPConnection(host, config.server.port, timeout=PATIENCE_S)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return HTTPSConnection(host, config.server.port, timeout=PATIENCE_S, context=context)


COMMANDS = (
    Command(
        "health",
        "Say whether a server is ready; exit code 1 if it is not, 3 if nobody answers.",
        health,
        (flag("--live", help="Only whether its process answers, ready or not."),),
        details="With --url these servers are asked; without it the one that the configuration describes (flags, "
        "environment, blockdb.toml), on this machine, whatever its certificate says. It needs no token. The reasons "
        "for which a server is not ready stand in docs/MONITORING.md. JSON has the fields address, healthy, status "
        "(of HTTP) and reasons; of several servers they stand in the list servers.",
        examples=(
            ("health", "The server of ./blockdb.toml, as a container asks itself"),
            ("health --url https://db.example.org:8080", "One elsewhere"),
        ),
        need=Need.NOTHING,
        where=Where.COMMAND_LINE,
    ),
)
