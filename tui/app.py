"""The application: it wires origin, poller and views together. What a thing looks like is decided elsewhere."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.binding import Binding, BindingType

import blockdb
import blockdb_themes
from blockdb.commands.display import printable
from blockdb.commands.history import LineHistory
from blockdb.commands.moment import moment_words

from .alarms import Alarms
from .beginning import Beginning
from .dresser import LOOK_S, Dresser
from .keytext import as_pasted
from .offloop import in_background, off_loop
from .origin import Origin
from .recorder import Recorder
from .tampering import Laboratory
from .theme import Wardrobe
from .verification import collection_of
from .views import VIEWS

if TYPE_CHECKING:
    from textual.command import Provider
    from textual.widget import Widget

    from blockdb import AnyCollection, Problem, Report, Statistics
    from blockdb.commands.alerts import Lookout

    from .cluster.scene import Scene
    from .keymap import Keymap
    from .session import Memory

__all__ = ["ClusterExplorer", "Explorer"]

POLL_S = 0.25
REST_S = 0.15
PROGRESS_S = 0.1
SMALLEST_WIDTH, SMALLEST_HEIGHT = 60, 15
HANGUP_CODE = 128 + signal.SIGHUP


def _finder() -> type[Provider]:
    from .finder import Finder

    return Finder


class Explorer(Beginning):
    """The explorer on one database. The exit code is what `run` returns."""

    TITLE = "BlockDB"
    CSS_PATH = "explorer.tcss"
    ALLOW_SELECT = False
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {_finder}
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-normal"), (160, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-low"), (36, "-tall")]  # noqa: RUF012
    ENABLE_COMMAND_PALETTE = True

    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(view.key, f"view('{mode}')", view.title, show=False, id=f"view.{mode}")
            for mode, view in VIEWS.items()
        ),
        Binding("v", "verify", "Verify", id="app.verify"),
        Binding("p", "problems", "Problems", show=False, id="app.problems"),
        Binding("t", "theme", "Theme", id="app.theme"),
        Binding("R", "record", "Record", show=False, id="app.record"),
        Binding("A", "as_of", "As of …", show=False, id="app.as_of"),
        Binding("left_square_bracket", "as_of_step(-1)", "A block back", show=False, key_display="[", id="app.back"),
        Binding("right_square_bracket", "as_of_step(1)", "A block on", show=False, key_display="]", id="app.on"),
        Binding("C", "compare", "Compare …", show=False, id="app.compare"),
        Binding("exclamation_mark", "arm", "Arm", show=False, key_display="!", id="app.arm"),
        Binding("semicolon", "jump", "Jump to", show=False, key_display=";", id="app.jump"),
        Binding("colon", "command", "Command", key_display=":", id="app.command"),
        Binding("ctrl+p", "command_palette", "Find", key_display="^p", id="app.commands"),
        Binding("E", "save", "Save", show=False, id="app.save"),
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
        lookout: Callable[[], Lookout] | None = None,
        scene: Scene | None = None,
        record_into: str | None = None,
        rest_s: float = REST_S,
        keymap: Callable[[], Keymap] | None = None,
        memory: Memory | None = None,
        start: str | None = None,
    ) -> None:
        """`clock` tells the time of day, `steady` never goes back, both in seconds; `poll_s` is between snapshots.

        `rest_s` is how long the cursor rests on a record before that is proven.

        `lookout` makes what knows what there is to be alarmed about; None: nobody asks.
        `scene` is the cluster, where that is known already. `keymap` reads the keys that somebody wants, `memory` knows
        where they were last; `start` is the mode of the view to begin with where that is not known.
        `record_into` is a file to record into from the beginning.
        """
        known = memory.place.view if memory is not None else ""
        super().__init__(
            origin, laboratory or Laboratory(), steady, poll_s, scene, rest_s, known if known in VIEWS else start
        )
        self.memory, self.keymap = memory, keymap
        self._was_inside = memory.place.collection or None if memory is not None else None
        self._clock = clock
        self._record_into = record_into
        self.alarms = Alarms(self, lookout)
        self.recorder = Recorder(self)
        self._event_loop: asyncio.AbstractEventLoop | None = None
        self.dresser = Dresser(self, theme)
        self.lines = LineHistory(None)
        """What was typed on the command line before."""

    @property
    def wardrobe(self) -> Wardrobe:
        """The themes that there are."""
        return self.dresser.wardrobe

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
        self.call_after_refresh(self.begin)
        if not self.is_replay:
            self.call_after_refresh(self._connect)
        if self._record_into is not None:
            self.recorder.begin(self._record_into)
        self.call_after_refresh(self.dresser.start, max(self._poll_s, LOOK_S))

    def _connect(self) -> None:
        in_background(self, self._keep_connected, group="connection")

    def leave_from_thread(self) -> None:
        """Leaves the explorer because its terminal is gone; from any thread, at the next chance."""
        if self._event_loop is not None:
            self._event_loop.call_soon_threadsafe(self.exit, None, HANGUP_CODE)

    def take(self, statistics: Statistics) -> None:
        """Adds a snapshot to the history, and shows it."""
        moment = self.history.add(self._steady(), statistics)
        self.recorder.take(statistics)
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
        if self.contact.lost:
            return "◌ no answer", "error"
        if self.database is None:
            return ("○ not open", "error") if self.trouble[3] == "error" else ("○ opening", "muted")
        if self.past.as_of is not None:
            return f"◂ {moment_words(self.past.as_of)}", "warning"
        moment = self.history.latest
        if self.scene is not None and self.scene.story.samples:
            leader = self.scene.story.samples[-1].leader
            return (f"◆ {printable(leader.id)} leads", "success") if leader is not None else ("× no leader", "error")
        if moment is not None and moment.writes_per_s > 0:
            return f"● +{moment.writes_per_s:,.0f}/s", "success"
        if self.origin.is_server:
            return "● connected", "success"
        return ("● live", "success") if self.origin.writes_here else ("○ attached", "muted")

    def close_tour(self) -> None:
        """Ends what a tour has begun."""

    def show_replay(self) -> None:
        """Has the view in front show the moment of a recording."""

    @property
    def is_recording(self) -> bool:
        """Whether what happens is recorded."""
        return self.recorder.is_on

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
            name = collection or self.collection.name
            self.push_screen(Proof(self.database, name, key, self.past.as_of_in(name)))

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

    def action_as_of(self) -> None:
        """Asks for a moment of the past, which all views go back to."""
        self.past.ask()

    def action_as_of_step(self, blocks: int) -> None:
        """To the block before or behind, in all views; from now to the last one that is sealed."""
        self.past.step(blocks)

    def action_compare(self) -> None:
        """Asks for two moments, and compares them."""
        self.past.ask_for_two()

    def action_theme(self) -> None:
        """Offers the themes, each shown as it is passed over."""
        from .screens.themes import ThemePicker

        if self.wardrobe.alone:
            self.say("NO_COLOR is set, so there are no colours to choose.")
        else:
            self.push_screen(ThemePicker(self.wardrobe))

    def action_command_palette(self) -> None:
        """Finds commands, blocks and keys."""
        from .finder import Finding

        if not isinstance(self.screen, Finding):
            self.push_screen(Finding(id="--command-palette"))

    def action_command(self) -> None:
        """Asks for a command, and runs it here."""
        from .screens.command import CommandScreen

        if self.view is not None and not isinstance(self.screen, CommandScreen):
            self.clear_notifications()
            self.push_screen(CommandScreen())

    def action_jump(self) -> None:
        """Draws a letter on every pane and tab; the next key goes there."""
        from .screens.jumps import Jumps, jumps_of

        if self.view is not None:
            self.clear_notifications()
            self.push_screen(Jumps(jumps_of(self.view)), self._jump)

    async def _jump(self, to: Widget | str | None) -> None:
        if isinstance(to, str):
            await self.action_view(to)
        elif to is not None:
            to.focus()

    def action_help(self) -> None:
        """Explains the focused pane and its keys."""
        from .screens.help import Help

        self.clear_notifications()
        self.push_screen(Help(self.screen))

    def action_record(self) -> None:
        """Begins to record what happens into a file, or ends that."""
        if self.recorder.is_on:
            self.recorder.stop()
        elif self.view is not None and not self.is_replay:
            self.view.prompt.ask("Record into", self.recorder.new_name(), done=self.recorder.begin)

    def action_copy_command(self) -> None:
        """Copies the command that prints what is shown."""
        if self.view is not None:
            command = self.view.shown_as_command()
            self.copy(command.encode("utf-8", "surrogateescape"), command)

    def say(self, words: str, severity: str = "information", timeout_s: float = 4) -> None:
        """Says something in passing. The words may hold stored bytes."""
        self.notify(printable(words), severity=severity, markup=False, timeout=timeout_s)  # type: ignore[arg-type]

    async def on_event(self, event: events.Event) -> None:
        """Makes visible what is pasted: a prompt would send it to the terminal as it is."""
        if self._exit and isinstance(event, events.InputEvent):
            return  # nobody is left to take it
        if isinstance(event, events.Paste):
            event.text = as_pasted(event.text, in_one_line=getattr(self.focused, "JOINS_LINES", False))
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
