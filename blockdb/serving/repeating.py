"""Requests that are like one that came before on the same connection, but for their bodies.

A client that does one thing after the other sends the same head each time, but for the length of the body, and for the
key under which it is done once, where there is one. An application that has answered such a request once may offer to
answer those that follow without their heads: then nothing is parsed again, and no task is made. Bytes are compared with
bytes that the parser has taken for one whole request; whatever is different in any other way, or does not come in one
piece, is parsed like everything else. A few heads are known of each connection, for who does several things in turn.
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

MOST_HEADS: Final = 4
MOST_DIGITS: Final = 12
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *([0-9]+)\r\n", re.IGNORECASE)
_KEYS: Final = re.compile(rb"\r\nidempotency-key[^\r]*", re.IGNORECASE)
_KEY: Final = re.compile(rb"\r\nidempotency-key: *([!-~]{1,255})", re.IGNORECASE)
_is_key: Final = re.compile(rb"[!-~]{1,255}").fullmatch
"""What each parser takes for a value, as it is."""
_STATUS_LINES: Final = {each: b"HTTP/1.1 %d %s\r\n" % (each, each.phrase.encode()) for each in HTTPStatus}


class Answered(Protocol):
    """Takes the answer, in a later turn of the loop than that in which it was asked for."""

    def __call__(self, status: int, headers: bytes, body: bytes) -> None:
        """`headers` are whole lines."""


Again = Callable[[bytes, bytes | None, Answered], bool]
"""Begins to answer a request with a head that is known, by its body and Idempotency-Key, where the head has one; False:
it is to be asked like any other."""


class Head(NamedTuple):
    """What stands before, between and behind the length of the body and the Idempotency-Key, if there is one."""

    begin: bytes
    others: tuple[bytes, ...]
    key_at: int | None
    """Whether the key stands behind the first of these parts (0) or the second."""

    @classmethod
    def of(cls, request: bytes) -> Head | None:
        """That of a request which is whole, and good; None where it does not tell a length, or has no plain key."""
        end = request.find(b"\r\n\r\n") + 4
        length = _LENGTH.search(request, 0, end)
        if length is None or int(length[1]) != len(request) - end:
            return None
        holes, key_at = [length.span(1)], None
        if keys := _KEYS.findall(request, 0, end):
            key = _KEY.search(request, 0, end)
            if len(keys) > 1 or key is None or key[0] != keys[0]:
                return None
            holes = sorted([*holes, key.span(1)])
            key_at = holes.index(key.span(1))
        ends = [*(begin for begin, _ in holes[1:]), end]
        others = tuple(request[end:begin] for (_, end), begin in zip(holes, ends, strict=True))
        return cls(request[: holes[0][0]], others, key_at)

    def found_in(self, data: bytes) -> tuple[bytes, bytes | None] | None:
        """Body and key, where this is one whole request with this head. O(bytes of the head)."""
        begin, others, key_at = self
        if not data.startswith(begin):
            return None
        at, key, length = len(begin), None, b""
        for number, other in enumerate(others):
            end = data.find(b"\r", at)
            if end < 0 or not data.startswith(other, end):
                return None
            if number == key_at:
                key = data[at:end]
            else:
                length = data[at:end]
            at = end + len(other)
        if not length.isdigit() or len(length) > MOST_DIGITS or len(data) - at != int(length):
            return None
        return None if key is not None and _is_key(key) is None else (data[at:], key)


class Repeating:
    """Those of one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: list[tuple[Head, Again]] = []
        self._generation = 0
        self.whole: bytes | None = None
        """The request that is being answered, where it came whole and in one piece."""
        self.is_under_way = False
        """Whether one is being answered here."""
        self._later = b""
        self._is_last = False

    def remember(self, again: Again) -> None:
        """Have requests with the head of the one that is being answered answered by this."""
        whole, self.whole = self.whole, None
        if whole is None or (head := Head.of(whole)) is None:
            return
        generation = self._connection.waiting.generation
        others = [known for known in self._known if known[0] != head] if generation == self._generation else []
        self._known = [(head, again), *others[: MOST_HEADS - 1]]
        self._generation = generation

    def takes(self, data: bytes) -> bool:
        """Whether this is such a request, which is answered here then. Nothing is under way, or half received."""
        connection = self._connection
        if not self._known or connection.cycle.more_body or connection.flow.write_paused:
            return False
        if self._generation != connection.waiting.generation:
            return False
        for head, again in self._known:
            if (found := head.found_in(data)) is not None:
                body, key = found
                if len(data) - len(body) > connection.waiting.limits.max_header_bytes:
                    return False
                self.is_under_way = again(body, key, self._answered)
                return self.is_under_way
        return False

    def keep(self, data: bytes) -> None:
        """What came before the answer waits for it."""
        self._later += data
        self._connection.flow.pause_reading()

    def end(self) -> None:
        """The connection ends with the answer that is under way."""
        self._is_last = True

    def _answered(self, status: int, headers: bytes, body: bytes) -> None:
        connection = self._connection
        later, self._later, self.is_under_way = self._later, b"", False
        if connection.transport.is_closing():
            return
        if later:
            connection.flow.resume_reading()
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
