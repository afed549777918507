"""The service in gRPC's words: a method for each operation of the table, and the messages that they take and give."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from blockdb.server.grpc.conversion import Converter
from blockdb.server.grpc.descriptors import file_descriptor, pool_of
from blockdb.statistics import Statistics
from blockdb.wire.operation import Kind, Operation
from blockdb.wire.proto_text import proto_text
from blockdb.wire.protobuf import Method, Vocabulary, camel, describe
from blockdb.wire.table import BY_NAME, OPERATIONS

__all__ = ["FILE", "PACKAGE", "SERVICE", "Catalogue", "Offer", "catalogue"]

PACKAGE: Final = "blockdb.v1"
SERVICE: Final = f"{PACKAGE}.BlockDB"
FILE: Final = "blockdb.proto"

PAGED: Final = {"scan": "cursor", "find": "after"}
"""Operations that give a page at a time, and the field of the request that takes the cursor of the page before. Each
has a second method, which gives all pages one after the other."""

_NAMES: Final[dict[type, str]] = {Statistics: "DatabaseStatistics"}
_HEAD: Final = (
    "BlockDB over gRPC.",
    "",
    "Generated from the table of operations (python -m blockdb.server.grpc.reference). Do not change it by hand.",
    "Fields are appended and never moved, so that a client of today understands a server of tomorrow.",
)
_DOC: Final = "Each method does what the endpoint of HTTP does that is named with it; errors are in docs/GRPC.md."


@dataclass(frozen=True, slots=True)
class Offer:
    """A method: the operation that it does; with `cursor_field` all pages of it, one after the other."""

    method: Method
    operation: Operation
    cursor_field: str | None = None


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All that there is to the service. Building it takes some 50 ms, so it is built once (`catalogue`)."""

    offers: tuple[Offer, ...]
    vocabulary: Vocabulary
    file: Any
    """A FileDescriptorProto."""
    converter: Converter

    def text(self) -> str:
        """What stands in `blockdb.proto`."""
        methods = [offer.method for offer in self.offers]
        return proto_text(PACKAGE, SERVICE.rpartition(".")[2], _DOC, methods, self.vocabulary, _HEAD)


@cache
def catalogue() -> Catalogue:
    """The service as it is."""
    operations = [operation for operation in OPERATIONS if not operation.is_rest]
    vocabulary = describe([kind for each in operations for kind in (each.request, each.answer)], _NAMES)
    offers = tuple(_offers(operations, vocabulary))
    methods = [offer.method for offer in offers]
    file = file_descriptor(FILE, PACKAGE, SERVICE.rpartition(".")[2], methods, vocabulary)
    return Catalogue(offers, vocabulary, file, Converter(vocabulary, pool_of(file), PACKAGE))


def _offers(operations: list[Operation], vocabulary: Vocabulary) -> Iterator[Offer]:
    for each in operations:
        request, answer = vocabulary.types[each.request], vocabulary.types[each.answer]
        doc = f"{each.summary}\n{each.method} {each.path}"
        has_answers = each.kind in (Kind.ANSWERS, Kind.BYTES)
        name = camel(each.name)
        yield Offer(Method(name, request, answer, each.kind is Kind.REQUESTS, has_answers, doc), each)
    for name, field in PAGED.items():
        each = BY_NAME[name]
        request, answer = vocabulary.types[each.request], vocabulary.types[each.answer]
        doc = f"All pages of `{camel(name)}`, one after the other; `limit` is how much is on one."
        yield Offer(Method(f"{camel(name)}Pages", request, answer, has_answers=True, doc=doc), each, field)
