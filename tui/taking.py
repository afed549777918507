"""Taking things along: to the clipboard, and to files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blockdb.commands.display import human_bytes

from .arming import Arming
from .offloop import in_background, off_loop

if TYPE_CHECKING:
    from .hashes import BlockHashes
    from .widgets.prompt import Prompt

__all__ = ["Taking"]


class Taking(Arming):
    """The part of the application that hands out what is shown."""

    hashes: BlockHashes | None = None
    """Hashes of blocks that were read to find one, for as long as the collection is looked at."""

    def copy_to_clipboard(self, text: str) -> None:
        """Asks the terminal to take a text, through whatever stands between."""
        from .clipboard import sequence, through

        self._clipboard = text
        if self._driver is not None:
            self._driver.write(sequence(text, through()))

    def copy(self, data: bytes, what: str) -> None:
        """Hands bytes to a clipboard: by the display's own program where there is one, else by the terminal.

        It is said what can be known of that: that a program took it, or that the terminal was asked.
        """
        from .clipboard import NATIVE_BYTES, native_program

        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            text, what = data.hex(), f"{what}, in hex because it is not text"
        program = None if self.is_web else native_program()
        if program is not None and len(text) <= NATIVE_BYTES:
            in_background(self, self._copy_natively, program, text, what, group="copy", latest=True)
        else:
            self._ask_terminal(text, what)

    async def _copy_natively(self, program: list[str], text: str, what: str) -> None:
        from .clipboard import copy_natively

        if problem := await off_loop(copy_natively, program, text):
            self._ask_terminal(text, what, f"{problem}. ")
        else:
            self._clipboard = text
            self.say(f"Copied {what} ({program[0]}).")

    def _ask_terminal(self, text: str, what: str, before: str = "") -> None:
        from .clipboard import MOST_BYTES, through

        size = len(text.encode())
        if size > MOST_BYTES:
            key = self.shown_key("app.save")
            words = f"{before}{human_bytes(size)} is more than terminals take. {key} saves it to a file."
            self.say(words, "warning")
            return
        self.copy_to_clipboard(text)
        hint = f" ({between.hint})" if (between := through()).hint else ""
        self.say(f"{before}Asked the terminal to copy {what}. Whether it did, it does not tell{hint}.")

    # ── files ──

    def action_save(self) -> None:
        """Asks for the name of a new file, and saves what is shown: all rows of a table, a value, or the screen."""
        from .saver import Saver

        if self.view is not None and self._may_save():
            Saver.of(self, self.view).ask()

    def save_bytes(self, data: bytes, name: str, prompt: Prompt) -> None:
        """Asks for the name of a new file, beginning with `name`, and saves bytes there."""
        from .saver import Saver

        if self._may_save():
            Saver(self, prompt, name, data).ask()

    def _may_save(self) -> bool:
        if self.is_web:
            self.say("In a browser nothing is saved: the file would be where the explorer runs.", "warning")
        return not self.is_web
