"""Structs to messages and back: nothing is lost, and what is not acceptable is told."""

from typing import Any

import pytest
from google.protobuf.message import Message
from hypothesis import given, settings

from blockdb.errors import InvalidData
from blockdb.server.grpc.conversion import Converter
from blockdb.server.grpc.descriptors import file_descriptor, pool_of
from blockdb.types import REDACTED
from blockdb.wire.protobuf import describe
from tests.wire import samples
from tests.wire.samples import METHODS, ROOTS, Colour, Everything, Plain

WORDS = describe(ROOTS)
CONVERTER = Converter(
    WORDS, pool_of(file_descriptor("sample.proto", "sample.v1", "Sample", METHODS, WORDS)), "sample.v1"
)

NEEDED: dict[str, Any] = {
    "number": 1, "natural": 2, "share": 0.5, "text": "t", "data": b"d", "yes": True, "colour": Colour.RED
}  # fmt: skip


def there_and_back(value: Any) -> Any:
    sent = CONVERTER.to_message(value).SerializeToString()
    return CONVERTER.from_message(CONVERTER.message_class(type(value)).FromString(sent), type(value))


@settings(max_examples=15)
@given(samples.everything)
def test_nothing_is_lost(value: Everything) -> None:
    assert there_and_back(value) == value


@pytest.mark.torture
@given(samples.everything)
def test_nothing_is_ever_lost(value: Everything) -> None:
    assert there_and_back(value) == value


def message(**fields: Any) -> Message:
    made = CONVERTER.to_message(Everything(**NEEDED))
    made.MergeFrom(CONVERTER.message_class(Everything)(**fields))
    return made  # type: ignore[no-any-return]


def test_what_is_not_there_is_the_default() -> None:
    assert CONVERTER.from_message(message(), Everything) == Everything(**NEEDED)
    assert CONVERTER.from_message(CONVERTER.message_class(Plain)(key=b"k"), Plain) == Plain(key=b"k")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"colour": 9}, "9 is none of COLOUR_RED, COLOUR_DARK_GREEN"),
        ({"colours": [0]}, "0 is none of"),
        ({"free": {"number_value": float("nan")}}, "no number of JSON"),
        ({"either": {"bool_value": True}}, r"\$.either"),
        ({"shapes": [{}]}, "one of circle, line should be set"),
    ],
)
def test_what_is_not_acceptable_is_told(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidData, match=words):
        CONVERTER.from_message(message(**fields), Everything)


def test_limits_are_those_of_the_struct() -> None:
    empty = CONVERTER.message_class(Everything)()
    with pytest.raises(InvalidData, match="missing required field `colour`"):
        CONVERTER.from_message(empty, Everything)


@pytest.mark.parametrize("document", [{"n": 2**53 + 1}, {"l": [{"n": -(2**60)}]}, {"x": float("inf")}])
def test_a_number_that_would_change_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(InvalidData, match="number"):
        CONVERTER.to_message(Everything(**NEEDED, document=document))
    with pytest.raises(InvalidData, match="number"):
        CONVERTER.to_message(Everything(**NEEDED, free=[document]))


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1])
def test_an_integer_out_of_range_is_refused(number: int) -> None:
    with pytest.raises(InvalidData, match="cannot be told in gRPC"):
        CONVERTER.to_message(Everything(**{**NEEDED, "number": number}))


def test_the_value_of_a_redacted_record_is_empty() -> None:
    assert there_and_back(Plain(key=b"k", value=REDACTED)) == Plain(key=b"k")
