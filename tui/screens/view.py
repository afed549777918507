"""What the views share: header, body, prompt, keys, and words in place of the body while there is no database."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widget import Widget

from ..keytext import command_line
from ..widgets.banner import Banner
from ..widgets.header import Header
from ..widgets.keybar import KeyBar
from ..widgets.notice import Notice
from ..widgets.prompt import Prompt
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
    ]

    NAME: ClassVar[str]
    OF_COLLECTION: ClassVar[bool] = True
    """Whether it shows one collection; the others are about the database as a whole."""
    first_pane: Widget
    HELP: ClassVar[str] = ""

    def body(self) -> Iterable[Widget]:
        """The panes of the view."""
        raise NotImplementedError

    def opened(self, collection: AnyCollection) -> None:
        """A collection is there to be looked at, perhaps for the second time."""

    def forget(self) -> None:
        """It is another collection that comes next: what was chosen in this one means nothing there."""

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

    def shown_as_command(self) -> str:
        """The command that prints what is shown."""
        return command_line(self.explorer.target, "stats")

    def chosen_key(self) -> bytes | None:
        """The key of the record under the cursor, if there is one."""
        return None

    def instead(self) -> tuple[str, str, str, str] | None:
        """What stands in place of the body: title, words, advice, and the role that colours the title."""
        return self.explorer.trouble if self.database is None else None

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

    def compose(self) -> ComposeResult:
        # Kept by name, not looked up: while the explorer closes there is nothing any more to be found.
        self.header = Header(self.NAME, self.explorer)
        self.banner = Banner()
        self.notice = Notice()
        self.frame = Widget(*self.body(), id="body")
        self.verify_bar = VerifyBar(self.explorer.verification)
        self.prompt = Prompt()
        yield from (self.header, self.banner, self.notice, self.frame, self.verify_bar, self.prompt, KeyBar())

    def on_mount(self) -> None:
        self.show_connection()
        self.show_contact()
        if self.collection is not None:
            self._start(self.collection)

    def on_screen_resume(self) -> None:
        """Catches up with what came while another view was in front."""
        if self.collection is not None and self.explorer.history.latest is not None:
            self.hear(self.explorer.history.latest)

    def _start(self, collection: AnyCollection) -> None:
        self.opened(collection)
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
        if self.OF_COLLECTION:
            self.closed()
            self.forget()
            self._start(collection)

    def disconnected(self) -> None:
        """Called by the application when there is no database (any more)."""
        self.closed()
        self.show_connection()

    def hear(self, moment: Moment) -> None:
        """Called by the application with each snapshot."""
        self.header.show(moment, self.explorer.state)
        self.polled(moment)

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
        self.header.show(self.explorer.history.latest, self.explorer.state)

    def show_verification(self) -> None:
        """Shows how far the verification is, or what it found."""
        self.verify_bar.update()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Without a database the view's own keys do nothing, and are not offered."""
        return self.database is not None or action in ("back", "cancel_prompt")

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

    def action_cancel_prompt(self) -> None:
        """Closes the line that asks."""
        self.prompt.cancel()
