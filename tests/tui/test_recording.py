"""Recording what the explorer sees, and replaying it: the same lines as on the command line, in every view."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from textual.pilot import Pilot

import blockdb
from blockdb.commands.display import human_count
from blockdb.commands.recordings.events import KINDS
from blockdb.commands.recordings.keeping import Keeper
from blockdb.commands.recordings.reading import Recording, read_recording
from blockdb.commands.recordings.telling import told
from blockdb_tui import replayer
from blockdb_tui.main import main
from blockdb_tui.replay import Replay
from blockdb_tui.replayer import Replayer
from blockdb_tui.screens import cluster as screen
from tests.tiers import tiers
from tests.tui.covering import app_of, covers, said
from tests.tui.drive import NEVER_S, exploring, make_explorer, press, screen_text, settled, until
from tests.tui.fake import NOW_MS, FakeDatabase, sample
from tests.tui.fake_cluster import live
from tests.tui.recorded import GOLDEN, keep
from tests.tui.test_alerts import DISK, Seen
from tests.tui.test_hostile import NASTY, assert_safe
from tests.tui.test_main import on_terminal
from tests.tui.test_snapshots import compare

V1, V2 = GOLDEN / "cluster-v1.jsonl", GOLDEN / "everything-v2.jsonl"
TEXTS = Path(__file__).parent / "text" / "recording"


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time goes by when a test says so."""
    for module in (replayer, screen):
        monkeypatch.setattr(module, "DRAW_EVERY_S", NEVER_S)
    monkeypatch.setattr("blockdb_tui.recorder.LOOK_S", NEVER_S)


def paused(path: Path) -> Replay:
    replay = Replay.of_file(path)
    replay.playhead.toggle()
    return replay


# ── replayed ──


@pytest.mark.parametrize("some", tiers([(V2, 12)], [(V1, 1), (V2, 1)]))
async def test_the_explorer_shows_what_the_command_line_tells(some: tuple[Path, int]) -> None:
    path, each = some
    replay = paused(path)
    recording = replay.recording
    rows = list(told(recording, recording.first_ms, recording.last_ms))[::each]
    assert len(rows) > 12
    async with exploring(size=(200, 30), replay=replay) as pilot:
        app = app_of(pilot)
        for time_ms, _, data in sorted(rows, key=lambda row: str(row[2]["line"])):
            replay.playhead.seek(time_ms)
            await press(pilot, {"metrics": "3", "cluster": "8"}.get(data["line"], "7"))
            app.show_replay()
            await settled(pilot)
            text = screen_text(pilot)
            assert [words for words in _as_shown(data) if words not in text] == [], data


def _as_shown(data: dict[str, Any]) -> list[str]:
    """What a row says, as the explorer does."""
    if data["line"] == "metrics":
        rate = f"{data['writes_per_s']:.0f}/s"
        return [f"{human_count(data['records'])} rec", f"{human_count(data['blocks'])} bl", rate]
    if data["line"] == "cluster":
        return [f"{data['leader']} leads · term {data['term']}" if data["leader"] else "no leader"]
    kind = KINDS["reached" if data["what"] == "reached" else data["kind"]]
    return [data["what"] if data["line"] == "engine" else data["node_id"], f"{kind.glyph} {kind.word}"]


