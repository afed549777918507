"""The shell on a terminal: a prompt with completion, history, colours and a toolbar, around a `Session`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from prompt_toolkit import PromptSession
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.completion import DynamicCompleter
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.input import Input
from prompt_toolkit.output import Output as Screen

from blockdb.commands.display import printable, shortened
from blockdb.commands.failures import DONE
from blockdb.commands.history import history_path
from blockdb.commands.locating import title_of
from blockdb.commands.output import Output
from blockdb.commands.servers import Server
from blockdb.errors import BlockDBError

from .connection import Connection, seconds
from .highlight import LineLexer
from .history import ShellHistory
from .keys import prompt_keys
from .late import LateCompletion, Rest
from .notices import Herald, Notices
from .past import prompt_words
from .session import Session
from .style import colour_depth, shell_style
from .terminal import Terminal, usual_style
from .toolbar import Toolbar

if TYPE_CHECKING:
    from blockdb import AnyDatabase
    from blockdb.commands.locating import Location

__all__ = ["BANNER", "run_shell"]

BANNER = "BlockDB Interactive Mode\nType 'help' for available commands, 'exit' to quit.\n"
FAREWELL = "Goodbye!"
MENU_LINES = 6
REFRESH_S = 1.0
"""How often the toolbar is drawn where it may have to tell for how long no answer came, or a transaction is open."""


def run_shell(
    open_it: Callable[[Location], AnyDatabase],
    output: Output,
    location: Location,
    *,
    format: str | None = None,
    theme: str | None = None,
    style: str | None = None,
    keyboard: Input | None = None,
    screen: Screen | None = None,
) -> int:
    """Prompt for lines and run them until the user leaves. Gives the exit code: 0, however the lines fared.

    The database is opened behind the first prompt. Raises what `open_it` raises.
    """
    output.words(BANNER)
    output.flush()
    connection = Connection(location, open_it, lambda error: _leave(prompt, error))
    session = Session(connection, output, format=format, in_script=False)
    with (
        closing(connection),
        closing(LateCompletion(connection, lambda: session.collection)) as completion,
        closing(Toolbar(connection, session.target)) as toolbar,
    ):
        prompt: PromptSession[str] = PromptSession(
            message=lambda: _prompt(connection, session),
            lexer=LineLexer(),
            completer=DynamicCompleter(completion),
            complete_in_thread=True,
            complete_while_typing=True,
            auto_suggest=AutoSuggestFromHistory(),
            history=ShellHistory(history_path()),
            key_bindings=prompt_keys(),
            style=shell_style(theme),
            color_depth=colour_depth(),
            bottom_toolbar=lambda: toolbar.fragments(session, prompt.output.get_size().columns, terminal.mode),
            reserve_space_for_menu=MENU_LINES,
            input=keyboard,
            output=screen,
        )
        session.terminal = terminal = Terminal(prompt, output)
        terminal.style = style or usual_style()
        herald = Herald(prompt, output)
        toolbar.notices = Notices(session, herald.say)
        _give_notice(connection, session, herald)
        prompt.app.after_render += lambda _: toolbar.start(prompt.app.invalidate)
        prompt.app.after_render += Rest()
        _converse(session, prompt, toolbar, connection, terminal, herald)
        left_open = session.leave()
    if left_open is not None:
        output.note(f"{left_open[0].upper()}{left_open[1:]}.", "warning")
    output.words(FAREWELL)
    return DONE


def _converse(
    session: Session,
    prompt: PromptSession[str],
    toolbar: Toolbar,
    connection: Connection,
    terminal: Terminal,
    herald: Herald,
) -> None:
    while not session.left:
        try:
            herald.say_what_waited()
            text, terminal.proposed = terminal.proposed, ""
            changes = connection.is_server or session.transaction is not None
            session.run_block(prompt.prompt(default=text, refresh_interval=REFRESH_S if changes else 0))
            toolbar.look()
        except KeyboardInterrupt:  # at the prompt the line is dropped, in a command the command
            session.output.place = ""
        except EOFError:
            return


def _leave(prompt: PromptSession[str], error: BaseException) -> None:
    """The database cannot be opened: let the prompt, which is being shown, raise that."""
    app = prompt.app

    def leave() -> None:
        if app.is_running and app.future is not None and not app.future.done():
            app.exit(exception=error)

    if app.loop is not None:
        app.loop.call_soon_threadsafe(leave)


def _give_notice(connection: Connection, session: Session, herald: Herald) -> None:
    """Have it said above the prompt, from whatever thread, when the server is lost, and when it is found again."""
    say = partial(herald.say, can_wait=False)

    def lost(_: BlockDBError) -> None:
        say(f"The connection to {title_of(connection.location)} is lost; trying again …", "warning")

    def found(away_s: float) -> None:
        say(f"Connected again after {seconds(away_s)}.", "success")
        if (words := session.transaction_lost()) is not None:
            say(words, "warning")

    connection.when_lost, connection.when_found = lost, found


def _prompt(connection: Connection, session: Session) -> StyleAndTextTuples:
    location = connection.location
    name = location.title if isinstance(location, Server) else Path(location.data_dir).resolve().name
    place = shortened(printable(name), 24)
    if session.collection is not None:
        place += f"/{shortened(printable(session.collection), 24)}"
    pieces: StyleAndTextTuples = [("class:prompt", place)]
    if session.bygone is not None:
        pieces.append(("class:problem", f" @{prompt_words(session.bygone)}"))
    transaction = session.transaction
    if transaction is not None:
        role = "transaction" if transaction.is_active else "problem"
        pieces.append((f"class:{role}", f" [transaction {transaction.id}{'' if transaction.is_active else ', ended'}]"))
    return [*pieces, ("class:prompt", "> ")]
