"""A stored document, as queries give it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["Details", "Document"]


class Details(NamedTuple):
    """What is known of a document besides its key and its value."""

    sequence: int
    time_ms: int
    schema_version: int | None = None


class Document:
    """A stored document: `key` is bytes, `value` a dict, with the fields alone that were asked for.

    `sequence`, `time_ms` and `schema_version` may be looked up when they are first asked for. Two documents are equal
    if they have the same key, value and sequence number.
    """

    __slots__ = ("_details", "key", "value")

    key: bytes
    value: dict[str, Any]

    def __init__(self, key: bytes, value: dict[str, Any], details: Details | Callable[[], Details]) -> None:
        self.key = key
        self.value = value
        self._details = details

    @property
    def details(self) -> Details:
        """The three together. O(log blocks + records in a block) for the first time. Raises Corruption."""
        found = self._details
        if not isinstance(found, Details):
            found = self._details = found()
        return found

    @property
    def sequence(self) -> int:
        """Its place in commit order, from 0."""
        return self.details.sequence

    @property
    def time_ms(self) -> int:
        """When it was stored: Unix time in milliseconds."""
        return self.details.time_ms

    @property
    def schema_version(self) -> int | None:
        """The version of the schema under which it was stored; None where there was none."""
        return self.details.schema_version

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Document):
            return NotImplemented
        return (self.key, self.value, self.sequence) == (other.key, other.value, other.sequence)

    __hash__ = None  # type: ignore[assignment] # its value may be changed by whoever has it

    def __reduce__(self) -> tuple[type[Document], tuple[bytes, dict[str, Any], Details]]:
        return type(self), (self.key, self.value, self.details)

    def __repr__(self) -> str:
        return f"Document(key={self.key!r}, value={self.value!r})"
