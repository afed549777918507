"""Who asks, and under which number: the same at every door."""

from __future__ import annotations

from typing import Final

from blockdb.errors import Unauthenticated
from blockdb.security.roles import Principal
from blockdb.server.service import Service, new_request_id
from blockdb.wire.operation import Operation

__all__ = ["MAX_ID_BYTES", "principal_of", "request_id_of"]

MAX_ID_BYTES: Final = 128


def principal_of(
    service: Service, operation: Operation, authorization: str | None, certificate_name: str | None = None
) -> Principal:
    """Who asks, by the Authorization header or, without one, by the name in a verified client certificate.

    Raises Unauthenticated.
    """
    if operation.right is None:
        return service.nobody
    if authorization is not None:
        scheme, _, secret = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthenticated("The Authorization header should be `Bearer` and a token.")
        return service.authenticator.principal(secret.strip())
    named = getattr(service.authenticator, "named", None)
    if certificate_name is None or named is None:
        return service.authenticator.principal(None)
    try:
        principal: Principal = named(certificate_name)
    except Unauthenticated as unknown:
        try:  # perhaps nobody has to say who they are
            return service.authenticator.principal(None)
        except Unauthenticated:
            raise unknown from None
    return principal


def request_id_of(given: str | None) -> str:
    """The one that came, if it is fit to be shown, or a new one."""
    is_fit = given is not None and len(given) <= MAX_ID_BYTES and given.isascii() and given.isprintable()
    return given if given and is_fit else new_request_id()
