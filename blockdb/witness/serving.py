"""Serving a witness: its address, its limits, and its lock for as long as it is served."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from typing import Final

from blockdb.errors import InvalidData
from blockdb.serving import listening as sockets
from blockdb.serving.limits import Limits
from blockdb.serving.listening import is_loopback, url_of
from blockdb.serving.process import Server, run
from blockdb.witness.application import application
from blockdb.witness.witness import Witness

__all__ = ["LIMITS", "listen", "serve", "url_of"]

LIMITS: Final = Limits(max_connections=512, idle_timeout_s=5)


def listen(host: str, port: int, *, insecure: bool = False) -> socket.socket:
    """A socket that listens at an address of this machine; port 0 takes a free one.

    An address that others can reach needs `insecure`, since nothing is encrypted. Raises InvalidData, StorageError.
    """
    if not insecure and not is_loopback(host, port):
        raise InvalidData(
            f"{host} can be reached by others, and nothing here is encrypted. Let a proxy with TLS stand before "
            "a loopback address, or give --insecure-public."
        )
    return sockets.listen(host, port)


def serve(witness: Witness, listening: socket.socket, on_ready: Callable[[str], None]) -> None:
    """Serve until the process is interrupted or told to end; what was begun is finished. Raises DatabaseLocked."""
    lock = witness.lock()
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
    try:
        with listening:
            run(lambda: Server(application(witness), [listening], LIMITS), lambda: on_ready(url_of(listening)))
    finally:
        witness.unlock(lock)
