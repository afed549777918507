"""Sockets that listen: at an address of this machine, or handed over by systemd."""

from __future__ import annotations

import errno
import os
import resource
import socket
from collections.abc import Mapping
from typing import Final

from blockdb.errors import ConfigError, InvalidData, StorageError
from blockdb.security import exposure
from blockdb.storage.door import storage_error

__all__ = ["handed_over", "is_loopback", "listen", "resolve", "room_for", "url_of"]

BACKLOG: Final = 1024
FILES: Final = 8192
"""Descriptors for all that is no connection; the files of collections are most of them."""
FIRST_DESCRIPTOR: Final = 3
"""Where the sockets begin that systemd hands over (sd_listen_fds(3))."""


def resolve(host: str, port: int) -> tuple[socket.AddressFamily, tuple[str, int]]:
    """The address that a name stands for on this machine. Raises InvalidData where there is none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError, OverflowError) as error:
        raise InvalidData(f"{host}, port {port}, is no address of this machine: {error}.") from None
    family, _, _, _, address = found[0]
    return family, (str(address[0]), int(address[1]))


def is_loopback(host: str, port: int = 0) -> bool:
    """Whether nobody but this machine can reach the address. Raises InvalidData where it is none."""
    return exposure.is_loopback(resolve(host, port)[1][0])


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens at an address of this machine; port 0 takes a free one.

    Raises InvalidData where there is no such address, StorageError where it is not to be had.
    """
    family, address = resolve(host, port)
    try:
        listening = socket.create_server(address, family=family, backlog=BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise StorageError(
                f"Port {port} of {host} is in use by another program. End that one, or choose another port."
            ) from None
        if error.errno in (errno.EADDRNOTAVAIL, errno.EACCES):
            reason = (
                "is not an address of this machine" if error.errno == errno.EADDRNOTAVAIL else "is not for everybody"
            )
            raise StorageError(f"{host}, port {port}, {reason}. Choose another one.") from None
        raise storage_error(f"listening on {host}, port {port},", error) from error
    listening.setblocking(False)
    return listening


def handed_over(environ: Mapping[str, str] = os.environ) -> list[socket.socket]:
    """The sockets that systemd listens on for this process (socket activation); none where it does not.

    Raises ConfigError for one that is not of TCP.
    """
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = environ.get("LISTEN_FDS", "")
    descriptors = range(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + (int(count) if count.isdecimal() else 0))
    return [_taken(descriptor) for descriptor in descriptors]


def _taken(descriptor: int) -> socket.socket:
    os.set_inheritable(descriptor, False)
    listening = socket.socket(fileno=descriptor)
    if listening.family not in (socket.AF_INET, socket.AF_INET6) or listening.type != socket.SOCK_STREAM:
        raise ConfigError("The socket that systemd hands over should be one of TCP: give ListenStream= a port.")
    listening.setblocking(False)
    return listening


def room_for(connections: int) -> int:
    """Have the process allowed descriptors for so many connections beside its files; gives how many it can have.

    Half of what the system allows a process is left to files, so that no client can keep the database from its own.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + FILES
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return min(connections, soft // 2)


def url_of(listening: socket.socket, scheme: str = "http") -> str:
    """The URL under which the socket is reached."""
    host, port = listening.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
