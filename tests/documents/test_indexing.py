"""What can be an index, and what of a document goes into one."""

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockdb.documents.indexing import MAX_DOCUMENT_ENTRIES, IndexDefinition
from blockdb.documents.paths import MISSING, Path
from blockdb.errors import InvalidData
from blockdb.format.ordered import encode_all


def index_of(*fields: str, sparse: bool = False, name: str = "n") -> IndexDefinition:
    return IndexDefinition("0" * 32, name, fields, sparse=sparse)


@pytest.mark.parametrize(
    ("name", "fields", "words"),
    [
        ("", ["a"], "cannot be called ''"),
        ("a b", ["a"], "cannot be called 'a b'"),
        ("../x", ["a"], "cannot be called"),
        ("n" * 129, ["a"], "1 to 128 bytes"),
        ("n", [], "1 to 16 fields; this one has 0"),
        ("n", list("abcdefghijklmnopq"), "this one has 17"),
        ("n", ["a..b"], "wrong at character 3"),
        ("n", ["a", '"a"'], "The field `a` is named twice"),
        ("n", ["_key"], "found by `_key` without an index"),
    ],
)
def test_what_cannot_be_an_index_is_refused(name: str, fields: list[str], words: str) -> None:
    with pytest.raises(InvalidData) as refused:
        index_of(*fields, name=name).check()
    assert words in str(refused.value)


@pytest.mark.parametrize("name", ["a", "by_email", "Ümläut", "9", "a.b-c"])
def test_names_that_an_index_may_have(name: str) -> None:
    index_of("a", name=name).check()


values = st.one_of(st.none(), st.integers(0, 2), st.lists(st.integers(0, 2), max_size=3))
FIELDS = (("a",), ("a.b",), ("a", "b"), ("a[]",), ("b", "a[]"), ("a[]", "b[]"))


@given(
    st.dictionaries(st.sampled_from("ab"), values | st.dictionaries(st.just("b"), values)),
    st.sampled_from(FIELDS),
    st.booleans(),
)
def test_a_document_has_each_combination_of_its_values_once(
    document: dict[str, Any], fields: tuple[str, ...], sparse: bool
) -> None:
    columns = [Path.parse(field).values(document) for field in fields]
    rows = product(*(column or [MISSING] for column in columns))
    expected = set() if sparse and not all(columns) else {encode_all(row) for row in rows}
    found = index_of(*fields, sparse=sparse).keyer()(document)
    assert sorted(found) == sorted(expected)


def test_a_document_with_too_many_combinations_is_refused() -> None:
    side = int(MAX_DOCUMENT_ENTRIES**0.5)
    keyer = index_of("a[]", "b[]").keyer()
    assert len(keyer({"a": list(range(side)), "b": list(range(side))})) == MAX_DOCUMENT_ENTRIES
    with pytest.raises(InvalidData, match="10100 combinations"):
        keyer({"a": list(range(side)), "b": list(range(side + 1))})
