"""The connection of a node to NATS, on an event loop of its own thread."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from itertools import count
from pathlib import Path
from threading import Thread, current_thread
from typing import Any, Final, TypeVar

from nats import errors
from nats.aio.client import Client
from nats.js import JetStreamContext

from blockdb.cluster.jetstream.troubles import ApiError, is_refusal, ours
from blockdb.errors import BlockDBError, Unavailable

__all__ = ["Connection"]

RECONNECT_S: Final = 0.2
PING_S: Final = 2
"""How often a quiet server is asked whether it is there; after three times without an answer it is not."""
PENDING_BYTES: Final = 32 << 20
"""How much may wait to be sent before whoever sends waits."""
CLOSE_S: Final = 5.0
API_S: Final = 2.0
"""How long an answer of JetStream is waited for: a question that comes while nobody leads gets none."""

T = TypeVar("T")

_log = logging.getLogger("blockdb.cluster.jetstream")


class _Client(Client):  # type: ignore[misc,unused-ignore]
    """One that never gives up: where the server ends the connection with an error, it connects again too."""

    async def _process_err(self, err_msg: str) -> None:
        if "permissions violation" in err_msg.lower():
            await super()._process_err(err_msg)  # the connection stays
            return
        await self._process_op_err(errors.Error(f"nats: {err_msg}"))


class Connection:
    """Safe for threads. It connects again for ever, once it was connected for the first time."""

    def __init__(
        self,
        name: str,
        servers: Callable[[], Sequence[str]],
        *,
        credentials: Path | None = None,
        timeout_s: float = 5.0,
    ) -> None:
        """To one of `servers()`, which is asked anew each time; nothing happens before `start`."""
        self._name = name
        self._servers = servers
        self._credentials = credentials
        self._timeout_s = timeout_s
        self._loop = _new_loop()
        self._thread = Thread(target=self._loop.run_forever, name="jetstream", daemon=True)
        self._client: Client = _Client()
        self._listeners: dict[int, Callable[[bool], None]] = {}
        self._numbers = count()
        self._refusal: asyncio.Future[Exception] | None = None
        self._is_closed = False
        self._last_error = ""

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop on which everything of the connection happens."""
        return self._loop

    @property
    def client(self) -> Client:
        """For coroutines on `loop`. Subscriptions outlive that a connection is lost and made again."""
        return self._client

    @property
    def streams(self) -> JetStreamContext:
        """The same, for streams."""
        return self._client.jetstream(timeout=self._timeout_s)

    @property
    def is_connected(self) -> bool:
        """Whether it has a server just now."""
        return bool(self._client.is_connected)

    @property
    def max_payload(self) -> int:
        """How many bytes a message may have, headers and all, as the server says."""
        return int(self._client.max_payload)

    @property
    def has_jetstream(self) -> bool:
        """Whether the server has it."""
        return bool(self._client._server_info.get("jetstream"))

    def start(self, timeout_s: float) -> None:
        """Connect. Raises ConfigError where the server does not let this node in, Unavailable where there is none."""
        self._thread.start()
        try:
            self.wait(self._connect(timeout_s), timeout_s + CLOSE_S)
        except BaseException:
            self.close()
            raise

    async def _connect(self, timeout_s: float) -> None:
        self._refusal = self._loop.create_future()
        connecting = self._loop.create_task(self._client.connect(**self._options()))
        first: set[asyncio.Future[Any]] = {connecting, self._refusal}
        await asyncio.wait(first, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        refusal, self._refusal = self._refusal, None
        if connecting.done():
            return await connecting
        connecting.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await connecting
        if refusal.done():
            raise refusal.result()
        raise Unavailable(
            f"No NATS server answers at {', '.join(map(_shown, self._servers()))} ({self._last_error or 'no answer'})."
        )

    def _options(self) -> dict[str, Any]:
        return {
            "servers": list(self._servers()),
            "name": self._name,
            "user_credentials": str(self._credentials) if self._credentials else None,
            "max_reconnect_attempts": -1,
            "reconnect_time_wait": RECONNECT_S,
            "connect_timeout": self._timeout_s,
            "ping_interval": PING_S,
            "max_outstanding_pings": 3,
            "pending_size": PENDING_BYTES,
            "error_cb": self._on_error,
            "disconnected_cb": self._on_disconnected,
            "reconnected_cb": self._on_reconnected,
        }

    async def _on_error(self, error: Exception) -> None:
        self._last_error = str(error) or type(error).__name__
        _log.debug("NATS: %s", self._last_error)
        if self._refusal is not None and not self._refusal.done() and is_refusal(error):
            self._refusal.set_result(error)
        if self._client.is_reconnecting:
            self._look_for_servers()

    async def _on_disconnected(self) -> None:
        if self._is_closed:
            return
        _log.warning("the connection to NATS is lost: %s", self._last_error or "it was ended")
        self._look_for_servers()
        self._tell(False)

    async def _on_reconnected(self) -> None:
        _log.info("connected to NATS again")
        self._tell(True)

    def _look_for_servers(self) -> None:
        """Take the servers that there are now: one that was started again may have another port."""
        with suppress(errors.Error, BlockDBError):
            self._client.set_server_pool(list(self._servers()))

    def run(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Have a coroutine done on the loop. Errors of NATS in it become errors of ours.

        Unavailable (not connected, nobody answers, no leader), ConfigError (refused), InvalidData (too long),
        StorageError (no room).
        """
        if self._is_closed:
            coroutine.close()
            failed: Future[T] = Future()
            failed.set_exception(Unavailable("This node is about to stop: it has left NATS."))
            return failed
        return asyncio.run_coroutine_threadsafe(_translated(coroutine), self._loop)

    def wait(self, coroutine: Coroutine[Any, Any, T], timeout_s: float) -> T:
        """The result of `run`, waited for on another thread than the loop's. Raises Unavailable when time is up."""
        assert current_thread() is not self._thread, "the loop must not wait for itself"
        future = self.run(coroutine)
        try:
            return future.result(timeout_s)
        except FutureTimeout:
            future.cancel()
            raise Unavailable(f"NATS did not answer within {timeout_s:g} s. Try again.") from None

    async def api(
        self, call: str, content: object = None, timeout_s: float | None = None, *, domain: str = ""
    ) -> dict[str, Any]:
        """On the loop: what JetStream, that of another domain if one is given, answers to a call: `STREAM.INFO.name`.

        Raises ApiError, errors of NATS.
        """
        start = f"$JS.{domain}.API" if domain else "$JS.API"
        payload = b"" if content is None else json.dumps(content).encode()
        answer = await self._client.request(
            f"{start}.{call}", payload, timeout=timeout_s or min(self._timeout_s, API_S)
        )
        found: dict[str, Any] = json.loads(answer.data)
        if error := found.get("error"):
            raise ApiError(error.get("code", 0), error.get("err_code", 0), error.get("description", ""))
        return found

    def watch(self, listener: Callable[[bool], None]) -> Callable[[], None]:
        """Have `listener` told on the loop when the connection comes (True) and goes (False); gives what ends that."""
        number = next(self._numbers)
        self._listeners[number] = listener

        def end() -> None:
            self._listeners.pop(number, None)

        return end

    def _tell(self, is_connected: bool) -> None:
        for listener in list(self._listeners.values()):
            listener(is_connected)

    def close(self) -> None:
        """Disconnect, and end the loop and its thread. Idempotent."""
        if self._is_closed:
            return
        closing = self.run(self._close())
        self._is_closed = True
        with suppress(FutureTimeout, BlockDBError):
            closing.result(CLOSE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CLOSE_S)
        if not self._thread.is_alive():
            self._loop.close()

    async def _close(self) -> None:
        with suppress(errors.Error, OSError, TimeoutError):
            await asyncio.wait_for(self._client.close(), CLOSE_S / 2)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        if others:
            await asyncio.wait(others, timeout=1.0)


async def _translated(coroutine: Coroutine[Any, Any, T]) -> T:
    try:
        return await coroutine
    except (errors.Error, ApiError, OSError, TimeoutError) as error:
        raise ours(error) from error


def _shown(server: str) -> str:
    """A server without the password that may stand in its URL."""
    scheme, _, rest = server.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
