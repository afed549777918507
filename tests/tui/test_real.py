"""The explorer on the real engine: beside a writer, on damaged files, on a directory that goes away and comes back."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

import blockdb
from blockdb_tui.app import Explorer
from blockdb_tui.origin import Attached
from blockdb_tui.screens.blocks import BlocksView
from blockdb_tui.screens.problems import Problems
from blockdb_tui.screens.records import RecordsView
from tests.tui.drive import OFTEN_S, press, screen_text, settled, until

BATCH = 10


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    with blockdb.open(tmp_path / "db", blockchain_batch_size=BATCH) as database:
        database.put_many([(b"key:%03d" % number, b'{"n": %d}' % number) for number in range(45)])
    return tmp_path / "db"


@asynccontextmanager
async def attached(directory: Path) -> AsyncIterator[Pilot[Any]]:
    app = Explorer(Attached(directory), poll_s=OFTEN_S)
    async with app.run_test(size=(120, 40), notifications=True, tooltips=True) as pilot:
        await settled(pilot)
        yield pilot
    app.origin.close()


def blocks_view(pilot: Pilot[Any]) -> BlocksView:
    assert isinstance(pilot.app.screen, BlocksView)
    return pilot.app.screen


def records_view(pilot: Pilot[Any]) -> RecordsView:
    assert isinstance(pilot.app.screen, RecordsView)
    return pilot.app.screen


@pytest.mark.torture
async def test_another_writer_is_seen_to_write(directory: Path) -> None:
    async with attached(directory) as pilot:
        with blockdb.open(directory) as writer:
            writer.put_many([(b"new:%d" % number, b"v") for number in range(7)])
            await until(pilot, lambda: records_view(pilot).table.total == 52)
            await press(pilot, "2")
            view = blocks_view(pilot)
            assert view.belt.sealed == 5
            assert view.belt.selected == 5
            writer.put_many([(b"newer:%d" % number, b"v") for number in range(10)])
            await until(pilot, lambda: view.belt.sealed == 6)
            assert view.belt.selected == 6
            await settled(pilot)
            assert "═══" in screen_text(pilot)
            await press(pilot, "3")
            await until(pilot, lambda: "62 rec" in screen_text(pilot))


async def test_a_block_is_shown_as_it_is_stored(directory: Path) -> None:
    with blockdb.open(directory, read_only=True) as database:
        block, root = database.block(2), blockdb.merkle_levels(database.block_leaves(2))[-1][0]
    async with attached(directory) as pilot:
        await press(pilot, "2", "J", "2", "enter", "m")
        text = screen_text(pilot)
        assert block.hash.hex()[:32] in text
        assert "══ the hash of block 1" in text
        assert "══ block 3 names this hash" in text
        assert root.hex()[:8] in text
        assert blocks_view(pilot).table.row_at(0) is not None


async def test_verification_of_a_sound_database(directory: Path) -> None:
    async with attached(directory) as pilot:
        await press(pilot, "v")
        await until(pilot, lambda: pilot.app.verification.report is not None)  # type: ignore[attr-defined]
        await settled(pilot)
        assert "✓ verified 4 blocks" in screen_text(pilot)


def damage(directory: Path, suffix: str) -> tuple[Path, Path]:
    """Changes one byte in the middle of a file. Gives its path and that of a sound copy."""
    path = next(directory.rglob(f"*{suffix}"))
    kept = shutil.copy(path, directory.parent / "kept")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x40
    path.write_bytes(data)
    return path, kept


async def test_damage_is_found_and_shown(directory: Path) -> None:
    damage(directory, ".chain")
    async with attached(directory) as pilot:
        await press(pilot, "v")
        await until(pilot, lambda: isinstance(pilot.app.screen, Problems))
        await settled(pilot)
        assert ".chain at" in screen_text(pilot)


@pytest.mark.torture
async def test_a_database_that_does_not_open_says_why_and_can_be_looked_through(directory: Path) -> None:
    damage(directory, "manifest.toml")
    async with attached(directory) as pilot:
        text = screen_text(pilot)
        assert "The database cannot be read" in text
        assert "manifest.toml" in text
        assert "v looks through all files" in text
        await press(pilot, "v")
        await until(pilot, lambda: isinstance(pilot.app.screen, Problems))
        await settled(pilot)
        assert "manifest.toml" in screen_text(pilot)
        await press(pilot, "escape", "2", "3", "1")
        assert "The database cannot be read" in screen_text(pilot)


async def test_a_database_that_comes_back_is_shown_again(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blockdb_tui.connected.RETRY_S", OFTEN_S)
    manifest, kept = damage(directory, "manifest.toml")
    async with attached(directory) as pilot:
        assert "The database cannot be read" in screen_text(pilot)
        shutil.copy(kept, manifest)
        await until(pilot, lambda: records_view(pilot).table.total == 45)
        await press(pilot, "j")
        assert "The database cannot be read" not in screen_text(pilot)


async def copied_commands(directory: Path) -> list[str]:
    """What Y copies in each place."""
    copied = []
    async with attached(directory) as pilot:
        for keys in ((), ("slash", "n", "e", "enter"), ("enter",), ("escape", "2"), ("g",), ("r",), ("3",)):
            await press(pilot, *keys, "Y")
            copied.append(pilot.app.clipboard)
    return copied


@pytest.mark.torture
def test_the_copied_commands_print_what_was_shown(directory: Path) -> None:
    with blockdb.open(directory) as database:
        database.put(b"ne\x1bw $key", b"the value")
    shown = ("key:000", "the value", "the value", "0", "0", "key:000", "46")
    for command, words in zip(asyncio.run(copied_commands(directory)), shown, strict=True):
        script = command.replace("blockdb", f"{sys.executable} -m blockdb.commands.main", 1)
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), command
        assert words in done.stdout, command


async def test_a_redacted_value_is_shown_as_such(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db", blockchain_batch_size=2, redactable=True) as writer:
        writer.put_many([(b"key:%d" % number, b"secret %d" % number) for number in range(3)])
        writer.redact(b"key:0", reason="asked for")
    async with attached(tmp_path / "db") as pilot:
        await until(pilot, lambda: "The value was redacted" in screen_text(pilot))
        text = screen_text(pilot)
        assert "(redacted)" in text
        assert "secret 1" in text
        assert "secret 0" not in text


async def copied_proof(directory: Path) -> str:
    """What Y copies at a proof that was walked to its end."""
    async with attached(directory) as pilot:
        await press(pilot, "J", *"ne", "enter", "P", "a")
        assert "✓ proven: each hash was recomputed here" in screen_text(pilot)
        await press(pilot, "Y")
        return str(pilot.app.clipboard)


@pytest.mark.torture
def test_a_proof_is_walked_here_and_checked_outside(directory: Path, tmp_path: Path) -> None:
    with blockdb.open(directory) as database:
        database.put(b"ne\x1bw $key", b"the value")
    command = asyncio.run(copied_proof(directory))
    script = command.replace("blockdb ", f"{sys.executable} -m blockdb.commands.main ")
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "✓ The receipt is valid" in done.stdout


@pytest.mark.torture
async def test_a_real_copy_is_tampered_with_and_gone_with_the_explorer(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    async with attached(directory) as pilot:
        await press(pilot, "4", "G", "enter")
        text = screen_text(pilot)
        assert "1 of 5" in text
        assert "· missed  Verification" in text
        assert "from here on another history was written" in " ".join(text.split())
        [copy] = temporary.iterdir()
        await press(pilot, "n")
        assert not copy.exists()
        await press(pilot, "enter")
        assert list(temporary.iterdir())
        app = pilot.app
        assert isinstance(app, Explorer)
        app.laboratory.close()
        assert not list(temporary.iterdir())


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A database with a collection of documents that has a schema of two versions and an index."""
    fields = {"city": {"field_type": "String", "required": True}, "age": {"field_type": "Integer"}}
    with blockdb.open(tmp_path / "shop", blockchain_batch_size=BATCH) as database:
        people = database.create_collection("our people", schema={"fields": fields}, description="Everybody")
        cities = ("Oslo", "Lyon", "Lima")
        people.put_many([(b"p:%02d" % n, {"city": cities[n % 3], "age": 20 + n}) for n in range(25)])
        people.create_index("by_city", ["city"])
        people.set_schema({"fields": {**fields, "name": {"field_type": "String"}}})
    return tmp_path / "shop"


