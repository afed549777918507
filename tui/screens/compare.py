"""Two moments of a collection side by side: what came between, and the proof that nothing else changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen

import blockdb
from blockdb.commands.comparing import Comparison, compare
from blockdb.commands.differences import facts_of
from blockdb.commands.display import human_count, printable

from ..keytext import diff_command
from ..listing import BlockRecords, Row
from ..offloop import in_background, off_loop
from ..record_columns import IN_BLOCK
from ..widgets.crumbs import Crumbs
from ..widgets.facts import Fact, Facts
from ..widgets.virtual_table import VirtualTable

if TYPE_CHECKING:
    from blockdb import AnyCollection, AnyDatabase, AsOf

    from ..app import Explorer

__all__ = ["Compare"]


class Findings(Facts):
    """What there is to say of the time between."""

    HELP = """What came between two moments of this collection. Records are only ever added, so that is all the \
difference there is; the consistency proof (RFC 6962) between the two trees says so, and its hashes are recomputed \
here. Of more than 20,000 records the beginnings of their keys are told from a sample, and it is said so.

Below are all the records that came, in the order in which they were stored. Enter goes to one. C asks for two other \
moments; Y copies the command that says the same."""

    label = 12


class Compare(ModalScreen[None]):
    """The comparison, made off the event loop."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "close", "Close", id="compare.close"),
        Binding("C", "again", "Other moments", id="compare.again"),
        Binding("tab", "other", "Other pane", id="compare.other"),
        Binding("enter", "open", "Its record", id="compare.open"),
        Binding("Y", "copy_command", "Copy command", id="compare.copy_command"),
        Binding("question_mark", "app.help", "Help", key_display="?", id="compare.help"),
    ]

    def __init__(
        self,
        database: AnyDatabase,
        collection: AnyCollection,
        moments: tuple[AsOf | None, AsOf | None],
        prefix: bytes = b"",
    ) -> None:
        super().__init__()
        self._database, self._collection = database, collection
        self._moments, self._prefix = moments, prefix
        self.found: Comparison | None = None

    @property
    def _explorer(self) -> Explorer:
        return cast("Explorer", self.app)

    def compose(self) -> ComposeResult:
        self.facts = Findings(id="findings")
        self.table: VirtualTable[Row] = VirtualTable(IN_BLOCK, empty="No record came.", id="came")
        with Vertical(id="compare-box"):
            yield Crumbs(self._explorer, "Compared")
            yield self.facts
            yield self.table

    def on_mount(self) -> None:
        words = "C other moments · Y copy · ? help · Esc closes"
        self.facts.entitle(Content("Two moments"), Content(words))
        self.facts.show_facts([("", [("is being compared …", "muted")])])
        self.table.title = Content("What came")
        self.table.focus()
        in_background(self, self._make, group="compare")

    async def _make(self) -> None:
        one, other = self._moments
        try:
            found = await off_loop(compare, self._database, self._collection, one, other, self._prefix)
        except (blockdb.BlockDBError, OSError) as error:
            words = printable(f"{type(error).__name__}: {error}")
            self.facts.show_facts([("✗ failed", [(words, "error")])])
            return
        self.found = found
        title = f"From {found.older_words} to {found.newer_words}"
        self.facts.entitle(Content(title), Content("C other moments · Y copy · ? help · Esc closes"))
        self.facts.show_facts(_shown(found))
        self.table.title = Content(f"The {human_count(found.records)} records that came, as they were stored")
        older, newer = found.older.records, found.newer.records
        self.table.show(BlockRecords(self._collection, -1, older, newer))

    # ── keys ──

    def action_close(self) -> None:
        """Goes back."""
        self.dismiss()

    def action_again(self) -> None:
        """Asks for two other moments."""
        explorer = self._explorer
        self.dismiss()
        explorer.call_later(explorer.action_compare)

    def action_other(self) -> None:
        """From the findings to the records, and back."""
        (self.table if self.facts.has_focus else self.facts).focus()

    def action_open(self) -> None:
        """Goes to the record under the cursor."""
        if (row := self.table.row) is not None:
            explorer, name = self._explorer, self._collection.name
            self.dismiss()
            explorer.visit_key(row.key, collection=name)

    def action_copy_command(self) -> None:
        """Copies the command that says the same."""
        target = self._explorer.target_of(self._collection.name)
        command = diff_command(target, *self._moments, self._prefix)
        self._explorer.copy(command.encode("utf-8", "surrogateescape"), command)

    def on_virtual_table_chosen(self, event: VirtualTable.Chosen) -> None:
        event.stop()
        self.action_open()

    def on_virtual_table_failed(self, event: VirtualTable.Failed) -> None:
        event.stop()
        self._explorer.fail("What came cannot be listed.", event.error)


def _shown(found: Comparison) -> list[Fact]:
    roles = {"Consistency": found.consistency.degree.role, "Keys": "key", "Records": "number", "Blocks": "primary"}
    roles |= dict.fromkeys(("Head then", "Head later", "Tree then", "Tree later"), "secondary")
    facts: list[Fact] = []
    for name, words in facts_of(found):
        facts.append((name.lower(), [(words, roles.get(name, "key" if not name else "text"))]))
    facts.insert(0, facts.pop())  # the proof first: it is what the rest stands on
    facts.append(("indexes", [("those of now alone are known: when one was made is not kept", "muted")]))
    return facts
