"""What is in the frames: MessagePack, each body of one type, and nothing that is not of that type is taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, TypeVar, cast

import msgspec

from blockdb.errors import BlockDBError, ConfigError, Forbidden, InvalidData, Unavailable
from blockdb.format.peer_frame import BadFrame
from blockdb.raft.messages import Message, SnapshotHead

__all__ = ["OLDEST_PROTOCOL", "PROTOCOL", "Answer", "Ask", "End", "Hello", "Purpose", "Welcome", "decode", "encode"]

PROTOCOL: Final = 1
"""What is said in frames, and when."""
OLDEST_PROTOCOL: Final = 1
"""The oldest protocol that is still spoken."""

Purpose = Literal["messages", "ask", "snapshot"]


class Hello(msgspec.Struct, frozen=True, array_like=True):
    """The first thing that is said on a connection, by who made it."""

    protocol: int
    oldest_protocol: int
    cluster: str
    """Empty from a node that asks since it does not know."""
    sender: str
    receiver: str
    """Whom it wants to talk to; empty from who knows an address only."""
    purpose: Purpose
    incarnation: int
    """A number that the sender has drawn when it began: another one is another process."""


class Welcome(msgspec.Struct, frozen=True, array_like=True):
    """The answer to that."""

    protocol: int
    """The newest one that both speak."""
    cluster: str
    node: str
    incarnation: int


class Ask(msgspec.Struct, frozen=True, array_like=True):
    """A question that is not one of consensus."""

    number: int
    name: str
    body: bytes


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """The answer to a question, or why there is none."""

    number: int
    body: bytes = b""
    error: str = ""
    """The class of what was raised; empty: nothing was."""
    words: str = ""


class End(msgspec.Struct, frozen=True, array_like=True):
    """What a snapshot was."""

    size_bytes: int
    sha256: bytes


ONE_MESSAGE: Final = b"\x91"
"""With what the body of a single message begins: an array of one."""

T = TypeVar("T", Hello, Welcome, Ask, Answer, End, SnapshotHead, str)

_encoder: Final = msgspec.msgpack.Encoder()
_decoders: Final[dict[type, object]] = {
    type_: msgspec.msgpack.Decoder(type_) for type_ in (Hello, Welcome, Ask, Answer, End, SnapshotHead, str)
}
_messages_decoder: Final = msgspec.msgpack.Decoder(list[Message])
_HANDED_OVER: Final[dict[str, type[BlockDBError]]] = {
    error.__name__: error for error in (ConfigError, Forbidden, InvalidData)
}


def encode(body: object) -> bytes:
    """A body, or one message of a body with several."""
    return _encoder.encode(body)


def decode(type_: type[T], body: bytes) -> T:
    """A body of a type. Raises BadFrame."""
    decoder = cast("msgspec.msgpack.Decoder[T]", _decoders[type_])
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadFrame(f"a frame does not hold what it should: {error}") from None


def encode_batch(messages: Sequence[bytes]) -> bytes:
    """The body that holds messages which `encode` gave."""
    return _encoder.encode([msgspec.Raw(message) for message in messages])


def decode_batch(body: bytes) -> list[Message]:
    """The messages of a body. Raises BadFrame."""
    try:
        return _messages_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadFrame(f"a message is none that this node knows: {error}") from None


def answer_of_error(number: int, error: BaseException) -> Answer:
    """What to answer where answering failed. Of errors that are not ours no words go out."""
    if isinstance(error, BlockDBError):
        return Answer(number, b"", type(error).__name__, str(error))
    return Answer(number, b"", "Internal", "The node failed to answer; its log says why.")


def body_of(answer: Answer) -> bytes:
    """What was answered. Raises what the other node raised, or Unavailable in place of that."""
    if answer.error:
        raise _HANDED_OVER.get(answer.error, Unavailable)(answer.words)
    return answer.body
