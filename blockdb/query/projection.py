"""Projections: of a document the fields that were asked for, in the shape that they have in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from blockdb.documents.paths import EACH, Part, Path
from blockdb.query.tree import SPECIAL

__all__ = ["projection"]

_Tree: TypeAlias = dict[Part, "_Tree"]


def projection(fields: Iterable[Path]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A function from a document to one that has these fields alone, inside of what they are inside of.

    `items[].price` leaves an array with the prices of its members. `_key`, `_sequence` and `_time` are not in the
    value of a document, so they are passed over here.
    """
    tree: _Tree = {}
    for path in fields:
        if path not in SPECIAL:
            _add(tree, path.parts)

    def project(document: dict[str, Any]) -> dict[str, Any]:
        return _members(document, tree)

    return project


def _add(tree: _Tree, parts: tuple[Part, ...]) -> None:
    """Enter a path. What is wanted whole has no branches, and gets none any more."""
    for at, part in enumerate(parts):
        if part in tree and not tree[part]:
            return
        branch = tree.setdefault(part, {})
        if at == len(parts) - 1:
            branch.clear()
        tree = branch


def _members(document: dict[str, Any], tree: _Tree) -> dict[str, Any]:
    return {
        name: _part(document[name], branch)
        for name, branch in tree.items()
        if name is not EACH and name in document and _has(document[name], branch)
    }


def _has(value: Any, branch: _Tree) -> bool:
    """Whether anything that is wanted can be inside."""
    if not branch:
        return True
    return (type(value) is list and EACH in branch) or (type(value) is dict and any(name in value for name in branch))


def _part(value: Any, branch: _Tree) -> Any:
    if not branch:
        return value
    if type(value) is list:
        inside = branch[EACH]
        return [_part(member, inside) for member in value if _has(member, inside)]
    return _members(value, branch)
