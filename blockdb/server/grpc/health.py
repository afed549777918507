"""The health service of gRPC (grpc.health.v1), which orchestrators ask whether requests should come here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Any, Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

__all__ = ["LOOK_EVERY_S", "Health"]

LOOK_EVERY_S: Final = 0.5
"""So often it is looked for whoever watches."""
MOST_WATCHERS: Final = 1000

_STATES: Final = health_pb2.HealthCheckResponse


class Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc]
    """Answers for the server as a whole, whose name is empty, and for the services of these names."""

    def __init__(self, is_ready: Callable[[], bool], services: Collection[str]) -> None:
        self._is_ready = is_ready
        self._services = frozenset(services) | {""}
        self._watchers = 0

    async def Check(self, request: Any, context: Any) -> Any:  # noqa: N802 # as gRPC calls it
        """How a service is."""
        if request.service not in self._services:
            await context.abort(grpc.StatusCode.NOT_FOUND, "There is no such service.")
        return await self._state(request.service)

    async def Watch(self, request: Any, context: Any) -> None:  # noqa: N802 # as gRPC calls it
        """How a service is, and again whenever that changes."""
        if self._watchers >= MOST_WATCHERS:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "Too many watch it already.")
        self._watchers += 1
        try:
            told = None
            while True:
                state = await self._state(request.service)
                if state != told:
                    await context.write(state)
                    told = state
                await asyncio.sleep(LOOK_EVERY_S)
        finally:
            self._watchers -= 1

    async def _state(self, service: str) -> Any:
        if service not in self._services:
            return _STATES(status=_STATES.SERVICE_UNKNOWN)
        return _STATES(status=_STATES.SERVING if await asyncio.to_thread(self._is_ready) else _STATES.NOT_SERVING)
