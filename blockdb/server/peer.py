"""Who is at the other end of a connection, as TLS tells."""

from __future__ import annotations

from ssl import SSLObject, SSLSocket
from typing import Any

__all__ = ["client_name"]


def client_name(connection: SSLObject | SSLSocket) -> str | None:
    """The common name in the certificate that the client has shown, which was verified; None where it has not one."""
    certificate: dict[str, Any] = connection.getpeercert() or {}
    names: list[str] = [value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"]
    return names[0] if len(names) == 1 else None
