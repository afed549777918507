r"""`\e`, `\history`, `\style`, `\theme`, `\pager`, `\notices`: the terminal, and what is typed at it."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from blockdb.commands.display import printable
from blockdb.commands.failures import DONE, IoError, UsageError
from blockdb.commands.pager import ended, pager_command

from .directive import Directive, Switch, perhaps_a_word, switch

if TYPE_CHECKING:
    from ..session import Session

__all__ = ["DIRECTIVES", "edited"]

USUAL_LINES = 20


def edited(text: str) -> str:
    """The text as it comes back from the user's editor. Raises `IoError`.

    It is in a file that nobody else can read, and that is gone afterwards.
    """
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    descriptor, name = tempfile.mkstemp(".blockdb", "line-")  # with mode 600
    try:
        with open(descriptor, "wb") as file:
            file.write(text.encode("utf-8", "surrogateescape") + b"\n" * bool(text))
        _edit(editor, name)
        return Path(name).read_bytes().decode("utf-8", "surrogateescape").rstrip("\n")
    except OSError as error:
        raise IoError(f"cannot edit {name}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            os.unlink(name)


def _edit(editor: str, name: str) -> None:
    try:
        process = subprocess.Popen([*shlex.split(editor), name])
    except (OSError, ValueError) as error:
        raise IoError(f"cannot run the editor {editor} (VISUAL or EDITOR names it): {error}") from error
    if (status := ended(process)) != 0:
        raise IoError(f"the editor {editor} ended with exit code {status}; nothing comes from it")


def _editor(session: Session, text: str) -> int:
    terminal = session.insist_on_terminal()
    if not text:
        before = [line for line in terminal.lines() if not line.startswith(r"\e")]
        text = before[-1] if before else ""
    terminal.proposed = edited(text)
    return DONE


def _count(text: str) -> int:
    word = perhaps_a_word(text) or str(USUAL_LINES)
    if not (word.isascii() and word.isdigit() and len(word) < 10):
        raise UsageError(f"{word} is not a whole number")
    return int(word)


def _history(session: Session, count: int) -> int:
    found = session.insist_on_terminal().lines()
    first = max(len(found) - count, 0)
    for number, line in enumerate(found[first:], first + 1):
        session.output.line(f"{number:5}  {printable(line)}")
    return DONE


def _style_name(text: str) -> str | None:
    name = perhaps_a_word(text)
    if name not in (None, *_styles()):
        raise UsageError(f"there is no style {name}; there are vi and emacs")
    return name


def _styles() -> tuple[str, ...]:
    return "vi", "emacs"


def _style(session: Session, name: str | None) -> int:
    terminal = session.insist_on_terminal()
    if name is not None:
        terminal.style = name
    session.output.note(f"Style: {terminal.style}.", "muted")
    return DONE


def _themes() -> tuple[str, ...]:
    import blockdb_themes

    return tuple(blockdb_themes.names())


def _theme(session: Session, name: str | None) -> int:
    if name is None:
        session.output.note(f"Themes: {', '.join(_themes())}.", "muted")
    else:
        session.insist_on_terminal().use_theme(name)
    return DONE


def _pager(session: Session, wanted: Switch) -> int:
    if wanted is not None:
        session.paging = wanted
    command = pager_command()
    if session.paging and command is None:
        session.output.note("There is no pager; BLOCKDB_PAGER or PAGER names one.", "warning")
    else:
        session.output.note(f"Pager: {command if session.paging else 'off'}.", "muted")
    return DONE


def _level(text: str) -> str | None:
    level = perhaps_a_word(text)
    if level not in (None, *_levels()):
        raise UsageError(f"{level} is none of on, off, all")
    return level


def _levels() -> tuple[str, ...]:
    return "on", "off", "all"


def _notices(session: Session, level: str | None) -> int:
    if level is not None:
        session.notices = level
    session.output.note(f"Notices: {session.notices}.", "muted")
    return DONE


DIRECTIVES = (
    Directive(
        "e",
        "Edit a text, or the last line, in your editor.",
        str,
        _editor,
        "[TEXT …]",
        details="VISUAL or EDITOR names the editor, else it is vi. What comes back stands at the prompt, to be looked "
        "at: Enter runs it, and of several lines none runs unless all can be understood. An editor that fails changes "
        "nothing.",
        examples=((r"\e", "The last line"), (r"\e put user:1 {}", "This one")),
        on_terminal=True,
    ),
    Directive(
        "history",
        "List the lines that were typed last.",
        _count,
        _history,
        "[N]",
        details="As they are kept: without the values of put, and without lines that look as if they held a secret.",
        examples=((r"\history 5", "The last five"),),
        on_terminal=True,
    ),
    Directive(
        "style",
        "Edit lines as vi or as emacs does, or say which it is.",
        _style_name,
        _style,
        "[vi|emacs]",
        details="Before it is set here it is as --vi says, or `set editing-mode vi` in ~/.inputrc. The line at the "
        "bottom shows the mode of vi.",
        examples=((r"\style vi", "Edit as vi does"),),
        on_terminal=True,
        choices=_styles,
    ),
    Directive(
        "theme",
        "Change the colours, or list the themes.",
        perhaps_a_word,
        _theme,
        "[NAME]",
        examples=((r"\theme paper", "Dark on light"), (r"\theme", "What there is")),
        on_terminal=True,
        choices=_themes,
    ),
    Directive(
        "pager",
        "Show long output a page at a time, or not.",
        switch,
        _pager,
        "[on|off]",
        details="What is longer than the screen goes through the pager: BLOCKDB_PAGER, else PAGER, else less -FRX. To "
        "leave it early is no error. It is never used where output goes to a file or a pipe.",
        examples=((r"\pager off", "Let it run through"), (r"\pager", "Which it is")),
        on_terminal=True,
        choices=lambda: ("on", "off"),
    ),
    Directive(
        "notices",
        "Say above the prompt what happens meanwhile, or not.",
        _level,
        _notices,
        "[on|off|all]",
        details="on: new alerts, a new leader of the cluster, a transaction that ended by itself. all: sealed blocks "
        "as well. A server that is lost and found again is told in any case. The line that is being typed is not torn.",
        examples=((r"\notices all", "Sealed blocks as well"), (r"\notices off", "Silence")),
        on_terminal=True,
        choices=_levels,
    ),
)