@pytest.mark.torture
async def test_figures_alerts_and_events_are_those_of_the_moment() -> None:
    async with exploring(size=(200, 40), replay=paused(V2)) as pilot:
        app = app_of(pilot)
        assert isinstance(app, Replayer)
        assert "Cluster · " in screen_text(pilot), "it begins with the cluster, where there is one"
        await press(pilot, "3", "J", *"25", "enter")
        text = screen_text(pilot)
        assert "208 rec" in text
        assert "disk_space" in text
        assert "8/s" in text
        assert "‖ paused ×1  0:25.0 of 0:59.0" in text
        await press(pilot, "right", "space", "greater_than_sign")
        app.go_on()
        await settled(pilot)
        assert "▶ playing ×2  0:26." in screen_text(pilot)
        await press(pilot, "space", "end")
        assert "disk_space" not in screen_text(pilot)
        for key, words in (("1", "A recording has no records"), ("4", "A recording has no records")):
            await press(pilot, key)
            assert words in screen_text(pilot)
            assert "0:59.0 of 0:59.0" in screen_text(pilot), "the time line is in every view"
        await press(pilot, "d", "home")
        text = screen_text(pilot)
        assert "recorded" in text
        assert "node1 votes" not in text
        await press(pilot, "n", "n", "n", "end")
        assert "node2 leads" in screen_text(pilot)
        await press(pilot, "v", "R", "Y", "A", "exclamation_mark", "escape")
        assert not app.is_recording
        await pilot.click("#replay", offset=(0, 0))
        await settled(pilot)
        assert "0:00.0 of 0:59.0" in screen_text(pilot)
        await press(pilot, "7", "Y", "end", "question_mark", "n", "space", "escape")
        assert pilot.app.clipboard.startswith("blockdb replay ")
        assert "0:59.0 of 0:59.0" in screen_text(pilot), "keys are those of what stands in front"


@pytest.mark.torture
async def test_whatever_a_file_says_only_what_can_be_seen_reaches_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "odd.jsonl"
    keep(path)
    text = path.read_text()
    nasty = "".join(word.decode("utf-8", "replace") for word in NASTY)
    quoted = json.dumps(nasty)
    for word in ("default", "orders", "disk_space", "critical", "8 blocks, 288 records", "node2", "sealed"):
        text = text.replace(f'"{word}"', quoted)
    path.write_text(text)
    async with exploring(size=(120, 30), replay=paused(path)) as pilot:
        for key in ("3", "end", "J", "2", "5", "enter", "7", "8", "n", "n"):
            await press(pilot, key)
            assert_safe(pilot)


# ── recorded ──


@covers("app.record")
async def test_what_is_seen_is_recorded_until_it_is_ended(tmp_path: Path) -> None:
    path = tmp_path / "kept.jsonl"
    database = FakeDatabase(sample())
    async with exploring(database, scene=live(), lookout=lambda: Seen(DISK)) as pilot:
        app = app_of(pilot)
        await press(pilot, "1", "R")
        view = app.view
        assert view is not None
        assert view.prompt._input.value == "blockdb-20250615-150640.jsonl"
        view.prompt._input.value = str(path)
        await press(pilot, "enter")
        await until(pilot, lambda: app.is_recording)
        await settled(pilot)
        assert "● REC" in screen_text(pilot).splitlines()[0]
        app._clock = lambda: NOW_MS / 1000 + 1
        database.changes = {"records": 77, "blocks": 9}
        app.take(database.stats())
        app.recorder.look()
        await press(pilot, "v")
        await until(pilot, lambda: app.verification.report is not None)
        app.recorder.look()
        await press(pilot, "R")
        await until(pilot, lambda: any("To see it again" in words for words in said(pilot)))
        assert "● REC" not in screen_text(pilot).splitlines()[0]
        recording = read_recording(path)
        assert [moment.statistics.records for _, _, moment in recording.moments()] == [60, 77]
        kinds = [event.kind for event in recording.events]
        assert {"opened", "sealed", "verified"} <= set(kinds)
        assert recording.of == "/srv/records"
        assert [alert.name for alert in recording.alerts_at(recording.last_ms)] == ["disk_space"]
        await press(pilot, "R")
        view = app.view
        assert view is not None
        view.prompt._input.value = str(path)
        await press(pilot, "enter")
        await until(pilot, lambda: "is there already" in said(pilot)[-1])
        assert not app.is_recording
        await press(pilot, "R", "ctrl+u", *"/nowhere/kept", "enter")
        await until(pilot, lambda: "cannot be recorded" in said(pilot)[-1])


