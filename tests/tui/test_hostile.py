"""Bytes that strangers stored: whatever they are, nothing of them reaches the terminal but what can be seen."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from typing import Any

import pytest
from textual.pilot import Pilot

from blockdb import Act, Corruption, IndexInfo, Problem, TransactionInfo
from blockdb_tui.app import Explorer
from blockdb_tui.screens.problems import Problems
from blockdb_tui.screens.records import RecordsView
from tests.tiers import tiers
from tests.tui.covering import app_of
from tests.tui.drive import exploring, press, screen_text, settled, until
from tests.tui.fake import FakeDatabase, Given
from tests.tui.fake_lab import FakeLab

NASTY = [
    b"\x1b]52;c;aGFja2Vk\x07",
    b"\x1b[2J\x1b[31mred",
    b"[/foo][bold]x[/]",
    b"[@click=app.quit]quit[/]",
    b"a\x00b\x08c\rd\ne\tf\x7f",
    b"\xff\xfe\x80\x9b31m",
    "\u202eevil\u2066\u200f\u2028\u2029\u061c".encode(),
    "\x9b2J\x85".encode(),
    b"\xed\xa0\x80\xf5\x80\x80\x80",
    "日本語 e\u0301 👩‍👩‍👧".encode(),
    b"$markup {braces} %s \\x1b",
    b"x" * 5_000,
]
NASTY_JSON = b'{"[/foo]": "\\u001b[2J", "\xc2\x9b": ["\xe2\x80\xae", "[red]"], "\x7f": 1}'

UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")


def hostile_items() -> list[tuple[bytes, bytes]]:
    items = [(key, NASTY[at - 1]) for at, key in enumerate(NASTY)]
    return [*items, (b"json", NASTY_JSON), (b"deep", b"[" * 50_000)]


def assert_safe(pilot: Pilot[Any]) -> None:
    for strip in pilot.app.screen._compositor.render_strips():
        for segment in strip:
            assert not UNSAFE.search(segment.text), repr(segment.text)
    screen = pilot.app.screen
    for widget in screen.walk_children():
        for title in (getattr(widget, "_border_title", None), getattr(widget, "_border_subtitle", None)):
            assert title is None or not UNSAFE.search(title.plain)


async def walk_everything(pilot: Pilot[Any], rows: int, *keys: str) -> None:
    """Through every record: each as it is shown first, then after each of the keys."""
    for _ in range(rows):
        await press(pilot, "j")
        assert_safe(pilot)
        for key in keys:
            await press(pilot, key)
            assert_safe(pilot)


@pytest.mark.parametrize(
    ("size", "keys"),
    [((80, 24), ("m", "m", "m", "c", "Y")), pytest.param((170, 50), ("y",), marks=pytest.mark.torture)],
)
async def test_no_view_lets_hostile_bytes_through(size: tuple[int, int], keys: tuple[str, ...]) -> None:
    items = hostile_items()
    async with exploring(FakeDatabase(items, batch=3), size=size) as pilot:
        await walk_everything(pilot, len(items), *keys)
        await press(pilot, "enter")
        assert_safe(pilot)
        await press(pilot, "escape", "o", "f", "b")
        assert_safe(pilot)
        for _ in range(5):
            await press(pilot, "escape", "h", "r", "j")
            assert_safe(pilot)
        await press(pilot, "3", "question_mark")
        assert_safe(pilot)


@pytest.mark.torture
async def test_hostile_bytes_in_prompts_and_palette() -> None:
    async with exploring(FakeDatabase(hostile_items())) as pilot:
        for typed in ("\\x1b", "[/foo]", "\\xff", "["):
            await press(pilot, "slash", *typed, "enter")
            assert_safe(pilot)
            await press(pilot, "escape", "J", *typed, "enter")
            assert_safe(pilot)
            await press(pilot, "ctrl+p", *typed)
            await until(pilot, lambda: len(pilot.app.screen_stack) > 1)
            await settled(pilot)
            assert_safe(pilot)
            await press(pilot, "escape", "escape")


async def test_what_is_pasted_into_a_prompt_is_made_safe() -> None:
    from textual import events

    async with exploring(FakeDatabase(hostile_items())) as pilot:
        await press(pilot, "slash")
        assert pilot.app._driver is not None
        pilot.app._driver.send_message(events.Paste("\x1b]52;c\x07\u202e\n"))
        await settled(pilot)
        assert_safe(pilot)
        await press(pilot, "enter")
        view = pilot.app.screen
        assert isinstance(view, RecordsView)
        assert view.prefix == "\x1b]52;c\x07\u202e".encode()


@pytest.mark.torture
async def test_hostile_bytes_in_problems_errors_and_paths() -> None:
    database = FakeDatabase(hostile_items(), batch=3)
    database.problems = tuple(
        Problem(f"chain/{key.decode('utf-8', 'replace')}", at, at % 4, at, key, f"[/oops] {key!r} \x1b[2J")
        for at, key in enumerate(NASTY)
    )
    database.unreadable = {NASTY[2]: Corruption("chain/\x1b[1m[/x]", 7, "the checksum of '\x1b[2J[/y]' does not fit")}
    origin = Given(database, name="/srv/\x1b[31m[/z]")
    async with exploring(origin) as pilot:
        await walk_everything(pilot, len(NASTY))
        await press(pilot, "v")
        await until(pilot, lambda: isinstance(pilot.app.screen, Problems))
        for _ in NASTY:
            await press(pilot, "j")
            assert_safe(pilot)
        await press(pilot, "enter")
        assert_safe(pilot)
        origin.error = Corruption("\x1b]0;title\x07[/a]", None, "[/b]\u202e")
        database.failing = origin.error
        app = pilot.app
        assert isinstance(app, Explorer)
        app.workers.cancel_group(app, "connection")
        app._lost(origin.error)
        await settled(pilot)
        assert_safe(pilot)


async def test_hostile_bytes_in_a_proof() -> None:
    items = [(b"".join(NASTY[:6]), b"".join(NASTY[6:11])), (b"".join(NASTY[6:11]), b"".join(NASTY[:6]))]
    async with exploring(FakeDatabase(items), size=(80, 24)) as pilot:
        for _ in items:
            await press(pilot, "P")
            assert_safe(pilot)
            await press(pilot, "a", "Y")
            assert_safe(pilot)
            await press(pilot, "escape", "j")


@pytest.mark.torture
async def test_hostile_bytes_in_the_lab(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeLab, "key", b"".join(NASTY[:11]))
    async with exploring(FakeDatabase(hostile_items(), batch=3)) as pilot:
        await press(pilot, "4", "enter")
        assert_safe(pilot)
        await press(pilot, "tab", "j", "Y", "G")
        assert_safe(pilot)


@pytest.mark.parametrize("seed", tiers([0], [1, 2]))
@pytest.mark.torture
async def test_random_bytes_in_every_view(seed: int) -> None:
    chance = random.Random(seed)
    items = {chance.randbytes(chance.randint(1, 60)): chance.randbytes(chance.randint(0, 400)) for _ in range(40)}
    async with exploring(FakeDatabase(list(items.items()), batch=7), size=(chance.randint(60, 200), 30)) as pilot:
        for _ in range(60):
            await press(pilot, chance.choice("jkGgmofbczy01234569dhlrsax") if chance.random() < 0.9 else "escape")
            assert_safe(pilot)


def hostile_collections() -> FakeDatabase:
    """A database whose collections have names, fields, indexes, rules and documents that strangers thought of."""
    database = FakeDatabase(hostile_items(), batch=3, read_only=False)
    names = [key.decode("utf-8", "surrogateescape") for key in NASTY[:10]]
    field = {"field_type": "\x1b[2J", "default_value": "\x9b2J", "validation_rules": [{"[/x]": "\u202e"}]}
    fields = dict.fromkeys(names, field)
    document = json.dumps(dict.fromkeys(names, names)).encode()
    for number, name in enumerate(names):
        collection = database.with_collection(name, [(name.encode("utf-8", "surrogateescape"), document)] * 1)
        collection.info = {"description": name, "created_by": name}
        collection.evolution = [(0, {"fields": fields, "required_fields": names})]
        collection.indexed = [IndexInfo(name, tuple(names), True, True, 1, 1, f"[/{name}]", number)]
    waits = [TransactionInfo(number, 1.0, 1, waits_for=(9,), wanted=name) for number, name in enumerate(names)]
    database.under_way = [replace(each, collections=(names[at],)) for at, each in enumerate(waits)]
    database.ended = [replace(each, outcome=names[at], collections=(names[at],)) for at, each in enumerate(waits)]
    database.entered = [
        Act(at, name, name, name, name, name, name, key, len(key), 1, name, name, at)
        for at, (name, key) in enumerate(zip(names, NASTY, strict=False))
    ]
    return database


@pytest.mark.torture
async def test_hostile_bytes_in_collections_schemas_changes_and_transactions() -> None:
    async with exploring(hostile_collections(), size=(150, 40)) as pilot:
        await press(pilot, "3", "x")
        assert_safe(pilot)
        for size in ((80, 24), (150, 40)):
            await pilot.resize_terminal(*size)
            for view in "9dS":
                await press(pilot, view)
                await settled(pilot)
                assert_safe(pilot)
        await press(pilot, "6", "a")
        assert_safe(pilot)
        for _ in range(len(NASTY)):
            await press(pilot, "j")
            assert_safe(pilot)
        await press(pilot, "0", "g")
        for _ in range(11):
            await press(pilot, "D")
            assert_safe(pilot)
            await press(pilot, "escape", "enter")
            assert_safe(pilot)
            await press(pilot, "5")
            assert_safe(pilot)
            await press(pilot, "0", "j")
            assert_safe(pilot)


@pytest.mark.torture
async def test_hostile_bytes_in_the_audit_log() -> None:
    database = FakeDatabase()
    for number, nasty in enumerate(NASTY):
        text = nasty.decode("utf-8", "surrogateescape")
        who = (text, text, text, text, text, text)
        database.entered.append(Act(number, *who, nasty, len(nasty), 1, text, text, number))
    async with exploring(database, size=(150, 40)) as pilot:
        await press(pilot, "7")
        await until(pilot, lambda: len(database.entered) == app_of(pilot).screen.table.total)  # type: ignore[attr-defined]
        for _ in NASTY:
            assert_safe(pilot)
            await press(pilot, "j")
        await press(pilot, "enter")
        assert_safe(pilot)


@pytest.mark.torture
async def test_hostile_documents_in_the_result_of_a_query() -> None:
    names = [key.decode("utf-8", "ignore") for key in NASTY]
    documents = [(key, json.dumps(dict.fromkeys(names, names[at:])).encode()) for at, key in enumerate(NASTY)]
    async with exploring(FakeDatabase(documents, batch=3), size=(150, 40)) as pilot:
        await press(pilot, "Q", "enter")
        await until(pilot, lambda: "12 found" in screen_text(pilot))
        for _ in names:
            await press(pilot, "l", "j", "Y")
            assert_safe(pilot)
        await press(pilot, "slash", *"\"[/foo]\" = = '\x1b'", "enter")
        assert_safe(pilot)


@pytest.mark.torture
async def test_hostile_names_of_fields_are_completed_safely() -> None:
    async with exploring(hostile_collections()) as pilot:
        await press(pilot, "0", "g", "enter", "w")
        for _ in range(4):
            await press(pilot, "tab")
            assert_safe(pilot)
        await press(pilot, "ctrl+u", *"\"\\u001b\" = = '[/x]'")
        assert_safe(pilot)
        await press(pilot, "escape", "w", *"[/x]", "enter")
        assert_safe(pilot)
