"""What a backslash command can do to the terminal that the shell is on."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from prompt_toolkit.enums import EditingMode
from prompt_toolkit.key_binding.vi_state import InputMode

from .history import kept_of
from .style import shell_style

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession

    from blockdb.commands.output import Output

__all__ = ["STYLES", "Terminal", "usual_style"]

STYLES = {"emacs": EditingMode.EMACS, "vi": EditingMode.VI}
_MODES = {
    InputMode.INSERT: "insert",
    InputMode.INSERT_MULTIPLE: "insert",
    InputMode.REPLACE: "replace",
    InputMode.REPLACE_SINGLE: "replace",
}
_SET_MODE = re.compile(r"^[ \t]*set[ \t]+editing-mode[ \t]+(vi|emacs)[ \t]*$", re.MULTILINE)


def usual_style(environ: Mapping[str, str] = os.environ) -> str:
    """How lines are edited where nothing else is said: as readline's file (INPUTRC, ~/.inputrc) has it, else emacs."""
    try:
        text = Path(environ.get("INPUTRC") or Path.home() / ".inputrc").read_text(errors="replace")
    except (OSError, RuntimeError):
        return "emacs"
    found: list[str] = _SET_MODE.findall(text)
    return found[-1] if found else "emacs"


class Terminal:
    """The prompt, its keys, its colours and its history."""

    def __init__(self, prompt: PromptSession[str], output: Output) -> None:
        self._prompt = prompt
        self._output = output
        self.proposed = ""
        """What stands at the next prompt, for the user to look at."""

    @property
    def style(self) -> str:
        """`vi` or `emacs`: the keys with which lines are edited."""
        return next(name for name, mode in STYLES.items() if mode == self._prompt.editing_mode)

    @style.setter
    def style(self, name: str) -> None:
        self._prompt.editing_mode = STYLES[name]

    @property
    def mode(self) -> str:
        """The mode of vi, as vi says it; empty for emacs, which has none."""
        if self._prompt.editing_mode != EditingMode.VI:
            return ""
        return f"vi {_MODES.get(self._prompt.app.vi_state.input_mode, 'normal')}"

    def use_theme(self, name: str) -> None:
        """Change the colours. Raises `UsageError` if there is no such theme."""
        self._output.use_theme(name)
        self._prompt.style = shell_style(name)

    def lines(self) -> list[str]:
        """The lines of the history as they are kept, the oldest first."""
        found = self._prompt.history.get_strings()
        return [line for text in found if (line := kept_of(text)) is not None]
