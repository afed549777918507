"""The bytes of an answer: where it ends, and what it says. Opens nothing.

A BlockDB server says in the head of an answer how long it is, and sends it in a piece or two: such a one is taken apart
here. Whatever else HTTP/1.1 lets a server say, or something between here and there, is left to h11.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import httpcore

from blockdb.client.body import Collector
from blockdb.client.exchange import Reply

if TYPE_CHECKING:
    import h11

__all__ = ["Incoming", "headers_of"]

MAX_HEAD_BYTES: Final = 100 * 1024
MAX_DIGITS: Final = 15
_HEAD: Final = re.compile(
    r"HTTP/1\.1 ([2-5][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?"
    r"((?:\r\n[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*)*)"
)
_OTHERWISE: Final = frozenset(("connection", "transfer-encoding", "upgrade"))
"""Headers with which an answer may end elsewhere than its length says, or the connection with it."""
_WITHOUT_BODY: Final = frozenset(("204", "205", "304"))


class Incoming:
    """One answer, as it comes in. Methods raise httpcore.RemoteProtocolError, and BadBody."""

    def __init__(self, max_bytes: int) -> None:
        """More than `max_bytes` of a body are not taken."""
        self._max_bytes = max_bytes
        self._received = b""
        self._status = 0
        self._headers: dict[str, str] = {}
        self._body: Collector | None = None
        self._left = 0
        self._others: _Others | None = None
        self.is_reusable = False
        """Whether another request may be asked on the connection, once the answer is whole."""

    def take(self, data: bytes) -> Reply | None:
        """The answer, once this was all of it."""
        if self._others is not None:
            return self._by_others(data)
        if self._body is not None:
            return self._more(self._body, data)
        received = self._received + data if self._received else data
        end = received.find(b"\r\n\r\n")
        if end < 0:
            if len(received) > MAX_HEAD_BYTES:
                raise httpcore.RemoteProtocolError("its headers have no end")
            self._received = received
            return None
        if not self._is_plain(received[:end].decode("latin-1")):
            self._others = _Others(self._max_bytes)
            return self._by_others(received)
        self._received = b""
        self._body = Collector(self._headers, self._max_bytes)
        return self._more(self._body, received[end + 4 :])

    def end(self) -> Reply:
        """The answer, which ends with the connection; most do not."""
        if self._others is not None and (reply := self._by_others(b"")) is not None:
            self.is_reusable = False
            return reply
        raise httpcore.RemoteProtocolError("it closed the connection before its answer was whole")

    def _is_plain(self, head: str) -> bool:
        """Whether the head is one that tells where the answer ends, and nothing unusual; it is noted then."""
        found = _HEAD.fullmatch(head)
        if found is None or found[1] in _WITHOUT_BODY:
            return False
        headers: dict[str, str] = {}
        for line in found[2].split("\r\n")[1:]:
            name, _, value = line.partition(":")
            name = name.lower()
            if name in _OTHERWISE or (name == "content-length" and name in headers):
                return False
            headers[name] = value.strip(" \t")
        length = headers.get("content-length", "")
        if not length.isdecimal() or len(length) > MAX_DIGITS:
            return False
        self._status, self._headers, self._left = int(found[1]), headers, int(length)
        return True

    def _more(self, body: Collector, data: bytes) -> Reply | None:
        self._left -= len(data)
        body.add(data if self._left >= 0 else data[: self._left])
        if self._left > 0:
            return None
        self.is_reusable = not self._left  # more would be the answer to nothing
        return Reply(self._status, self._headers, body.done())

    def _by_others(self, data: bytes) -> Reply | None:
        assert self._others is not None, "the answer is not a plain one"
        reply = self._others.take(data)
        self.is_reusable = reply is not None and self._others.is_reusable
        return reply


class _Others:
    """An answer that is out of the ordinary, by h11."""

    def __init__(self, max_bytes: int) -> None:
        import h11  # here: nearly no answer takes it

        self._max_bytes = max_bytes
        self._connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._connection.send(h11.Request(method="POST", target="/", headers=[("host", "")]))
        self._connection.send(h11.EndOfMessage())
        self._response: h11.Response | None = None
        self._body: Collector | None = None

    def take(self, data: bytes) -> Reply | None:
        """The answer, once this was all of it; without any data, the connection has ended."""
        import h11

        try:
            self._connection.receive_data(data)
            while True:
                event = self._connection.next_event()
                if isinstance(event, h11.Response):
                    self._response = event
                    self._body = Collector(headers_of(event.headers.raw_items()), self._max_bytes)
                elif isinstance(event, h11.Data) and self._body is not None:
                    self._body.add(bytes(event.data))
                elif isinstance(event, h11.EndOfMessage) and self._response is not None and self._body is not None:
                    headers = headers_of(self._response.headers.raw_items())
                    return Reply(self._response.status_code, headers, self._body.done())
                elif not isinstance(event, h11.InformationalResponse):
                    return None
        except h11.RemoteProtocolError as error:
            raise httpcore.RemoteProtocolError(str(error)) from None

    @property
    def is_reusable(self) -> bool:
        """Whether the connection goes on behind the answer."""
        import h11

        states = (self._connection.our_state, self._connection.their_state)
        return states == (h11.DONE, h11.DONE) and not self._connection.trailing_data[0]


def headers_of(raw: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers by their names in lower case; of several of one name, the last."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in raw}
