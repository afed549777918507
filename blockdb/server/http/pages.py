"""What is served besides the operations: the description of the interface, and a page to try it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import Final

from blockdb.server.http.openapi import description

__all__ = ["PAGES"]


def _openapi() -> tuple[bytes, bytes]:
    return b"application/json", description()


@cache
def _file(name: str) -> bytes:
    return files(__package__).joinpath(name).read_bytes()


PAGES: Final[Mapping[str, Callable[[], tuple[bytes, bytes]]]] = {
    "/openapi.json": _openapi,
    "/docs": lambda: (b"text/html; charset=utf-8", _file("docs.html")),
    "/docs.js": lambda: (b"text/javascript; charset=utf-8", _file("docs.js")),
}
"""By path: the type of the content, and the content. Nobody has to say who they are to see them."""
