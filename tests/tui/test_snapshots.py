"""How every view looks, as pictures (SVG) and as text that can be read in a review.

After a change that is meant: `make snapshots`, then look at the difference.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from blockdb import Latency, Problem
from blockdb_tui.app import Explorer
from tests.tui.drive import make_explorer, press, screen_text, settled, until
from tests.tui.fake import FakeDatabase, Given, attended, sample, shop, waiting

SIZES = ((80, 24), (120, 40))
FAR_APART = ((80, 24), (160, 45))
TEXTS = Path(__file__).parent / "text"

Steps = Callable[[Pilot[Any]], Awaitable[None]]


def keys(*pressed: str) -> Steps:
    """The steps that press these keys."""

    async def steps(pilot: Pilot[Any]) -> None:
        await press(pilot, *pressed)

    return steps


async def busy(pilot: Pilot[Any]) -> None:
    """A minute of load: writes in waves, a memtable that fills and is flushed."""
    app = pilot.app
    assert isinstance(app, Explorer)
    database = app.database
    assert isinstance(database, FakeDatabase)
    records = 60
    for tick in range(240):
        records += 5 + tick % 40
        filled = (tick * 900_000) % (64 << 20)
        database.changes = {
            "records": records,
            "data_bytes": records * 130,
            "memtable_bytes": filled,
            "chain_bytes": records * 170,
            "disk_bytes": records * 170 + 594_000,
            "gets": 1_204 + tick * 3 + (tick % 60) ** 2,
            "put_latency": Latency(4_000, 5.0 + tick % 7, 14.0 + tick % 23, 60.0 + tick % 61 * 9, 900.0),
            "read_only": False,
        }
        app.take(database.stats())
    await press(pilot, "3")


async def growing(pilot: Pilot[Any]) -> None:
    """Records come in while the first view is shown."""
    app = pilot.app
    assert isinstance(app, Explorer)
    database = app.database
    assert isinstance(database, FakeDatabase)
    for number in range(12):
        database.add((b"fresh:%02d" % number, b'{"number": %d}' % number))
        app.take(database.stats())
        await settled(pilot)


async def verified(pilot: Pilot[Any]) -> None:
    """The whole chain is verified, and what is wrong stands there."""
    await press(pilot, "v")
    app = pilot.app
    assert isinstance(app, Explorer)
    await until(pilot, lambda: app.verification.report is not None)
    await settled(pilot)


async def palette(pilot: Pilot[Any]) -> None:
    """The palette looks for keys, too."""
    await press(pilot, "ctrl+p", *"user:01")
    await until(pilot, lambda: "user:0184" in screen_text(pilot))
    await settled(pilot)


async def following(pilot: Pilot[Any]) -> None:
    """All collections are followed, and the stream is held still."""
    await press(pilot, "6", "a")
    await until(pilot, lambda: "1 of 85" in screen_text(pilot))
    await press(pilot, "space")
    app = pilot.app
    assert isinstance(app, Explorer)
    app.trusting.forget()  # on which of those that came the cursor rested is a matter of time
    await press(pilot, "j")


async def found(pilot: Pilot[Any]) -> None:
    """A query has found what it looked for, and says what that took."""
    await press(pilot, "0", "j", "enter", "w", *"city = 'Oslo' and number > 3", "enter")
    await until(pilot, lambda: "touched" in screen_text(pilot))


async def asked(pilot: Pilot[Any]) -> None:
    """The form of a query, and what it found."""
    await press(pilot, "0", "j", "enter", "Q", *"number > 3", "enter")
    await until(pilot, lambda: "touched" in screen_text(pilot))


def plain() -> FakeDatabase:
    return FakeDatabase(sample())


def long() -> FakeDatabase:
    return FakeDatabase(sample(13_019), batch=1000)


def damaged() -> FakeDatabase:
    database = FakeDatabase(sample())
    database.broken_links = {4}
    database.problems = (
        Problem("chain/00000001.chain", 4_711, 3, 25, b"note:0026", "the check of the record does not match its bytes"),
        Problem("chain/00000001.chain", None, 4, None, None, "it does not name the hash of the block before it"),
    )
    return database


def unreadable() -> Given:
    from blockdb import Corruption

    origin = Given(None)
    origin.error = Corruption("collections/col_0/manifest.toml", None, "its checksum does not match its contents")
    return origin


SCENES: dict[str, tuple[Callable[[], FakeDatabase | Given], Steps]] = {
    "records": (plain, keys("J", *"user:0148", "enter")),
    "records-empty": (FakeDatabase, keys()),
    "records-filtered": (plain, keys("slash", *"note:")),
    "records-text": (plain, keys("J", *"note:0005", "enter")),
    "records-hex": (plain, keys("J", *"image:0059", "enter", "enter")),
    "records-newest": (plain, growing),
    "records-followed": (plain, keys("f")),
    "blocks-open": (plain, keys("2")),
    "blocks-sealed": (plain, keys("2", "h", "h", "r", "j")),
    "blocks-tree": (long, keys("2", "J", *"7", "enter", "m", *"lllll", "L", "k", "k", "k")),
    "blocks-empty": (FakeDatabase, keys("2")),
    "blocks-damaged": (damaged, verified),
    "metrics": (plain, busy),
    "metrics-attached": (plain, keys("3")),
    "collections": (shop, keys("0", "j")),
    "collection-inside": (shop, keys("0", "j", "enter", "j", "j")),
    "query-mistake": (shop, keys("0", "j", "enter", "w", *"city = 'Oslo' nor number > 3")),
    "query-found": (shop, found),
    "transactions": (waiting, keys("3")),
    "dashboard": (attended, keys("d")),
    "locks": (waiting, keys("9")),
    "query-view": (shop, asked),
    "schema": (shop, keys("0", "j", "s")),
    "changes": (shop, following),
    "acts": (attended, keys("7", "j", "j")),
    "help": (plain, keys("2", "question_mark")),
    "proof": (plain, keys("J", *"user:0148", "enter", "P", *"llll")),
    "lab": (plain, keys("4", "a", "j", "j")),
    "themes": (plain, keys("t", "j")),
    "palette": (plain, palette),
    "unreadable": (unreadable, keys()),
}


OTHER_SIZES = dict.fromkeys(
    ("lab", "proof", "collections", "schema", "changes", "transactions", "acts", "dashboard", "locks", "query-view"),
    FAR_APART,
)
"""Of scenes that look the same in the middle."""


def sizes() -> list[tuple[str, tuple[int, int]]]:
    return [(scene, size) for scene in SCENES for size in OTHER_SIZES.get(scene, SIZES)]


def name_of(scene: str, size: tuple[int, int]) -> str:
    return f"{scene}-{size[0]}x{size[1]}"


WIDE = {"records"}
"""Of these, the wide one too; all others are in the long tier."""
DAILY = {"records", "records-hex", "blocks-tree", "blocks-damaged", "metrics", "collections", "help", "proof"}
"""Whose pictures are compared with every change, in the smaller size."""


def tier_of(scene: str, size: tuple[int, int]) -> list[pytest.MarkDecorator]:
    is_quick = scene in DAILY and (size[0] <= 80 or scene in WIDE)
    return [] if is_quick else [pytest.mark.torture]


@pytest.mark.parametrize(
    ("scene", "size"), [pytest.param(*each, id=name_of(*each), marks=tier_of(*each)) for each in sizes()]
)
def test_scene(
    scene: str, size: tuple[int, int], snap_compare: Callable[..., bool], request: pytest.FixtureRequest
) -> None:
    make, steps = SCENES[scene]
    seen: list[str] = []
    same_picture = snap_compare(make_explorer(make()), terminal_size=size, run_before=_when_opened(steps, seen))
    compare(seen[0], TEXTS / f"{name_of(scene, size)}.txt", request)
    assert same_picture


def compare(text: str, path: Path, request: pytest.FixtureRequest) -> None:
    """Holds a screen against the file that keeps it, or keeps it anew with --snapshot-update."""
    if request.config.getoption("update_snapshots"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
    assert path.exists(), f"{path.name} is not kept yet: run `make snapshots` and look at it"
    assert text == path.read_text("utf-8")


def test_no_text_is_kept_of_a_scene_that_is_gone() -> None:
    kept = {path.stem for path in TEXTS.glob("*.txt")}
    assert kept == {name_of(*each) for each in sizes()}


@pytest.mark.parametrize("theme", ["paper", "okabe", "fjord", "amber"])
@pytest.mark.torture
def test_picture_in_every_theme(theme: str, snap_compare: Callable[..., bool]) -> None:
    app = make_explorer(damaged(), theme=theme)
    assert snap_compare(app, terminal_size=(120, 40), run_before=_when_opened(_damage_behind))


async def _damage_behind(pilot: Pilot[Any]) -> None:
    await verified(pilot)
    await press(pilot, "escape", "h", "h", "h", "m")


def _when_opened(steps: Steps, seen: list[str] | None = None) -> Steps:
    """The steps once the database is open; `seen` gets the text of the screen that they lead to."""

    async def run(pilot: Pilot[Any]) -> None:
        await settled(pilot)
        await steps(pilot)
        await settled(pilot)
        if seen is not None:
            seen.append(screen_text(pilot))

    return run
