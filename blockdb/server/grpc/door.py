"""The door for gRPC: a server on an event loop of its own, in a thread of its own.

It is the asynchronous server of grpcio: there a stream that waits costs a task, and the threads that work are those of
`Threads`, of which there are only so many. In the other one each call, also one that waits, has a thread to itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from threading import Thread
from typing import Any, Final

import grpc
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2

from blockdb.errors import StorageError
from blockdb.server.grpc.calling import Calls, Options
from blockdb.server.grpc.catalogue import SERVICE, catalogue
from blockdb.server.grpc.descriptors import pool_of
from blockdb.server.grpc.health import Health
from blockdb.server.service import Service

__all__ = ["GrpcDoor", "Options"]

MOST_CALLS: Final = 4096
"""At the same time, waiting or worked on; what comes beyond is refused at once."""

_HEALTH: Final = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name


class GrpcDoor:
    """Serves a service at an address (`host:port`; port 0: one that is free). Start and stop it from any thread."""

    def __init__(
        self,
        service: Service,
        address: str,
        credentials: grpc.ServerCredentials | None = None,
        options: Options | None = None,
        is_ready: Callable[[], bool] | None = None,
    ) -> None:
        """Without credentials nothing is encrypted. `is_ready` says whether requests should come here."""
        self.port = 0
        """Where it listens, once it does."""
        self.options = options or Options()
        self._service = service
        self._address = address
        self._credentials = credentials
        self._is_ready = is_ready or (lambda: service.monitor.health().is_ready)
        self._thread: Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Future[float | None] | None = None

    def start(self) -> int:
        """Listen; returns the port. Raises StorageError where that is not possible there."""
        listening: Future[int] = Future()
        self._thread = Thread(target=lambda: asyncio.run(self._live(listening)), name="blockdb-grpc", daemon=True)
        self._thread.start()
        try:
            self.port = listening.result()
        except BaseException:
            self._thread.join()
            self._thread = None
            raise
        return self.port

    def stop(self, grace_s: float | None = None) -> None:
        """Take nothing any more, wait so long for what is under way (None: not at all), then end it. Idempotent."""
        thread, loop, stopping = self._thread, self._loop, self._stopping
        if thread is None or loop is None or stopping is None:
            return
        if thread.is_alive():
            with suppress(RuntimeError):  # it has ended this moment
                loop.call_soon_threadsafe(_resolve, stopping, grace_s)
        thread.join()
        self._thread = None

    async def _live(self, listening: Future[int]) -> None:
        """From the start to the end of the server, on its loop."""
        try:
            calls = Calls(self._service, catalogue(), self.options)
            server = self._server(calls)
            port = self._bind(server)
            await server.start()
        except BaseException as error:
            listening.set_exception(error)
            return
        self._loop = asyncio.get_running_loop()
        self._stopping = self._loop.create_future()
        listening.set_result(port)
        await server.stop(await self._stopping)
        await asyncio.to_thread(calls.close)

    def _server(self, calls: Calls) -> aio.Server:
        offered = catalogue()
        server = aio.server(options=_channel_options(self.options), maximum_concurrent_rpcs=MOST_CALLS)
        handlers = {offer.method.name: calls.handler(offer) for offer in offered.offers}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        health_pb2_grpc.add_HealthServicer_to_server(Health(self._is_ready, (SERVICE,)), server)
        names = (SERVICE, _HEALTH, reflection.SERVICE_NAME)
        described = [_file_of(health_pb2), _file_of(reflection_pb2)]
        reflection.enable_server_reflection(names, server, pool=pool_of(offered.file, *described))
        return server

    def _bind(self, server: aio.Server) -> int:
        try:
            if self._credentials is None:
                return int(server.add_insecure_port(self._address))
            return int(server.add_secure_port(self._address, self._credentials))
        except RuntimeError as error:
            raise StorageError(f"gRPC cannot listen at {self._address}: is something else there? ({error})") from None


def _resolve(future: asyncio.Future[float | None], value: float | None) -> None:
    if not future.done():
        future.set_result(value)


def _file_of(module: Any) -> Any:
    """The description of a module that protoc has made."""
    from google.protobuf.descriptor_pb2 import FileDescriptorProto

    return FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb)


def _channel_options(options: Options) -> list[tuple[str, int]]:
    """What the connection itself keeps within limits, before anything of ours sees a call."""
    return [
        ("grpc.so_reuseport", 0),  # two servers at one address are a mistake
        ("grpc.max_receive_message_length", options.max_message_bytes),
        ("grpc.max_metadata_size", options.max_metadata_bytes),
        ("grpc.absolute_max_metadata_size", options.max_metadata_bytes),
        ("grpc.max_allowed_incoming_connections", options.max_connections),
        ("grpc.max_concurrent_streams", options.max_streams * 2),  # of one connection
        ("grpc.server_handshake_timeout_ms", 10_000),
        # A connection whose other end has gone is noticed within two minutes; one that asks too often is ended.
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
        ("grpc.http2.max_ping_strikes", 2),
    ]
