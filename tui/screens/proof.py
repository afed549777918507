"""The proof of one record, walked step by step from its bytes to the signature under the checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.strip import Strip
from textual.widgets import Static

import blockdb
from blockdb.commands.display import human_count, printable, quoted
from blockdb.commands.standing import standing_at

from ..drawing import fitted_line, short_hash
from ..keytext import proof_command
from ..offloop import in_background, off_loop
from ..proof import Verdict, Walk
from ..theme import palette
from ..widgets.crumbs import Crumbs
from ..widgets.lines import Lines

if TYPE_CHECKING:
    from blockdb import AnyDatabase, AsOf
    from blockdb.commands.standing import Standing

    from ..app import Explorer

__all__ = ["Proof"]

NAME, WORD = 11, 8
LABEL = 8


class Stages(Lines):
    """The stages of the walk, a line each; those that were not walked yet are grey."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,l,space", "step(1)", "Next step", id="proof.next"),
        Binding("left,h", "step(-1)", "Back", id="proof.back"),
        Binding("a", "last", "Run all", id="proof.all"),
    ]

    HELP = """The inclusion proof of one record (RFC 6962, RFC 9162). The record's bytes give its leaf hash. At each \
level the hash is joined with the one beside it, which is in the receipt, to give the one above; the last is the root \
that the signed checkpoint names. Each hash is recomputed here, in the explorer, when its step is shown: ✓ holds, ✗ \
fails, · not yet.

Y copies the commands that make the same receipt and check it without the database, y the receipt itself, c the key \
that it is checked with."""

    def __init__(self, screen: Proof) -> None:
        super().__init__(id="stages")
        self._proof = screen
        self.current = -1

    def action_step(self, lines: int) -> None:
        self._proof.go(self.current + lines)

    def action_first(self) -> None:
        self._proof.go(0)

    def action_last(self) -> None:
        self._proof.go(self.total - 1)

    def draw_line(self, index: int, width: int) -> Strip:
        walk = self._proof.walk
        assert walk is not None
        stage = walk.stages[index]
        verdict = walk.verdicts[index] if index < len(walk.verdicts) else None
        glyph, word, role = _mark(verdict)
        ground = "selection" if index == self.current else None
        style = self.palette.style
        pieces = [
            (f" {glyph} {word:<{WORD}}", style(role, ground)),
            (f"{stage.name:<{NAME}}", style("text" if verdict else "muted", ground, bold=index == self.current)),
        ]
        room = max(12, (width - NAME - WORD - 32) // 2)
        if stage.sibling is not None:
            side, sibling = stage.sibling
            pieces.append((f"{'‹' if side == 'left' else '›'} {side:<6}", style("secondary", ground)))
            pieces.append((f"{short_hash(sibling, room):<{room}} ", style("secondary", ground)))
        else:
            pieces.append((f"{stage.recipe:<{room + 9}}", style("muted", ground)))
        if verdict is not None and verdict.result:
            pieces.append((f"→ {short_hash(verdict.result, room)}", style("text", ground)))
        return fitted_line(pieces, width, style("text", ground))


def _mark(verdict: Verdict | None) -> tuple[str, str, str]:
    """A glyph, a word and a role for what is known of a stage."""
    if verdict is None:
        return "·", "not yet", "muted"
    return ("✓", "holds", "success") if verdict.holds else ("✗", "fails", "error")


def _of_now(walk: Walk, then: Standing) -> str:
    """What a proof against the tree of now says of a moment of the past."""
    index, size = human_count(walk.receipt.index), human_count(walk.receipt.size)
    return (
        f"This is against the checkpoint of now, over {size} records. At {then.words} the tree had "
        f"{human_count(then.records)}: record {index} was among them if that tree is the beginning of this one, "
        "which C proves."
    )


class Proof(ModalScreen[None]):
    """The walk along one receipt. It is made and checked off the event loop."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,P,q", "close", "Close", id="proof.close"),
        Binding("question_mark", "app.help", "Help", key_display="?", id="proof.help"),
        Binding("y", "copy_receipt", "Copy receipt", id="proof.copy_receipt"),
        Binding("c", "copy_key", "Copy key", id="proof.copy_key"),
        Binding("Y", "copy_command", "Copy command", id="proof.copy_command"),
    ]

    def __init__(self, database: AnyDatabase, collection: str, key: bytes, as_of: AsOf | None = None) -> None:
        """With `as_of`, of a record that was there then. The proof itself is always against the tree of now."""
        super().__init__()
        self._as_of = as_of
        self._then: Standing | None = None
        self._database, self._collection, self._key = database, collection, key
        self.walk: Walk | None = None

    @property
    def _explorer(self) -> Explorer:
        return cast("Explorer", self.app)

    def compose(self) -> ComposeResult:
        self.stages = Stages(self)
        self.detail = Static("", id="stage", markup=False)
        with Vertical(id="proof-box"):
            yield Crumbs(self._explorer, "Proof")
            yield self.stages
            yield self.detail

    def on_mount(self) -> None:
        words = "→ next · ← back · a all · Y y c copy · ? help · Esc closes"
        self.stages.entitle(Content(printable(f"Proof of {quoted(self._key)}")), Content(words))
        self.stages.focus()
        self.detail.update(Text("Making the receipt …"))
        in_background(self, self._make, group="proof")

    async def _make(self) -> None:
        database, collection, key, as_of = self._database, self._collection, self._key, self._as_of

        def make() -> tuple[Walk, Standing | None]:
            of = database.collection(collection)
            value = of.get(key)
            if value is None or of.get(key, as_of=as_of) is None:
                raise blockdb.InvalidData(f"The record is not there {'any more' if as_of is None else 'then and now'}.")
            then = None if as_of is None else standing_at(of, as_of)
            return Walk(of.prove(key), database.verifier_key(), key, value), then

        try:
            walk, self._then = await off_loop(make)
        except (blockdb.BlockDBError, OSError, ValueError) as error:
            kind = type(error).__name__
            self.detail.update(
                Text(printable(f"✗ There is no proof. {kind}: {error}"), palette(self.app).style("error"))
            )
            return
        self.walk = walk
        self.stages.total = len(walk.stages)
        self.go(0)

    # ── walking ──

    def go(self, stage: int) -> None:
        """Walks to a stage, computing all up to it that were not yet."""
        if self.walk is not None:
            target = min(max(stage, 0), len(self.walk.stages) - 1)
            in_background(self, self._walk_to, self.walk, target, group="walk", latest=True)

    async def _walk_to(self, walk: Walk, target: int) -> None:
        while len(walk.verdicts) <= target:
            number = len(walk.verdicts)
            verdict = await off_loop(walk.stages[number].take, walk.before(number))
            walk.verdicts.append(verdict)
            self._show(number)
        self._show(target)

    def _show(self, number: int) -> None:
        stages = self.stages
        stages.current = number
        stages.scroll_lines_to(max(number - stages.rows_in_view + 1, min(stages.top, number)))
        stages.refresh()
        self.detail.update(self._explained(number))

    def _explained(self, number: int) -> Text:
        walk = self.walk
        assert walk is not None
        stage, verdict = walk.stages[number], walk.verdicts[number]
        style, text = palette(self.app).style, Text()
        glyph, word, role = _mark(verdict)
        text.append(f"{stage.name}  ", style("accent", bold=True))
        text.append(f"{glyph} {word}: {verdict.words}\n", style(role, bold=True))
        text.append_text(self._verdict(walk))
        if self._then is not None:
            text.append(f"\n{_of_now(walk, self._then)}", style("warning"))
        for label, words in [("", ""), ("", stage.recipe), *stage.explain(walk.before(number))]:
            text.append("\n")
            text.append(f"{label:<{LABEL}}" if label else "", style("muted"))
            text.append(words, style("text" if label else "muted"))
        if verdict.result:
            text.append(f"\n{'=':<{LABEL}}", style("muted"))
            text.append(verdict.result.hex(), style("secondary"))
        return text

    def _verdict(self, walk: Walk) -> Text:
        """What the whole walk came to, once it is done."""
        style = palette(self.app).style
        if walk.failed is not None:
            return Text(f"✗ not proven: {walk.stages[walk.failed].name} fails", style("error", bold=True))
        if not walk.done:
            left = len(walk.stages) - len(walk.verdicts)
            return Text(f"{human_count(len(walk.verdicts))} walked, {human_count(left)} to go", style("muted"))
        return Text("✓ proven: each hash was recomputed here, and the signature holds", style("success", bold=True))

    # ── keys ──

    def action_close(self) -> None:
        """Goes back."""
        self.dismiss()

    def action_copy_receipt(self) -> None:
        """Copies the receipt, which anybody can check."""
        if self.walk is not None:
            self._explorer.copy(self.walk.receipt.text.encode(), "the receipt")

    def action_copy_key(self) -> None:
        """Copies the key that the receipt is checked with."""
        if self.walk is not None:
            self._explorer.copy(self.walk.verifier_key.encode(), "the verifier key")

    def action_copy_command(self) -> None:
        """Copies the commands that make the same receipt and check it outside."""
        if self.walk is not None:
            index, target = self.walk.receipt.index, self._explorer.target_of(self._collection)
            command = proof_command(target, self._key, index, self.walk.verifier_key)
            self._explorer.copy(command.encode("utf-8", "surrogateescape"), command)
