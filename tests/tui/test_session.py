"""The next visit begins where the last one ended."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from blockdb.errors import InvalidData
from blockdb_tui.screens.blocks import BlocksView
from blockdb_tui.screens.records import RecordsView
from blockdb_tui.session import LARGEST_BYTES, MOST_DATABASES, Memory, Place, Sessions, ident_of, sessions_path
from tests.tui.covering import app_of, said, shown
from tests.tui.drive import exploring, press, screen_text
from tests.tui.fake import sample, shop


@pytest.mark.torture
async def test_a_visit_begins_where_the_last_one_ended(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path / "state" / "explorer.json")
    memory = Memory("/srv/records", sessions)
    async with exploring(shop(), memory=memory, start="blocks") as pilot:
        shown(pilot, BlocksView)
        await press(pilot, "0", "j", "enter", "slash", *"order:00", "enter", "z")
        await press(pilot, "q")
    memory.keep()
    stored = (tmp_path / "state" / "explorer.json").read_text()
    assert "order:00" in stored
    assert str(sample()[0][1]) not in stored
    assert os.stat(tmp_path / "state" / "explorer.json").st_mode & 0o777 == 0o600

    async with exploring(shop(), memory=Memory("/srv/records", sessions)) as pilot:
        view = shown(pilot, RecordsView)
        assert app_of(pilot).inside == "orders"
        assert (view.prefix, view.has_class("-zoomed")) == (b"order:00", True)
        await press(pilot, "escape", "escape", "o", "1")
        assert "newest first" in screen_text(pilot)
        assert not said(pilot)
        assert Memory("/srv/records", sessions, fresh=True).place == Place()


@pytest.mark.torture
async def test_a_place_that_is_gone_is_no_trouble(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path / "explorer.json")
    sessions.write("/srv/records", Place("records", "cats", {"prefix": 7, "newest": "x", "zoomed": 1}))
    async with exploring(shop(), memory=Memory("/srv/records", sessions)) as pilot:
        assert app_of(pilot).inside is None
        assert shown(pilot, RecordsView).prefix == b""
    sessions.write("/srv/records", Place("nowhere", "", {"prefix": 7}))
    (tmp_path / "explorer.json").write_text("{")
    async with exploring(shop(), memory=Memory("/srv/records", sessions)) as pilot:
        shown(pilot, RecordsView)
        assert "It is not known where you were last" in said(pilot)[0]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{",
        b"\xff",
        b"[" * 100_000,
        b'{"format": "blockdb explorer session", "version": 2, "databases": {}}',
        b'{"format": "blockdb explorer session", "version": 1, "databases": []}',
        b'{"format": "blockdb explorer session", "version": 1, "databases": {"a": 1}}',
        b'{"format": "blockdb explorer session", "version": 1, "databases": {"a": {"view": 1}}}',
        b'{"format": "blockdb explorer session", "version": 1, "databases": {"a": {"chosen": []}}}',
        b" " * (LARGEST_BYTES + 1),
    ],
)
def test_a_broken_file_is_told_and_written_anew(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "explorer.json"
    path.write_bytes(data)
    sessions = Sessions(path)
    with pytest.raises(InvalidData, match=r"explorer\.json"):
        sessions.read("a")
    sessions.write("a", Place("blocks"))
    assert sessions.read("a") == Place("blocks")


def test_the_file_stays_small_and_has_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "explorer.json"
    sessions = Sessions(path)
    for number in range(MOST_DATABASES + 3):
        sessions.write(f"db{number}", Place("records", chosen={"prefix": "p" * 1000 * (number % 2)}))
    known = json.loads(path.read_text())["databases"]
    assert len(known) == MOST_DATABASES
    assert "db0" not in known
    assert path.stat().st_size < LARGEST_BYTES
    assert os.listdir(tmp_path) == ["explorer.json"]


def test_what_is_not_left_is_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "explorer.json"
    memory = Memory("a", Sessions(path))
    memory.keep()
    assert not path.exists()
    memory.leave(Place("blocks"))
    path.mkdir()
    memory.keep()  # nobody is there any more to be told that it cannot be written
    assert Memory("a", Sessions(path)).complaints


def test_what_a_database_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert sessions_path() == tmp_path / "blockdb" / "explorer.json"
    assert ident_of("db", is_server=False) == str(tmp_path.resolve() / "db")
    assert ident_of("https://me:secret@host:8080/x?token=1", is_server=True) == "https://host:8080/x"
