"""Where the explorer is served, and to whom: the address, the key that opens it, the end with ^C."""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import os
import secrets
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from blockdb.commands.failures import UsageError

if TYPE_CHECKING:
    import ssl

    from .server import BrowserServer

__all__ = ["Address", "add_arguments", "missing_extra", "serve", "split"]

IN_BROWSER: Final = "--in-browser"
"""Given to the process that a browser gets: there is no terminal, and whether it may be armed."""
NEVER_ARMED, MAY_BE_ARMED = "read-only", "may-be-armed"
KEY_BYTES: Final = 24
GRACE_S: Final = 2.0


@dataclass(frozen=True)
class Address:
    """Where the explorer is served: a name or an address, a port (0: any), and the secret part of its URL."""

    host: str
    port: int
    key: str = field(default_factory=lambda: secrets.token_urlsafe(KEY_BYTES), repr=False)
    is_encrypted: bool = False

    @classmethod
    def parse(cls, text: str, *, is_encrypted: bool = False) -> Address:
        """`PORT`, `HOST:PORT` or `[::1]:PORT`; without a host it is this machine alone. Raises `UsageError`."""
        host, _, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]") or "127.0.0.1"
        if not (port.isascii() and port.isdigit() and int(port) < 65_536):
            raise UsageError(f"--serve takes PORT or HOST:PORT, as in --serve 8080, not {text!r}")
        return cls(host, int(port), is_encrypted=is_encrypted)

    @property
    def is_of_this_machine(self) -> bool:
        """Whether nobody else reaches it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def admits(self, host: str) -> bool:
        """Whether a browser that asks for `host` means this server: a name of somebody else's, which leads here for an
        attack (DNS rebinding), is not admitted; an address has nobody else's name.
        """
        name, _, _ = host.rpartition(":") if not host.endswith("]") and ":" in host else (host, "", "")
        name = name.removeprefix("[").removesuffix("]").lower()
        if name in ("localhost", self.host.lower()):
            return True
        try:
            found = ipaddress.ip_address(name)
        except ValueError:
            return False
        return found.is_loopback or not self.is_of_this_machine

    @property
    def scheme(self) -> str:
        """How its URLs begin."""
        return "https" if self.is_encrypted else "http"

    def url(self, port: int) -> str:
        """What is opened in a browser."""
        host = "localhost" if self.host in ("0.0.0.0", "::") else self.host
        return f"{self.scheme}://{f'[{host}]' if ':' in host else host}:{port}/?key={self.key}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what is about serving to the arguments of the explorer."""
    parser.add_argument("--serve", metavar="[HOST:]PORT", help="serve the explorer to browsers of this machine")
    parser.add_argument(
        "--serve-insecure",
        action="store_true",
        help="serve it to other machines too, without encryption: whoever listens reads along and can take over",
    )
    parser.add_argument("--tls-certificate", metavar="FILE", help="serve it encrypted, with this certificate (PEM)")
    parser.add_argument("--tls-key", metavar="FILE", help="the certificate's key (PEM)")
    parser.add_argument("--serve-armed", action="store_true", help="let browsers arm it, and change the database")
    parser.add_argument(IN_BROWSER, choices=(NEVER_ARMED, MAY_BE_ARMED), help=argparse.SUPPRESS)


def split(arguments: Sequence[str] | None) -> list[str]:
    """The arguments without those that are about serving: those of each browser's explorer."""
    parser = argparse.ArgumentParser(add_help=False)
    add_arguments(parser)
    return parser.parse_known_args(arguments)[1]


def missing_extra() -> str | None:
    """What has to be installed before anything can be served; None if it is there."""
    from importlib.util import find_spec

    if all(find_spec(name) is not None for name in ("aiohttp", "jinja2", "textual_serve")):
        return None
    return "serving to browsers takes a few more packages: pip install 'blockdb[web]'"


def serve(asked: argparse.Namespace, arguments: Sequence[str] | None) -> None:
    """Serves the explorer to browsers until ^C or SIGTERM, and then ends those that it had started.

    Raises `UsageError` for an address that others reach where that was not allowed, and `OSError` for one that cannot
    be listened on.
    """
    if (reason := missing_extra()) is not None:
        raise UsageError(reason)
    tls = _tls(asked.tls_certificate, asked.tls_key)
    address = Address.parse(asked.serve, is_encrypted=tls is not None)
    if not (address.is_of_this_machine or address.is_encrypted or asked.serve_insecure):
        raise UsageError(
            f"{address.host} is reached by other machines, and nothing is encrypted: go through `ssh -L` to a port of "
            "this machine, give --tls-certificate and --tls-key, or say --serve-insecure"
        )
    from .server import BrowserServer

    mode = MAY_BE_ARMED if asked.serve_armed else NEVER_ARMED
    command = [sys.executable, "-m", "blockdb_tui.main", *split(arguments), IN_BROWSER, mode]
    with _listening(address) as listener:
        asyncio.run(_run(BrowserServer(command, address), listener, tls))


def _tls(certificate: str | None, key: str | None) -> ssl.SSLContext | None:
    """What connections are encrypted with; None without a certificate. Raises `UsageError`, which names the file."""
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise UsageError("--tls-certificate and --tls-key go together")
    import ssl

    for path in (certificate, key):
        if not os.access(path, os.R_OK):
            raise UsageError(f"{path} cannot be read")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key, password="")  # or a key with a passphrase would ask the terminal
    except (ssl.SSLError, OSError) as error:
        words = f"{certificate} and {key} are no certificate and its key, without a passphrase: {error}"
        raise UsageError(words) from error
    return context


def _listening(address: Address) -> socket.socket:
    """The socket that is listened on. Raises `OSError`, which names the address."""
    try:
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        return socket.create_server((address.host, address.port), family=family)
    except OSError as error:
        where = f"{address.host}:{address.port}"
        raise OSError(error.errno, f"cannot listen on {where}: {os.strerror(error.errno or 0)}") from error


async def _run(server: BrowserServer, listener: socket.socket, tls: ssl.SSLContext | None) -> None:
    from aiohttp import web

    leave = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, leave.set)
    runner = web.AppRunner(await server.application(), access_log=None, shutdown_timeout=GRACE_S)
    await runner.setup()
    try:
        await web.SockSite(runner, listener, ssl_context=tls).start()
        server.tell(listener.getsockname()[1])
        await leave.wait()
    finally:
        await runner.cleanup()
