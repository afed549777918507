"""Tokens: those of a server that stands alone are kept in a file, those of a cluster by all of its nodes."""

from __future__ import annotations

from blockdb.errors import InvalidData
from blockdb.security.roles import Role
from blockdb.security.tokens import TokenInfo
from blockdb.server.service import Session
from blockdb.wire.messages import tokens
from blockdb.wire.operation import Nothing


def show(session: Session, request: Nothing) -> tokens.Tokens:
    """All of them."""
    return tokens.Tokens(tokens=list(map(_told, session.service.tokens.tokens())))


def create(session: Session, request: tokens.CreateToken) -> tokens.Token:
    """Keep a token, whose secret is not known here."""
    try:
        role = Role(request.role)
    except ValueError:
        known = ", ".join(role.value for role in Role)
        raise InvalidData(f"There is no role {request.role!r}; there are {known}.") from None
    names = frozenset(request.collections) or None
    hash_, prefix, expires_ms = request.secret_sha256, request.prefix, request.expires_ms
    token = TokenInfo(request.id, request.name, role, 0, hash_, names, prefix, expires_ms)
    return _told(session.service.tokens.add_token(token))


def revoke(session: Session, request: tokens.ByToken) -> tokens.Token:
    """Take a token away for good."""
    return _told(session.service.tokens.revoke_token(request.token_id))


def _told(token: TokenInfo) -> tokens.Token:
    return tokens.Token(
        id=token.id,
        name=token.name,
        role=token.role.value,
        created_ms=token.created_ms,
        collections=sorted(token.collections or ()),
        prefix=token.prefix,
        expires_ms=token.expires_ms,
    )
