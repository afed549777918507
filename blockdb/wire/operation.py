"""What an operation is: declared once; doors, client, documentation and authorization follow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from msgspec import Struct

from blockdb.security.roles import Reach, Right

__all__ = ["DEFAULT_COLLECTION", "Kind", "Message", "Nothing", "Operation"]

DEFAULT_COLLECTION: Final = "default"


class Message(Struct, kw_only=True, forbid_unknown_fields=True):
    """A request or an answer. Fields may be appended, and never moved: their order gives their numbers in gRPC."""


class Nothing(Message, kw_only=True):
    """A request that says nothing more, or an answer that there is nothing to say to."""


class Kind(Enum):
    """How many requests and answers there are."""

    PLAIN = "one request, one answer"
    ANSWERS = "one request, a stream of answers"
    REQUESTS = "a stream of requests, one answer"
    BYTES = "one request, a stream of bytes"


ReachOf = Callable[[Any], "Reach | None"]
"""What a request touches; None: nothing that belongs to somebody, so that whoever has the right may ask."""


@dataclass(frozen=True, eq=False)
class Operation:
    """Something that can be asked of a server.

    `path` is a template, whose last parameter may hold slashes; what stands neither in it nor in the body of a POST or
    PUT is taken from the query. `answer` is of one answer where there is a stream of them; `request` likewise.
    """

    name: str
    method: str
    path: str
    right: Right | None
    """What one has to be allowed; None: everybody may ask, also who does not say who they are."""
    reach: ReachOf
    request: type[Message]
    answer: type[Message]
    summary: str
    status: int = 200
    kind: Kind = Kind.PLAIN
    is_quick: bool = False
    """Whether it is done before a thread could be woken for it, unless it has to wait for the disk."""
    is_long: bool = False
    """Whether it may take as long as it takes; others have the time that `request_timeout` says."""
    is_plain: bool = False
    """Whether the answer is the whole JSON body, with no `success` beside it."""
    is_monitoring: bool = False
    """Whether it is asked by those who watch over the server, also while everything else has to wait."""
    is_rest: bool = False
    """Whether it is for HTTP alone: other doors have the same under another name."""
    errors: tuple[str, ...] = ()
    """Kinds of errors that it may answer with besides those that any may."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names in the path."""
        return tuple(part[1:-1] for part in self.path.split("/") if part.startswith("{"))

    @property
    def has_body(self) -> bool:
        """Whether the rest of the request stands in a body."""
        return self.method in ("POST", "PUT")
