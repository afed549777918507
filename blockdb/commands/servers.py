"""A server as the commands know it: its addresses, what is shown to it, and by what it is known."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from blockdb.errors import ConfigError, InvalidData

__all__ = ["Server", "checked_token", "checked_urls", "is_url", "read_token"]

_MOST_TOKEN_BYTES: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where a server is, and how to speak to it. The token is never part of what is shown of it.

    `ca` is the file of the authority that its certificate is checked with (None: those that the system trusts),
    `certificate` and `key` are what the client shows in turn. With `verified` the client proves what it is told.
    `collection` is the one that is used unless another is named. `profile` is the name under which all that was found.
    """

    urls: tuple[str, ...]
    token: str | None = field(default=None, repr=False)
    token_file: Path | None = None
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    verified: bool = False
    collection: str | None = None
    profile: str | None = None

    @property
    def url(self) -> str:
        """Its address, or all of them, with commas between."""
        return ",".join(self.urls)

    @property
    def title(self) -> str:
        """What a prompt calls it: the name of its profile, or else its host and port."""
        return self.profile or urlsplit(self.urls[0]).netloc

    def secret(self) -> str | None:
        """The token to show, read anew from its file if there is one. Raises `ConfigError`."""
        return self.token if self.token_file is None else read_token(self.token_file)


def is_url(text: str) -> bool:
    """Whether a text is the address of a server and not a path."""
    return "://" in text


def checked_urls(text: str, whose: str) -> tuple[str, ...]:
    """The addresses in a text, with commas between. Raises `ConfigError`, which names `whose` they are."""
    from blockdb.client.addresses import nodes_of

    try:
        return tuple(map(str, nodes_of(text)))
    except InvalidData as error:
        raise ConfigError(f"{whose}: {error}") from None


def read_token(path: Path) -> str:
    """The token in a file. Raises `ConfigError`, which does not repeat what is there."""
    try:
        with path.expanduser().open("rb") as file:
            data = file.read(_MOST_TOKEN_BYTES + 1)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: the token cannot be read from it: {getattr(error, 'strerror', error)}.") from None
    return checked_token(data.decode("latin-1"), str(path))


def checked_token(text: str, whose: str) -> str:
    """A token without the blanks around it. Raises `ConfigError`, which names `whose` it is and not what it is."""
    token = text.strip()
    if not token:
        raise ConfigError(f"{whose}: there is no token in it.")
    if len(token) > _MOST_TOKEN_BYTES or not (token.isascii() and token.isprintable()) or " " in token:
        raise ConfigError(f"{whose}: what is in it is no token, which is one word of letters, digits, - and _.")
    return token
