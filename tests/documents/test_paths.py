"""Paths: what is written, what is found."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blockdb.documents.paths import EACH, MAX_PARTS, MISSING, Path
from blockdb.errors import InvalidData

NAMES = st.one_of(st.sampled_from(["a", "b", "c", "first name", ""]), st.text(max_size=5))
PATHS = st.builds(
    lambda first, rest: Path((first, *rest)), NAMES, st.lists(st.one_of(NAMES, st.just(EACH)), max_size=5)
)
LEAVES = st.one_of(st.none(), st.integers(), st.text(max_size=3))
NESTED = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abc"), inner, max_size=3)),
)


def naive(value: Any, parts: tuple[str | None, ...]) -> list[Any]:
    if not parts:
        return [value]
    first, *rest = parts
    if first is EACH:
        return [found for member in value for found in naive(member, tuple(rest))] if isinstance(value, list) else []
    return naive(value[first], tuple(rest)) if isinstance(value, dict) and first in value else []


def test_what_is_written_is_read() -> None:
    assert Path.parse("address.city").parts == ("address", "city")
    assert Path.parse("tags[]").parts == ("tags", EACH)
    assert Path.parse("items[].price").parts == ("items", EACH, "price")
    assert Path.parse("grid[][]").parts == ("grid", EACH, EACH)
    assert Path.parse('"first name".x').parts == ("first name", "x")
    assert Path.parse('"a.b[]\\"\\u00e9"').parts == ('a.b[]"é',)
    assert Path.parse("straße.$ref.x-1._key").parts == ("straße", "$ref", "x-1", "_key")


def test_a_path_within_a_text_ends_where_it_ends() -> None:
    assert Path.scan("x in a.b[] and", 5) == (Path(("a", "b", EACH)), 10)


def test_what_is_missing_is_not_found() -> None:
    document = {"a": [{"b": None}, {}, 5, {"b": [1]}], "b": {"c": 1}, "c": 2}
    assert Path.parse("a[].b").values(document) == [None, [1]]
    assert Path.parse("a[].b[]").values(document) == [1]
    assert Path.parse("a.b").values(document) == Path.parse("b[]").values(document) == []
    assert Path.parse("b.c").getter()(document) == 1
    assert Path.parse("c.c").getter()(document) is Path.parse("b.c.d").getter()(document) is MISSING


@settings(max_examples=50)
@given(PATHS)
def test_a_path_is_written_as_it_is_read(path: Path) -> None:
    assert Path.parse(str(path)) == path


@pytest.mark.parametrize(
    ("text", "place"),
    [
        *[("", 1), (".a", 1), ("a.", 3), ("a..b", 3), ("a b", 2), ("a[0]", 3), ("a[", 3), ("[]", 1), ("1a", 1)],
        *[('"a', 1), ('a."\\x"', 3), ('"\\ud800"', 1), ('"a\nb"', 1), ("a]", 2), ("a[]b", 4), ("é\u0301", 2)],
        (".".join("a" * (MAX_PARTS + 1)), 2 * MAX_PARTS + 2),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, place: int) -> None:
    with pytest.raises(InvalidData, match=f"at character {place}:"):
        Path.parse(text)


@settings(max_examples=80)
@given(st.dictionaries(st.sampled_from("abc"), NESTED), PATHS)
def test_values_are_found(document: dict[str, Any], path: Path) -> None:
    found = naive(document, path.parts)
    assert path.values(document) == found
    if path.plural:
        with pytest.raises(InvalidData, match="several values"):
            path.getter()
    else:
        assert path.getter()(document) == (found[0] if found else MISSING)
