"""Which members of a document are needed, and a decoder that makes objects of these alone.

msgspec decodes into a struct of two fields ten times quicker than into a dict of all: what is not asked for is passed
over. Where a name cannot be that of a struct's field, or a path goes into arrays, the part is decoded as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import msgspec
from msgspec import UNSET

from blockdb.documents.paths import EACH, Path

__all__ = ["Fields", "decoder_of", "fields_of", "struct_of"]

MAX_LEVELS: Final = 3
"""So deep structs are nested; what lies deeper is decoded as a whole."""


@dataclass(frozen=True, slots=True)
class Fields:
    """The members of one object that are needed, each with those inside of it, or None where it is needed whole."""

    members: tuple[tuple[str, Fields | None], ...]

    def attribute(self, name: str) -> str:
        """The attribute of the struct that has the member of that name."""
        return f"f{next(at for at, (member, _) in enumerate(self.members) if member == name)}"

    def inside(self, name: str) -> Fields | None:
        """What is needed of a member, or None where it is needed whole."""
        return dict(self.members)[name]


def fields_of(paths: Iterable[Path]) -> Fields | None:
    """What these paths need of a document; None where it has to be decoded as a whole."""
    return _fields([_names(path) for path in paths])


def _names(path: Path) -> tuple[str, ...]:
    """The names up to the first array; with more than can be structs, the first of them."""
    names: list[str] = []
    for part in path.parts[:MAX_LEVELS]:
        if part is EACH:
            break
        names.append(part)
    return tuple(names)


def _fields(wanted: list[tuple[str, ...]]) -> Fields | None:
    members: dict[str, list[tuple[str, ...]]] = {}
    for first, *rest in wanted:
        members.setdefault(first, []).append(tuple(rest))
    if not all(map(_can_be_a_field, members)):
        return None
    return Fields(tuple((name, _fields(rests) if all(rests) else None) for name, rests in sorted(members.items())))


def _can_be_a_field(name: str) -> bool:
    return not any(char in '"\\' or char < " " for char in name)


@lru_cache(maxsize=256)
def struct_of(fields: Fields) -> type[msgspec.Struct]:
    """The struct of an object of which these members are needed: `UNSET` where there is none of that name."""
    members: list[tuple[str, Any, Any]] = []
    for name, inside in fields.members:
        kind: Any = object if inside is None else struct_of(inside) | str | int | float | bool | list[Any] | None
        members.append((fields.attribute(name), kind, UNSET))
    names = {fields.attribute(name): name for name, _ in fields.members}
    return msgspec.defstruct("Needed", members, rename=names, gc=False)


@lru_cache(maxsize=256)
def decoder_of(fields: Fields | None) -> Callable[[bytes], Any]:
    """A function from the bytes of a document to a struct of what is needed of it, or to a dict.

    It raises msgspec.MsgspecError (or RecursionError, for what is nested a thousand deep) for what is no JSON object.
    Parts that are not needed are not checked to be UTF-8.
    """
    if fields is None:
        return msgspec.json.Decoder(dict[str, Any]).decode
    return msgspec.json.Decoder(struct_of(fields)).decode
