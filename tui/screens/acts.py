"""The view of the audit log: who did what, through which door, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget

import blockdb
from blockdb.commands.audit_log import act_keys
from blockdb.commands.display import human_bytes, human_count, human_time, printable

from ..acts import Acts, NewestActs, is_failure
from ..keytext import command_line
from ..offloop import in_background, off_loop
from ..widgets.facts import Fact, Facts
from ..widgets.virtual_table import Column, VirtualTable
from .view import View

if TYPE_CHECKING:
    from blockdb import Act, AnyCollection, Database

__all__ = ["ActsView"]

READ_EVERY_S = 0.5
ELSEWHERE = (
    "The audit log is with the server",
    "It is read where the data is, beside the server.",
    "Explore the directory there: blockdb-tui PATH; or print it: blockdb -d PATH audit-log",
    "muted",
)
WHOLE_KEY_BYTES = 64


def _outcome_role(act: Act) -> str:
    return "error" if is_failure(act) else "success"


_COLUMNS: list[Column[blockdb.Act]] = [
    Column("ENTRY", lambda act: human_count(act.sequence), width=9, role="secondary", right=True, from_width=100),
    Column("TIME", lambda act: human_time(act.time_ms)[11:23], width=12, role="muted", from_width=50),
    Column("WHO", lambda act: printable(act.principal), width=12, role="accent"),
    Column("WHAT", lambda act: printable(act.operation), width=14, role="primary"),
    Column("OUTCOME", lambda act: printable(act.outcome), width=15, role=_outcome_role),
    Column("COLLECTION", lambda act: printable(act.collection or ""), width=12, role="text", from_width=80),
    Column("KEY", act_keys, share=1, role="key", from_width=60),
    Column("FROM", lambda act: printable(act.peer or act.door), width=21, role="muted", from_width=110),
]


class ActTable(VirtualTable[blockdb.Act]):
    """The table of the view."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "Its record", id="acts.open"),
    ]

    HELP = """The audit log, the newest entry first: what a server was asked to change, by whom, and what became of \
it, and whom it refused; also what was done here without a server. Each entry names the hash of the one before, and \
the database signs the last one, so that none is changed, left out or cut off without v finding it.

The table stays on the newest until the cursor is moved; f goes back to it. e shows what was refused or failed alone. \
The newest 2,000 are kept here; `blockdb audit-log` prints all."""


class ActFacts(Facts):
    """The entry under the cursor."""

    HELP = """All that the audit log says of the entry under the cursor. It has no values and no secrets; of a long \
key it has the beginning and a part of its hash."""

    label = 10

    def show(self, act: Act | None) -> None:
        """Shows an entry."""
        self.entitle(Content("Entry" if act is None else f"Entry {human_count(act.sequence)}"))
        self.show_facts([] if act is None else _facts(act))


def _facts(act: Act) -> list[Fact]:
    named = [
        ("what", printable(act.operation), "primary"),
        ("collection", printable(act.collection or ""), "text"),
        ("key", act_keys(act), "key"),
    ]
    facts: list[Fact] = [
        ("time", [(human_time(act.time_ms), "text")]),
        ("who", [(printable(act.principal), "accent")]),
        *((("token", [(printable(act.token_id), "text")]),) if act.token_id else ()),
        ("door", [(printable(act.door), "text"), (f"  {printable(act.peer)}", "muted")]),
    ]
    facts += [(name, [(words, role)]) for name, words, role in named if words]
    if act.key_bytes > WHOLE_KEY_BYTES:
        facts.append(("", [(f"the key has {human_bytes(act.key_bytes)}", "muted")]))
    facts.append(("outcome", [(printable(act.outcome), _outcome_role(act))]))
    return facts + ([("request", [(printable(act.request_id), "muted")])] if act.request_id else [])


