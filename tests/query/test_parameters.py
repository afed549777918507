"""Values that are given when a filter is run."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from blockdb.errors import InvalidData, QueryError
from blockdb.query.parameters import bind
from blockdb.query.parser import parse_filter
from blockdb.query.text import filter_text


def bound(text: str, **parameters: Any) -> str:
    return filter_text(bind(parse_filter(text), parameters, text))


def test_values_take_the_place_of_parameters() -> None:
    text = "not (a = :x or b between :x and :y) and c in (1, :y) and d in :z and e starts with :x"
    expected = "not (a = 'o''k' or b between 'o''k' and 2) and c in (1, 2) and d in (1, null) and e starts with 'o''k'"
    assert bound(text, x="o'k", y=2, z=[1, None]) == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (1.5, "1.5"),
        (b"\x00\xff", "'AP8='"),
        (datetime(2025, 1, 2, tzinfo=UTC), "'2025-01-02T00:00:00Z'"),
        (datetime(2025, 1, 2, tzinfo=timezone(timedelta(hours=2))), "'2025-01-02T00:00:00+02:00'"),
    ],
)
def test_values_are_what_a_document_would_have(value: object, text: str) -> None:
    assert bound("a = :v", v=value) == f"a = {text}"


def test_a_key_may_be_given_as_bytes() -> None:
    assert bound("_key = :k", k=b"user:1") == "_key = 'user:1'"


@pytest.mark.parametrize(
    ("text", "parameters", "words"),
    [
        ("a = :x", {}, "`:x` has no value."),
        ("a = :name", {"nam": 1}, "`:name` has no value; did you mean `nam`"),
        ("a = :x", {"x": [1]}, "`:x` is list"),
        ("a = :x", {"x": float("nan")}, "which no document has"),
        ("a = :x", {"x": "\ud800"}, "half a character"),
        ("a = :x", {"x": datetime(2025, 1, 1)}, "without a zone"),  # noqa: DTZ001
        ("_key = :x", {"x": b"\xff"}, "not UTF-8"),
        ("a in :x", {"x": 5}, "takes a list"),
        ("a in :x", {"x": "abc"}, "takes a list"),
        ("a in :x", {"x": [[1]]}, "`:x` is list"),
        ("a in :x", {"x": range(3)}, "takes a list"),
        ("a in :x", {"x": [1] * 100_001}, "100,000 are the limit"),
        ("a starts with :x", {"x": 5}, "`starts with` takes text"),
        ("a matches :x", {"x": "("}, "no pattern"),
    ],
)
def test_what_does_not_fit_is_pointed_at(text: str, parameters: dict[str, Any], words: str) -> None:
    with pytest.raises(QueryError) as caught:
        bind(parse_filter(text), parameters, text)
    assert words in caught.value.what
    assert caught.value.position == text.index(":")


def test_a_parameter_that_the_filter_does_not_name_is_refused() -> None:
    with pytest.raises(InvalidData, match="no parameter `:citi`; did you mean `city`"):
        bind(parse_filter("a = :city"), {"city": 1, "citi": 2})
