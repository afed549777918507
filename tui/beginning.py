"""How it begins and ends: keys of one's own, the place where the last visit ended, what is wrong with their files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from blockdb.commands.display import printable

from .offloop import in_background, off_loop
from .taking import Taking

if TYPE_CHECKING:
    from rich.console import RenderableType

    from .keymap import Keymap
    from .screens.view import View
    from .session import Memory

__all__ = ["Beginning"]

MOST_COMPLAINTS, COMPLAINT_S = 4, 12


class Beginning(Taking):
    """The part of the application that knows how somebody wants it, and where they were."""

    memory: Memory | None = None
    """Where they were last; None: that is not to be known."""
    keymap: Callable[[], Keymap] | None = None
    """Reads the keys that somebody wants. It may take a while, since all views are looked at for their keys."""
    when_painted: Callable[[], None] | None = None
    """Called once, when there is something to be seen."""
    _is_recalled = False

    def begin(self) -> None:
        """Called once the first view has been painted."""
        if self.when_painted is not None:
            self.when_painted()
        if self.keymap is not None:
            in_background(self, self._take_keys, self.keymap, group="keys")
        if self.memory is not None:
            self._complain(self.memory.complaints)

    async def _take_keys(self, read: Callable[[], Keymap]) -> None:
        found = await off_loop(read)
        if found.keys:
            self.set_keymap(found.keys)
            for view in self.views():
                view.header.refresh()
        self._complain(found.complaints)

    def _complain(self, complaints: Sequence[str]) -> None:
        """Says what is wrong with a file that somebody wrote, at the start; not so much that it hides everything."""
        lines = [printable(words) for words in complaints[:MOST_COMPLAINTS]]
        if len(complaints) > MOST_COMPLAINTS:
            lines.append(f"… and {len(complaints) - MOST_COMPLAINTS} more.")
        if lines:
            self.notify("\n".join(lines), severity="warning", markup=False, timeout=COMPLAINT_S)

    def recall(self, view: View) -> None:
        """Has the view in which somebody was last choose again what was chosen there; once."""
        if self.memory is None or self._is_recalled:
            return
        place, self._is_recalled = self.memory.place, True
        if place.view == view.NAME and (self.inside or "") == place.collection:
            view.recall(place.chosen)

    def exit(self, result: int | None = None, return_code: int = 0, message: RenderableType | None = None) -> None:
        """Leaves, and notes where one was, if a database was there."""
        from .session import Place

        view = self.view
        if self.memory is not None and not self._exit and view is not None and self.database is not None:
            self.memory.leave(Place(view.NAME, self.inside or "", view.chosen(), self.theme))
        super().exit(result, return_code, message)
