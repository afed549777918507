"""The explorer of one browser: a process that ends when the browser goes, however it is then."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from textual_serve.app_service import AppService

__all__ = ["MOST_CELLS", "OneBrowser"]

PATIENCE_S: Final = 3.0
"""So long an explorer may take to close its database, before it is ended."""
MOST_CELLS: Final = 1_000


class OneBrowser(AppService):
    """textual-serve's link between a websocket and a process, without a shell between them, and with an end."""

    def __init__(self, words: Sequence[str], **links: Any) -> None:
        super().__init__("", **links)
        self._words = words

    async def _open_app_process(self, width: int = 80, height: int = 24) -> Process:
        environment = self._build_environment(width=width, height=height)
        self._process = await asyncio.create_subprocess_exec(
            *self._words, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=environment
        )
        self._stdin = self._process.stdin
        return self._process

    async def set_terminal_size(self, width: int, height: int) -> None:
        """Tells the process of another size, which a browser cannot make arbitrarily large."""
        await super().set_terminal_size(min(max(int(width), 1), MOST_CELLS), min(max(int(height), 1), MOST_CELLS))

    async def run(self) -> None:
        """Passes on what the process shows, and lets the browser know when it has ended by itself."""
        await super().run()
        with suppress(ConnectionError, RuntimeError):
            await self.remote_close()

    async def stop(self) -> None:
        """Has the process leave; one that does not is told that nobody is there any more, and then ended."""
        process, task = self._process, self._task
        if process is None or task is None:
            return
        self._task = None
        await self._download_manager.cancel_app_downloads(app_service_id=self.app_service_id)
        await self.send_meta({"type": "quit"})
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), PATIENCE_S)
        if process.stdin is not None:
            process.stdin.close()
        if process.returncode is None:
            sys.stderr.write(f"The explorer with the process id {process.pid} did not leave, and is ended.\n")
            with suppress(ProcessLookupError):
                process.kill()
        await process.wait()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
