"""Reading a static export: files below a directory, or below an address of the web."""

from __future__ import annotations

from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, IncompleteRead
from pathlib import Path
from time import monotonic
from typing import Final, Protocol
from urllib.parse import quote, urlsplit

from blockdb.errors import InvalidData, StorageError

TIMEOUT_S: Final = 20
"""How long to wait for a connection, and for each piece of an answer."""

MOST_S: Final = 300
"""How long a file may take, however steadily it drips."""

_PIECE_BYTES: Final = 1 << 16


class Missing(Exception):
    """There is no such file."""


class TooLarge(Exception):
    """The file is larger than one of its kind can be; the message says how large that is."""


class Source(Protocol):
    """Where an export is read from."""

    name: str

    def read(self, path: str, limit: int) -> bytes:
        """The bytes of a file, at most `limit`. Raises Missing, TooLarge, StorageError."""

    def close(self) -> None:
        """Let go of whatever is open."""


class Directory:
    """An export in a directory."""

    def __init__(self, root: Path) -> None:
        self.name = str(root)
        self._root = root

    def read(self, path: str, limit: int) -> bytes:
        """See Source."""
        try:
            with (self._root / path).open("rb") as file:
                data = file.read(limit + 1)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise Missing(path) from None
        except OSError as error:
            raise StorageError(f"{self._root / path}: it cannot be read: {error.strerror}") from None
        return _within(data, limit)

    def close(self) -> None:
        """Nothing is open."""


class Web:
    """An export behind http or https. One connection, kept for as long as the server does; redirections are told."""

    def __init__(self, url: str, timeout_s: float = TIMEOUT_S) -> None:
        """Raises InvalidData for what is no address. Nothing is opened yet."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            host = None
        if host is None or parts.scheme not in ("http", "https") or parts.query or parts.fragment or parts.username:
            raise InvalidData(f"{url}: this is no address of an export; one looks like https://example.org/log")
        self.name = url.rstrip("/")
        self._path = quote(parts.path.rstrip("/"), safe="/%")
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._connection = kind(host, port, timeout=timeout_s)

    def read(self, path: str, limit: int) -> bytes:
        """See Source. Asks a second time where the server closed a connection that it had kept."""
        for again in (True, False):
            kept = self._connection.sock is not None
            try:
                return self._read(path, limit)
            except (OSError, HTTPException) as error:
                self._connection.close()
                if not (again and kept) or isinstance(error, TimeoutError):
                    raise StorageError(f"{self.name}/{path}: {_reason(error)}") from None
        raise AssertionError("it was read, or there is an error")

    def close(self) -> None:
        """Close the connection, if there is one."""
        self._connection.close()

    def _read(self, path: str, limit: int) -> bytes:
        self._connection.request("GET", f"{self._path}/{path}", headers={"Accept-Encoding": "identity"})
        with closing(self._connection.getresponse()) as response:
            if response.status == 200:
                data = _body(response, limit)
                if len(data) > limit:
                    self._connection.close()
                return _within(data, limit)
            self._connection.close()
            if response.status in (404, 410):
                raise Missing(path)
            where = f", which leads to {response.headers['Location']}" if "Location" in response.headers else ""
            answer = f"the server answers {response.status} {response.reason}{where}"
        raise StorageError(f"{self.name}/{path}: {answer}. Check the address.")


def _body(response: HTTPResponse, limit: int) -> bytes:
    pieces, size = [], 0
    deadline = monotonic() + MOST_S
    while size <= limit and (piece := response.read1(min(_PIECE_BYTES, limit + 1 - size))):
        if monotonic() > deadline:
            raise TimeoutError
        pieces.append(piece)
        size += len(piece)
    if size <= limit and response.length:
        raise IncompleteRead(b"", response.length)
    return b"".join(pieces)


def _within(data: bytes, limit: int) -> bytes:
    if len(data) > limit:
        raise TooLarge(f"{limit} bytes at most")
    return data


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "there was no answer in time"
    if isinstance(error, OSError):
        return f"the server cannot be reached: {error.strerror or error}"
    return f"the server does not speak HTTP as it should: {type(error).__name__} {error}"


def source_of(location: str) -> Source:
    """Where this location, a path or an address, leads. Raises InvalidData."""
    return Web(location) if is_address(location) else Directory(Path(location))


def is_address(location: str) -> bool:
    """Whether this is meant to be an address and no path."""
    return location.lower().startswith(("http://", "https://"))
