"""The view of a cluster: replayed, live, and with faults done to the nodes; and how it looks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

import blockdb
from blockdb.commands.recordings.events import Happening
from blockdb.commands.recordings.lanes import Lane, Placed, Sample
from blockdb.commands.recordings.reading import read_recording
from blockdb_tui import replayer
from blockdb_tui.cluster.scene import Scene
from blockdb_tui.cluster.story import Story
from blockdb_tui.replay import Replay
from blockdb_tui.screens import cluster as screen
from blockdb_tui.screens.cluster import ClusterView
from tests.tui.covering import covers, said, shown
from tests.tui.drive import NEVER_S, OFTEN_S, exploring, make_explorer, press, screen_text, settled, until
from tests.tui.fake import NOW_MS, FakeDatabase, Given, sample
from tests.tui.fake_cluster import FakeStage, Quiet, live, replayed, story
from tests.tui.test_hostile import NASTY, assert_safe
from tests.tui.test_snapshots import compare

TEXTS = Path(__file__).parent / "text" / "cluster"
NARROW, WIDE = (80, 24), (180, 50)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time goes by when a test says so."""
    monkeypatch.setattr(screen, "DRAW_EVERY_S", NEVER_S)
    monkeypatch.setattr(replayer, "DRAW_EVERY_S", NEVER_S)


@asynccontextmanager
async def showing(
    scene: Scene | Replay, size: tuple[int, int] = NARROW
) -> AsyncIterator[tuple[Pilot[Any], ClusterView]]:
    async with exploring(None, size, **_options(scene)) as pilot:
        yield pilot, shown(pilot, ClusterView)


def _options(scene: Scene | Replay) -> dict[str, Any]:
    return {"scene": scene} if isinstance(scene, Scene) else {"replay": scene}


# ── along the line ──


@covers("cluster.back", "cluster.on", "cluster.first", "cluster.last", "cluster.page_back", "cluster.page_on")
@covers("replay.back_too", "replay.on_too", "replay.first_too", "replay.last_too")
@covers("cluster.closer", "cluster.further", "lanes.up", "lanes.down")
async def test_the_line_is_scrubbed_and_the_lanes_go_along() -> None:
    async with showing(replayed()) as (pilot, view):
        assert view.scene is not None
        head, first = view.scene.playhead, view.scene.story.first_ms
        assert "node2 leads · term 2" in screen_text(pilot)
        steps = [("home", first), ("right", first + 500), ("l", first + 1_000), ("left", first + 500), ("h", first)]
        page = (view.line.columns - 1) * 500
        steps += [("pagedown", first + page), ("pageup", first), ("L", first + page), ("H", first), ("end", NOW_MS)]
        steps += [("ctrl+u", NOW_MS - page), ("ctrl+d", NOW_MS), ("g", first), ("G", NOW_MS), ("home", first)]
        for key, time_ms in steps:
            await press(pilot, key)
            assert head.time_ms == time_ms, key
        assert "no leader" in screen_text(pilot)
        await press(pilot, "plus", "right")
        assert head.time_ms == first + 250
        await press(pilot, "minus", "minus", "right")
        assert head.time_ms == first + 1_250
        assert "node1 leads · term 1" in screen_text(pilot)
        await press(pilot, "j", "down", "k")
        assert view.lanes.lane is not None
        assert view.lanes.lane.id == "node2"
        await press(pilot, "up", "up")
        assert view.lanes.lane.id == "node1"


@covers("replay.next_event", "replay.previous_event", "replay.jump", "replay.back", "replay.on")
@covers("replay.first", "replay.last", "cluster.next_event", "cluster.previous_event", "cluster.jump")
@pytest.mark.torture
async def test_events_and_moments_are_gone_to() -> None:
    async with showing(replayed()) as (pilot, view):
        assert view.scene is not None
        head, first = view.scene.playhead, view.scene.story.first_ms
        await press(pilot, "n")
        assert "no event after" in said(pilot)[-1]
        await press(pilot, "N", "N", "n")
        assert "14 of 15" not in screen_text(pilot)
        await press(pilot, "J", *"0:12.5", "enter")
        assert head.time_ms == first + 12_500
        await press(pilot, "J", *"soon", "enter")
        assert "no time such as" in said(pilot)[-1]
        await press(pilot, "J", *"1e99", "enter")
        assert head.time_ms == NOW_MS


