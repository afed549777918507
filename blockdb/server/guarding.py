"""What guards a server: who has to say who they are, how that is known, and TLS. From the settings, in one go."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from blockdb.config import SecurityConfig
from blockdb.errors import DatabaseNotFound
from blockdb.security.exposure import Exposure, check_exposure
from blockdb.server.authentication import Authenticator
from blockdb.server.tls import LiveTls, TlsFiles
from blockdb.server.tokens import TokenFile
from blockdb.serving.listening import resolve

__all__ = ["Guard", "guard"]


@dataclass(frozen=True, slots=True)
class Guard:
    """What stands before the service."""

    exposure: Exposure
    authenticator: Authenticator
    tls: LiveTls | None
    """None: nothing is encrypted."""


def guard(root: Path, host: str, security: SecurityConfig, *, insecure_public: bool = False) -> Guard:
    """What guards a server of the database in a directory that listens at this address.

    Raises ConfigError, which names the setting, where others could reach it unguarded or a file of TLS cannot be used;
    InvalidData where it is no address of this machine, StorageError where the list of tokens is damaged.
    """
    files = TlsFiles.of(security)
    exposure = check_exposure(
        resolve(host, 0)[1][0],
        has_tokens=_has_tokens(root),
        has_tls=files is not None,
        authentication=security.authentication,
        insecure_public=insecure_public,
    )
    return Guard(exposure, Authenticator(root, exposure), None if files is None else LiveTls(files))


def _has_tokens(root: Path) -> bool:
    try:
        return bool(TokenFile(root).list())
    except DatabaseNotFound:
        return False
