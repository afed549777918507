"""One write, followed from being accepted to its proof and its anchors: a line for each stage, as it is reached."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, ClassVar, cast

from rich.style import Style
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.strip import Strip

import blockdb
from blockdb.commands.display import human_duration, printable, quoted
from blockdb.commands.following import Following, Stage
from blockdb.commands.trust import FAILED, PROVEN

from ..drawing import fitted_line
from ..widgets.lines import Lines

if TYPE_CHECKING:
    from blockdb import AnyCollection, AnyDatabase

    from ..app import Explorer

__all__ = ["Follow"]

SHOWN_EVERY_S = 0.1
PATIENCE_S = 3600
NAME, WHEN = 11, 33


class Stages(Lines):
    """The stages that were reached, a line each, and below them what is waited for."""

    HELP = """One write on its way. accepted: it has the lock of its collection. logged: its bytes are handed to the \
system, so it survives a killed process. forced: they are on the disk, so it survives a power cut. replicated, \
committed, applied: which nodes of a cluster have it. sealed: its block is full, and its seal is signed. proven: a \
receipt was made, and each hash recomputed here, up to a signed checkpoint. anchored: a checkpoint that covers it is \
kept where the data is not.

Times count from the first stage. Where this process writes they are exact; else a time says when the stage was first \
seen, and within how many milliseconds. "before" is what had happened when it was asked."""

    fixed = 1

    def __init__(self) -> None:
        super().__init__(id="stages")
        self.stages: list[Stage] = []
        self.waiting = ""

    def show(self, stages: list[Stage], waiting: str) -> None:
        """Shows what was reached, and the words for what is waited for."""
        at_end = self.top >= self.last_top
        self.stages, self.waiting = stages, waiting
        self.total = 2 * len(stages) + bool(waiting)
        if at_end:
            self.top = self.last_top
        self.refresh()

    def draw_fixed(self, y: int, width: int) -> Strip:
        """The stages on one line, with the milliseconds between them."""
        style = self.palette.style
        pieces: list[tuple[str, Style]] = [(" ", style("text"))]
        before: float | None = None
        for stage in self.stages:
            if stage.ms is not None and before is not None:
                pieces.append((f" ─{max(0.0, stage.ms - before):.1f} ms─ ", style("number")))
            elif len(pieces) > 1:
                pieces.append((" ─ ", style("border")))
            before = stage.ms
            pieces.append((printable(stage.name), style(_role(stage), bold=True)))
        if self.waiting:
            pieces.append((" ─ ◐" if self.stages else "◐", style("accent")))
        return fitted_line(pieces, width)

    def draw_line(self, index: int, width: int) -> Strip:
        style = self.palette.style
        at, is_more = divmod(index, 2)
        if at == len(self.stages):
            return fitted_line([(f" ◐ {self.waiting}", style("accent"))], width)
        stage = self.stages[at]
        if is_more:
            return fitted_line([(f"   {printable(stage.words)}", style("muted"))], width)
        glyph = "✗" if _role(stage) == "error" else "·" if _role(stage) == "muted" else "✓"
        pieces = [(f" {glyph} ", _role(stage)), (f"{printable(stage.name):<{NAME}}", "text"), (stage.when, "number")]
        return fitted_line([(text, style(role)) for text, role in pieces], width)


def _role(stage: Stage) -> str:
    if stage.trust is not None and stage.trust.degree is not PROVEN:
        return "error" if stage.trust.degree is FAILED else "muted"
    return "muted" if stage.name == "open" else "success"


class Follow(ModalScreen[None]):
    """The panel. Who follows is a thread of its own, which ends with it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "close", "Close", id="follow.close"),
        Binding("F", "next", "The next write", id="follow.next"),
        Binding("c", "chosen", "The record under the cursor", id="follow.chosen"),
        Binding("P", "prove", "Its proof", id="follow.prove"),
        Binding("question_mark", "app.help", "Help", key_display="?", id="follow.help"),
    ]

    def __init__(self, database: AnyDatabase, collection: AnyCollection, chosen: bytes | None) -> None:
        super().__init__()
        self._database, self._collection, self._chosen = database, collection, chosen
        self._following: Following | None = None
        self._reached: list[Stage] = []
        self._trouble = ""
        self._is_over = False
        self._since_s = 0.0

    @property
    def _explorer(self) -> Explorer:
        return cast("Explorer", self.app)

    def compose(self) -> ComposeResult:
        self.lines = Stages()
        with Vertical(id="follow-box"):
            yield self.lines

    def on_mount(self) -> None:
        self.lines.focus()
        self.set_interval(SHOWN_EVERY_S, self._show)
        self._begin(None)

    def _begin(self, key: bytes | None) -> None:
        self._stop()
        following = self._following = Following(self._database, self._collection, key=key)
        self._reached, self._trouble, self._is_over = [], "", False
        self._since_s = self._explorer.steady_s()
        of = "Following the next write" if key is None else f"Following {quoted(key)}"
        words = "F next · c cursor · P proof · ? help · Esc closes"
        self.lines.entitle(Content(printable(of)), Content(words))
        threading.Thread(target=self._run, args=(following,), name="explorer-follow", daemon=True).start()

    def _run(self, following: Following) -> None:
        trouble, reached = "", self._reached
        try:
            for stage in following.stages(PATIENCE_S):
                if stage is not None:
                    reached.append(stage)
        except (blockdb.BlockDBError, OSError) as error:
            trouble = f"{type(error).__name__}: {error}"
        if following is self._following:
            self._trouble, self._is_over = trouble, True

    def _show(self) -> None:
        following = self._following
        if following is None:
            return
        waited = human_duration(self._explorer.steady_s() - self._since_s)
        what = "the next stage" if self._reached else "the next write"
        waiting = "" if self._is_over else f"waiting for {what} … {waited}"
        if self._trouble:
            waiting = printable(self._trouble)
        if following.key is not None and self._reached:
            self.lines.entitle(Content(printable(f"Following {quoted(following.key)}")), self.lines._titles[1])
        self.lines.show(list(self._reached), waiting)

    def _stop(self) -> None:
        following, self._following = self._following, None
        if following is not None:
            following.stop()

    def on_unmount(self) -> None:
        self._stop()

    # ── keys ──

    def action_close(self) -> None:
        """Goes back."""
        self.dismiss()

    def action_next(self) -> None:
        """Follows the next write, whoever makes it."""
        self._begin(None)

    def action_chosen(self) -> None:
        """Tells what is known of the record under the cursor, and follows it from there on."""
        if self._chosen is not None:
            self._begin(self._chosen)

    def action_prove(self) -> None:
        """Walks the proof of the record that is followed."""
        following = self._following
        if following is not None and following.key is not None:
            self._explorer.prove(following.key, self._collection.name)
