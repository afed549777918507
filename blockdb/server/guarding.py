"""What guards a server: who has to say who they are, how that is known, and TLS. From the settings, in one go."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from blockdb.errors import DatabaseNotFound
from blockdb.security.exposure import Exposure, check_exposure
from blockdb.server.authentication import Authenticator
from blockdb.server.tls import LiveTls, TlsFiles
from blockdb.server.tokens import TokenFile

__all__ = ["Guard", "guard"]


@dataclass(frozen=True, slots=True)
class Guard:
    """What stands before the service."""

    exposure: Exposure
    authenticator: Authenticator
    tls: LiveTls | None
    """None: nothing is encrypted."""


def guard(
    root: Path,
    host: str,
    *,
    authentication: str = "auto",
    tls_certificate: str = "",
    tls_key: str = "",
    tls_client_ca: str = "",
    insecure_public: bool = False,
) -> Guard:
    """What guards a server of the database in a directory that listens at this address, by `[security]`.

    Raises ConfigError, which names the setting, where others could reach it unguarded or a file of TLS cannot be used;
    StorageError where the list of tokens is damaged.
    """
    files = TlsFiles.of(tls_certificate, tls_key, tls_client_ca)
    exposure = check_exposure(
        host,
        has_tokens=_has_tokens(root),
        has_tls=files is not None,
        authentication=authentication,
        insecure_public=insecure_public,
    )
    return Guard(exposure, Authenticator(root, exposure), None if files is None else LiveTls(files))


def _has_tokens(root: Path) -> bool:
    try:
        return bool(TokenFile(root).list())
    except DatabaseNotFound:
        return False
