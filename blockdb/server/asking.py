"""Who asks, and under which number: the same at every door."""

from __future__ import annotations

from random import getrandbits
from typing import Final, Protocol

from blockdb.errors import Unauthenticated
from blockdb.security.roles import ANONYMOUS, Principal

__all__ = ["MAX_ID_BYTES", "Authenticator", "Everybody", "principal_of", "request_id_of"]

MAX_ID_BYTES: Final = 128


class Authenticator(Protocol):
    """Knows who is asking."""

    def principal(self, token: str | None, certificate_name: str | None = None) -> Principal:
        """Who has this token (None: none was given), or else the verified client certificate of this name.

        Raises Unauthenticated.
        """

    def check(self, principal: Principal) -> None:
        """Raise Unauthenticated where somebody who was let in may not stay: their token was revoked, or has expired."""


class Everybody:
    """Whoever asks may do everything: for loopback addresses where there are no tokens."""

    def principal(self, token: str | None, certificate_name: str | None = None) -> Principal:
        """The anonymous administrator."""
        return ANONYMOUS

    def check(self, principal: Principal) -> None:
        """They may stay."""


def principal_of(
    authenticator: Authenticator, authorization: str | None, certificate_name: str | None = None
) -> Principal:
    """Who asks, by the Authorization header or, without one, by the name in a verified client certificate.

    Raises Unauthenticated.
    """
    if authorization is None:
        return authenticator.principal(None, certificate_name)
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthenticated("The Authorization header should be `Bearer` and a token.")
    return authenticator.principal(token.strip())


def request_id_of(given: str | None) -> str:
    """The one that came, if it is fit to be shown, or a new one."""
    is_fit = given is not None and len(given) <= MAX_ID_BYTES and given.isascii() and given.isprintable()
    return given if given and is_fit else f"{getrandbits(64):016x}"
