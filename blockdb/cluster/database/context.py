"""What a request brings along for the database of a cluster: how its reads are to be, and its name.

with reading("Local"):              reads are answered from what this node has applied so far
with already_confirmed():           somebody has waited for `confirmed()` before: reads need not
with as_request(name):              the commands of a request that comes again have the same ids again
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from hashlib import sha256
from itertools import count
from os import urandom
from typing import Final

from blockdb.cluster.machine.commands import ID_BYTES
from blockdb.errors import InvalidData
from blockdb.settings import READ_CONCERNS

__all__ = [
    "already_confirmed",
    "as_request",
    "first_id",
    "is_of_this_node",
    "new_command_id",
    "of_this_node",
    "reading",
    "reads_confirm",
]

LINEARIZABLE: Final = "Linearizable"

_confirms: ContextVar[bool] = ContextVar("confirms", default=True)
_of_this_node: ContextVar[bool] = ContextVar("of_this_node", default=False)


class _Request:
    """A request with a name, and how many commands it has made."""

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.numbers = count()


_request: ContextVar[_Request | None] = ContextVar("request", default=None)


@contextmanager
def reading(level: str) -> Iterator[None]:
    """Have reads be `Linearizable` (they see all that was acknowledged before) or `Local`. Raises InvalidData."""
    if level not in READ_CONCERNS:
        raise InvalidData(f"read_concern: it should be one of {', '.join(READ_CONCERNS)}, not {level!r}.")
    before = _confirms.set(level == LINEARIZABLE)
    try:
        yield
    finally:
        _confirms.reset(before)


@contextmanager
def already_confirmed() -> Iterator[None]:
    """Have reads done at once: `ReplicatedDatabase.confirmed` was waited for since the request came."""
    before = _confirms.set(False)
    try:
        yield
    finally:
        _confirms.reset(before)


@contextmanager
def of_this_node() -> Iterator[None]:
    """Have what is asked be about this node as it is: its figures, its audit log, its files."""
    before = _of_this_node.set(True)
    try:
        yield
    finally:
        _of_this_node.reset(before)


def is_of_this_node() -> bool:
    """Whether what is asked here is about this node as it is."""
    return _of_this_node.get()


@contextmanager
def as_request(name: bytes) -> Iterator[None]:
    """Have the commands that are made here go by ids that follow from a name: asked again, they are done once.

    The name says who asks and which request it is; 32 bytes of a hash, say.
    """
    before = _request.set(_Request(name))
    try:
        yield
    finally:
        _request.reset(before)


def reads_confirm() -> bool:
    """Whether a read here has to wait for what was acknowledged elsewhere."""
    return _confirms.get()


def new_command_id() -> bytes:
    """The id of the next command: chance, unless the request has a name."""
    request = _request.get()
    if request is None:
        return urandom(ID_BYTES)
    return _id_of(request.name, next(request.numbers))


def first_id(name: bytes) -> bytes:
    """The id of the first command of a request with that name."""
    return _id_of(name, 0)


def _id_of(name: bytes, number: int) -> bytes:
    return sha256(name + number.to_bytes(8, "little")).digest()[:ID_BYTES]
