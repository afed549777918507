"""Doing what may wait: functions in a thread off the event loop, and what awaits them as workers of a widget."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, ParamSpec, TypeVar

from textual.dom import DOMNode

__all__ = ["in_background", "off_loop"]

P = ParamSpec("P")
R = TypeVar("R")


async def off_loop(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """What `function` returns or raises, run in a thread of its own.

    The thread is a daemon and not one of a pool, so that leaving the explorer never waits for a slow read.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[R] = loop.create_future()

    def deliver(result: R | None, error: BaseException | None) -> None:
        if future.done():  # whoever waited was cancelled
            return
        if error is None:
            future.set_result(result)  # type: ignore[arg-type]
        else:
            future.set_exception(error)

    def run() -> None:
        result, error = None, None
        try:
            result = function(*args, **kwargs)
        except Exception as caught:
            error = caught
        with contextlib.suppress(RuntimeError):  # the loop is gone: so is whoever waited
            loop.call_soon_threadsafe(deliver, result, error)

    threading.Thread(target=run, name=f"explorer-{getattr(function, '__name__', 'work')}", daemon=True).start()
    return await future


def in_background(
    node: DOMNode, work: Callable[..., Coroutine[Any, Any, None]], *arguments: Any, group: str, latest: bool = False
) -> None:
    """Runs `work(*arguments)` as a worker of `node`; `latest` cancels those of its group that came before.

    The worker gets a description because textual would make one of the arguments' repr: of 64 MB, if there is a value
    among them. And it gets the function and not a coroutine, which would complain if it were cancelled before it began.
    """
    worker: Any = partial(work, *arguments)
    node.run_worker(worker, group=group, description=group, exclusive=latest)
