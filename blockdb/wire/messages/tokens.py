"""Tokens: who may ask for what."""

from __future__ import annotations

from msgspec import field

from blockdb.wire.operation import Message


class Token(Message, kw_only=True):
    """What is known of a token. Times are Unix milliseconds.

    It is good for the named collections alone, or for all and the database as a whole where none are named; for keys
    that begin with the prefix; and until it expires.
    """

    id: str
    name: str
    role: str
    created_ms: int
    collections: list[str] = field(default_factory=list)
    prefix: bytes = b""
    expires_ms: int | None = None


class CreateToken(Message, kw_only=True):
    """A token `bdb_<id>_<secret>` that is to be good: 16 hexadecimal digits that it is known by, and the SHA-256 of the
    text of its secret, which has 64 of them.
    """

    id: str
    name: str
    role: str
    secret_sha256: bytes
    collections: list[str] = field(default_factory=list)
    prefix: bytes = b""
    expires_ms: int | None = None


class Tokens(Message, kw_only=True):
    """All tokens, in the order in which they were made."""

    tokens: list[Token]


class ByToken(Message, kw_only=True):
    """A request about one token."""

    token_id: str
