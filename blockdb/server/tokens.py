"""The tokens of a server: a file of what they allow, and hashes of their secrets.

Format page: docs/formats/tokens.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from time import monotonic, sleep, time
from typing import Final, Protocol

from blockdb.database.collections import check_name
from blockdb.database.creation import make_root, refuse_foreign
from blockdb.errors import Corruption, DatabaseLocked, DatabaseNotFound, InvalidData, StorageError, UnsupportedFormat
from blockdb.layout import DatabaseFiles
from blockdb.security.roles import Role
from blockdb.security.tokens import (
    ID_BYTES,
    MOST_TOKENS,
    PREFIX,
    SECRET_BYTES,
    TokenInfo,
    check_new,
    from_values,
    hash_of,
    parse_token,
    text_of,
    values_of,
    without,
)
from blockdb.storage.door import Door, guarded
from blockdb.storage.manifest import load_checked, save_checked

__all__ = ["MOST_TOKENS", "PREFIX", "TokenFile", "TokenInfo", "Tokens", "hash_of", "parse_token", "read_tokens"]

KIND: Final = "list of tokens"
LOCK_TIMEOUT_S: Final = 5.0
LOCK_PAUSE_S: Final = 0.01


class Tokens(Protocol):
    """Where tokens are kept: in a file, or by a cluster."""

    def add_token(self, token: TokenInfo) -> TokenInfo:
        """Keep one. Raises InvalidData for what cannot be."""

    def tokens(self) -> tuple[TokenInfo, ...]:
        """All of them, expired ones too."""

    def revoke_token(self, token_id: str) -> TokenInfo:
        """Take one away for good. Raises InvalidData where there is none."""


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
        names = None if collections is None else frozenset(collections)
        info = TokenInfo(token_hex(ID_BYTES), name, role, 0, hash_of(secret), names, prefix, expires_ms)
        info = self.add_token(info)
        return info, text_of(info.id, secret)

    def add_token(self, token: TokenInfo) -> TokenInfo:
        """Keep a token whose secret is known elsewhere; raises as `create`."""
        now_ms = int(self._clock() * 1000)
        info = replace(token, created_ms=now_ms)
        for each in info.collections or ():
            check_name(each)
        check_new(info, (), now_ms)
        self._make_directory()
        with self._alone() as tokens:
            check_new(info, tokens, now_ms)
            self._save([*tokens, info])
        return info

    def tokens(self) -> tuple[TokenInfo, ...]:
        """See `list`."""
        return self.list()

    def revoke_token(self, token_id: str) -> TokenInfo:
        """See `revoke`."""
        return self.revoke(token_id)

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
        without(self.list(), token_id)
        with self._alone() as tokens:
            found, others = without(tokens, token_id)
            self._save(others)
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
        return read_tokens(self._door, self.path)

    def _save(self, tokens: Iterable[TokenInfo]) -> None:
        save_checked(self._door, self.path, KIND, {"tokens": list(map(values_of, tokens))})


def read_tokens(door: Door, path: Path) -> tuple[TokenInfo, ...]:
    """The tokens in a file, expired ones too. Raises StorageError where it is missing, damaged or cannot be read."""
    try:
        with guarded(f"reading {path}"):
            tokens = tuple(map(from_values, load_checked(door, path, KIND)["tokens"]))
        if len({token.id for token in tokens}) + len({token.name for token in tokens}) != 2 * len(tokens):
            raise ValueError("two tokens have the same id or name")
        return tokens
    except UnsupportedFormat as error:
        raise StorageError(str(error)) from None
    except (Corruption, InvalidData, KeyError, TypeError, ValueError) as error:
        what = error.what if isinstance(error, Corruption) else f"it holds no tokens: {error}"
        advice = "Nobody is let in because of it. Remove it, and make new tokens."
        raise StorageError(f"{path}: {what}. {advice}") from None
