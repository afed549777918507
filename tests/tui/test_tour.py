"""The guided tour: the engine on fakes, and the whole script on a real demonstration with a real cluster."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.pilot import Pilot

from blockdb.commands.failures import IoError
from blockdb.commands.recordings.lanes import Lane, Sample
from blockdb_tui.cluster.scene import Scene
from blockdb_tui.origin import DemoDirectory
from blockdb_tui.screens.help import Help
from blockdb_tui.screens.metrics import MetricsView
from blockdb_tui.tour import engine
from blockdb_tui.tour.card import TourCard, wrapped
from blockdb_tui.tour.guided import Guided
from blockdb_tui.tour.script import KEY, SCRIPT, VALUE, _is_near
from blockdb_tui.tour.step import Broken, Ground, Phase, Step, keys_of, said
from tests.tui.covering import covers
from tests.tui.covering import said as told
from tests.tui.drive import exploring, make_explorer, press, screen_text, settled, until
from tests.tui.fake import FakeDatabase, Given, sample
from tests.tui.fake_cluster import live
from tests.tui.test_snapshots import compare

TEXTS = Path(__file__).parent / "text" / "tour"


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has to read along."""
    for name in ("LOOK_S", "KEY_S", "TYPED_S", "QUIET_S", "READ_S", "LEAST_READ_S"):
        monkeypatch.setattr(engine, name, 0.001)


def failing(_: Ground) -> str:
    raise Broken("\x1b[2J it is [red]not[/red] so")


SMALL = (
    Step("first", "First", "It looks at the metrics, and finds a key.", said("So it is."), said("3 1 J user:0148 ⏎")),
    Step("second", "Second", "It goes on to the metrics.", said("There they are."), said("3"), is_once=True),
    Step("third", "Third", "It fails.", failing),
    Step("late", "Late", "It never comes.", said(""), until=lambda _: False, patience_s=0.0),
)


def guided(script: tuple[Step, ...] = SMALL, **options: Any) -> Any:
    return exploring(
        Given(FakeDatabase(sample())),  # type: ignore[arg-type]
        (80, 24),
        kind=Guided,
        script=script,
        **options,
    )


def of(pilot: Pilot[Any]) -> Guided:
    assert isinstance(pilot.app, Guided)
    return pilot.app


async def done(pilot: Pilot[Any], phase: Phase) -> None:
    tour = of(pilot).tour
    assert tour is not None
    await until(pilot, lambda: tour.outcome.phase is phase)
    await settled(pilot)


@covers("tour.start", "tour.on", "tour.back", "tour.play", "tour.leave")
async def test_steps_are_told_done_with_keys_and_checked() -> None:
    async with guided() as pilot:
        app = of(pilot)
        assert "^g starts a guided tour" in told(pilot)[-1]
        await press(pilot, "n", "ctrl+g")
        assert app.tour is not None
        text = screen_text(pilot)
        assert "Tour 1 of 4 · First" in text
        assert "keys  3 1 J user:0148 ⏎" in text
        card, body = app.screen.query_one(TourCard), app.screen.query_one("#body")
        await until(pilot, lambda: card.region.area > 0 and not card.region.overlaps(body.region))
        await press(pilot, "n")
        await done(pilot, Phase.DONE)
        assert "✓ So it is." in screen_text(pilot)
        assert app.view is not None
        assert app.view.chosen_key() == b"user:0148", "its own keys are for the views"
        await press(pilot, "n", "enter")
        await done(pilot, Phase.DONE)
        assert isinstance(app.screen, MetricsView)
        assert "Tour 2 of 4" in screen_text(pilot), "the card goes along"
        await press(pilot, "b", "b", "n")
        await done(pilot, Phase.DONE)
        assert app.tour.number == 0, "what can be done again is"
        await press(pilot, "n")
        assert app.tour.outcome.phase is Phase.DONE, "what is done once is not"
        await press(pilot, "n", "n")
        await done(pilot, Phase.FAILED)
        assert "\x1b" not in screen_text(pilot)
        assert "it is [red]not[/red] so. n tries again." in screen_text(pilot)
        await press(pilot, "n", "question_mark")
        assert isinstance(app.screen, Help)
        await until(pilot, lambda: "Tour 3 of 4" in screen_text(pilot))
        await press(pilot, "escape")
        assert not app.screen.query(TourCard)
        await press(pilot, "escape", "slash", *"n b", "escape", "ctrl+g")
        await until(pilot, lambda: "Tour 3 of 4" in screen_text(pilot))  # it goes on where it was left
        await press(pilot, "escape", "slash", "ctrl+g", "b")
        assert app.tour.number == 1, "no line is typed into any more"
        app.tour.number = 2
        app.tour.number = 3
        await press(pilot, "n")
        await done(pilot, Phase.FAILED)
        assert "did not come about in 0 s" in screen_text(pilot)


