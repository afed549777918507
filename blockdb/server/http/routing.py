"""From a path to an operation and what its parameters are. Paths are split before they are decoded."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote_to_bytes

from blockdb.wire.operation import Operation

__all__ = ["Match", "Router"]

MAX_KNOWN: Final = 1_000
MAX_KNOWN_BYTES: Final = 256


@dataclass(slots=True)
class Match:
    """What a path leads to: operations by method (none: nowhere), and its parameters, percent-decoded."""

    operations: dict[str, Operation]
    parameters: dict[str, bytes]


@dataclass(slots=True)
class _Node:
    children: dict[bytes, _Node] = field(default_factory=dict)
    parameter: tuple[str, _Node] | None = None
    rest: tuple[str, dict[str, Operation]] | None = None
    """The last parameter, which takes all that is left, slashes and all."""
    operations: dict[str, Operation] = field(default_factory=dict)


class Router:
    """A tree of the parts of paths. A lookup is O(parts)."""

    def __init__(self, operations: tuple[Operation, ...]) -> None:
        self._root = _Node()
        self._known: dict[bytes, Match] = {}
        """Paths that were asked for, without those of keys."""
        for operation in operations:
            self._enter(operation)

    def _enter(self, operation: Operation) -> None:
        node = self._root
        parts = operation.path.strip("/").split("/")
        for at, part in enumerate(parts):
            if not part.startswith("{"):
                node = node.children.setdefault(part.encode(), _Node())
            elif at < len(parts) - 1:
                if node.parameter is None:
                    node.parameter = (part[1:-1], _Node())
                node = node.parameter[1]
            else:
                if node.rest is None:
                    node.rest = (part[1:-1], {})
                name, operations = node.rest
                if name != part[1:-1] or operation.method in operations:
                    raise LookupError(f"{operation.path} is there twice, or has two names for its parameter")
                operations[operation.method] = operation
                return
        if operation.method in node.operations:
            raise LookupError(f"{operation.method} {operation.path} is there twice")
        node.operations[operation.method] = operation

    def find(self, raw_path: bytes) -> Match:
        """What a path, percent-encoded as it came, leads to. What it gives is not to be changed."""
        found = self._known.get(raw_path)
        if found is None:
            found = self._found(raw_path)
            if len(raw_path) <= MAX_KNOWN_BYTES and found.operations and "key" not in found.parameters:
                if len(self._known) >= MAX_KNOWN:
                    self._known.clear()
                self._known[raw_path] = found
        return found

    def _found(self, raw_path: bytes) -> Match:
        node = self._root
        parameters: dict[str, bytes] = {}
        parts = raw_path[1:].split(b"/")
        rest: Match | None = None
        for at, part in enumerate(parts):
            if node.rest is not None and parts[at:] != [b""]:
                name, operations = node.rest
                value = unquote_to_bytes(b"/".join(parts[at:]))
                rest = Match(operations, {**parameters, name: value})
            child = node.children.get(part)
            if child is not None:
                node = child
            elif node.parameter is not None and part:
                name, node = node.parameter
                parameters[name] = unquote_to_bytes(part)
            else:
                return rest or Match({}, {})
        if node.operations:
            return Match(node.operations, parameters)
        return rest or Match({}, {})