@pytest.mark.torture
async def test_a_real_collection_is_gone_through(shop: Path) -> None:
    async with attached(shop) as pilot:
        await press(pilot, "0")
        await until(pilot, lambda: "our people" in screen_text(pilot) and "···" not in screen_text(pilot))
        await press(pilot, "G", "enter")
        await until(pilot, lambda: records_view(pilot).table.total == 25)
        assert "schema 1" in screen_text(pilot)
        await press(pilot, "w", "c", "i", "tab", *" = 'Lima' order by age desc", "enter")
        await until(pilot, lambda: "index by_city · 8 records touched" in screen_text(pilot))
        await until(pilot, lambda: re.findall(r"p:\d+", screen_text(pilot))[:1] == ["p:23"])
        await press(pilot, "5")
        await until(pilot, lambda: "version 2 of 2, from record #25 on" in screen_text(pilot))
        assert "by_city" in screen_text(pilot)
        await press(pilot, "6")
        await until(pilot, lambda: "p:24" in screen_text(pilot))
        with blockdb.open(shop) as writer:
            writer["our people"].put(b"p:new", {"city": "Turku", "name": "Tove"})
            await until(pilot, lambda: "p:new" in screen_text(pilot))
            await until(pilot, lambda: "schema 2" in screen_text(pilot))
        await press(pilot, "v")
        await until(pilot, lambda: "✓ verified" in screen_text(pilot))
        await settled(pilot)
        assert "✓ 1" in screen_text(pilot)