@pytest.mark.torture
async def test_keys_of_others_do_not_come_between_and_esc_stops_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "KEY_S", 60.0)
    async with guided() as pilot:
        app = of(pilot)
        await press(pilot, "ctrl+g")
        tour = app.tour
        assert tour is not None
        tour.go_on()
        await until(pilot, lambda: isinstance(app.screen, MetricsView))
        await settled_keys(pilot, "2", "q", "n", "space")
        assert isinstance(app.screen, MetricsView)
        assert not tour.is_playing
        monkeypatch.setattr(engine, "KEY_S", 0.001)
        await settled_keys(pilot, "escape")
        await until(pilot, lambda: not app.is_on_tour)
        assert not app.screen.query(TourCard)


async def settled_keys(pilot: Pilot[Any], *keys: str) -> None:
    """Presses keys while something goes on."""
    for key in keys:
        pilot.app.post_message(events.Key(key, " " if key == "space" else key if len(key) == 1 else None))
    await until(pilot, lambda: not pilot.app.message_queue_size)


async def test_what_is_gone_when_it_is_looked_at_is_waited_for_again() -> None:
    looks = iter((Broken("nobody leads"), Broken("nobody leads"), "So it is."))

    def holds(_: Ground) -> str:
        found = next(looks)
        if isinstance(found, Broken):
            raise found
        return found

    async with guided((Step("election", "Election", "One leads.", holds, on_cluster=True),)) as pilot:
        await press(pilot, "ctrl+g", "n")
        await done(pilot, Phase.DONE)
        assert "✓ So it is." in screen_text(pilot)


async def test_it_goes_on_by_itself_and_says_what_is_lacking_for_a_cluster() -> None:
    def lacking(_: Ground) -> None:
        raise IoError("a cluster needs the package uvicorn: pip install 'blockdb[server]'")

    script = (
        SMALL[1],
        Step("cluster", "Cluster", "It starts.", said(""), prepare=lacking, on_cluster=True),
        Step("kill", "Kill", "It kills.", failing, on_cluster=True),
        Step("end", "End", "All done.", said("Bye.")),
    )
    async with guided(script, begins_at_once=True) as pilot:
        app = of(pilot)
        await until(pilot, lambda: app.tour is not None)
        await press(pilot, "space")
        tour = app.tour
        assert tour is not None
        await until(pilot, lambda: tour.is_at_end and not tour.is_playing)
        await settled(pilot)
        phases = [outcome.phase for outcome in tour.outcomes]
        assert phases == [Phase.DONE, Phase.SKIPPED, Phase.SKIPPED, Phase.DONE]
        assert "blockdb[server]" in tour.outcomes[2].words
        assert "✓––✓" in screen_text(pilot)
        await press(pilot, "n")
        assert not app.is_on_tour, "after the last step it leaves"


def test_keys_are_shown_as_they_are_pressed() -> None:
    assert keys_of("1 J k:1 ⏎ P") == ["1", "J", "k", ":", "1", "enter", "P"]
    assert keys_of(": put␣a␣b ⏎ ↑ Home") == [":", *"put a b", "enter", "up", "home"]


def test_words_are_wrapped_and_have_an_end() -> None:
    assert wrapped("one two three", 7) == ["one two", "three"]
    assert len(wrapped("word " * 100, 20)) == 4


