"""The view of settings: what is set, of the database, its server and the explorer, and where each value comes from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget

from blockdb.commands.display import plural, printable

from ..keytext import command_line
from ..listing import Fixed
from ..offloop import in_background, off_loop
from ..settings import Setting, gather, own_settings
from ..widgets.virtual_table import Column, VirtualTable
from .view import View

if TYPE_CHECKING:
    from blockdb import AnyCollection

__all__ = ["SettingsView"]

GIVEN = ("file", "environment", "flag")
_ROLES = {"default": "muted", "error": "error", "file": "accent", "environment": "accent", "flag": "accent"}

_COLUMNS: list[Column[Setting]] = [
    Column("OF", lambda setting: setting.section, width=13, role="muted"),
    Column("KEY", lambda setting: setting.key, width=28, role="key"),
    Column("VALUE", lambda setting: setting.value, share=3, role="text"),
    Column("FROM", lambda setting: setting.origin, width=12, role=lambda setting: _ROLES.get(setting.origin, "text")),
    Column("PLACE", lambda setting: setting.place, share=2, role="muted", from_width=110),
]


class SettingsTable(VirtualTable[Setting]):
    """The table of the view."""

    HELP = """What is set, and where each value comes from. connection and server: how the server is reached, its \
version, and what the token is good for. engine and collection: what the database runs with, and what the collection \
was told when it was made. [database], [server] and so on: the keys of blockdb.toml, from a flag, the environment, \
the file, or by default; where a server has the database they begin with here, for they are those of this machine \
and not the server's. explorer and files: what the explorer itself goes by. Secrets are not shown.

/ leaves those that have a text somewhere; r reads all of it again."""


class SettingsView(View):
    """One list, filtered by a text."""

    NAME = "settings"
    LIVE = "settings as they are now"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Filter", key_display="/", id="settings.filter"),
        Binding("r", "read", "Read again", id="settings.read"),
        Binding("c", "copy_key", "Copy key", id="settings.copy_key"),
        Binding("y", "copy_value", "Copy value", id="settings.copy_value"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.part = ""
        self._settings: list[Setting] = []

    def body(self) -> Iterable[Widget]:
        self.first_pane = self.table = SettingsTable(_COLUMNS, empty="Nothing has that in it.", id="settings")
        return (self.table,)

    # ── what there is ──

    def opened(self, collection: AnyCollection) -> None:
        self._settings = own_settings(self.explorer)
        self._list()
        in_background(self, self._gather, collection, group="settings", latest=True)

    def closed(self) -> None:
        self.table.show(None)

    async def _gather(self, collection: AnyCollection) -> None:
        database, server = self.database, self.explorer.origin.server
        if database is not None:
            found = await off_loop(gather, collection, database, server, self.explorer.origin.name)
            if collection is self.collection:
                self._settings = [*found, *own_settings(self.explorer)]
                self._list()

    def _list(self) -> None:
        shown = [setting for setting in self._settings if setting.has(self.part.casefold())]
        self.table.show(Fixed(shown))
        words = [("Settings", "$text")]
        if self.part:
            words += [(" › ", "$text-muted"), (printable(self.part), "$role-key")]
        given = sum(setting.origin in GIVEN for setting in self._settings)
        words.append((f" · {plural(given, 'value')} given here", "$text-muted"))
        self.table.title = Content.assemble(*words)
        self.table.retitle()

    # ── keys ──

    def action_filter(self) -> None:
        """Asks for a text, and lists what has it while it is typed."""
        before = self.part
        self.prompt.ask(
            "Filter", before, changed=self._filter, done=self._filter, cancelled=lambda: self._filter(before)
        )

    def _filter(self, part: str) -> None:
        if part != self.part:
            self.part = part
            self._list()

    def action_read(self) -> None:
        """Reads everything again: a file may have changed."""
        if self.collection is not None:
            self.opened(self.collection)

    def action_copy_key(self) -> None:
        """Copies the key under the cursor."""
        if self.table.row is not None:
            self.explorer.copy(self.table.row.key.encode(), f"the key {self.table.row.key}")

    def action_copy_value(self) -> None:
        """Copies the value under the cursor."""
        if self.table.row is not None:
            self.explorer.copy(self.table.row.value.encode(), f"the value of {self.table.row.key}")

    def step_back(self) -> bool:
        if not self.part:
            return False
        self._filter("")
        return True

    def shown_as_command(self) -> str:
        row = self.table.row
        about_database = row is not None and row.section in ("engine", "collection", "server", "connection")
        return command_line(self.explorer.target, "stats") if about_database else "blockdb config show"
