"""What is served besides the operations: the description of the interface, and a page to try it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from blockdb.server.http.openapi import description

__all__ = ["PAGES"]


def _openapi() -> tuple[bytes, bytes]:
    return b"application/json", description()


PAGES: Final[Mapping[str, Callable[[], tuple[bytes, bytes]]]] = {"/openapi.json": _openapi}
