"""Keys of the prompt beside those of the toolkit: Enter where a command goes on, and Alt-Enter."""

from __future__ import annotations

from prompt_toolkit.application import get_app
from prompt_toolkit.filters import Condition, in_paste_mode, is_searching
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

from .multiline import is_unfinished

__all__ = ["prompt_keys"]


@Condition
def _goes_on() -> bool:
    """Whether the cursor is at the end of a command that goes on in the next line."""
    document = get_app().current_buffer.document
    return not document.text_after_cursor.strip() and is_unfinished(document.text_before_cursor)


def prompt_keys() -> KeyBindings:
    """Enter begins a new line where a command goes on; Alt-Enter does it anywhere."""
    keys = KeyBindings()

    @keys.add("enter", filter=_goes_on & ~is_searching)
    @keys.add("escape", "enter", filter=~is_searching)
    def newline(event: KeyPressEvent) -> None:
        event.current_buffer.newline(copy_margin=not in_paste_mode())

    return keys