@pytest.mark.torture
async def test_a_real_collection_is_made_and_dropped(tmp_path: Path) -> None:
    blockdb.open(tmp_path / "db").close()
    app = Explorer(Attached(tmp_path / "db"), poll_s=OFTEN_S)
    async with app.run_test(size=(120, 40), notifications=True, tooltips=True) as pilot:
        await settled(pilot)
        await press(pilot, "!", "0", "n", *"my cats", "enter")
        await until(pilot, lambda: "my cats" in screen_text(pilot))
        assert app.database is not None
        assert app.database.has_collection("my cats")
        await press(pilot, "enter", "0", "D", *"my cats", "enter")
        await until(pilot, lambda: app.database is not None and not app.database.has_collection("my cats"))
        await settled(pilot)
        assert app.inside is None
    app.origin.close()


@pytest.mark.torture
def test_the_commands_copied_inside_a_collection_print_what_was_shown(shop: Path) -> None:
    async def copied() -> list[str]:
        commands = []
        places = (
            ("G", "enter"),
            ("enter",),
            ("escape", "w", *"age > 40 order by age", "enter"),
            ("5",),
            ("tab",),
            ("2",),
            ("3",),
        )
        async with attached(shop) as pilot:
            await press(pilot, "0")
            for keys in (*places, ("0",)):
                await press(pilot, *keys, "Y")
                commands.append(str(pilot.app.clipboard))
        return commands

    shown = ("p:00", '"city":"Oslo"', "p:21", "city", "by_city", "0", "25", "our people")
    for command, words in zip(asyncio.run(copied()), shown, strict=True):
        script = command.replace("blockdb", f"{sys.executable} -m blockdb.commands.main", 1)
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), command
        assert words in done.stdout, (command, done.stdout)
