"""Saving what is shown: it asks for a name, writes off the event loop, and says what became of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import blockdb
from blockdb.commands.display import human_bytes

from .offloop import in_background, off_loop
from .saving import Cancelled, Sheet, kind_of, save_bytes, save_sheet, told
from .screens.saving import Saving
from .widgets.value_view import ValueView
from .widgets.virtual_table import VirtualTable

if TYPE_CHECKING:
    from .screens.view import View
    from .taking import Taking
    from .widgets.prompt import Prompt

__all__ = ["Saver"]


class Saver:
    """Saves bytes, else a table, else the screen."""

    def __init__(
        self, explorer: Taking, prompt: Prompt, name: str, data: bytes | None = None, sheet: Sheet | None = None
    ) -> None:
        """`prompt` asks for the name of the file, and begins with `name`."""
        self._explorer, self._prompt, self._name = explorer, prompt, name
        self._data, self._sheet = data, sheet

    @classmethod
    def of(cls, explorer: Taking, view: View) -> Saver:
        """Saves what a view shows now: the value in the focus, else the table, else the screen."""
        data, sheet = _value_of(view), _sheet_of(view)
        return cls(explorer, view.prompt, _suggested(view, data, sheet), data, sheet)

    def ask(self) -> None:
        """Asks for the name of a new file; how it ends says what is written."""
        table = " .json .jsonl .csv .txt .svg" if self._sheet is not None else " .txt .svg"
        self._explorer.clear_notifications()  # they would stand over the line that asks
        self._prompt.ask(f"Save as{'' if self._data is not None else table}", self._name, done=self.save)

    def save(self, typed: str) -> None:
        """Saves under a name; with none, nothing."""
        if not typed.strip():
            return
        path, data, sheet = Path(typed.strip()).expanduser().absolute(), self._data, self._sheet
        kind = kind_of(path)
        if kind == ".svg" or (kind == ".txt" and data is None and sheet is None):
            self._explorer.clear_notifications()
            self._explorer.call_after_refresh(self._save_screen, path)
        elif data is not None:
            self._write(path, lambda: f"Saved {human_bytes(save_bytes(path, data))} to {path}.")
        elif sheet is not None and kind:
            self._write(path, lambda: told(sheet, path, save_sheet(path, sheet)), sheet)
        else:
            kinds = ".json, .jsonl, .csv, .txt or .svg" if sheet is not None else ".txt or .svg"
            self._explorer.say(f"{path.name}: the name has to end with {kinds}. Nothing was saved.", "warning")

    def _save_screen(self, path: Path) -> None:
        """As a picture or as text; the line that asked is gone by now."""
        if kind_of(path) == ".svg":
            shown = self._explorer.export_screenshot(title=path.stem)
        else:
            shown = "".join(f"{strip.text.rstrip()}\n" for strip in self._explorer.screen._compositor.render_strips())
        self._write(path, lambda: f"Saved {human_bytes(save_bytes(path, shown.encode()))} to {path}.")

    def _write(self, path: Path, work: Callable[[], str], sheet: Sheet | None = None) -> None:
        in_background(self._explorer, self._do_write, path, work, sheet, group="save")

    async def _do_write(self, path: Path, work: Callable[[], str], sheet: Sheet | None) -> None:
        say = self._explorer.say
        over = None if sheet is None else Saving(path.name, sheet.work)
        if over is not None:
            await self._explorer.push_screen(over)
        try:
            say(await off_loop(work))
        except Cancelled:
            say(f"Stopped. Nothing is left of {path.name}.")
        except FileExistsError:
            say(f"{path} is there already; nothing was written.", "warning")
        except (blockdb.BlockDBError, OSError) as error:
            say(f"It cannot be saved. {type(error).__name__}: {error}", "error")
        finally:
            if over is not None and over.is_current:
                over.dismiss()


def _value_of(view: View) -> bytes | None:
    """The value in the pane that has the focus."""
    focused = view.focused
    return focused.record.value if isinstance(focused, ValueView) and focused.record is not None else None


def _sheet_of(view: View) -> Sheet | None:
    """The table that has the focus, else the first one in sight."""
    tables = [table for table in view.query(VirtualTable) if table.listing is not None and table.region.area]
    table = next((table for table in tables if table is view.focused), tables[0] if tables else None)
    if table is None or table.listing is None or view.collection is None or view.database is None:
        return None
    return Sheet(table.listing, table.columns, view.collection, view.database, view.explorer.as_of)


def _suggested(view: View, data: bytes | None, sheet: Sheet | None) -> str:
    """A name for the file: what it is of, and as what it can be read again."""
    if data is not None:
        return "value.json" if data[:1] in (b"{", b"[") else "value.txt" if data.isascii() else "value.bin"
    parts = [view.NAME, *([view.explorer.inside] if view.OF_COLLECTION and view.explorer.inside else [])]
    safe = re.sub(r"[^\w.-]", "_", "-".join(parts))
    return f"{safe}.jsonl" if sheet is not None else f"{safe}.txt"