def test_a_node_that_is_behind_is_not_called_back() -> None:
    ahead = [Lane(f"node{number}", "Follower", term=2, commit=400, applied=400) for number in (1, 3)]
    for lane, is_back in (
        (Lane("node2", "Follower", term=2, commit=398, applied=398), True),
        (Lane("node2", "Follower", term=2, commit=398, applied=62), False),
        (Lane("node2", "Follower", commit=400, applied=400), False),
        (Lane("node2", "Unreachable", term=2, commit=400, applied=400), False),
    ):
        assert _is_near(Sample(1, (*ahead, lane)), lane) is is_back


def test_every_step_of_the_script_can_be_read() -> None:
    assert len({step.name for step in SCRIPT}) == len(SCRIPT)
    for step in SCRIPT:
        assert len(wrapped(step.words, 76)) <= 3, step.name
        assert not step.on_cluster or step.patience_s >= 10


@pytest.mark.parametrize("size", [(80, 24), pytest.param((160, 45), marks=pytest.mark.torture)])
def test_the_card(size: tuple[int, int], snap_compare: Callable[..., bool], request: pytest.FixtureRequest) -> None:
    seen: list[str] = []

    async def steps(pilot: Pilot[Any]) -> None:
        await settled(pilot)
        await press(pilot, "ctrl+g")
        tour = of(pilot).tour
        assert tour is not None
        tour.number = 4
        of(pilot).show_tour()
        await settled(pilot)
        seen.append(screen_text(pilot))

    app = make_explorer(Given(FakeDatabase(sample())), kind=Guided)  # type: ignore[arg-type]
    same = snap_compare(app, terminal_size=size, run_before=steps)
    compare(seen[0], TEXTS / f"card-{size[0]}x{size[1]}.txt", request)
    assert same


# ── the real thing ──


@pytest.mark.torture
@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
async def test_the_whole_tour_holds_on_a_real_cluster(tmp_path: Path, size: tuple[int, int]) -> None:
    script = tuple(replace(step, patience_s=120.0) for step in SCRIPT)
    app = Guided(DemoDirectory(tmp_path / "demo"), script=script, begins_at_once=True)
    scenes: list[Scene] = []
    try:
        async with app.run_test(size=size, notifications=True, tooltips=True) as pilot:
            async with asyncio.timeout(60):
                while app.tour is None or app.database is None:
                    await pilot.pause(0.01)
            tour = app.tour
            for number, step in enumerate(script):
                tour.number = number
                async with asyncio.timeout(step.patience_s + 120):
                    outcome = await tour.do()
                assert outcome.phase is Phase.DONE, (step.name, outcome.words)
                assert outcome.words
                async with asyncio.timeout(60):  # a screen that was just shown is laid out a moment later
                    while [card.region.bottom for card in app.screen.query(TourCard)] != [size[1]]:
                        await pilot.pause(0.01)
                assert "Traceback" not in outcome.words
            assert tour.is_at_end
            assert not app.armed
            assert app.database is not None
            assert app.database.get(KEY) == VALUE
            assert app.scene is not None
            scenes.append(app.scene)
            kinds = {event.kind for event in app.scene.story.events}
            assert {"fault", "leader", "election"} <= kinds
    finally:
        for scene in scenes:
            scene.close()
        app.close_tour()
        app.origin.close()
    assert app._playground is not None
    assert app._playground._cluster is not None
    assert all(node.pid is None for node in app._playground._cluster.nodes.values())


PLAYS = """
import time
from blockdb.commands.playground import Playground
playground = Playground()
playground.begin()
print(*(node.pid for node in playground._cluster.nodes.values()), flush=True)
time.sleep(600)
"""


@pytest.mark.torture
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_the_servers_end_with_an_explorer_that_is_killed() -> None:
    process = subprocess.Popen([sys.executable, "-c", PLAYS], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        pids = [int(word) for word in process.stdout.readline().split()]
        assert len(pids) == 3
        process.send_signal(signal.SIGKILL)
        process.wait(20)
        until_s = time.monotonic() + 60
        while any(map(_runs, pids)):
            assert time.monotonic() < until_s
    finally:
        process.kill()
        process.communicate()


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z" and os.path.exists(f"/proc/{pid}")


async def test_the_cluster_of_the_tour_is_shown_where_there_was_none() -> None:
    async with guided() as pilot:
        app = of(pilot)
        app.show_scene(live())
        await press(pilot, "8")
        assert "Cluster · node2 leads" in screen_text(pilot)
