"""Opening the database behind the first prompt, so that the prompt does not wait for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from blockdb import AnyDatabase

__all__ = ["Opening"]


class Opening:
    """A database that is opened in a thread of its own, once, when `start` is called or the database is asked for."""

    def __init__(self, open_it: Callable[[], AnyDatabase], failed: Callable[[BaseException], None]) -> None:
        self._open_it = open_it
        self._failed = failed
        self._future: Future[AnyDatabase] = Future()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, if that has not been done."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="opening", daemon=True)
                self._thread.start()

    def __call__(self) -> AnyDatabase:
        """The open database, as soon as it is open. Raises what opening it raised."""
        self.start()
        return self._future.result()

    def _run(self) -> None:
        try:
            self._future.set_result(self._open_it())
        except BaseException as error:
            self._future.set_exception(error)
            self._failed(error)

    def close(self) -> None:
        """Close the database, if it was ever opened."""
        with self._lock:
            begun = self._thread is not None
        if begun and self._future.exception() is None:
            self._future.result().close()
