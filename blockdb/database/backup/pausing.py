"""Having nobody write for a moment, in the process that writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock
from typing import Final

from blockdb.database.catalog import Catalog
from blockdb.storage.store import Store

ATTEMPTS: Final = 40
PATIENCE_S: Final = 0.05
"""So long is one writer waited for while the others are held up."""


@contextmanager
def writes_paused(catalog: Catalog) -> Iterator[None]:
    """Hold the write locks of all open collections, in the order in which transactions take them.

    Where somebody holds one for long, it goes on without: whoever looks for a moment sees whether it was one.
    """
    with ExitStack() as held:
        for _ in range(ATTEMPTS):
            with ExitStack() as taking:
                taking.enter_context(catalog.changing)
                stores = [reader for reader in catalog.opened() if isinstance(reader, Store)]
                stores.sort(key=lambda store: store.metadata.uuid)
                if all(_taken(store.writing, taking) for store in stores):
                    held.enter_context(taking.pop_all())
                    break
        yield


def _taken(lock: Lock, held: ExitStack) -> bool:
    if lock.acquire(timeout=PATIENCE_S):
        held.callback(lock.release)
        return True
    return False
