"""Structs to messages and back, compiled once for each type.

Between the two stand dictionaries: msgspec makes them of Structs, and Structs of them (which checks types and limits,
and fills in defaults); Protocol Buffers makes messages of them. What differs is mended on the way, and for most types
that is nothing.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from google.protobuf import message_factory

from blockdb.errors import BlockDBError, InvalidData
from blockdb.server.grpc.mending import Mend, menders_of
from blockdb.server.grpc.reading import Read, readers_of
from blockdb.wire.protobuf import Vocabulary

__all__ = ["Converter"]

T = TypeVar("T")


class Converter:
    """Structs and messages of a vocabulary; `pool` is what `blockdb.server.grpc.descriptors` makes of it."""

    def __init__(self, vocabulary: Vocabulary, pool: Any, package: str) -> None:
        menders, readers = menders_of(vocabulary), readers_of(vocabulary)
        self._classes: dict[type, Any] = {}
        self._menders: dict[type, Mend | None] = {}
        self._readers: dict[type, Read] = {}
        for kind, name in vocabulary.types.items():
            descriptor = pool.FindMessageTypeByName(f"{package}.{name}")
            self._classes[kind] = message_factory.GetMessageClass(descriptor)
            self._menders[kind] = menders.get(name)
            self._readers[kind] = readers[name]

    def message_class(self, kind: type) -> Any:
        """The class of the messages for a class."""
        return self._classes[kind]

    def to_message(self, value: Any) -> Any:
        """The message for a Struct or dataclass. Raises InvalidData for what no message can tell."""
        kind = type(value)
        tree = msgspec.to_builtins(value, builtin_types=(bytes,), enc_hook=_plain_bytes)
        mend = self._menders[kind]
        try:
            return self._classes[kind](**(tree if mend is None else mend(tree)))
        except (TypeError, ValueError, OverflowError) as error:
            raise InvalidData(f"{kind.__name__} cannot be told in gRPC: {error}") from None

    def from_message(self, message: Any, kind: type[T]) -> T:
        """The Struct or dataclass for a message. Raises InvalidData for a value that is not acceptable there."""
        tree = self._readers[kind](message)
        try:
            return msgspec.convert(tree, kind, builtin_types=(bytes,))
        except msgspec.ValidationError as error:
            if isinstance(error.__cause__, BlockDBError):
                raise error.__cause__ from None
            raise InvalidData(str(error)) from None


def _plain_bytes(value: Any) -> bytes:
    """What stands for a redacted value is a kind of bytes that msgspec does not know."""
    if isinstance(value, bytes):
        return bytes(value)
    raise TypeError(f"{type(value).__name__} has no counterpart in proto3.")
