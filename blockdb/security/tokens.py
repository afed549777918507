"""What is kept of a token, and how it is written down. Pure.

A token is `bdb_<id>_<secret>`. Whoever has it may do what its role says, so the secret is shown once, when it is made,
and its SHA-256 alone is kept: 256 bits that nobody chose cannot be found by trying, so no slow hash is needed.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from blockdb.errors import InvalidData
from blockdb.security.roles import ANONYMOUS, NODE, Principal, Role

__all__ = [
    "ID_BYTES",
    "MOST_TOKENS",
    "PREFIX",
    "SECRET_BYTES",
    "TokenInfo",
    "check_new",
    "check_token",
    "from_values",
    "hash_of",
    "parse_token",
    "text_of",
    "values_of",
    "without",
]

PREFIX: Final = "bdb"
ID_BYTES: Final = 8
SECRET_BYTES: Final = 32
MOST_TOKENS: Final = 1_000
MAX_NAME_CHARACTERS: Final = 64
MAX_PREFIX_BYTES: Final = 1_024


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """What is kept of a token. Times are Unix milliseconds."""

    id: str
    name: str
    role: Role
    created_ms: int
    secret_sha256: bytes = field(repr=False)
    """The SHA-256 of the secret's text."""
    collections: frozenset[str] | None = None
    """The names of the collections that it is good for; None: all of them, and the database as a whole."""
    prefix: bytes = b""
    """What every key that it is good for begins with."""
    expires_ms: int | None = None
    """When it ceases to be good; None: never."""

    @property
    def principal(self) -> Principal:
        """Who asks with this token."""
        return Principal(self.name, self.role, self.collections, self.prefix, self.id, self.expires_ms)

    def is_expired(self, now_ms: float) -> bool:
        """Whether it has ceased to be good by then."""
        return self.expires_ms is not None and now_ms >= self.expires_ms


def parse_token(text: str) -> tuple[str, str] | None:
    """The id and the secret in a token; None where the text cannot be one."""
    parts = text.split("_")
    if len(parts) != 3 or parts[0] != PREFIX or not text.isascii():
        return None
    _, token_id, secret = parts
    return (token_id, secret) if len(token_id) == 2 * ID_BYTES and len(secret) == 2 * SECRET_BYTES else None


def hash_of(secret: str) -> bytes:
    """What is kept of a secret."""
    return sha256(secret.encode()).digest()


def text_of(token_id: str, secret: str) -> str:
    """The token itself, which nobody can find out later."""
    return f"{PREFIX}_{token_id}_{secret}"


def check_new(token: TokenInfo, others: Collection[TokenInfo], now_ms: float) -> None:
    """Raises InvalidData for a token that cannot be made beside these."""
    check_token(token)
    if token.name.startswith(NODE):
        raise InvalidData(f"Names that begin with {NODE} are those of nodes. Choose another name.")
    if token.is_expired(now_ms):
        raise InvalidData("The token would have expired already. Give a time in the future.")
    if any(token.name == other.name for other in others):
        raise InvalidData(f"There is a token named '{token.name}'. Choose another name, or revoke that one first.")
    if any(token.id == other.id for other in others):
        raise InvalidData(f"There is a token with the id '{token.id}' already. Make another one.")
    if len(others) >= MOST_TOKENS:
        raise InvalidData(f"There are {MOST_TOKENS} tokens, and there may be no more. Revoke some first.")


def without(tokens: Collection[TokenInfo], token_id: str) -> tuple[TokenInfo, tuple[TokenInfo, ...]]:
    """The token of that id, and all others. Raises InvalidData where there is none."""
    found = next((token for token in tokens if token.id == token_id), None)
    if found is None:
        raise InvalidData(f"There is no token with the id '{token_id}'; `blockdb token list` shows them.")
    return found, tuple(token for token in tokens if token is not found)


def check_token(token: TokenInfo) -> None:
    """Raises InvalidData for what a token cannot be."""
    if not _is_hex(token.id, ID_BYTES) or len(token.secret_sha256) != sha256().digest_size:
        raise InvalidData(f"The id of a token is {2 * ID_BYTES} hexadecimal digits, its hash a SHA-256.")
    name = token.name
    if not 0 < len(name) <= MAX_NAME_CHARACTERS or not name.isprintable() or name != name.strip():
        raise InvalidData(
            f"A token cannot be called {name[:80]!r}: a name is 1 to {MAX_NAME_CHARACTERS} characters that can be "
            "printed, without blanks at its ends."
        )
    if token.name == ANONYMOUS.name:
        raise InvalidData(f"'{ANONYMOUS.name}' is who asks without a token. Choose another name.")
    if token.collections is not None and not token.collections:
        raise InvalidData("A token that is good for no collection is good for nothing. Name one, or leave that out.")
    if len(token.prefix) > MAX_PREFIX_BYTES:
        raise InvalidData(f"A prefix has at most {MAX_PREFIX_BYTES} bytes; this one has {len(token.prefix)}.")


def values_of(token: TokenInfo) -> dict[str, Any]:
    """A token as it stands in the file."""
    values: dict[str, Any] = {"id": token.id, "name": token.name, "role": token.role.value}
    values |= {"sha256": token.secret_sha256.hex(), "created_ms": token.created_ms}
    if token.collections is not None:
        values["collections"] = sorted(token.collections)
    if token.prefix:
        values["prefix"] = token.prefix.hex()
    if token.expires_ms is not None:
        values["expires_ms"] = token.expires_ms
    return values


def _is_hex(text: str, size: int) -> bool:
    return len(text) == 2 * size and all(digit in "0123456789abcdef" for digit in text)


_KEYS: Final = frozenset({"id", "name", "role", "sha256", "created_ms", "collections", "prefix", "expires_ms"})


def from_values(values: dict[str, Any]) -> TokenInfo:
    """The token that stands in the file so. Raises KeyError, TypeError, ValueError, InvalidData.

    Nothing is passed over: a limit that this version does not know must not make a token good for more.
    """
    if unknown := values.keys() - _KEYS:
        raise ValueError(f"a token has {min(unknown)!r}, which this version does not know")
    token = TokenInfo(
        _text(values["id"]),
        _text(values["name"]),
        Role(values["role"]),
        _number(values["created_ms"]),
        bytes.fromhex(values["sha256"]),
        _collections(values.get("collections")),
        bytes.fromhex(values.get("prefix", "")),
        None if "expires_ms" not in values else _number(values["expires_ms"]),
    )
    check_token(token)
    return token


def _collections(value: object) -> frozenset[str] | None:
    if value is not None and not isinstance(value, list):
        raise TypeError(f"{value!r} should be a list of names")
    return None if value is None else frozenset(map(_text, value))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} should be a text")
    return value


def _number(value: object) -> int:
    if type(value) is not int:
        raise TypeError(f"{value!r} should be a whole number")
    return value
