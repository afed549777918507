"""What both transports share: how a request is put, and what an exception of the HTTP library means. Opens nothing."""

from __future__ import annotations

import os
import ssl
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Final

import httpcore
from zstandard import ZstdCompressor

from blockdb.client.addresses import Node
from blockdb.client.body import BadBody
from blockdb.client.exchange import Asked, Attempt, Failure
from blockdb.client.policy import Policy
from blockdb.errors import ConfigError, InvalidData

__all__ = ["FAILURES", "Identity", "failure_of", "headers_of", "request_of", "tls_context"]

TOKEN_VARIABLE: Final = "BLOCKDB_TOKEN"
KEEPALIVE_S: Final = 30.0
SMALL_BYTES: Final = 1024
"""What is no larger is not compressed."""

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
    return context


def request_of(attempt: Attempt, identity: Identity, policy: Policy) -> httpcore.Request:
    """The request as the library takes it."""
    node, asked, body = attempt.node, attempt.asked, attempt.asked.body
    is_packed = asked.is_packable and (not node.is_near if policy.compression is None else policy.compression)
    packing = [("accept-encoding", "gzip" if is_packed else "identity")]
    if is_packed and body is not None and len(body) > SMALL_BYTES:
        body = ZstdCompressor(write_content_size=True).compress(body)
        packing.append(("content-encoding", "zstd"))
    url = httpcore.URL(
        scheme=node.scheme.encode(), host=node.host.encode(), port=node.port, target=(node.root + asked.target).encode()
    )
    concern = () if policy.read_concern is None else (("read-concern", policy.read_concern),)
    length = () if body is None else (("content-length", str(len(body))),)
    headers = [("host", _authority(node)), *identity.headers, *asked.headers, *concern, *packing, *length]
    return httpcore.Request(
        asked.method,
        url,
        headers=[(name.encode(), value.encode()) for name, value in headers],
        content=body,
        extensions={"timeout": _timeouts(asked, policy)},
    )


def _timeouts(asked: Asked, policy: Policy) -> dict[str, float | None]:
    silence_s = None if asked.may_be_silent else policy.read_timeout_s
    patience_s = min(policy.connect_timeout_s, policy.timeout_s)
    return {"connect": patience_s, "pool": policy.timeout_s, "read": silence_s, "write": policy.read_timeout_s}


def _authority(node: Node) -> str:
    return str(node).partition("://")[2].removesuffix(node.root)


def headers_of(raw: Collection[tuple[bytes, bytes]]) -> Mapping[str, str]:
    """Headers by their names in lower case; of several of one name, the last."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in raw}


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
    """What an exception says, without the token or anything else that was sent: h11 quotes no request."""
    cause = error if error.__cause__ is None else error.__cause__
    return (getattr(cause, "strerror", None) or str(cause) or type(error).__name__)[:200]
