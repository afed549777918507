"""The two functions that connect. They load what it takes to connect when they are called: nothing is needed before."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from blockdb.errors import ConfigError

if TYPE_CHECKING:
    from blockdb.client.aio.database import AsyncDatabase
    from blockdb.client.database import RemoteDatabase

__all__ = ["connect", "connect_async"]


def connect(url: str | Iterable[str], *, token: str | None = None, **options: Any) -> RemoteDatabase:
    """Connect to the server of a database: what is returned is used as what `open` returns (docs/CLIENT.md).

    `url` is the address of a server, as `http://127.0.0.1:8080`, or several (a list, or with commas between them), of
    which those are passed over that do not answer. `token` is what `blockdb token create` printed (default:
    BLOCKDB_TOKEN). Other options: `ca_file` with the authority whose certificates are trusted (default: the
    system's); `certificate`, a pair of files, for servers that ask for one; `idempotency_keys`, a function that gives
    each write a key under which it is done once (default: by chance); and the limits of
    blockdb.client.policy.Policy: `timeout_s`, `connect_timeout_s`, `read_timeout_s`, `attempts`, `max_connections`.

    With `verified=True` the server is not believed: what it says has to be proven, by a history that extends all that
    was seen of it. That is kept in the user's state directory, or in the file `state`, and with it the key that was
    met first, unless verifier keys are given as `keys`. HistoryConflict or InvalidProof is raised for a lie.

    Raises InvalidData for what is no address or token, ConfigError for an option, Unavailable where no server answers,
    Unauthenticated. Needs the extra `blockdb[client]`.
    """
    opening = _client("blockdb.client.opening")
    found: RemoteDatabase = opening.connect(url, token=token, **options)
    return found


async def connect_async(url: str | Iterable[str], *, token: str | None = None, **options: Any) -> AsyncDatabase:
    """The same for an event loop of asyncio: what has to be waited for is awaited. See `connect`."""
    opening = _client("blockdb.client.aio.opening")
    found: AsyncDatabase = await opening.connect_async(url, token=token, **options)
    return found


def _client(module: str) -> Any:
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name not in ("anyio", "httpcore", "httptools"):
            raise
        raise ConfigError(f"A connection needs {error.name}; install it with: pip install 'blockdb[client]'.") from None
