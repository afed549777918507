"""What both transports share: how a request is put, and what an exception of the HTTP library means. Opens nothing."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

import httpcore
from zstandard import ZstdCompressor

from blockdb.client.addresses import Node
from blockdb.client.body import BadBody
from blockdb.client.exchange import Asked, Attempt, Failure
from blockdb.client.policy import Policy
from blockdb.errors import ConfigError, InvalidData

__all__ = ["FAILURES", "Identity", "Writer", "failure_of", "patience_s", "silence_s", "tls_context"]

TOKEN_VARIABLE: Final = "BLOCKDB_TOKEN"
KEEPALIVE_S: Final = 30.0
SMALL_BYTES: Final = 1024
"""What is no larger is not compressed."""
MOST_KINDS: Final = 100

Fields = tuple[tuple[str, str], ...]
_Kind = tuple[Node, Fields, Fields]
"""Requests with the same headers: to whom they go, what is asked, and how it is packed."""

_UNPACKED: Final[Fields] = (("accept-encoding", "identity"),)
_PACKED_ANSWER: Final[Fields] = (("accept-encoding", "gzip"),)
_PACKED: Final[Fields] = (("accept-encoding", "gzip"), ("content-encoding", "zstd"))
_is_target: Final = re.compile(r"[A-Z]+ [!-~]+").fullmatch

FAILURES: Final = (
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.TimeoutException,
    httpcore.UnsupportedProtocol,
    BadBody,
    OSError,
)
"""What an attempt may end with, besides an answer."""


class Identity:
    """Who is asking: a token, which is shown nowhere."""

    def __init__(self, token: str | None) -> None:
        """The token that is given, else that in BLOCKDB_TOKEN, else none. Raises InvalidData for what can be none."""
        found: object = os.environ.get(TOKEN_VARIABLE, "") if token is None else token
        if not isinstance(found, str) or not found.isascii() or not found.strip().isprintable():
            raise InvalidData("The token is no text of printable ASCII characters; it looks like bdb_0a1b2c_…")
        self._token = found.strip()

    def __repr__(self) -> str:
        return f"<Identity, {'with a token' if self._token else 'anonymous'}>"

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """What goes with each request."""
        return (("authorization", f"Bearer {self._token}"),) if self._token else ()


def tls_context(
    ca_file: str | Path | None = None,
    certificate: tuple[str | Path, str | Path] | None = None,
    nodes: Collection[Node] | None = None,
) -> ssl.SSLContext:
    """How a server's certificate is checked, and which one (its file and that of its key) is shown to it.

    Where none of `nodes` is asked over TLS, nobody is trusted: reading the system's authorities takes 30 ms.
    Raises ConfigError.
    """
    is_needed = nodes is None or ca_file is not None or any(node.scheme == "https" for node in nodes)
    try:
        if is_needed:
            context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
        else:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if certificate is not None:
            context.load_cert_chain(*map(str, certificate))
    except (OSError, TypeError, ValueError) as error:
        raise ConfigError(f"ca_file and certificate: they cannot be used: {error}.") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


class Writer:
    """Writes requests. What is the same each time is written once."""

    def __init__(self, identity: Identity, policy: Policy) -> None:
        self._identity = identity
        self._policy = policy
        self._heads: dict[_Kind, bytes] = {}

    def written(self, attempt: Attempt) -> bytes:
        """The request, as it goes over the wire. Raises httpcore.LocalProtocolError for what cannot be sent."""
        asked = attempt.asked
        body, packing = self._packed(attempt)
        kind = attempt.node, asked.headers, packing
        head = self._heads.get(kind) or self._head(kind)
        target = f"{asked.method} {attempt.node.root}{asked.target}"
        if not _is_target(target):
            raise httpcore.LocalProtocolError("its path or its query has characters that cannot stand there")
        key = "" if asked.key is None else f"idempotency-key: {_good(asked.key)}\r\n"
        length = "" if body is None else f"content-length: {len(body)}\r\n"
        return b"%s HTTP/1.1\r\n%s%s\r\n%s" % (target.encode(), head, f"{key}{length}".encode(), body or b"")

    def request(self, attempt: Attempt) -> httpcore.Request:
        """The request as the library takes it."""
        node, asked = attempt.node, attempt.asked
        body, packing = self._packed(attempt)
        target = (node.root + asked.target).encode()
        url = httpcore.URL(scheme=node.scheme.encode(), host=node.host.encode(), port=node.port, target=target)
        key = () if asked.key is None else (("idempotency-key", asked.key),)
        length = () if body is None else (("content-length", str(len(body))),)
        headers = [*self._fields((node, asked.headers, packing)), *key, *length]
        return httpcore.Request(
            asked.method,
            url,
            headers=[(name.encode(), value.encode()) for name, value in headers],
            content=body,
            extensions={"timeout": _timeouts(asked, self._policy)},
        )

    def _packed(self, attempt: Attempt) -> tuple[bytes | None, Fields]:
        """The body as it is sent, and what says so."""
        asked, body, policy = attempt.asked, attempt.asked.body, self._policy
        if (
            not asked.is_packable
            or policy.compression is False
            or (policy.compression is None and attempt.node.is_near)
        ):
            return body, _UNPACKED
        if body is None or len(body) <= SMALL_BYTES:
            return body, _PACKED_ANSWER
        return ZstdCompressor(write_content_size=True).compress(body), _PACKED

    def _fields(self, kind: _Kind) -> Fields:
        """What is the same for all requests of a kind."""
        node, headers, packing = kind
        concern = () if self._policy.read_concern is None else (("read-concern", self._policy.read_concern),)
        return ("host", _authority(node)), *self._identity.headers, *headers, *concern, *packing

    def _head(self, kind: _Kind) -> bytes:
        if len(self._heads) >= MOST_KINDS:
            self._heads.clear()
        head = "".join(f"{name}: {_good(value)}\r\n" for name, value in self._fields(kind)).encode()
        self._heads[kind] = head
        return head


def _good(value: str) -> str:
    """A value of a header. Raises httpcore.LocalProtocolError for what can be none."""
    if not value.isprintable() or value != value.strip():
        raise httpcore.LocalProtocolError("a header has characters that cannot stand there")
    return value


def _timeouts(asked: Asked, policy: Policy) -> dict[str, float | None]:
    return {
        "connect": patience_s(policy),
        "pool": policy.timeout_s,
        "read": silence_s(asked, policy),
        "write": policy.read_timeout_s,
    }


def silence_s(asked: Asked, policy: Policy) -> float | None:
    """For how many seconds a server may be silent; None: for ever."""
    return None if asked.may_be_silent else policy.read_timeout_s


def patience_s(policy: Policy) -> float:
    """How many seconds it may take to connect."""
    return min(policy.connect_timeout_s, policy.timeout_s)


def _authority(node: Node) -> str:
    return str(node).partition("://")[2].removesuffix(node.root)


def failure_of(error: Exception) -> Failure:
    """What an exception means."""
    if isinstance(error, BadBody):
        return Failure(f"its answer cannot be taken: {error}", was_sent=True, is_lasting=True)
    if isinstance(error, httpcore.ConnectTimeout | httpcore.PoolTimeout):
        return Failure("no connection in time", is_late=True)
    if isinstance(error, httpcore.ConnectError):
        return _unconnected(error)
    if isinstance(error, httpcore.TimeoutException | TimeoutError):
        return Failure("no answer in time", was_sent=True, is_late=True)
    if isinstance(error, httpcore.LocalProtocolError | httpcore.UnsupportedProtocol):
        return Failure(f"the request cannot be sent: {_words(error)}", is_lasting=True)
    return Failure(f"it hung up ({_words(error)})", was_sent=True)


def _unconnected(error: httpcore.ConnectError) -> Failure:
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Failure(f"its certificate is not good: {cause.verify_message}", is_lasting=True)
    for cause in causes:
        if isinstance(cause, ssl.SSLError):
            return Failure(f"no TLS with it: {cause.reason or str(cause)}", is_lasting=True)
    return Failure(f"no connection ({_words(error)})")


def _causes(error: BaseException) -> Iterator[BaseException]:
    at: BaseException | None = error
    while at is not None:
        yield at
        at = at.__context__ if at.__cause__ is None else at.__cause__


def _words(error: Exception) -> str:
    """What an exception says, without the token or anything else that was sent: the libraries quote no request."""
    cause = error if error.__cause__ is None else error.__cause__
    return (getattr(cause, "strerror", None) or str(cause) or type(error).__name__)[:200]
