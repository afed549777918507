"""What comes back may be anything: it is an answer, an error of ours, or one that says that it makes no sense."""

from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import blockdb
from blockdb.client.exchange import Reply
from blockdb.client.plans.plan import Ask
from blockdb.client.plans.proofs import parsed
from blockdb.client.wiring import MSGPACK, Frames, answer_of
from blockdb.ledger.range_receipt import RangeReceipt
from blockdb.ledger.receipt import Receipt, RunReceipt
from blockdb.wire.messages.records import Existence
from blockdb.wire.operation import Kind, Nothing
from blockdb.wire.table import BY_NAME

JSON_LIKE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.binary(max_size=9)
    | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=9,
)
BODIES = st.binary(max_size=64) | JSON_LIKE.map(msgspec.msgpack.encode)
NAMES = st.sampled_from(sorted(BY_NAME))
STATUSES = st.sampled_from([200, 201, 204, 400, 401, 404, 409, 500, 503])


def reply(status: int, body: bytes, kind: str = MSGPACK) -> Reply:
    return Reply(status, {"content-type": kind}, body)


@given(NAMES, STATUSES, BODIES, st.sampled_from([MSGPACK, "application/json"]))
def test_no_answer_is_more_than_an_error(name: str, status: int, body: bytes, kind: str) -> None:
    with suppress(blockdb.BlockDBError):
        answer_of(Ask(name, Nothing()), reply(status, body, kind))


@given(
    st.sampled_from([*blockdb.__all__, "Nonsense", "Exception", "dataclass", "Violation"]),
    st.lists(JSON_LIKE, max_size=5),
)
def test_no_error_is_more_than_an_error(kind: str, arguments: list[object]) -> None:
    told = msgspec.msgpack.encode({"kind": kind, "message": "words", "arguments": arguments})
    with pytest.raises(blockdb.BlockDBError):
        answer_of(Ask("get", Nothing()), reply(500, told))


@pytest.mark.torture
@given(st.sampled_from([name for name in BY_NAME if BY_NAME[name].kind is Kind.ANSWERS]), st.lists(BODIES, max_size=4))
def test_no_stream_is_more_than_an_error(name: str, pieces: list[bytes]) -> None:
    frames = Frames(name, 1000)
    with suppress(blockdb.BlockDBError):
        for piece in pieces:
            list(frames.take(len(piece).to_bytes(4, "big") + piece))


def test_frames_are_taken_however_they_are_cut() -> None:
    body = msgspec.msgpack.encode([True, Existence(exists=True)])
    data = (len(body).to_bytes(4, "big") + body) * 3
    for width in range(1, len(data) + 1):
        frames = Frames("exists", 1000)
        found = [each for at in range(0, len(data), width) for each in frames.take(data[at : at + width])]
        assert found == [Existence(exists=True)] * 3
    with pytest.raises(blockdb.Unavailable, match="cannot be understood"):
        list(Frames("exists", 1000).take((1001).to_bytes(4, "big")))


@pytest.mark.torture
@given(st.text(max_size=200) | st.builds("{}\n{}\n\n{}".format, st.sampled_from([Receipt.title]), st.text(), st.text()))
def test_no_receipt_is_more_than_an_error(text: str) -> None:
    for kind in (Receipt, RunReceipt, RangeReceipt):
        with suppress(blockdb.InvalidProof):
            parsed(kind, text)
