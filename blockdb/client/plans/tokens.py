"""Plans about tokens. Their secrets are drawn here, and stay here."""

from __future__ import annotations

from collections.abc import Iterable
from secrets import token_hex

from blockdb.client.plans.plan import Ask, Plan
from blockdb.security.roles import Role
from blockdb.security.tokens import ID_BYTES, SECRET_BYTES, TokenInfo, hash_of, text_of
from blockdb.wire.messages.tokens import ByToken, CreateToken, Token
from blockdb.wire.operation import Nothing

__all__ = ["create", "revoke", "show"]


def show() -> Plan[list[TokenInfo]]:
    """All of them."""
    return list(map(_info, (yield Ask("tokens", Nothing())).tokens))


def create(
    name: str, role: str, collections: Iterable[str] | None, prefix: bytes, expires_ms: int | None
) -> Plan[tuple[TokenInfo, str]]:
    """Have a new one be good; what is known of it, and the token itself."""
    secret = token_hex(SECRET_BYTES)
    wanted = CreateToken(
        id=token_hex(ID_BYTES),
        name=name,
        role=role,
        secret_sha256=hash_of(secret),
        collections=list(collections or ()),
        prefix=prefix,
        expires_ms=expires_ms,
    )
    info = _info((yield Ask("create_token", wanted)))
    return info, text_of(info.id, secret)


def revoke(token_id: str) -> Plan[TokenInfo]:
    """Have one be good for nothing any more."""
    return _info((yield Ask("revoke_token", ByToken(token_id=token_id))))


def _info(token: Token) -> TokenInfo:
    names = frozenset(token.collections) or None
    return TokenInfo(
        token.id, token.name, Role(token.role), token.created_ms, b"", names, token.prefix, token.expires_ms
    )