@covers("cluster.partitions")
async def test_who_keeps_which_partition_is_shown_in_place_of_what_happened() -> None:
    async with showing(replayed()) as (pilot, view):
        await press(pilot, "P")
        assert not view.placements.display
        assert view.scene is not None
        holders = (("node1", "Leader", 0), ("node2", "Follower", 12), ("node3", "Learner", 0))
        placed = (Placed("users:3", "node1", 4, 16_000, holders), Placed("users:4"))
        last = view.scene.story.samples[-1]
        view.scene.story.add(Sample(last.time_ms, last.lanes, placed))
        await press(pilot, "end", "P")
        text = screen_text(pilot)
        assert "users:3" in text
        assert "◆ node1   ○ node2 −12   ◌ node3" in text
        assert "2 partitions, 1 led" in text
        await press(pilot, "P")
        assert view.happenings.display


@covers("replay.hold", "replay.slower", "replay.faster", "replay.far_on", "replay.far_back")
async def test_a_recording_is_played() -> None:
    async with showing(replayed()) as (pilot, _):
        app = pilot.app
        assert isinstance(app, replayer.Replayer)
        await press(pilot, "home", "space", "greater_than_sign", "greater_than_sign", "less_than_sign")
        assert "▶ playing ×2  0:00.0 of 0:59.7" in screen_text(pilot)
        app.go_on()
        await settled(pilot)
        assert "▶ playing ×2  0:00.5 of 0:59.7" in screen_text(pilot)
        await press(pilot, "space", "7")
        assert "‖ paused ×2" in screen_text(pilot)
        await press(pilot, "L", "H")


@pytest.mark.torture
async def test_a_recording_has_no_records_but_all_else_answers() -> None:
    async with showing(replayed()) as (pilot, view):
        await press(pilot, "1")
        assert "A recording has no records" in screen_text(pilot)
        await press(pilot, "8", "v", "x", "w", "Y")
        assert pilot.app.clipboard == "blockdb-tui --replay cluster.jsonl"
        assert not view.prompt.asking
        await press(pilot, "question_mark")
        assert "▲ candidate" in screen_text(pilot)


@covers("view.cluster", "cluster.follow", "cluster.hold")
@pytest.mark.torture
async def test_live_it_follows_and_is_held() -> None:
    async with showing(live()) as (pilot, view):
        assert view.scene is not None
        assert "● following" in screen_text(pilot)
        await press(pilot, "left", "left", "Y")
        assert "‖ held 1 s ago" in screen_text(pilot)
        assert pilot.app.clipboard == "blockdb -d /srv/records cluster status"
        await press(pilot, "f")
        assert "● following" in screen_text(pilot)
        await press(pilot, "space", "1", "8")
        assert "‖ held 0 s ago" in screen_text(pilot)
        await pilot.click("#time-line", offset=(20, 2))
        await settled(pilot)
        assert view.scene.playhead.time_ms < NOW_MS - 20_000


async def test_without_a_cluster_it_says_how_to_see_one() -> None:
    async with exploring(size=NARROW) as pilot:
        assert "Cluster" not in screen_text(pilot).splitlines()[0]
        await press(pilot, "8", "x", "left")
        assert "blockdb cluster demo" in screen_text(pilot)


@pytest.mark.torture
async def test_a_server_that_does_not_tell_says_why_and_one_that_is_away_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("blockdb_tui.connected.RETRY_S", OFTEN_S)
    answers: list[Any] = [blockdb.Unavailable("away"), blockdb.Forbidden("it takes the right to read")]

    class Server(Given):
        def scene(self, *_: Any) -> Any:
            raise answers.pop(0)

    async with exploring(Server(FakeDatabase(sample()), is_server=True), NARROW) as pilot:
        await press(pilot, "8")
        await until(pilot, lambda: not answers)
        await settled(pilot)
        assert "The server does not tell of a cluster" in screen_text(pilot)
        assert "Forbidden: it takes the right to read" in screen_text(pilot)


