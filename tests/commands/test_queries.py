"""find, count, explain as the command line gives them."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from .conftest import Run


@pytest.fixture
def people(run: Run) -> Run:
    for number, city in enumerate(["Oslo", "Bergen", "Oslo"]):
        value = {"name": f"n{number}", "age": 20 + number, "city": city, "tags": ["vip", number], "more": {"x": None}}
        run("put", f"user:{number}", json.dumps(value))
    run("put", "raw", "no document")
    return run


def rows(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_find_prints_documents_that_import_takes(people: Run, here: Path) -> None:
    found = people("find", "city = :city", "--param", "city=Oslo", "--order", "age desc")
    assert (found.code, found.err) == (0, "")
    assert [row["key"] for row in rows(found.text)] == ["user:2", "user:0"]
    assert rows(found.text)[0]["value"] == {
        "name": "n2", "age": 22, "city": "Oslo", "tags": ["vip", 2], "more": {"x": None},
    }  # fmt: skip
    (here / "some.jsonl").write_bytes(found.out)
    assert people("--data-dir", "other", "import", "some.jsonl").code == 0
    assert people("--data-dir", "other", "count", "age >= 22").text == "1\n"


def test_formats(people: Run) -> None:
    query = ("find", "age < 22", "--fields", "name, tags[], more, _sequence")
    assert people(*query, "--format", "csv").text.splitlines() == [
        "_key,name,tags[],more,_sequence",
        'user:0,n0,"[""vip"",0]","{""x"":null}",0',
        'user:1,n1,"[""vip"",1]","{""x"":null}",1',
    ]
    assert rows(people(*query).text)[1] == {
        "_key": "user:1", "name": "n1", "tags[]": ["vip", 1], "more": {"x": None}, "_sequence": 1,
    }  # fmt: skip
    assert people("find", "age = 20", "--fields", "_key, none", "--format", "table").text.split() == [
        "_key", "none", "user:0", "-",
    ]  # fmt: skip
    assert people("find", "age = 20", "--format", "raw").text.startswith('{"name":"n0"')
    assert json.loads(people("find", "age = 20", "--format", "json").text)[0]["key"] == "user:0"
    assert people("find", "age = 20", "--format", "csv").text.startswith("key,value,encoding\nuser:0,")


def test_what_is_cut_off_is_said(people: Run) -> None:
    first = people("find", "--limit", "2")
    assert len(rows(first.text)) == 2
    assert first.err.startswith("there may be more, --after ")
    cursor = first.err.split()[5]
    second = people("find", "--limit", "2", "--after", cursor)
    assert [row["key"] for row in rows(second.text)] == ["user:2"]
    assert second.err == ""
    assert "no cursor of this query" in people("find", "age = 1", "--after", cursor).err


def test_an_error_points_at_its_place(people: Run) -> None:
    wrong = people("find", "city = Oslo")
    assert (wrong.code, wrong.out) == (1, b"")
    assert wrong.err == (
        "Error: QueryError: Expected a value after `=`, found `Oslo`: text stands in single quotes, as 'Oslo'.\n"
        "  city = Oslo\n"
        "         ^\n"
    )
    assert "[?25" not in people("find", "a = \x1b[?25l").err.replace("·[?25", "")


def test_count(people: Run) -> None:
    assert people("count").text == "4\n"
    assert people("count", "").text == "3\n"
    assert people("count", "tags contains 'vip' and age in :ages", "-p", "ages=[20, 22]").text == "2\n"
    assert json.loads(people("count", "--format", "json").text)["count"] == 4
    assert people("count", "--param", "a=1").code == 2


def test_explain(people: Run) -> None:
    told = json.loads(people("explain", "agee = 3 and _key starts with 'user:'", "--format", "json").text)
    assert (told["access"], told["touched"], told["returned"]) == ("keys", 3, 0)
    shown = people("explain", "city != 'x'", "--order", "age").text
    assert "Access: all records" in shown
    assert "Left out: 1 value without a JSON object" in shown


def test_parameters(people: Run) -> None:
    assert people("count", "city = :c", "-p", 'c="Oslo"').text == "2\n"
    assert "is given twice" in people("count", "city = :c", "-p", "c=1", "-p", "c=2").err
    assert "is not like city=Oslo" in people("count", "city = :c", "-p", "c").err


def test_arrow_and_parquet(people: Run, here: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    assert people("find", "-o", "some.parquet").text == "Wrote 3 documents to some.parquet\n"
    table = parquet.read_table(here / "some.parquet").to_pylist()
    assert table[0] == {
        "_key": "user:0", "name": "n0", "age": 20, "city": "Oslo", "tags": '["vip",0]', "more": {"x": None},
    }  # fmt: skip
    stream = people("find", "--fields", "age", "--format", "arrow", "--limit", "2")
    assert "there may be more" in stream.err
    assert pyarrow.ipc.open_stream(io.BytesIO(stream.out)).read_all().to_pydict() == {
        "_key": ["user:0", "user:1"],
        "age": [20, 21],
    }
    assert "say which with --format" in people("find", "-o", "some.xyz").err


def test_without_pyarrow_the_extra_is_named(people: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    wrong = people("find", "--format", "parquet")
    assert (wrong.code, wrong.out) == (2, b"")
    assert "pip install 'blockdb[arrow]'" in wrong.err


def test_of_a_collection(people: Run) -> None:
    people("collection", "create", "users")
    people("put", "-c", "users", "a", '{"x": 1}')
    assert rows(people("find", "exists x", "--collection", "users").text) == [{"key": "a", "value": {"x": 1}}]
    assert people("count", "exists x").text == "0\n"
