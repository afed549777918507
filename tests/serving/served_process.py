"""A process that serves a small application: `python -m tests.serving.served_process PORT`."""

from __future__ import annotations

import logging
import sys
from typing import Any

from blockdb.serving.limits import Limits
from blockdb.serving.listening import handed_over, listen, url_of
from blockdb.serving.process import Server, run


async def application(scope: Any, receive: Any, send: Any) -> None:
    """/slow is begun, and ends when its client says so with the body; everything else ends at once."""
    if scope["path"] == "/slow":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        while (await receive()).get("more_body"):
            pass
    else:
        await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"done"})


def main() -> None:
    """Serve until told to end."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    [listening] = handed_over() or [listen("127.0.0.1", 0)]
    limits = Limits(stop_timeout_s=float(sys.argv[1]))
    run(
        lambda: Server(application, [listening], limits),
        lambda: print(url_of(listening), flush=True),
        lambda: print("reloaded", flush=True),
    )
    print("ended in order", flush=True)


if __name__ == "__main__":
    main()
