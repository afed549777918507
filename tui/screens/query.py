"""The view of queries: a form, the plan that answers it, and what it finds as a table with a column for each field."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.timer import Timer
from textual.widget import Widget

import blockdb
from blockdb.commands.completing import fields_of
from blockdb.commands.display import human_duration, plural, printable
from blockdb.commands.failures import UsageError
from blockdb.commands.saved import load_queries, save_query

from ..form import Form, Wrong, form_of, look_at
from ..keytext import get_command
from ..offloop import in_background, off_loop
from ..query_history import MOST_FORMS, QueryHistory
from ..querying import Plan, Search
from ..tabulating import DocumentRow, Documents
from ..widgets.query_form import QueryForm
from ..widgets.virtual_table import VirtualTable
from .view import View

if TYPE_CHECKING:
    from blockdb import AnyCollection

__all__ = ["QueryView"]

SHOWN_EVERY_S = 0.1


class ResultTable(VirtualTable[DocumentRow]):
    """The table of the view."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "Its record", id="query.open"),
        Binding("right,l", "screen.shift(1)", "Fields on", id="query.fields_on"),
        Binding("left,h", "screen.shift(-1)", "Fields back", show=False, id="query.fields_back"),
    ]

    HELP = """What was found, in its order, with a column for each field; those of objects stand as outer.inner. \
Where there are more columns than there is room for, Right and Left move them. Rows come as they are found; Esc \
stops a search. The lower edge says how it was answered: by which index, or by a scan of all records, how many \
records that touched, and how long it took. Enter opens the record; Esc there comes back."""


