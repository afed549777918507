"""The NATS servers that nodes start, as a group: who belongs to it, and how one that is gone for good is let go."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from time import monotonic
from typing import Any, Final

from nats import errors
from nats.aio.client import Client

from blockdb.cluster.jetstream.connection import Connection
from blockdb.errors import Unavailable

__all__ = ["forget_server", "meta_ready"]

ASK_S: Final = 1
PAUSE_S: Final = 0.05
NOT_A_MEMBER: Final = 10_044


async def meta_ready(connection: Connection, timeout_s: float) -> None:
    """On the loop: return once enough servers agree on who leads them. Raises Unavailable."""
    deadline, last = monotonic() + timeout_s, ""
    while monotonic() < deadline:
        try:
            await connection.api("INFO", timeout_s=ASK_S)
        except Exception as error:
            last = str(error)
            await asyncio.sleep(PAUSE_S)
        else:
            return
    raise Unavailable(
        f"JetStream has no leader after {timeout_s:g} s ({last or 'no answer'}): more than half of the servers of the "
        "cluster have to be there. Start the other nodes, and look whether they reach each other."
    )


async def forget_server(system_url: str, name: str, timeout_s: float) -> None:
    """On a loop: have the group of servers go on without that one. It is no error where it is not in it any more.

    Its streams get another server each, where there is one. Raises Unavailable where the group has no leader.
    """
    client, deadline, last = Client(), monotonic() + timeout_s, "no answer"
    try:
        await client.connect(system_url, connect_timeout=ASK_S, max_reconnect_attempts=3, error_cb=_ignore)
        while monotonic() < deadline:
            found = await _remove(client, name)
            if found.get("success") or found.get("error", {}).get("err_code") == NOT_A_MEMBER:
                return
            last = found.get("error", {}).get("description", last)
        raise Unavailable(f"The servers do not agree to let {name} go: {last}. Try again.")
    finally:
        with suppress(errors.Error, OSError):
            await client.close()


async def _remove(client: Client, name: str) -> dict[str, Any]:
    request = json.dumps({"peer": name}).encode()
    try:
        answer = await client.request("$JS.API.SERVER.REMOVE", request, timeout=ASK_S)
    except (errors.Error, TimeoutError):
        return {}
    found: dict[str, Any] = json.loads(answer.data)
    return found


async def _ignore(_: Exception) -> None:
    return None
