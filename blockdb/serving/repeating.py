"""Requests that are like one that came before on the same connection, but for their bodies.

A client that does one thing after the other sends the same head each time, but for the length of the body. An
application that has answered such a request once may offer to answer those that follow without their heads: then
nothing is parsed again, and no task is made. Bytes are compared with bytes that the parser has taken for one whole
request; whatever is different in any way, or does not come in one piece, is parsed like everything else.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from blockdb.serving.connection import Connection

__all__ = ["AGAIN", "Again", "Answered", "Head", "Repeating"]

AGAIN: Final = "blockdb.again"
"""The extension of the scope: a function that takes an `Again`."""

MOST_DIGITS: Final = 12
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *([0-9]+)\r\n", re.IGNORECASE)
_STATUS_LINES: Final = {each: b"HTTP/1.1 %d %s\r\n" % (each, each.phrase.encode()) for each in HTTPStatus}


class Answered(Protocol):
    """Takes the answer, in a later turn of the loop than that in which it was asked for."""

    def __call__(self, status: int, headers: bytes, body: bytes) -> None:
        """`headers` are whole lines. Status 0: nothing was done, and it is to be asked like any other request."""


Again = Callable[[bytes, Answered], bool]
"""Begins to answer a request with a head that is known, by its body; False: it is to be asked like any other."""


class Head(NamedTuple):
    """What stands before and behind the length of the body."""

    prefix: bytes
    suffix: bytes

    @classmethod
    def of(cls, request: bytes) -> Head | None:
        """That of a request which is whole, and good; None where it does not tell a length."""
        end = request.find(b"\r\n\r\n") + 4
        found = _LENGTH.search(request, 0, end)
        if found is None or int(found[1]) != len(request) - end:
            return None
        return cls(request[: found.start(1)], request[found.end(1) : end])

    def body_of(self, data: bytes) -> bytes | None:
        """The body, where this is one whole request with this head. O(bytes of the head)."""
        prefix, suffix = self
        if not data.startswith(prefix):
            return None
        begin = len(prefix)
        at = data.find(b"\r", begin, begin + MOST_DIGITS)
        length = data[begin:at]
        if at < 0 or not length.isdigit() or not data.startswith(suffix, at):
            return None
        at += len(suffix)
        return data[at:] if len(data) - at == int(length) else None


class Repeating:
    """Those of one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._head: Head | None = None
        self._again: Again | None = None
        self._generation = 0
        self.whole: bytes | None = None
        """The request that is being answered, where it came whole and in one piece."""
        self.is_under_way = False
        """Whether one is being answered here."""
        self._asked = self._later = b""
        self._is_last = False

    def remember(self, again: Again) -> None:
        """Have requests with the head of the one that is being answered answered by this."""
        whole, self.whole = self.whole, None
        if whole is not None:
            self._head, self._again = Head.of(whole), again
            self._generation = self._connection.waiting.generation

    def takes(self, data: bytes) -> bool:
        """Whether this is such a request, which is answered here then. Nothing is under way, or half received."""
        connection, head, again = self._connection, self._head, self._again
        if head is None or again is None or connection.cycle.more_body or connection.flow.write_paused:
            return False
        if self._generation != connection.waiting.generation or (body := head.body_of(data)) is None:
            return False
        self._asked = data
        self.is_under_way = again(body, self._answered)
        return self.is_under_way

    def keep(self, data: bytes) -> None:
        """What came before the answer waits for it."""
        self._later += data
        self._connection.flow.pause_reading()

    def end(self) -> None:
        """The connection ends with the answer that is under way."""
        self._is_last = True

    def _answered(self, status: int, headers: bytes, body: bytes) -> None:
        connection = self._connection
        asked, later, self._asked, self._later, self.is_under_way = self._asked, self._later, b"", b"", False
        if connection.transport.is_closing():
            return
        if later:
            connection.flow.resume_reading()
        if not status:
            connection.waiting.heads[connection] = connection.waiting.clock()
            connection.take(asked)
        else:
            closing = b"connection: close\r\n\r\n" if self._is_last else b"\r\n"
            default = [b"%s: %s\r\n" % header for header in connection.server_state.default_headers]
            connection.transport.write(b"".join((_STATUS_LINES[status], *default, headers, closing, body)))  # type: ignore[index]
            connection.server_state.total_requests += 1
            if self._is_last:
                connection.transport.close()
                return
            connection.waiting.idle[connection] = connection.waiting.clock()
        if later:
            connection.data_received(later)