class QueryView(View):
    """Form above, result below."""

    NAME = "query"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash,w,i", "edit", "Edit", key_display="/", id="query.edit"),
        Binding("f2,s", "save", "Save", key_display="F2", id="query.save"),
        Binding("f3,o", "saved", "Saved", key_display="F3", id="query.saved"),
        Binding("r", "again", "Run again", id="query.again"),
        Binding("c", "copy_key", "Copy key", id="query.copy_key"),
        Binding("P", "prove", "Proof", id="query.prove"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.search: Search | None = None
        self.documents = Documents()
        self.ran: list[Form] = []
        """The queries that were run, now and in visits before, the last one last; each once."""
        self._history: QueryHistory | None = None
        self._at = 0
        self._skipped = 0
        self._fields: tuple[str, ...] = ()
        self._watching: Timer | None = None
        self._shown: object = None
        self._began_s = 0.0

    def body(self) -> Iterable[Widget]:
        self.form = QueryForm(lambda: self._fields, id="query-form")
        self.first_pane = self.form.entries["where"]
        self.table = ResultTable(Documents().columns(), empty="Nothing was found.", id="found")
        return self.form, self.table

    # ── the collection comes and goes ──

    def opened(self, collection: AnyCollection) -> None:
        self._titles()
        memory = self.explorer.memory
        if memory is not None and self._history is None:
            self._history = QueryHistory(memory.ident)
            in_background(self, self._recall_earlier, self._history, group="history")
        in_background(self, self._learn, collection, group="fields", latest=True)
        self._check()

    def reopened(self, collection: AnyCollection) -> None:
        """Another moment is looked at: the last query is run again, in it."""
        if self.search is not None:
            self.run_form()

    def closed(self) -> None:
        self.stop()
        self.table.show(None)

    def forget(self) -> None:
        self.search, self.documents, self._fields, self._skipped = None, Documents(), (), 0
        self._titles()

    async def _recall_earlier(self, history: QueryHistory) -> None:
        """Takes over what was run in visits before."""
        earlier = await off_loop(history.forms)
        self.ran = [*(form for form in earlier if form not in self.ran), *self.ran][-MOST_FORMS:]
        self._at = len(self.ran)

    async def _learn(self, collection: AnyCollection) -> None:
        """Finds out which fields there are."""
        try:
            found = await off_loop(fields_of, collection)
        except (blockdb.BlockDBError, OSError):
            return  # then there is nothing to complete
        if collection is self.collection:
            self._fields = found

    # ── typing ──

    @on(QueryForm.Changed)
    def _check(self) -> None:
        in_background(self, self._look, group="check", latest=True)

    async def _look(self) -> None:
        form = self.form.form
        found = await self._plan(form)
        if isinstance(found, Wrong):
            self._tell(found)
        elif found is not None:
            self.form.tell(None, found.words)

    def _tell(self, wrong: Wrong) -> None:
        """Marks a mistake; but what is still being typed is unfinished, rather than wrong."""
        entry = self.form.entries[wrong.part]
        offered = entry.complete(entry.value, len(entry.value)) if entry.has_focus and entry.complete else None
        if offered is not None and offered.words and wrong.position >= offered.start:
            self.form.tell(None, wrong.what)
        else:
            self.form.tell(wrong)

    async def _plan(self, form: Form) -> Plan | Wrong | None:
        collection = self.collection
        if collection is None:
            return None
        try:
            return await off_loop(look_at, collection, form, self.explorer.as_of)
        except (blockdb.BlockDBError, OSError) as error:
            return Wrong("where", len(form.where), printable(f"{type(error).__name__}: {error}"))

    def action_recall(self, by: int) -> None:
        """Puts the query into the form that was run before the one that stands there, or after it."""
        forms = [*self.ran, Form()]
        at = self._at if by < 0 and self.form.form != forms[self._at] else self._at + by
        self._at = min(max(at, 0), len(self.ran))
        self.form.fill(forms[self._at])

    # ── running ──

    @on(QueryForm.Run)
    def run_form(self) -> None:
        """Runs what stands in the form; a whole `find` command that was pasted there is taken apart first."""
        pasted = form_of(self.form.form.where.removeprefix("blockdb ")) if "find" in self.form.form.where else None
        if pasted is not None:
            self.form.fill(pasted)
        in_background(self, self._run, self.form.form, group="search", latest=True)

    async def _run(self, form: Form) -> None:
        collection = self.collection
        plan = await self._plan(form)
        if collection is None or collection is not self.collection or plan is None:
            return
        if isinstance(plan, Wrong):
            self.form.tell(plan)
            self.form.entries[plan.part].focus()
            return
        try:
            then = await off_loop(self.explorer.past.standing_in, collection)
        except (blockdb.BlockDBError, OSError) as error:
            self.explorer.fail("It cannot be searched.", error)
            return
        self.stop()
        self._remember(form)
        self.documents, self._skipped, self._shown = Documents(), 0, None
        take = self.documents.take
        self.search = Search(collection, form.query, plan, then, most=form.most, fields=form.fields.strip(), take=take)
        self._began_s = self.explorer.steady_s()
        self.search.start()
        self.table.show(self.documents, columns=self.documents.columns())
        self.table.focus()
        self._watching = self._watching or self.set_interval(SHOWN_EVERY_S, self.show_progress)

    def _remember(self, form: Form) -> None:
        if self._history is not None:
            self._history.add(form)
        self.ran = [*(other for other in self.ran if other != form), form][-MOST_FORMS:]
        self._at = len(self.ran) - 1

    def show_progress(self) -> None:
        """Shows what has come since."""
        search = self.search
        if search is None:
            return
        now = (search.progress(), len(self.documents.rows), len(self.documents.fields))
        if now != self._shown:
            self._shown = now
            self._columns()
            self.table.grown()
            self._titles()

    def stop(self) -> bool:
        """Ends the search that runs; False where none does."""
        if self.search is None or self.search.done:
            return False
        self.search.stop()
        return True

    def _columns(self) -> None:
        self.table.use_columns(self.documents.columns(self._skipped))

    def _titles(self) -> None:
        search, table = self.search, self.table
        words = [("Result", "$text"), *([(" · Enter runs the query", "$text-muted")] if search is None else [])]
        fields = len(self.documents.fields)
        if self._skipped:
            words.append((f" · fields from {self._skipped + 1} of {fields}", "$accent"))
        elif fields:
            words.append((f" · {plural(fields, 'field')}", "$text-muted"))
        table.note = ""
        if search is not None:
            took = "" if search.told or not search.done else f" · {human_duration(self._took_s())}"
            table.note = search.progress() + took
        table.title = Content.assemble(*words)
        table.retitle()

    def _took_s(self) -> float:
        return max(0.0, self.explorer.steady_s() - self._began_s)

    # ── keys ──

    def action_leave_form(self) -> None:
        """Ends the search; if none runs, goes from the form to the result, where the explorer's keys are heard."""
        if not self.stop():
            self.table.focus()

    def action_edit(self) -> None:
        """Back into the form."""
        self.form.entries["where"].focus()

    def action_again(self) -> None:
        """Runs the query again."""
        self.run_form()

    def action_shift(self, by: int) -> None:
        """Shows the fields further right, or left."""
        skipped = min(max(self._skipped + by, 0), max(0, len(self.documents.fields) - 1))
        if skipped != self._skipped:
            self._skipped = skipped
            self._columns()
            self._titles()

    @on(VirtualTable.Chosen, "#found")
    def _chosen(self) -> None:
        if self.table.row is not None:
            self.explorer.visit_key(self.table.row.key)

    def chosen_key(self) -> bytes | None:
        return None if self.table.row is None else self.table.row.key

    def step_back(self) -> bool:
        return self.stop()

    def shown_as_command(self) -> str:
        form, explorer = self.form.form, self.explorer
        try:
            return form.command(explorer.target, explorer.as_of)
        except ValueError:
            row = self.table.row
            return super().shown_as_command() if row is None else get_command(explorer.target, row.key)

    # ── keeping queries ──

    def action_save(self) -> None:
        """Asks for a name, and keeps the query under it."""
        self.prompt.ask("Save this query as", done=self._save)

    def _save(self, name: str) -> None:
        if name.strip():
            in_background(self, self._keep, name.strip(), self.form.form, group="saved")

    async def _keep(self, name: str, form: Form) -> None:
        try:
            was_there = await off_loop(save_query, name, form.line())
        except (blockdb.BlockDBError, UsageError, OSError, ValueError) as error:
            self.explorer.say(f"It cannot be saved: {error}", "error")
        else:
            place = "in place of the former one" if was_there else "F3 lists them, and so does \\saved in the shell"
            self.explorer.say(f"Saved {name}; {place}.")

    def action_saved(self) -> None:
        """Lists the saved queries, to take one of them."""
        self.explorer.clear_notifications()  # they would stand over the list
        in_background(self, self._list_saved, group="saved")

    async def _list_saved(self) -> None:
        from .saved import SavedQueries

        try:
            found = await off_loop(load_queries)
        except (blockdb.BlockDBError, OSError) as error:
            self.explorer.say(str(error), "error")
            return
        self.explorer.push_screen(SavedQueries(found), self._take_saved)

    def _take_saved(self, form: Form | None) -> None:
        if form is not None:
            self.form.fill(form)
            self.form.entries["where"].focus()
