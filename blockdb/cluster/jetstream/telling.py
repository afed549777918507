"""What a node's own NATS server tells of itself, by HTTP on loopback."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final

__all__ = ["tell_of"]

ANSWER_S: Final = 1.5
MOST_BYTES: Final = 64 << 20


async def tell_of(monitor: tuple[str, int], path: str) -> dict[str, Any]:
    """The answer to a path such as `/jsz`. Raises OSError, TimeoutError, ValueError."""
    async with asyncio.timeout(ANSWER_S):
        reader, writer = await asyncio.open_connection(*monitor, limit=MOST_BYTES)
        try:
            writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            answer = await reader.read(-1)
        finally:
            writer.close()
    found: dict[str, Any] = json.loads(answer.partition(b"\r\n\r\n")[2])
    return found
