"""What the views share: header, body, prompt, keys, and words in place of the body while there is no database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widget import Widget

from blockdb.commands.display import human_count

from ..keytext import command_line
from ..widgets.as_of_bar import AsOfBar
from ..widgets.banner import Banner
from ..widgets.crumbs import Crumbs
from ..widgets.header import Header
from ..widgets.keybar import KeyBar
from ..widgets.notice import Notice
from ..widgets.prompt import Prompt
from ..widgets.replay_bar import ReplayBar
from ..widgets.verify_bar import VerifyBar
from ..widgets.virtual_table import VirtualTable

if TYPE_CHECKING:
    from blockdb import AnyCollection, AnyDatabase

    from ..app import Explorer
    from ..history import Moment

__all__ = ["View"]


class View(Screen[None]):
    """A top-level view. Subclasses fill `body`, and hear of the database in `opened`, `closed` and `polled`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back", show=False, id="view.back"),
        Binding("F", "follow_write", "Follow a write", show=False, id="view.follow_write"),
    ]

    NAME: ClassVar[str]
    OF_COLLECTION: ClassVar[bool] = True
    """Whether it shows one collection; the others are about the database as a whole."""
    REPLAYS: ClassVar[bool] = False
    """Whether it can be drawn from a recording, where there are no records."""
    LIVE: ClassVar[str] = ""
    """What it shows of now, while the others show a moment of the past; empty if it goes back with them."""
    first_pane: Widget
    HELP: ClassVar[str] = ""

    def body(self) -> Iterable[Widget]:
        """The panes of the view."""
        raise NotImplementedError

    def opened(self, collection: AnyCollection) -> None:
        """A collection is there to be looked at, perhaps for the second time."""

    def forget(self) -> None:
        """It is another collection that comes next: what was chosen in this one means nothing there."""

    def reopened(self, collection: AnyCollection) -> None:
        """Another moment of the same collection is looked at, `explorer.as_of`: what is shown is read anew."""
        self.opened(collection)

    def closed(self) -> None:
        """The database is gone; nothing may be asked of it."""

    def resumed(self) -> None:
        """The server answers again: what could not be read meanwhile is read now."""
        for table in self.query(VirtualTable):
            table.again()

    def polled(self, moment: Moment) -> None:
        """A new snapshot of the statistics has come."""

    def staged(self) -> None:
        """It has become known that the database is in a cluster."""
        self.header.refresh()

    def step_back(self) -> bool:
        """Undoes the last step into something; False where there is none to undo."""
        return False

    def step_out(self) -> None:
        """Undoes every step into something, one after the other: the focus is elsewhere only a moment later."""
        if self.step_back():
            self.call_after_refresh(self.step_out)

    def crumb(self) -> str:
        """What is open in the view, in few words; nothing where it stands at its beginning."""
        return ""

    def chosen(self) -> dict[str, object]:
        """What was chosen here and is good to have again at the next visit: texts, numbers, no stored values."""
        return {}

    def recall(self, chosen: Mapping[str, object]) -> None:
        """Chooses what was chosen at the visit before; what is none of its own, or of the wrong kind, is left."""

    def shown_as_command(self) -> str:
        """The command that prints what is shown."""
        return command_line(self.explorer.target, "stats")

    def chosen_key(self) -> bytes | None:
        """The key of the record under the cursor, if there is one."""
        return None

    def instead(self) -> tuple[str, str, str, str] | None:
        """What stands in place of the body: title, words, advice, and the role that colours the title."""
        return self.explorer.trouble if self.database is None and not self.is_replaying else None

    def replayed(self) -> None:
        """The moment of a recording that is shown has become another one."""
        self.replay_bar.update()
        moment = self.explorer.history.latest
        self.header.show(moment, self.explorer.state)
        if moment is not None and self.REPLAYS:
            self.polled(moment)

    # ── what they share ──

    @property
    def explorer(self) -> Explorer:
        """The application."""
        return cast("Explorer", self.app)

    @property
    def database(self) -> AnyDatabase | None:
        """The database, while one is open."""
        return self.explorer.database

    @property
    def collection(self) -> AnyCollection | None:
        """The collection that is looked at, while the database is open."""
        return self.explorer.collection

    @property
    def is_replaying(self) -> bool:
        """Whether it shows a recording."""
        return self.REPLAYS and self.explorer.is_replay

    @property
    def latest(self) -> Moment | None:
        """The newest snapshot, with the counts of the moment that is looked at."""
        latest = self.explorer.history.latest
        return None if latest is None else self.explorer.past.as_it_was(latest)

    def compose(self) -> ComposeResult:
        # Known before there are panes, so that their styles are worked out once.
        self.add_class(*self._breakpoint_classes(), update=False)
        # Kept by name, not looked up: while the explorer closes there is nothing any more to be found.
        self.header = Header(self.NAME, self.explorer)
        self.crumbs = Crumbs(self.explorer)
        self.banner = Banner()
        self.as_of_bar = AsOfBar()
        self.notice = Notice()
        self.frame = Widget(*self.body(), id="body")
        self.verify_bar = VerifyBar(self.explorer.verification)
        self.replay_bar = ReplayBar(self.explorer.replay)
        self.prompt = Prompt()
        yield from (
            self.header,
            self.crumbs,
            self.banner,
            self.as_of_bar,
            self.notice,
            self.frame,
            self.verify_bar,
            self.replay_bar,
            self.prompt,
            KeyBar(),
        )

    def _breakpoint_classes(self) -> set[str]:
        """The classes that the size gives it, as textual sets them a little later."""
        app, (width, height) = self.app, self.app.size
        across = self._get_breakpoint_classes(width, app.HORIZONTAL_BREAKPOINTS or [])
        return across | self._get_breakpoint_classes(height, app.VERTICAL_BREAKPOINTS or [])

    def on_mount(self) -> None:
        self.show_connection()
        self.show_contact()
        self.show_as_of()
        if self.collection is not None:
            self._start(self.collection)
        elif self.explorer.is_replay:
            if self.is_replaying:
                self.first_pane.focus()
            self.replayed()

    def on_screen_resume(self) -> None:
        """Catches up with what came while another view was in front."""
        self.crumbs.renew()
        if self.collection is not None and self.explorer.history.latest is not None:
            self.hear(self.explorer.history.latest)
        elif self.explorer.is_replay:
            self.replayed()
        if self.collection is not None and self.explorer.verification.report is not None:
            self.show_verification()

    def on_descendant_focus(self) -> None:
        self.crumbs.renew()

    def _start(self, collection: AnyCollection) -> None:
        self.opened(collection)
        self.explorer.recall(self)
        self.show_verification()
        if self.focused is None or isinstance(self.focused, Notice):
            self.first_pane.focus()
        if self.explorer.history.latest is not None:
            self.hear(self.explorer.history.latest)

    def connected(self, collection: AnyCollection) -> None:
        """Called by the application when the database has been opened."""
        self.show_connection()
        self._start(collection)

    def entered(self, collection: AnyCollection) -> None:
        """Called by the application when another collection is looked at."""
        self.header.forget()
        self.show_as_of()
        if self.OF_COLLECTION:
            self.closed()
            self.forget()
            self._start(collection)

    def turned(self) -> None:
        """Called by the application when another moment is looked at, or now again."""
        self.show_as_of()
        if self.collection is not None and not self.LIVE:
            self.reopened(self.collection)
        self.header.forget()
        if self.explorer.history.latest is not None:
            self.hear(self.explorer.history.latest)

    def show_as_of(self) -> None:
        """Tells which moment is looked at."""
        past, latest = self.explorer.past, self.explorer.history.latest
        counts = ""
        if past.standing is not None and latest is not None:
            now = human_count(max(latest.statistics.records, past.standing.records))
            counts = f"{human_count(past.standing.records)} of {now} records"
        self.as_of_bar.show(past.words, self.LIVE, counts)

    def disconnected(self) -> None:
        """Called by the application when there is no database (any more)."""
        self.closed()
        self.show_connection()

    def hear(self, moment: Moment) -> None:
        """Called by the application with each snapshot. A view that goes back is shown one with the counts of then."""
        if not self.LIVE:
            moment = self.explorer.past.as_it_was(moment)
        self.header.show(moment, self.explorer.state)
        self.show_as_of()
        self.polled(moment)
        self.crumbs.renew()

    def show_connection(self) -> None:
        """Shows the body, or the words that stand in for it."""
        words = self.instead()
        self.frame.display = words is None
        self.notice.display = words is not None
        if words is not None:
            self.notice.say(*words[:3], role=words[3])
        if self.database is None:
            self.header.show(None, self.explorer.state)

    def show_contact(self) -> None:
        """Tells whether the server answers; while it does not, what is shown is marked as what was there before."""
        contact = self.explorer.contact
        self.set_class(contact.lost, "-stale")
        self.banner.show(contact.words(self.explorer.origin.name))
        self.header.show(self.explorer.history.latest if self.LIVE else self.latest, self.explorer.state)

    def show_verification(self) -> None:
        """Shows how far the verification is, or what it found."""
        self.verify_bar.update()

    @on(ReplayBar.Sought)
    def _sought_in_recording(self, event: ReplayBar.Sought) -> None:
        if self.explorer.replay is not None:
            self.explorer.replay.playhead.seek(event.time_ms)
            self.explorer.show_replay()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Without a database the view's own keys do nothing, and are not offered."""
        return self.database is not None or self.is_replaying or action in ("back", "cancel_prompt")

    def action_back(self) -> None:
        """One step back: out of a verification, of what was opened here, to the view that one came from."""
        if self.explorer.verification.running:
            self.explorer.verification.cancel()
        elif not self.step_back():
            self.explorer.go_back()

    def action_prove(self) -> None:
        """Walks the proof of the record under the cursor."""
        key = self.chosen_key()
        if key is None:
            self.explorer.say("Choose a record first, among the records or in a block.", "warning")
        else:
            self.explorer.prove(key)

    def action_follow_write(self) -> None:
        """Follows the next write, stage by stage; or the record under the cursor."""
        from .follow import Follow

        if self.database is not None and self.collection is not None:
            self.app.push_screen(Follow(self.database, self.collection, self.chosen_key()))

    def action_tamper(self) -> None:
        """Goes to the lab with the record under the cursor."""
        key = self.chosen_key()
        if key is not None:
            self.explorer.tamper_with(key)

    def action_copy_key(self) -> None:
        """Copies the key under the cursor."""
        if (key := self.chosen_key()) is not None:
            self.explorer.copy(key, "the key")

    def action_cancel_prompt(self) -> None:
        """Closes the line that asks."""
        self.prompt.cancel()
