"""Saving to files: what is in them, what is never replaced, and how it ends early."""

from __future__ import annotations

import csv
import io
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from blockdb.commands.display import human_bytes
from blockdb.commands.shapes import from_json
from blockdb_tui.listing import ByKey
from blockdb_tui.saver import Saver
from blockdb_tui.screens.records import RecordsView
from blockdb_tui.screens.saving import Saving
from tests.tui.covering import app_of, covers, said, shown
from tests.tui.drive import exploring, press, screen_text, until
from tests.tui.fake import FakeDatabase, sample, shop

EVIL = b'{"evil": "\x1b]52;c;AAAA\x07", "comma": "a,\\"b\\""}'


def read(name: str) -> bytes:
    return Path(name).read_bytes()


@covers("app.save")
@pytest.mark.torture
async def test_tables_values_and_the_screen_are_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    database = shop()
    database.add((b"aaa\xff", EVIL), (b"aab", EVIL))
    stored = dict([*sample(), (b"aaa\xff", EVIL), (b"aab", EVIL)])

    async def save(name: str) -> str:
        await press(pilot, "E", "ctrl+u", *name, "enter")
        return said(pilot)[-1]

    async with exploring(database, size=(100, 30)) as pilot:
        await press(pilot, "E")
        assert "records.jsonl" in screen_text(pilot)
        await press(pilot, "enter")
        assert f"Saved 62 rows, {human_bytes(len(read('records.jsonl')))}" in said(pilot)[-1]
        assert os.stat("records.jsonl").st_mode & 0o777 == 0o600
        assert dict(map(from_json, read("records.jsonl").splitlines())) == stored, "what is saved can be imported"

        before = read("records.jsonl")
        assert "is there already; nothing was written" in await save("records.jsonl")
        assert read("records.jsonl") == before
        assert "the name has to end with .json, .jsonl, .csv, .txt or .svg" in await save("records.xlsx")
        assert "It cannot be saved. FileNotFoundError" in await save("nowhere/records.csv")
        await save("r.csv")
        rows = {row["key"]: row["value"] for row in csv.DictReader(io.StringIO(read("r.csv").decode(), newline=""))}
        assert rows["aab"].encode() == EVIL
        await save("r.json")
        assert len(json.loads(read("r.json").decode())) == 62
        await save("r.txt")
        text = read("r.txt").decode()
        assert "\x1b" not in text, "as it is to be read"
        assert text.splitlines()[0].split("\t")[-2:] == ["VALUE", "SIZE"]
        await save("r.svg")
        assert read("r.svg").decode().startswith("<svg")

        await press(pilot, "j", "tab", "E")
        assert "value.json" in screen_text(pilot)
        await press(pilot, "enter")
        assert read("value.json") == EVIL
        await press(pilot, "0")
        await save("c.jsonl")
        names = [json.loads(line)["name"] for line in read("c.jsonl").decode().splitlines()]
        assert names == ["default", "orders", "people"]
        await press(pilot, "3")
        assert "the name has to end with .txt or .svg" in await save("m.csv")
        await save("m.txt")
        assert "Latency" in read("m.txt").decode()
        assert "Save as" not in read("m.txt").decode()


@covers("saving.cancel")
async def test_a_long_table_can_be_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    may_go_on = threading.Event()
    fetch = ByKey.fetch

    def slow(listing: ByKey, first: int, limit: int, count: int) -> Any:
        if limit == 512:
            may_go_on.wait(20)
        return fetch(listing, first, limit, count)

    async with exploring(FakeDatabase(sample(600))) as pilot:
        monkeypatch.setattr(ByKey, "fetch", slow)
        app = app_of(pilot)
        view = shown(pilot, RecordsView)
        Saver.of(app, view).save("r.jsonl")
        await until(pilot, lambda: isinstance(app.screen, Saving))
        await until(pilot, lambda: "0 of 600 rows" in screen_text(pilot))
        shown(pilot, Saving).action_cancel()
        may_go_on.set()
        await until(pilot, lambda: "Stopped. Nothing is left of r.jsonl." in said(pilot))
        assert not os.listdir(tmp_path) or os.listdir(tmp_path) == [".home"]
        assert isinstance(app.screen, RecordsView)
