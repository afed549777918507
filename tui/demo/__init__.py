"""A database to look at before one has a database: `open_demo` makes it and keeps it growing."""

from __future__ import annotations

from .writer import Demo, open_demo

__all__ = ["Demo", "open_demo"]
