"""The tokens of a server: a file of what they allow, and hashes of their secrets. Format page: docs/formats/tokens.md.

A token is `bdb_<id>_<secret>`. Whoever has it may do what its role says, so the secret is shown once, when it is made,
and the file keeps its SHA-256 alone: 256 bits that nobody chose cannot be found by trying, so no slow hash is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from time import monotonic, sleep, time
from typing import Any, Final

from blockdb.database.collections import check_name
from blockdb.database.creation import make_root, refuse_foreign
from blockdb.errors import Corruption, DatabaseLocked, DatabaseNotFound, InvalidData, StorageError, UnsupportedFormat
from blockdb.layout import DatabaseFiles
from blockdb.security.roles import ANONYMOUS, Principal, Role
from blockdb.storage.door import Door, guarded
from blockdb.storage.manifest import load_checked, save_checked

__all__ = ["PREFIX", "TokenFile", "TokenInfo", "hash_of", "parse_token"]

KIND: Final = "list of tokens"
PREFIX: Final = "bdb"
ID_BYTES: Final = 8
SECRET_BYTES: Final = 32
MOST_TOKENS: Final = 1_000
MAX_NAME_CHARACTERS: Final = 64
MAX_PREFIX_BYTES: Final = 1_024
LOCK_TIMEOUT_S: Final = 5.0
LOCK_PAUSE_S: Final = 0.01


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


class TokenFile:
    """The tokens of the server of a database. Any process may change them, beside a server that runs."""

    def __init__(self, root: Path, door: Door | None = None, clock: Callable[[], float] = time) -> None:
        """`root` is the directory of the database; `clock` gives Unix seconds."""
        self._door = door or Door()
        self._clock = clock
        self._files = DatabaseFiles(root)
        self.path = self._files.tokens

    def create(
        self,
        name: str,
        role: Role,
        collections: Iterable[str] | None = None,
        prefix: bytes = b"",
        expires_ms: int | None = None,
    ) -> tuple[TokenInfo, str]:
        """Make a token; gives what is kept of it, and the token itself, which nobody can find out later.

        Raises InvalidData for what cannot be, StorageError, DatabaseLocked where another process keeps the file.
        """
        secret = token_hex(SECRET_BYTES)
        now_ms = int(self._clock() * 1000)
        names = None if collections is None else frozenset(collections)
        info = TokenInfo(token_hex(ID_BYTES), name, role, now_ms, hash_of(secret), names, prefix, expires_ms)
        _check(info)
        if info.is_expired(now_ms):
            raise InvalidData("The token would have expired already. Give a time in the future.")
        self._make_directory()
        with self._alone() as tokens:
            if any(token.name == name for token in tokens):
                raise InvalidData(f"There is a token named '{name}'. Choose another name, or revoke that one first.")
            if len(tokens) >= MOST_TOKENS:
                raise InvalidData(f"There are {MOST_TOKENS} tokens, and there may be no more. Revoke some first.")
            self._save([*tokens, info])
        return info, f"{PREFIX}_{info.id}_{secret}"

    def list(self) -> tuple[TokenInfo, ...]:
        """The tokens in the order in which they were made, expired ones too.

        Raises StorageError where the file is damaged or cannot be read, DatabaseNotFound where there is no database.
        """
        with guarded(f"reading {self.path}"):
            if not self.path.exists():
                self._check_root()
                return ()
            return self._load()

    def revoke(self, token_id: str) -> TokenInfo:
        """Take a token away for good; servers that run notice within a second. Raises as `list`, InvalidData."""
        self.list()
        with self._alone() as tokens:
            found = next((token for token in tokens if token.id == token_id), None)
            if found is None:
                raise InvalidData(f"There is no token with the id '{token_id}'; `blockdb token list` shows them.")
            self._save([token for token in tokens if token is not found])
        return found

    def _check_root(self) -> None:
        if not self._files.registry.exists() and not self._files.server.is_dir():
            raise DatabaseNotFound(f"There is no database at {self._files.root}. Check the path.")

    def _make_directory(self) -> None:
        with guarded(f"making {self._files.server}"):
            if not self._files.registry.exists():
                refuse_foreign(self._files)
            make_root(self._door, self._files.server)

    @contextmanager
    def _alone(self) -> Iterator[Sequence[TokenInfo]]:
        """The tokens, while no other process or thread changes them."""
        with guarded(f"changing {self.path}"):
            lock = self._lock()
            try:
                yield self._load() if self.path.exists() else ()
            finally:
                self._door.unlock(lock)

    def _lock(self) -> int:
        until = monotonic() + LOCK_TIMEOUT_S
        while True:
            try:
                return self._door.lock(self._files.tokens_lock)
            except DatabaseLocked:
                if monotonic() > until:
                    raise DatabaseLocked(f"Another process keeps {self._files.tokens_lock}. Try again.") from None
            sleep(LOCK_PAUSE_S)

    def _load(self) -> tuple[TokenInfo, ...]:
        try:
            tokens = tuple(map(_from_values, load_checked(self._door, self.path, KIND)["tokens"]))
            if len({token.id for token in tokens}) + len({token.name for token in tokens}) != 2 * len(tokens):
                raise ValueError("two tokens have the same id or name")
            return tokens
        except UnsupportedFormat as error:
            raise StorageError(str(error)) from None
        except (Corruption, InvalidData, KeyError, TypeError, ValueError) as error:
            what = error.what if isinstance(error, Corruption) else f"it holds no tokens: {error}"
            advice = "Nobody is let in because of it. Remove it, and make new tokens."
            raise StorageError(f"{self.path}: {what}. {advice}") from None

    def _save(self, tokens: Iterable[TokenInfo]) -> None:
        save_checked(self._door, self.path, KIND, {"tokens": list(map(_values_of, tokens))})


def _check(token: TokenInfo) -> None:
    """Raises InvalidData for what a token cannot be."""
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
    for name in token.collections or ():
        check_name(name)
    if len(token.prefix) > MAX_PREFIX_BYTES:
        raise InvalidData(f"A prefix has at most {MAX_PREFIX_BYTES} bytes; this one has {len(token.prefix)}.")


def _values_of(token: TokenInfo) -> dict[str, Any]:
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


_KEYS: Final = frozenset({"id", "name", "role", "sha256", "created_ms", "collections", "prefix", "expires_ms"})


def _from_values(values: dict[str, Any]) -> TokenInfo:
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
    if len(token.secret_sha256) != sha256().digest_size:
        raise ValueError("a hash has 32 bytes")
    _check(token)
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
