"""Nodes that reach each other directly: nothing stands between them that could be cut."""

from __future__ import annotations

from collections.abc import Mapping

from blockdb.errors import InvalidData

__all__ = ["Straight"]


class Straight:
    """The nodes' own addresses."""

    def __init__(self, addresses: Mapping[str, str], fronts: Mapping[str, str]) -> None:
        """`fronts` are not used."""
        self._addresses = addresses

    def address(self, from_id: str, to_id: str) -> str:
        """Where a node is, for all others."""
        return self._addresses[to_id]

    def cut(self, a: str, b: str) -> None:
        """Cannot be done. Raises InvalidData."""
        raise InvalidData(f"{a} and {b} reach each other directly: nothing stands between them that could be cut.")

    def heal(self) -> None:
        """There is nothing to be healed."""

    def close(self) -> None:
        """There is nothing to be closed."""