class ActsView(View):
    """The newest entries, and all that is known of the one under the cursor."""

    NAME = "acts"
    OF_COLLECTION = False
    LIVE = "the whole log of what was done"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "follow", "Follow", id="acts.follow"),
        Binding("e", "failed", "Failed only", id="acts.failed"),
        Binding("c", "copy_key", "Copy key", id="acts.copy_key"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.acts: Acts | None = None
        self.failed_only = False
        self._reading: Acts | None = None

    def body(self) -> Iterable[Widget]:
        self.first_pane = self.table = ActTable(_COLUMNS, empty="Nothing was entered yet.", id="acts")
        self.facts = ActFacts(id="act")
        return self.table, self.facts

    # ── the entries come ──

    def instead(self) -> tuple[str, str, str, str] | None:
        return ELSEWHERE if self.database is not None and self.explorer.origin.is_server else super().instead()

    def on_mount(self) -> None:
        super().on_mount()
        self.set_interval(READ_EVERY_S, self.read_on)

    def opened(self, collection: AnyCollection) -> None:
        if self.database is not None and not self.explorer.origin.is_server:
            self.acts = Acts(cast("Database", self.database))
            self._list()
            self.read_on()

    def closed(self) -> None:
        self.acts = None
        self.table.show(None)
        self.facts.show(None)

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        self.read_on()

    def read_on(self) -> None:
        """Takes what was entered since, while somebody looks."""
        if self.acts is not None and self.is_current and self._reading is not self.acts:
            self._reading = self.acts  # now, or a second reader begins before the first does
            in_background(self, self._read, self.acts, group="acts")

    async def _read(self, acts: Acts) -> None:
        try:
            came = await off_loop(acts.read)
        except (blockdb.BlockDBError, OSError) as error:
            if acts is self.acts:
                self.acts = None  # it is damaged, or gone: nothing more is to be had of it
                self.explorer.say(f"The audit log cannot be read. {type(error).__name__}: {error}", "error")
            return
        finally:
            if self._reading is acts:
                self._reading = None
        if came and acts is self.acts:
            self.table.grown()
            self._titles()

    def _list(self) -> None:
        if self.acts is not None:
            self.table.follow_first = True
            self.table.show(NewestActs(self.acts, failed=self.failed_only))
            self._titles()

    def _titles(self) -> None:
        words = [("Audit log", "$text")]
        if self.failed_only:
            words.append((" · refused or failed", "$error"))
        if self.table.follow_first:
            words.append((" · following", "$accent"))
        self.table.title = Content.assemble(*words)
        self.table.retitle()

    @on(VirtualTable.Highlighted, "#acts")
    def _highlighted(self) -> None:
        if self.table.cursor and self.table.follow_first:
            self.table.follow_first = False
            self._titles()
        if self.table.row is not None or not self.table.total:
            self.facts.show(self.table.row)

    # ── keys ──

    def action_follow(self) -> None:
        """Back to the newest entry, to stay there; or no longer."""
        self.table.follow_first = not self.table.follow_first
        if self.table.follow_first:
            self.table.move_to(0)
        self._titles()

    def action_failed(self) -> None:
        """Shows what was refused or failed alone, or everything again."""
        self.failed_only = not self.failed_only
        self._list()

    @on(VirtualTable.Chosen, "#acts")
    def _chosen(self) -> None:
        act = self.table.row
        if act is not None and act.keys and act.collection is not None and act.key_bytes <= WHOLE_KEY_BYTES:
            self.explorer.visit_key(act.key, collection=act.collection)
        else:
            self.explorer.say("This entry names no record, or not its whole key.", "warning")

    def chosen_key(self) -> bytes | None:
        act = self.table.row
        return None if act is None or not act.keys else act.key

    def step_back(self) -> bool:
        if self.focused is not self.facts:
            return False
        self.table.focus()
        return True

    def shown_as_command(self) -> str:
        words = ["--failed"] if self.failed_only else []
        return command_line(self.explorer.whole, "audit-log", *words)
