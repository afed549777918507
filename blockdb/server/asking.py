"""Who asks, and under which number: the same at every door."""

from __future__ import annotations

from secrets import token_hex
from typing import Final, Protocol

from blockdb.errors import Unauthenticated
from blockdb.security.roles import ANONYMOUS, Principal

__all__ = ["MAX_ID_BYTES", "Authenticator", "Everybody", "principal_of", "request_id_of"]

MAX_ID_BYTES: Final = 128


class Authenticator(Protocol):
    """Knows who is asking."""

    def principal(self, secret: str | None) -> Principal:
        """Who has this secret; None: nothing was said. Raises Unauthenticated."""

    def named(self, name: str) -> Principal:
        """Who it is that a verified client certificate names. Raises Unauthenticated."""


class Everybody:
    """Whoever asks may do everything: for loopback addresses where there are no tokens."""

    def principal(self, secret: str | None) -> Principal:
        """The anonymous administrator."""
        return ANONYMOUS

    def named(self, name: str) -> Principal:
        """The anonymous administrator."""
        return ANONYMOUS


def principal_of(
    authenticator: Authenticator, authorization: str | None, certificate_name: str | None = None
) -> Principal:
    """Who asks, by the Authorization header or, without one, by the name in a verified client certificate.

    Raises Unauthenticated.
    """
    if authorization is not None:
        scheme, _, secret = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthenticated("The Authorization header should be `Bearer` and a token.")
        return authenticator.principal(secret.strip())
    if certificate_name is None:
        return authenticator.principal(None)
    try:
        return authenticator.named(certificate_name)
    except Unauthenticated as unknown:
        try:  # perhaps nobody has to say who they are
            return authenticator.principal(None)
        except Unauthenticated:
            raise unknown from None


def request_id_of(given: str | None) -> str:
    """The one that came, if it is fit to be shown, or a new one."""
    is_fit = given is not None and len(given) <= MAX_ID_BYTES and given.isascii() and given.isprintable()
    return given if given and is_fit else token_hex(8)
