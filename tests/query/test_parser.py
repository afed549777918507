"""The filter language: what it says, what it refuses and where, and its canonical form."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockdb.documents.paths import Path
from blockdb.errors import BlockDBError, InvalidData, QueryError
from blockdb.query.parser import MAX_DEPTH, parse_fields, parse_filter, parse_order
from blockdb.query.text import filter_text, order_text
from blockdb.query.tree import ALL, And, Between, Comparison, Exists, In, Not, Or, OrderTerm, Parameter, Term, TextTest
from tests.query.filters import filters

A, B, TAGS = Path(("a",)), Path(("b",)), Path(("tags", None))

GOOD: list[tuple[str, Term]] = [
    ("", ALL),
    (" \n ", ALL),
    ("a = 1", Comparison(A, "=", 1)),
    ("a=-1.5e3", Comparison(A, "=", -1500.0)),
    ("a != 'it''s'", Comparison(A, "!=", "it's")),
    ("a < :b", Comparison(A, "<", Parameter("b"))),
    ("A.b >= true", Comparison(Path(("A", "b")), ">=", True)),
    ("a = NULL", Comparison(A, "=", None)),
    ('"in" > false', Comparison(Path(("in",)), ">", False)),
    ('"first name"."x\\"" <= 1', Comparison(Path(("first name", 'x"')), "<=", 1)),
    ("tags contains 'vip'", Comparison(TAGS, "=", "vip")),
    ("tags[] = 'vip'", Comparison(TAGS, "=", "vip")),
    ("a in (1, 'x', null, :p)", In(A, (1, "x", None, Parameter("p")))),
    ("a in :all", In(A, Parameter("all"))),
    ("a not in (1)", Not(In(A, (1,)))),
    ("a between 1 and 2 and b = 3", And((Between(A, 1, 2), Comparison(B, "=", 3)))),
    (
        "a starts with 'x' or a ends with :y",
        Or((TextTest(A, "starts with", "x"), TextTest(A, "ends with", Parameter("y")))),
    ),
    ("a matches '^x+$'", TextTest(A, "matches", "^x+$")),
    ("not exists a", Not(Exists(A))),
    (
        "a = 1 or b = 2 and not a = 3",
        Or((Comparison(A, "=", 1), And((Comparison(B, "=", 2), Not(Comparison(A, "=", 3)))))),
    ),
    (
        "(a = 1 or b = 2) and (((b = 3)))",
        And((Or((Comparison(A, "=", 1), Comparison(B, "=", 2))), Comparison(B, "=", 3))),
    ),
    ("a=1 AND (b=2 And a=3)", And((Comparison(A, "=", 1), Comparison(B, "=", 2), Comparison(A, "=", 3)))),
    ("_key starts with 'user:'", TextTest(Path(("_key",)), "starts with", "user:")),
]

BAD = [
    ("age >= and city = 'Oslo'", 7, "Expected a value after `>=`"),
    ("city = Oslo", 7, "text stands in single quotes, as 'Oslo'"),
    ('city = "Oslo"', 7, "text stands in single quotes, as 'Oslo'"),
    ("age == 3", 4, "write `=`"),
    ("age <> 3", 4, "write `!=`"),
    ("a = 1 && b = 2", 6, "write `and`"),
    ("a contain 3", 2, "did you mean `contains`?"),
    ("a = 1 adn b = 2", 6, "did you mean `and`?"),
    ("a like 'x'", 2, "write `starts with`"),
    ("a is null", 2, "write `= null`"),
    ("a = 'x", 4, "no closing '"),
    ('"a = 1', 0, "does not end"),
    ('"a\\q" = 1', 0, "escaped as in JSON"),
    ("(a = 1", 6, "Expected `)`"),
    ("a = 1)", 5, "Expected `and`, `or` or the end"),
    ("a", 1, "Expected a comparison"),
    ("in = 3", 0, 'written "in"'),
    ("'a' = 3", 0, "names of fields stand in double quotes"),
    ("a starts 'x'", 9, "Expected `with`"),
    ("a starts with 5", 14, "Expected a text"),
    ("a matches '('", 10, "as RE2 has them"),
    ("a between 1 or 2", 12, "Expected `and` and the higher value"),
    ("a in 5", 5, "Expected `(`"),
    ("a in (1 2)", 8, "a comma or `)`"),
    ("a in ()", 6, "Expected a value"),
    ("_key.x = 1", 0, "nothing is inside of it"),
    ("_time contains 1", 6, "nothing is inside of it"),
    ("a[0] = 1", 1, "`[]`"),
    ("a. = 1", 1, "no meaning"),
    ("a = 1e999", 4, "larger than any"),
    ("a = " + "1" * 500, 4, "at most 400 digits"),
    ("a = \x01", 4, "no meaning"),
    ("a = '\ud800'", 5, "half of a character"),
    ("not " * 40 + "a = 1", 4 * (MAX_DEPTH + 1), "nested more than"),
    ("(" * 10_000, MAX_DEPTH + 1, "nested more than"),
]


@pytest.mark.parametrize(("text", "tree"), GOOD)
def test_what_a_filter_says(text: str, tree: Term) -> None:
    assert parse_filter(text) == tree
    assert parse_filter(filter_text(tree)) == tree


@pytest.mark.parametrize(("text", "position", "words"), BAD)
def test_what_is_wrong_is_pointed_at(text: str, position: int, words: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse_filter(text)
    error = caught.value
    assert words in error.what
    assert (error.text, error.position) == (text, position)
    shown, caret = error.pointer.split("\n")
    assert len(shown) < 110
    assert caret.strip() == "^"
    if text.isascii() and text.isprintable() and len(text) < 100:
        assert caret.index("^") == position + 2


def test_the_caret_stands_below_wide_characters_and_in_long_texts() -> None:
    with pytest.raises(QueryError) as wide:
        parse_filter("名前 = 名")
    assert wide.value.pointer == "  名前 = 名\n         ^"
    with pytest.raises(QueryError) as long:
        parse_filter("a = 1 and " * 40 + "b ? 1" + " and a = 1" * 40)
    shown, caret = long.value.pointer.split("\n")
    assert shown[caret.index("^")] == "?"


def test_a_filter_is_short_text() -> None:
    with pytest.raises(InvalidData, match="65,536 characters"):
        parse_filter("a = 1 or " * 10_000)
    with pytest.raises(InvalidData, match="is text, not int"):
        parse_filter(5)  # type: ignore[arg-type]


@given(filters())
def test_canonical_text_says_the_same(term: Term) -> None:
    text = filter_text(term)
    assert parse_filter(text) == term
    assert filter_text(parse_filter(text)) == text


PIECES = [
    "a",
    "in",
    "not",
    "and",
    "or",
    "(",
    ")",
    "[]",
    ".",
    '"',
    "'",
    "=",
    "<",
    ">",
    "!",
    ":",
    "1",
    "-",
    "e",
    ",",
    " ",
    "\\",
]


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=30).map("".join))
def test_whatever_is_given_nothing_but_a_query_error_comes_out(text: str) -> None:
    for parse in (parse_filter, parse_order, parse_fields):
        with suppress(QueryError):
            parse(text)


def test_an_order() -> None:
    order = parse_order('age desc, name asc, a.b, "desc" desc, _key')
    assert order == (
        OrderTerm(Path(("age",)), True),
        OrderTerm(Path(("name",))),
        OrderTerm(Path(("a", "b"))),
        OrderTerm(Path(("desc",)), True),
        OrderTerm(Path(("_key",))),
    )
    assert parse_order(order_text(order)) == order


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "found the end"),
        ("a,", "found the end"),
        ("a dsc", "did you mean `desc`?"),
        ("a b", "Expected `asc`"),
        ("tags[]", "an order needs one"),
        ("a, b, a desc", "in this order already"),
    ],
)
def test_what_is_no_order(text: str, words: str) -> None:
    with pytest.raises(QueryError, match=words.replace("[", r"\[").replace("?", r"\?")):
        parse_order(text)


def test_a_list_of_fields() -> None:
    assert list(map(str, parse_fields('name, address.city, items[].price, "in", _key'))) == [
        "name", "address.city", "items[].price", "in", "_key",
    ]  # fmt: skip
    assert parse_fields(["a, b", "c"]) == parse_fields("a,b,c")
    with pytest.raises(BlockDBError, match="Expected a comma"):
        parse_fields("a b")
    with pytest.raises(BlockDBError, match="1,000 fields"):
        parse_fields(", ".join(f"f{number}" for number in range(1_001)))
