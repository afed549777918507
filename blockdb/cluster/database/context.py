"""What a request brings along for the database of a cluster: how its reads are to be, and its name.

with reading("Local"):              reads are answered from what this node has applied so far
with already_confirmed():           somebody has waited for `confirmed()` before: reads need not (in partitions they do)
with as_request(name):              the commands of a request that comes again have the same ids again
with passed_on():                   another node has passed the request on: it is answered here, or not at all
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
    "concern",
    "first_id",
    "is_of_this_node",
    "is_passed_on",
    "new_command_id",
    "new_command_ids",
    "of_this_node",
    "passed_on",
    "reading",
    "reads_confirm",
    "request_key",
    "request_of_key",
]

LINEARIZABLE: Final = "Linearizable"

_confirms: ContextVar[bool] = ContextVar("confirms", default=True)
_concern: ContextVar[str] = ContextVar("concern", default=LINEARIZABLE)
_of_this_node: ContextVar[bool] = ContextVar("of_this_node", default=False)
_is_passed_on: ContextVar[bool] = ContextVar("is_passed_on", default=False)


class _Request:
    """A request with a name, and how many commands it has made."""

    def __init__(self, name: bytes, first: int) -> None:
        self.name = name
        self.numbers = count(first)


_request: ContextVar[_Request | None] = ContextVar("request", default=None)


@contextmanager
def reading(level: str) -> Iterator[None]:
    """Have reads be `Linearizable` (they see all that was acknowledged before) or `Local`. Raises InvalidData."""
    if level not in READ_CONCERNS:
        raise InvalidData(f"read_concern: it should be one of {', '.join(READ_CONCERNS)}, not {level!r}.")
    before, concern_before = _confirms.set(level == LINEARIZABLE), _concern.set(level)
    try:
        yield
    finally:
        _confirms.reset(before)
        _concern.reset(concern_before)


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
def passed_on() -> Iterator[None]:
    """Have what is asked be answered by this node, and passed on to no other: somebody has done that already."""
    before = _is_passed_on.set(True)
    try:
        yield
    finally:
        _is_passed_on.reset(before)


def is_passed_on() -> bool:
    """Whether another node has passed on what is asked here."""
    return _is_passed_on.get()


@contextmanager
def as_request(name: bytes, first: int = 0) -> Iterator[None]:
    """Have the commands that are made here go by ids that follow from a name: asked again, they are done once.

    The name says who asks and which request it is; 32 bytes of a hash, say. Commands before number `first` were made
    elsewhere.
    """
    before = _request.set(_Request(name, first))
    try:
        yield
    finally:
        _request.reset(before)


def reads_confirm() -> bool:
    """Whether a read here has to wait for what was acknowledged elsewhere."""
    return _confirms.get()


def concern() -> str:
    """How reads here are to be: `Linearizable` or `Local`, whatever was waited for already."""
    return _concern.get()


def new_command_id() -> bytes:
    """The id of the next command: chance, unless the request has a name."""
    return new_command_ids(1)[0]


def new_command_ids(count: int) -> list[bytes]:
    """The ids of the next commands; of all of them, chance is asked for once."""
    request = _request.get()
    if request is not None:
        return [_id_of(request.name, next(request.numbers)) for _ in range(count)]
    chance = urandom(count * ID_BYTES)
    return [chance[at : at + ID_BYTES] for at in range(0, len(chance), ID_BYTES)]


def request_key() -> str | None:
    """The key under which another node is asked for the next command of the request; None: the request has no name.

    The command has the same id there as it would have here.
    """
    request = _request.get()
    return None if request is None else f"{request.name.hex()}-{next(request.numbers)}"


def request_of_key(key: str) -> tuple[bytes, int]:
    """The name of a request, and the number of its next command, out of such a key. Raises InvalidData."""
    name, _, number = key.partition("-")
    try:
        return bytes.fromhex(name), int(number)
    except ValueError:
        raise InvalidData(f"The Idempotency-Key {key!r} is none that a node gives.") from None


def first_id(name: bytes) -> bytes:
    """The id of the first command of a request with that name."""
    return _id_of(name, 0)


def _id_of(name: bytes, number: int) -> bytes:
    return sha256(name + number.to_bytes(8, "little")).digest()[:ID_BYTES]
