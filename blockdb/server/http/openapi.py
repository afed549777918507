"""The description of the interface, OpenAPI 3.1, made from the table of operations."""

from __future__ import annotations

from functools import cache

import msgspec

__all__ = ["description"]


@cache
def description() -> bytes:
    """The document, as JSON."""
    return msgspec.json.encode({"openapi": "3.1.0"})
