"""Asking a witness over HTTP, by the standard library. Every wait and every size has its limit."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from threading import Timer
from typing import Final
from urllib.parse import SplitResult, urlsplit

from blockdb.errors import AnchorFailed, HistoryConflict, InvalidData
from blockdb.ledger.checkpoint import parse_size
from blockdb.ledger.cosignature import seen_by
from blockdb.ledger.note import COSIGNATURE, BadNote, Note, Signature, VerifierKey, parse_signatures
from blockdb.witness.protocol import ADD_CHECKPOINT, CHECKPOINT, SIZE_TYPE, encode_submission, log_id, read_checkpoint

TIMEOUT_S: Final = 10.0
MAX_ANSWER_BYTES: Final = 64 * 1024

ProofFrom = Callable[[int], Sequence[bytes]]
"""A consistency proof from a tree of this many records to that of the checkpoint which is submitted."""


@dataclass(frozen=True)
class _Reply:
    status: int
    content_type: str
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")


class _Connection(HTTPConnection):
    """A connection that is hung up on after its time-out as a whole, however lively the other side drips."""

    is_late = False
    _twin: socket.socket | None = None

    def connect(self) -> None:
        """Connect, and let the time run."""
        super().connect()
        self._twin = self.sock.dup()  # it reaches the connection while TLS has the socket for itself, too
        self._timer = Timer(self.timeout or 0, self._hang_up)
        self._timer.daemon = True
        self._timer.start()

    def _hang_up(self) -> None:
        self.is_late = True
        with suppress(OSError):
            if self._twin is not None:
                self._twin.shutdown(socket.SHUT_RDWR)

    def let_go(self) -> None:
        """Close it; `close` itself is called by the library before the answer is read."""
        self.close()
        if self._twin is not None:
            self._timer.cancel()
            self._twin.close()


class _SecureConnection(HTTPSConnection, _Connection):
    """The same with TLS, whose handshake has to be done in time, too."""


_SCHEMES: Final[dict[str, type[_Connection]]] = {"http": _Connection, "https": _SecureConnection}


class WitnessClient:
    """A witness: the URL before `/add-checkpoint`, and the key that its cosignatures are checked with."""

    def __init__(self, url: str, key: VerifierKey, timeout_s: float = TIMEOUT_S) -> None:
        """`timeout_s` is for each request as a whole. Raises InvalidData for a URL or key that is none."""
        if key.type != COSIGNATURE:
            raise InvalidData(f"{key.name} is the key of a log; a witness prints its own when it is made.")
        self.url = url.rstrip("/")
        self.key = key
        self._parts = _split(self.url)
        self._timeout_s = timeout_s

    def submit(self, note: str, proof_from: ProofFrom, cosigned_size: int = 0) -> Signature:
        """Have a signed checkpoint cosigned; `cosigned_size` is that of the last one which it cosigned, if it is known.

        Where it has seen another size it says so, and is asked once more. Raises AnchorFailed where it cannot be
        asked or does not keep to the protocol, and HistoryConflict where it has seen another history.
        """
        parsed = Note.parse(note)
        checkpoint = read_checkpoint(parsed.text)
        size = checkpoint.size
        known_size = min(cosigned_size, size)
        reply = self._add(note, proof_from, known_size)
        if reply.status == 409:
            known_size, before = self._size_in(reply), known_size
            _check_not_set_back(cosigned_size, known_size)
            if known_size > size:
                raise HistoryConflict(f"it has seen {known_size} records, and here are only {size}", known_size)
            if known_size != before:
                reply = self._add(note, proof_from, known_size)
        if reply.status == 409:
            seen = self._size_in(reply)
            same = "another tree of as many records" if seen == size else "more records in the meantime; try again"
            raise HistoryConflict(f"it has seen {same} ({seen})", seen)
        if reply.status == 422:
            raise HistoryConflict(f"the {known_size} records that it has seen are not those that are here", known_size)
        if reply.status in (403, 404):
            told = f"it answers {reply.status}: {_first_line(reply.text)}; its operator has to trust the key and origin"
            raise AnchorFailed(f"{told} (blockdb witness trust DIR VKEY)")
        if reply.status != 200:
            raise AnchorFailed(f"it answers {reply.status}: {_first_line(reply.text)}")
        return self._cosignature(parsed, reply.text)

    def last(self, origin: str, cosigned_size: int = 0) -> Note | None:
        """The last checkpoint of a log that the witness cosigned, if it shows it, as BlockDB's own do.

        Its cosignature is good. Raises AnchorFailed, also where it is not even of `cosigned_size`.
        """
        reply = self._ask("GET", CHECKPOINT + log_id(origin), None)
        if reply.status != 200:
            return None
        with suppress(BadNote):
            note = Note.parse(reply.text)
            checkpoint = read_checkpoint(note.text)
            if checkpoint.origin == origin and seen_by(note.text, note.signatures, [self.key]):
                _check_not_set_back(cosigned_size, checkpoint.size)
                return note
        raise AnchorFailed("the checkpoint that it shows is not signed by it")

    def _add(self, note: str, proof_from: ProofFrom, known_size: int) -> _Reply:
        return self._ask("POST", ADD_CHECKPOINT, encode_submission(known_size, proof_from(known_size), note))

    def _size_in(self, reply: _Reply) -> int:
        try:
            if reply.content_type != SIZE_TYPE or not reply.text.endswith("\n"):
                raise ValueError("no size in it")
            return parse_size(reply.text[:-1])
        except ValueError:
            raise AnchorFailed("it reports a conflict without the size that it has seen") from None

    def _cosignature(self, note: Note, lines: str) -> Signature:
        try:
            for signature in parse_signatures(lines):
                if seen_by(note.text, [signature], [self.key]):
                    return signature
        except BadNote as error:
            raise AnchorFailed(f"its answer is malformed: {error}") from None
        raise AnchorFailed(f"its answer is not signed by {self.key.name}; check the key that was given for it")

    def _ask(self, method: str, path: str, body: bytes | None) -> _Reply:
        """One request. Redirects are refused: whoever answers elsewhere is not who was asked."""
        with self._connection() as connection:
            connection.request(method, self._parts.path + path, body, {"Connection": "close"})
            with connection.getresponse() as response:
                reply = _Reply(response.status, response.headers.get_content_type(), _read(response))
        if 300 <= reply.status < 400:
            raise AnchorFailed("it sends requests elsewhere, which is not followed; give the URL it moved to")
        return reply

    @contextmanager
    def _connection(self) -> Iterator[_Connection]:
        """A connection for one request. Raises AnchorFailed, which says what went wrong."""
        connection = _SCHEMES[self._parts.scheme](self._parts.hostname or "", self._parts.port, timeout=self._timeout_s)
        try:
            yield connection
            if connection.is_late:
                raise TimeoutError
        except (OSError, HTTPException, ValueError) as error:
            if connection.is_late or isinstance(error, TimeoutError):
                raise AnchorFailed(f"no answer within {self._timeout_s:g} seconds") from error
            told = str(getattr(error, "strerror", None) or error) or type(error).__name__
            raise AnchorFailed(f"no answer: {told}") from error
        finally:
            connection.let_go()


def _check_not_set_back(cosigned_size: int, size: int) -> None:
    if size < cosigned_size:
        what = f"it cosigned {cosigned_size} records, and now knows of {size}: an older state of it was put back"
        raise AnchorFailed(f"{what}, and what it says counts for nothing until its operator has explained that")


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - it raises where the port is none
    except ValueError as error:
        raise InvalidData(f"{url!r} is no URL: {error}.") from None
    is_plain = url.isascii() and url.isprintable() and " " not in url
    if parts.scheme not in _SCHEMES or not parts.hostname or not is_plain:
        raise InvalidData(f"{url!r} is no URL of a witness, such as https://witness.example.org.")
    if parts.query or parts.fragment or parts.username is not None:
        raise InvalidData(f"{url!r}: the URL of a witness has no user, no question mark and no number sign.")
    return parts


def _read(response: HTTPResponse) -> bytes:
    body = response.read(MAX_ANSWER_BYTES + 1)
    if len(body) > MAX_ANSWER_BYTES:
        raise HTTPException(f"more than {MAX_ANSWER_BYTES} bytes")
    if response.length:
        raise HTTPException("the answer was cut short")
    return body


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0][:200] or "nothing"
