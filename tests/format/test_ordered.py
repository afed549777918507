"""The order of the bytes is the order of the values, and the bytes lead back to the values."""

from functools import cmp_to_key
from math import inf, nan
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from blockdb.errors import InvalidData
from blockdb.format.frame import BadFrame
from blockdb.format.ordered import MISSING, Bound, decode, decode_all, encode, encode_all, span, text_span

numbers = st.one_of(
    st.integers(-9, 9),
    st.integers(),
    st.integers(2**53 - 3, 2**53 + 3),
    st.integers(2**64 - 3, 2**64 + 3),
    st.integers(-(2**1030), 2**1030),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0.0, -0.0, 5e-324, 2.0**53, 2.0**63, -(2.0**64), 1.7976931348623157e308, 10**400, -(10**2000)]),
)
texts = st.text(st.one_of(st.sampled_from("ab\x00\x01\x02\xff"), st.characters(exclude_categories=())), max_size=4)
scalars = st.one_of(st.none(), st.booleans(), numbers, texts)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3))
fields = st.just(MISSING) | values


def rank(value: Any) -> int:
    kinds = {type(MISSING): 0, type(None): 1, bool: 2, int: 4, float: 4, str: 5, list: 6, dict: 7}
    return kinds[type(value)]


def compare(a: Any, b: Any) -> int:
    """The order as the design says it, written without any bytes."""
    if rank(a) != rank(b):
        return -1 if rank(a) < rank(b) else 1
    if isinstance(a, list):
        for one, other in zip(a, b, strict=False):
            if found := compare(one, other):
                return found
        return (len(a) > len(b)) - (len(a) < len(b))
    if isinstance(a, dict):
        flat = [[part for name in sorted(value) for part in (name, value[name])] for value in (a, b)]
        return compare(*flat)
    return 0 if a is MISSING or a is None else (a > b) - (a < b)


@given(fields, fields)
@example(0, -0.0)
@example(2**53 + 1, 2.0**53)
@example("a", "a\x00")
@example([1], [1, None])
@example({"a": 1}, {"a": 1, "b": 0})
@example(-(2**53) - 1, -(2**53))
def test_the_order_of_the_bytes_is_that_of_the_values(a: Any, b: Any) -> None:
    one, other = encode(a), encode(b)
    assert (one > other) - (one < other) == compare(a, b)
    assert one == other or not one.startswith(other)


@given(st.lists(fields, max_size=3), st.lists(fields, max_size=3))
def test_several_fields_are_compared_one_after_the_other(a: list[Any], b: list[Any]) -> None:
    one, other = encode_all(a), encode_all(b)
    assert (one > other) - (one < other) == compare(a, b)
    found, end = decode_all(one, len(a))
    assert (list(found), end) == (a, len(one))


@given(fields, st.binary(max_size=3))
def test_what_was_written_comes_back(value: Any, rest: bytes) -> None:
    data = encode(value)
    assert decode(data + rest) == (value, len(data))


@given(numbers)
def test_a_whole_number_comes_back_as_one(number: float) -> None:
    found, _ = decode(encode(number))
    assert type(found) is int or type(number) is float or abs(number) >= 2**63


@given(fields, st.data())
def test_what_is_cut_short_is_refused(value: Any, data: st.DataObject) -> None:
    whole = encode(value)
    with pytest.raises(BadFrame):
        decode(whole[: data.draw(st.integers(0, len(whole) - 1))])


@given(st.binary(max_size=24))
def test_other_bytes_are_a_value_or_refused(data: bytes) -> None:
    try:
        _, end = decode(data)
    except BadFrame:
        return
    assert 0 < end <= len(data)


def test_depth_is_no_danger() -> None:
    deep: Any = 1
    for _ in range(5000):
        deep = [deep]
    data = encode(deep)
    found, end = decode(data)
    for _ in range(5000):
        [found] = found
    assert (found, end) == (1, len(data))


@pytest.mark.parametrize("value", [inf, -inf, nan, b"bytes", {1, 2}, [nan], {"a": object()}])
def test_what_is_no_json_is_refused(value: Any) -> None:
    with pytest.raises(InvalidData):
        encode(value)


bounds = st.none() | st.builds(Bound, scalars, st.booleans())


@given(fields, st.lists(fields, max_size=4), bounds, bounds)
def test_a_span_has_what_its_bounds_say(first: Any, seconds: list[Any], low: Bound | None, high: Bound | None) -> None:
    if low is not None and high is not None and rank(low.value) != rank(high.value):
        high = None
    start, stop = span([first], low, high)
    kind = (low or high or Bound(MISSING)).value

    def belongs(value: Any) -> bool:
        above = low is None or compare(value, low.value) > -low.closed
        below = high is None or compare(value, high.value) < high.closed
        return (low is high or rank(value) == rank(kind)) and above and below

    for second in [*seconds, *(bound.value for bound in (low, high) if bound)]:
        entry = encode_all([first, second]) + bytes(8)
        assert (start <= entry < stop) == belongs(second), (second, low, high)
        other = encode_all([[first], second])
        assert not start <= other < stop


@given(texts, texts)
def test_a_span_of_texts_has_those_that_begin_so(beginning: str, text: str) -> None:
    start, stop = text_span([True], beginning)
    assert (start <= encode_all([True, text]) < stop) == text.startswith(beginning)


def test_sorting_many() -> None:
    mixed = [3, "b", None, 2.5, [1], {}, "a", True, MISSING, -1, False, [0, 9], "", 10**30]
    expected = [MISSING, None, False, True, -1, 2.5, 3, 10**30, "", "a", "b", [0, 9], [1], {}]
    assert sorted(mixed, key=encode) == expected == sorted(mixed, key=cmp_to_key(compare))
