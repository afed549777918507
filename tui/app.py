"""The application: it wires origin, poller and views together. What a thing looks like is decided elsewhere."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.binding import Binding, BindingType

import blockdb
import blockdb_themes
from blockdb.commands.display import human_bytes, printable

from .alarms import Alarms
from .connected import Connected
from .keytext import visible
from .offloop import in_background, off_loop
from .origin import Origin
from .tampering import Laboratory
from .theme import palettes, textual_theme
from .verification import collection_of

if TYPE_CHECKING:
    from textual.command import Provider

    from blockdb import AnyCollection, Problem, Report, Statistics
    from blockdb.commands.alerts import Lookout

    from .cluster.scene import Scene

__all__ = ["ClusterExplorer", "Explorer"]

POLL_S = 0.25
PROGRESS_S = 0.1
SMALLEST_WIDTH, SMALLEST_HEIGHT = 60, 15
CLIPBOARD_BYTES = 64 * 1024
HANGUP_CODE = 128 + signal.SIGHUP


def _finder() -> type[Provider]:
    from .finder import Finder

    return Finder


class Explorer(Connected):
    """The explorer on one database. The exit code is what `run` returns."""

    TITLE = "BlockDB"
    CSS_PATH = "explorer.tcss"
    ALLOW_SELECT = False
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {_finder}
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-normal"), (160, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-low"), (36, "-tall")]  # noqa: RUF012
    ENABLE_COMMAND_PALETTE = True

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("0", "view('collections')", "Collections", show=False, id="view.collections"),
        Binding("1", "view('records')", "Records", show=False, id="view.records"),
        Binding("2", "view('blocks')", "Blocks", show=False, id="view.blocks"),
        Binding("3", "view('metrics')", "Metrics", show=False, id="view.metrics"),
        Binding("4", "view('lab')", "Lab", show=False, id="view.lab"),
        Binding("5", "view('schema')", "Schema", show=False, id="view.schema"),
        Binding("6", "view('changes')", "Changes", show=False, id="view.changes"),
        Binding("7", "view('acts')", "Audit log", show=False, id="view.acts"),
        Binding("8", "view('cluster')", "Cluster", show=False, id="view.cluster"),
        Binding("v", "verify", "Verify", id="app.verify"),
        Binding("p", "problems", "Problems", show=False, id="app.problems"),
        Binding("t", "theme", "Theme", id="app.theme"),
        Binding("colon", "command_palette", "Commands", key_display=":", id="app.commands"),
        Binding("Y", "copy_command", "Copy command", show=False, id="app.copy_command"),
        Binding("question_mark", "help", "Help", key_display="?", id="app.help"),
        Binding("q", "quit", "Quit", id="app.quit"),
    ]

    def __init__(
        self,
        origin: Origin,
        *,
        theme: str = blockdb_themes.DEFAULT,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
        poll_s: float = POLL_S,
        laboratory: Laboratory | None = None,
        lookout: Lookout | None = None,
        scene: Scene | None = None,
    ) -> None:
        """`clock` tells the time of day, `steady` never goes back, both in seconds; `poll_s` is between snapshots.

        `lookout` knows what there is to be alarmed about; None: nobody asks.
        `scene` is the cluster, where that is known already.
        """
        super().__init__(origin, laboratory or Laboratory(), steady, poll_s, scene)
        self._clock = clock
        self.alarms = Alarms(self, lookout)
        self._event_loop: asyncio.AbstractEventLoop | None = None
        for name in list(self.available_themes):
            self.unregister_theme(name)
        for known in palettes().values():
            self.register_theme(textual_theme(known.theme))
        self.theme = theme

    # ── the database ──

    def on_load(self) -> None:
        # From Python 3.12 on Textual has tasks begin at once. The first screen is composed before it is on the stack
        # then, and an `Input` that looks for it there ends the program. Later begun, they come in the same order
        # everywhere.
        asyncio.get_running_loop().set_task_factory(None)

    def on_mount(self) -> None:
        self._event_loop = asyncio.get_running_loop()
        if not self.is_headless:
            for number in (signal.SIGTERM, signal.SIGHUP):
                self._event_loop.add_signal_handler(number, self.exit, None, 128 + number)
        if not self.is_replay:
            self.call_after_refresh(self._connect)

    def _connect(self) -> None:
        in_background(self, self._keep_connected, group="connection")

    def leave_from_thread(self) -> None:
        """Leaves the explorer because its terminal is gone; from any thread, at the next chance."""
        if self._event_loop is not None:
            self._event_loop.call_soon_threadsafe(self.exit, None, HANGUP_CODE)

    def take(self, statistics: Statistics) -> None:
        """Adds a snapshot to the history, and shows it."""
        moment = self.history.add(self._steady(), statistics)
        self.show_moment(moment)
        self.alarms.look_out(moment.time_s)

    def wall_clock_ms(self) -> int:
        """The time of day in Unix milliseconds, by the clock that the explorer was given."""
        return int(self._clock() * 1000)

    def steady_s(self) -> float:
        """Seconds of a clock that never goes back, the one that the explorer was given."""
        return self._steady()

    @property
    def state(self) -> tuple[str, str]:
        """The state of the database in a few words, and the role that colours them."""
        if self.is_replay:
            return "▶ recording", "accent"
        if self.contact.lost:
            return "◌ no answer", "error"
        if self.database is None:
            return ("○ not open", "error") if self.trouble[3] == "error" else ("○ opening", "muted")
        moment = self.history.latest
        if self.scene is not None and self.scene.story.samples:
            leader = self.scene.story.samples[-1].leader
            return (f"◆ {printable(leader.id)} leads", "success") if leader is not None else ("× no leader", "error")
        if moment is not None and moment.writes_per_s > 0:
            return f"● +{moment.writes_per_s:,.0f}/s", "success"
        if self.origin.is_server:
            return "● connected", "success"
        return ("● live", "success") if self.origin.writes_here else ("○ attached", "muted")

    # ── actions ──

    async def action_verify(self) -> None:
        """Goes to the chain and recomputes all of it; of a database that does not open, looks through the files."""
        if self.database is not None and self.current_mode != "collections":
            await self.visit("blocks")
        if not self.verification.running:
            in_background(self, self._verify, group="verify")

    async def _verify(self) -> None:
        self.verification.begin(self._verified_alone)
        timer = self.set_interval(PROGRESS_S, self._show_verification)
        report: Report | None = None
        try:
            report = await off_loop(self.verification.run, self.verification.of or self.database or self.origin)
        except (blockdb.BlockDBError, OSError) as error:
            self.say(f"Verification stopped. {type(error).__name__}: {error}", "error")
        finally:
            self.verification.end(report)
            timer.stop()
        self._show_verification()
        if report is not None and report.problems:
            self.action_problems()

    @property
    def _verified_alone(self) -> AnyCollection | None:
        """The collection that was entered; None where the whole database is to be verified, opened or not."""
        return self.collection if self.inside is not None and self.current_mode != "collections" else None

    def _show_verification(self) -> None:
        if (view := self.view) is not None:
            view.show_verification()

    def action_view_prove(self) -> None:
        """Walks the proof of the record that the view is at."""
        if self.view is not None and self.database is not None:
            self.view.action_prove()

    def prove(self, key: bytes, collection: str | None = None) -> None:
        """Walks the proof of a record, of the collection that is looked at unless another is named."""
        from .screens.proof import Proof

        if self.database is not None and self.collection is not None:
            self.push_screen(Proof(self.database, collection or self.collection.name, key))

    def action_problems(self) -> None:
        """Lists what the last verification found."""
        from .screens.problems import Problems

        report = self.verification.report
        if report is None or not report.problems:
            self.say("No problem is known. v verifies the chain.")
        else:
            self.push_screen(Problems(report), self._to_problem)

    def _to_problem(self, problem: Problem | None) -> None:
        if problem is not None and problem.block is not None and self.collection is not None:
            self.visit_block(problem.block, collection=collection_of(problem))

    def action_theme(self) -> None:
        """Offers the themes, each shown as it is passed over."""
        from .screens.themes import ThemePicker

        self.push_screen(ThemePicker())

    def action_command_palette(self) -> None:
        """Finds commands, blocks and keys."""
        from .finder import Finding

        if not isinstance(self.screen, Finding):
            self.push_screen(Finding(id="--command-palette"))

    def action_help(self) -> None:
        """Explains the focused pane and its keys."""
        from .screens.help import Help

        self.push_screen(Help(self.screen))

    def action_copy_command(self) -> None:
        """Copies the command that prints what is shown."""
        if self.view is not None:
            command = self.view.shown_as_command()
            self.copy(command.encode("utf-8", "surrogateescape"), command)

    def copy(self, data: bytes, what: str) -> None:
        """Hands bytes to the terminal's clipboard, and says what can be known about that: that it was asked."""
        if len(data) > CLIPBOARD_BYTES:
            self.say(
                f"{human_bytes(len(data))} is more than terminals take. Y copies a command that prints it.", "warning"
            )
            return
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            text, what = data.hex(), f"{what}, in hex because it is not text"
        self.copy_to_clipboard(text)
        through = " (tmux must have set-clipboard on)" if os.environ.get("TMUX") else ""
        self.say(f"Asked the terminal to copy {what}. Whether it did, it does not tell{through}.")

    def say(self, words: str, severity: str = "information") -> None:
        """Says something in passing. The words may hold stored bytes."""
        self.notify(printable(words), severity=severity, markup=False, timeout=4)  # type: ignore[arg-type]

    async def on_event(self, event: events.Event) -> None:
        """Makes visible what is pasted: a prompt would send it to the terminal as it is."""
        if self._exit and isinstance(event, events.InputEvent):
            return  # nobody is left to take it
        if isinstance(event, events.Paste):
            event.text = visible(event.text.rstrip("\r\n"))
        await super().on_event(event)

    # ── size ──

    def on_resize(self, event: events.Resize) -> None:
        from .screens.small import TooSmall

        small = event.size.width < SMALLEST_WIDTH or event.size.height < SMALLEST_HEIGHT
        if small and not isinstance(self.screen, TooSmall):
            self.push_screen(TooSmall(SMALLEST_WIDTH, SMALLEST_HEIGHT))
        elif not small and isinstance(self.screen, TooSmall):
            self.pop_screen()


class ClusterExplorer(Explorer):
    """The explorer that begins with the view of the cluster."""

    DEFAULT_MODE = "cluster"
