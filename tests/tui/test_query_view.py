"""The view of queries: typing, running, stopping, columns, mistakes at their place, the record behind a row, saving."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.pilot import Pilot

from blockdb.commands.saved import load_queries, queries_path, save_query
from blockdb_tui import query_history
from blockdb_tui.form import Form, Wrong, form_of, look_at
from blockdb_tui.keytext import Target
from blockdb_tui.query_history import QueryHistory
from blockdb_tui.querying import Plan
from blockdb_tui.screens.query import QueryView
from blockdb_tui.screens.records import RecordsView
from blockdb_tui.screens.saved import SavedQueries
from blockdb_tui.session import Memory
from blockdb_tui.tabulating import MOST_CELL, MOST_FIELDS, Documents
from tests.tui.covering import app_of, covers, said, shown
from tests.tui.drive import exploring, press, screen_text, settled, until
from tests.tui.fake import FakeDatabase, shop


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return queries_path()


async def ran(pilot: Pilot[Any], *keys: str) -> None:
    await press(pilot, *keys, "enter")
    await until(pilot, lambda: (search := shown(pilot, QueryView).search) is not None and search.done)
    shown(pilot, QueryView).show_progress()
    await settled(pilot)


@covers(
    "view.query",
    *("query.leave", "query.earlier", "query.later", "query.open", "query.fields_on", "query.fields_back"),
    *(
        "query.help",
        "query.edit",
        "query.save",
        "query.saved",
        "query.again",
        "query.copy_key",
        "query.prove",
        "saved.close",
    ),
)
@pytest.mark.torture
async def test_a_query_is_typed_run_and_kept(home: Path) -> None:
    earlier = Form("number > 90")
    QueryHistory("/srv/records").add(earlier)
    async with exploring(shop(), size=(100, 30), memory=Memory("/srv/records")) as pilot:
        await press(pilot, "0", "j", "enter", "Q")
        view = shown(pilot, QueryView)
        await until(pilot, lambda: view.ran == [earlier])  # which was run on another visit
        entries = view.form.entries
        await press(pilot, "f4")
        await until(pilot, lambda: "A query in four parts" in screen_text(pilot))
        await press(pilot, "escape")
        await press(pilot, *"city = 'Oslo' nor")
        await until(pilot, lambda: "▲ Expected" in screen_text(pilot))
        await ran(pilot, *["backspace"] * 3, *"and number > 3")
        text = screen_text(pilot)
        assert "KEY        number city status items" in text
        assert '▌order:0004      5 Oslo paid   [{"price": 10.0' in text
        assert "5 found · index by_city · 6 records touched · 1.5 ms" in text
        await press(pilot, "l", "l")
        await until(pilot, lambda: "fields from 3 of 4" in screen_text(pilot))
        await press(pilot, "h", "h", "j", "c", "Y", "P")
        assert "--limit 1000 'city = " in "".join(said(pilot))
        await press(pilot, "escape", "enter")
        records = shown(pilot, RecordsView)
        await until(pilot, lambda: records.chosen_key() == b"order:0008")
        await press(pilot, "escape")
        assert pilot.app.screen is view
        await press(pilot, "r")
        await press(pilot, "slash", "tab", *"nothing,", "enter")
        await until(pilot, lambda: view.focused is entries["order"])  # where the mistake is
        await until(pilot, lambda: "▼ " in screen_text(pilot))
        await press(pilot, "up")
        assert entries["order"].value == "", "it was not run"
        await press(pilot, "down")
        assert entries["where"].value == ""
        await press(pilot, "up", "up", "down")
        assert entries["where"].value == "city = 'Oslo' and number > 3"
        await press(pilot, "escape", "f2", *"oslo", "enter")
        await until(pilot, lambda: home.exists() and bool(load_queries()))
        assert load_queries() == {"oslo": "find --limit 1000 \"city = 'Oslo' and number > 3\""}
        save_query("else", "count")
        await press(pilot, "f3")
        await until(pilot, lambda: isinstance(pilot.app.screen, SavedQueries))
        await settled(pilot)
        await until(pilot, lambda: "1 line not for a form" in screen_text(pilot))
        await press(pilot, "escape", "f3")
        await until(pilot, lambda: isinstance(pilot.app.screen, SavedQueries))
        await press(pilot, "enter")
        await until(pilot, lambda: view.focused is entries["where"])
        assert entries["limit"].value == "1000"
    assert QueryHistory("/srv/records").forms() == [earlier, Form("city = 'Oslo' and number > 3")]
    assert QueryHistory("/srv/else").forms() == []


def test_queries_are_kept_bounded_for_their_owner_and_without_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = QueryHistory("a", tmp_path / "queries")
    kept = [Form("x = 1"), Form("", "age desc", "name", "5"), Form("-x = 1")]
    for form in (*kept, Form("token = 'bdb_x'"), Form(" y = 1"), Form(limit="no number"), kept[0]):
        history.add(form)
    assert history.forms() == [*kept[1:], kept[0]]
    [file] = (tmp_path / "queries").iterdir()
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    file.write_bytes(file.read_bytes() + b'"put k v"\n\xff{not json\n')
    assert QueryHistory("a", tmp_path / "queries").forms() == [*kept[1:], kept[0]]
    monkeypatch.setattr(query_history, "MOST_DATABASES", 2)
    os.utime(file, (1, 1))
    for ident in "bc":
        QueryHistory(ident, tmp_path / "queries").add(kept[0])
    assert history.forms() == []
    file.mkdir()
    history.add(kept[0])
    assert history.forms() == [], "what cannot be kept is not"


@pytest.mark.torture
async def test_what_is_pasted_in_several_lines_is_one_query() -> None:
    async with exploring(shop()) as pilot:
        await press(pilot, "0", "j", "enter", "Q")
        assert pilot.app._driver is not None
        pasted = "blockdb find --order 'number desc'\n  --limit 2 \"city = 'Lyon'\n or city = 'Oslo'\"\n\x1b[2J"
        pilot.app._driver.send_message(events.Paste(pasted.replace("\x1b[2J", "")))
        await settled(pilot)
        await ran(pilot)
        view = shown(pilot, QueryView)
        assert view.form.form == Form("city = 'Lyon'  or city = 'Oslo'", "number desc", "", "2")
        assert len(view.documents.rows) == 2


@pytest.mark.torture
async def test_escape_stops_a_search_and_leaves_after_that() -> None:
    database = FakeDatabase([(b"k%05d" % at, b'{"n": %d}' % at) for at in range(300)])
    held = database.find

    def slowly(*arguments: Any, **named: Any) -> Any:
        for document in held(*arguments, **named):
            yield document
            while not database.may_verify.wait(0.01) and not stopped():
                pass

    def stopped() -> bool:
        view = app_of(pilot).screen
        return isinstance(view, QueryView) and view.search is not None and view.search.stopped

    database.find = slowly  # type: ignore[method-assign]
    database.may_verify.clear()
    async with exploring(database) as pilot:
        await press(pilot, "1", "Q", "enter")
        await until(pilot, lambda: "◐ 1 found" in screen_text(pilot))
        await press(pilot, "escape")
        await until(pilot, lambda: "stopped" in screen_text(pilot))


def test_the_form_is_a_line_of_the_shell_and_back() -> None:
    form = Form("-x = 'it''s \"so\"' and y :{z}", "age desc, name", 'a."b c"', "20")
    assert form_of(form.line()) == form
    assert form.command(Target("/srv/x")).startswith("blockdb -d /srv/x find --order 'age desc, name' --fields 'a.")
    assert form_of("find") == Form()
    assert form_of("find x=1 --all") == Form("x=1", limit="10000")
    for line in ("count", "find x --param a=b", "find 'x", "find x -c other", "find x --offset 3", "", "nonsense"):
        assert form_of(line) is None


@pytest.mark.parametrize(
    ("form", "part"),
    [
        (Form("age >"), "where"),
        (Form("age = 1", "age wrong"), "order"),
        (Form(fields="a,,b"), "fields"),
        (Form(limit="0"), "limit"),
        (Form(limit="10,001"), "limit"),
        (Form(limit="x"), "limit"),
    ],
)
def test_a_mistake_is_told_of_its_part(form: Form, part: str) -> None:
    found = look_at(shop().collection("orders"), form)  # type: ignore[arg-type]
    assert isinstance(found, Wrong)
    assert found.part == part
    assert 0 <= found.position <= 9


def test_a_form_that_is_right_has_a_plan() -> None:
    found = look_at(shop().collection("orders"), Form("city = 'Oslo'", "number", "city", "7"))  # type: ignore[arg-type]
    assert isinstance(found, Plan)


class Told:
    """A document of a search."""

    def __init__(self, key: bytes, value: dict[str, Any]) -> None:
        self.key, self.value = key, value


def test_there_is_a_column_for_each_field_that_was_found() -> None:
    documents = Documents()
    value = {"a": {"b": 1, "c": {"d": {"e": 2}}}, "t": "x\x1b[2J", "n": None, "empty": {}, "long": "y" * 500}
    for told in (Told(b"k1", value), Told(b"k2", {"a": {"b": 2.5}, "l": [1], "t": 3})):
        documents.take(told)  # type: ignore[arg-type]
    titles = [column.title for column in documents.columns()]
    assert titles == ["KEY", "a.b", "a.c.d", "t", "n", "empty", "long", "l"]
    first, second = documents.fetch(0, 9, 2)
    assert (first.cells["a.c.d"], first.cells["t"], first.cells["n"]) == ('{"e": 2}', "x␛[2J", "null")
    assert len(first.cells["long"]) == MOST_CELL
    assert (second.cells["l"], second.cells.get("n")) == ("[1]", None)
    by_title = {column.title: column for column in documents.columns()}
    assert by_title["a.b"].right
    assert not by_title["t"].right, "not all of its values are numbers"
    assert [column.title for column in documents.columns(5)] == ["KEY", "long", "l"]
    assert documents.locate(second, 2) == 1


def test_fields_without_end_do_not_fill_the_memory() -> None:
    documents = Documents()
    for number in range(50):
        fields = {f"f{number}-{at}": at for at in range(50)}
        documents.take(Told(b"k", json.loads(json.dumps(fields))))  # type: ignore[arg-type]
    assert len(documents.fields) == MOST_FIELDS
    assert documents.has_more_fields