@pytest.mark.torture
@pytest.mark.parametrize("size", [NARROW, WIDE])
async def test_whatever_nodes_say_only_what_can_be_seen_reaches_the_terminal(
    size: tuple[int, int],
) -> None:
    told = Story()
    words = [nasty.decode("utf-8", "replace") for nasty in NASTY]
    told.add(
        Sample(NOW_MS - 500, tuple(Lane(word, word, word, word, head=f"{word} 1 {word}", fault=word) for word in words))
    )
    told.add(Sample(NOW_MS, tuple(Lane(word, "Leader", term=at, head=word) for at, word in enumerate(words))))
    for kind in ("leader", "vote", "contact", "\x1b[2J"):
        for word in words:
            told.add(Happening(NOW_MS - 100, word, kind, other=word, what=word))
    async with showing(Scene(told, Quiet(told), FakeStage()), size) as (pilot, _):
        for key in ("j", "left", "N", "x", "T", "tab", "down", "end", "question_mark"):
            await press(pilot, key)
            assert_safe(pilot)


@covers("cluster.save")
@pytest.mark.torture
async def test_what_was_seen_is_saved_and_nothing_is_overwritten(tmp_path: Path) -> None:
    async with showing(live()) as (pilot, view):
        path = tmp_path / "kept.jsonl"
        for words in ("Saved", "is there already"):
            await press(pilot, "w")
            assert view.prompt._input.value == "cluster-20250615-150640.jsonl"
            view.prompt._input.value = str(path)
            await press(pilot, "enter")
            assert words in said(pilot)[-1]
        assert read_recording(path).events == story().events
        await press(pilot, "w")
        view.prompt._input.value = str(tmp_path / "nowhere" / "kept.jsonl")
        await press(pilot, "enter")
        assert "cannot be saved" in said(pilot)[-1]


# ── faults ──


@covers("cluster.kill", "cluster.restart", "cluster.pause", "cluster.isolate", "cluster.split", "cluster.heal")
@covers("cluster.transfer")
async def test_faults_are_done_to_the_chosen_node_and_stand_on_the_line() -> None:
    scene = live()
    async with showing(scene) as (pilot, view):
        assert isinstance(scene.stage, FakeStage)
        await press(pilot, "j", "x")
        assert "Doing something to a node: not while the explorer only reads" in said(pilot)[-1]
        assert not scene.stage.done
        await press(pilot, "exclamation_mark", "x", "z", "i", "s", "u", "T", "r")
        assert scene.stage.done == [
            *((deed, "node2") for deed in ("kill", "pause", "isolate", "split")),
            ("heal", ""),
            ("transfer", "node2"),
        ]
        assert "node2: node2 is running" in said(pilot)[-1]
        view.tick()
        pilot.app.clear_notifications()
        await press(pilot, "end")
        assert "! done here  asked to lead" in screen_text(pilot)
        assert [event.what for event in scene.story.events[-3:]] == [
            "on the smaller side of a cut",
            "all connected again",
            "asked to lead",
        ]


# ── how it looks ──


SCENES: dict[str, tuple[Callable[[], Scene | Replay], tuple[str, ...]]] = {
    "replay": (replayed, ("home", "J", *"17", "enter")),
    "election": (replayed, ("J", *"26.6", "enter")),
    "demo": (lambda: live(5), ("j", "j")),
}


@pytest.mark.parametrize(
    ("scene", "size"),
    [
        pytest.param(
            name,
            size,
            id=f"{name}-{size[0]}x{size[1]}",
            marks=[pytest.mark.torture] if size is WIDE or name == "election" else [],
        )
        for name in SCENES
        for size in (NARROW, WIDE)
    ],
)
def test_scene(
    scene: str, size: tuple[int, int], snap_compare: Callable[..., bool], request: pytest.FixtureRequest
) -> None:
    make, keys = SCENES[scene]
    seen: list[str] = []

    async def steps(pilot: Pilot[Any]) -> None:
        await settled(pilot)
        await press(pilot, *keys)
        seen.append(screen_text(pilot))

    app = make_explorer(None, **_options(make()))
    same_picture = snap_compare(app, terminal_size=size, run_before=steps)
    compare(seen[0], TEXTS / f"{scene}-{size[0]}x{size[1]}.txt", request)
    assert same_picture
