"""The two doors agree: what a handler is asked, and what it answers, is the same over HTTP and over gRPC."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import grpc
import msgspec
import msgspec.inspect as inspect
import pytest

from blockdb.errors import BlockDBError
from blockdb.server.gathering import Gatherer
from blockdb.server.grpc.catalogue import SERVICE, Offer, catalogue
from blockdb.server.http.application import Application
from blockdb.wire.operation import Kind, Operation
from tests.server.asgi import Asker, path_of
from tests.server.grpc.conftest import Running

MSGPACK = "application/msgpack"


class Chance:
    """Values of types, by chance."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def value(self, kind: inspect.Type, name: str = "") -> Any:
        choose = self._random
        match kind:
            case inspect.Metadata():
                return self.value(kind.type, name)
            case inspect.BoolType():
                return choose.random() < 0.5
            case inspect.IntType():
                return choose.randrange(1, 100 if name == "batch_size" else 2**40)
            case inspect.FloatType():
                return choose.random()
            case inspect.StrType():
                return "default" if name == "collection" else f"ü{choose.randrange(100)}"
            case inspect.BytesType():
                return b"\xff/" + choose.randbytes(3)
            case inspect.LiteralType():
                return choose.choice(kind.values)
            case inspect.UnionType():
                return self.value(choose.choice(kind.types), name)
            case inspect.ListType() | inspect.VarTupleType():
                return [self.value(kind.item_type) for _ in range(choose.randrange(1, 3))]
            case inspect.DictType():
                return {f"k{each}": self.value(kind.value_type) for each in range(choose.randrange(3))}
            case inspect.StructType() | inspect.DataclassType():
                return self.struct(kind.cls)
            case inspect.AnyType() | inspect.CustomType():
                return choose.choice([None, True, 3, 0.5, "x", [1, {"a": None}], {"b": ["c"]}])
        return None

    def struct(self, cls: type) -> Any:
        info: Any = inspect.type_info(cls)
        fields = {field.name: self.value(field.type, field.name) for field in info.fields}
        try:
            return msgspec.convert(fields, cls, builtin_types=(bytes,))
        except (BlockDBError, msgspec.ValidationError):  # settings, which have limits
            return cls()


def frames(data: bytes) -> Iterator[bytes]:
    while data:
        length = 4 + int.from_bytes(data[:4], "big")
        yield data[4:length]
        data = data[length:]


def text_of(value: Any) -> bytes:
    """As a parameter of a query or a path."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, list):
        return ",".join(value).encode()
    return (str(value).lower() if isinstance(value, bool) else str(value)).encode()


def over_http(asker: Asker, operation: Operation, request: Any) -> list[Any]:
    fields = {name: getattr(request, name) for name in request.__struct_fields__}
    path = path_of(operation, {name: text_of(fields.pop(name)) for name in operation.parameters})
    headers = {"accept": MSGPACK, "content-type": MSGPACK}
    query: dict[str, bytes | str] = {}
    body = b""
    if operation.kind is Kind.REQUESTS:
        items = msgspec.msgpack.encode(fields.pop("items"))
        body = len(items).to_bytes(4, "big") + items
    if operation.has_body and not body:
        body = msgspec.msgpack.encode(fields)
    else:
        query = {name: text_of(value) for name, value in fields.items() if value is not None}
    status, answer = asker.ask(operation.method, path, query, body, headers)
    assert status == operation.status or operation.is_monitoring, answer
    if operation.kind is Kind.BYTES:
        return [answer]
    if operation.kind is Kind.ANSWERS:
        told = [msgspec.msgpack.decode(frame, type=tuple[bool, operation.answer]) for frame in frames(answer)]
        return [each for _, each in told]
    return [msgspec.msgpack.decode(answer, type=operation.answer)]


def over_grpc(channel: grpc.Channel, offer: Offer, request: Any) -> list[Any]:
    convert, operation = catalogue().converter, offer.operation
    kind = ("stream" if offer.method.has_requests else "unary") + ("_stream" if offer.method.has_answers else "_unary")
    call = getattr(channel, kind)(f"/{SERVICE}/{offer.method.name}")
    message = convert.to_message(request).SerializeToString()
    answer = call(iter([message]) if offer.method.has_requests else message, timeout=20)
    told = [
        convert.from_message(convert.message_class(operation.answer).FromString(each), operation.answer)
        for each in (answer if offer.method.has_answers else [answer])
    ]
    return [b"".join(each.data for each in told)] if operation.kind is Kind.BYTES else told


@pytest.fixture(scope="module")
def asker(running: Running) -> Iterator[Asker]:
    application = Application(running.service)
    asker = Asker(application)
    yield asker
    asker.close()
    application.close()


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.torture) for seed in range(2, 40))])
def test_the_doors_agree(running: Running, asker: Asker, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    chance = Chance(seed)
    seen: list[Any] = []
    answers: list[Any] = []

    def handler(operation: Operation) -> Any:
        def handle(_: Any, request: Any) -> Any:
            seen.append(
                [item for each in request for item in each.items] if operation.kind is Kind.REQUESTS else request
            )
            return answers[0] if operation.kind in (Kind.PLAIN, Kind.REQUESTS) else iter(answers)

        return handle

    offers = [offer for offer in catalogue().offers if offer.cursor_field is None]
    monkeypatch.setattr(
        running.service, "_handlers", {offer.operation.name: handler(offer.operation) for offer in offers}
    )
    monkeypatch.setattr(Gatherer, "takes", lambda *_: False)  # which stores records without asking their handlers
    for offer in offers:
        operation = offer.operation
        request = chance.struct(operation.request)
        is_one = operation.kind in (Kind.PLAIN, Kind.REQUESTS)
        answers[:] = [chance.struct(operation.answer) for _ in range(1 if is_one else 3)]
        wanted = [b"".join(each.data for each in answers)] if operation.kind is Kind.BYTES else answers
        assert over_http(asker, operation, request) == wanted, operation.name
        assert over_grpc(running.channel, offer, request) == wanted, operation.name
        assert seen[-1] == seen[-2], operation.name
        assert operation.kind is Kind.REQUESTS or seen[-1] == request, operation.name