@pytest.mark.torture
async def test_the_cluster_is_recorded_though_nobody_looks_at_it(tmp_path: Path) -> None:
    scene = live()
    async with exploring(FakeDatabase(sample()), scene=scene, record_into=str(tmp_path / "kept.jsonl")) as pilot:
        app = app_of(pilot)
        await until(pilot, lambda: app.is_recording)
        last = scene.story.samples[-1]
        app.recorder.look()
        scene.story.add(msgspec.structs.replace(last, time_ms=NOW_MS + 300))
        app.recorder.close()
        recording = read_recording(tmp_path / "kept.jsonl")
        assert [one.time_ms for one in recording.samples] == [NOW_MS + 300]


@pytest.mark.torture
async def test_a_disk_that_is_full_ends_the_recording_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with exploring(FakeDatabase(sample()), record_into=str(tmp_path / "kept.jsonl")) as pilot:
        app = app_of(pilot)
        await until(pilot, lambda: app.is_recording)

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Keeper, "take_statistics", full)
        assert app.database is not None
        app.take(app.database.stats())
        writer = app.recorder._writer
        assert writer is not None
        await until(pilot, lambda: writer.failure is not None)
        app.recorder.look()
        await until(pilot, lambda: any("No space left" in words for words in said(pilot)))
        assert not app.is_recording


# ── from the outside ──


def test_files_that_cannot_be_are_refused_before_anything_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for stream in ("stdin", "stdout"):
        monkeypatch.setattr(f"blockdb_tui.main.sys.{stream}.isatty", lambda: True, raising=False)
    taken = tmp_path / "taken.jsonl"
    taken.write_text("x\n")
    for words, code, message in (
        (["--record", str(taken)], 2, "is there already"),
        (["--record", "x", "--replay", str(taken)], 2, "exclude each other"),
        (["--replay", str(taken)], 3, "this is no recording"),
        (["--replay", str(tmp_path / "nowhere")], 3, "cannot be read"),
    ):
        assert main(words) == code
        assert message in capsys.readouterr().err


@pytest.mark.torture
def test_an_explorer_that_is_killed_leaves_a_recording(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db") as db:
        db.put(b"key:1", b"hidden")
    path = tmp_path / "kept.jsonl"
    with on_terminal(str(tmp_path / "db"), "--record", str(path)) as terminal:
        terminal.wait_for(b"REC")
        while not path.exists() or path.read_bytes().count(b"\n") < 5:
            terminal.wait_for(b"")
        os.kill(terminal.process.pid, signal.SIGKILL)
        terminal.process.wait(20)
    recording = read_recording(path)
    assert recording.has_metrics
    assert "hidden" not in path.read_text()
    with on_terminal("--replay", str(path)) as terminal:
        terminal.wait_for(b"playing")
        os.write(terminal.master, b"q")
        assert terminal.read_to_the_end() == 0


# ── how it looks ──


@pytest.mark.parametrize("size", [(80, 24), pytest.param((160, 45), marks=pytest.mark.torture)])
def test_the_picture(size: tuple[int, int], snap_compare: Callable[..., bool], request: pytest.FixtureRequest) -> None:
    seen: list[str] = []

    async def steps(pilot: Pilot[Any]) -> None:
        await settled(pilot)
        await press(pilot, "3", "J", *"44", "enter")
        seen.append(screen_text(pilot))

    recording = read_recording(V2)
    recording.samples.clear()
    recording.name = "kept.jsonl"
    replay = Replay(recording)
    replay.playhead.toggle()
    same = snap_compare(make_explorer(replay=replay), terminal_size=size, run_before=steps)
    compare(seen[0], TEXTS / f"metrics-{size[0]}x{size[1]}.txt", request)
    assert same


def test_a_recording_without_a_cluster_begins_with_its_figures() -> None:
    assert Replay(Recording.of_items(())).scene is None
