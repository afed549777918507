"""repl, tui, help, exit: the ways in and out. Shell and explorer are found by name: no import leads up to them."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .command import FORMATS, Command, Completes, Need, Where, flag, option, positional
from .context import Context
from .failures import IoError
from .results import Nothing, Result, Words

if TYPE_CHECKING:
    from .locating import Location

__all__ = ["COMMANDS", "frontend"]

FRONTENDS = {"repl": "blockdb_repl.main:run", "tui": "blockdb_tui.main:main"}
"""Where they are. To look for entry points takes longer than most commands."""


def frontend(name: str) -> Callable[..., int]:
    """The front end that is installed under a name. Raises `IoError` if there is none."""
    module, _, function = FRONTENDS[name].partition(":")
    try:
        found: Callable[..., int] = getattr(import_module(module), function)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        raise IoError(f"the front end {name} is not installed; install blockdb again") from None
    return found


def repl(context: Context, arguments: Namespace) -> Result:
    """Run the shell, or scripts."""
    code = frontend("repl")(
        location=_location(context),
        sources=arguments.sources or (),
        on_error=arguments.on_error,
        format=context.format,
        theme=arguments.theme,
        read_only=arguments.read_only,
        style="vi" if arguments.vi else None,
    )
    return Nothing(code)


def _location(context: Context) -> Location:
    found = context.server or context.config
    assert found is not None, "the command line has located it"
    return found


def tui(context: Context, arguments: Namespace) -> Result:
    """Run the explorer."""
    if arguments.keys:
        return Nothing(frontend("tui")(["--keys"]))
    if arguments.replay is not None:
        return Nothing(frontend("tui")(["--replay", arguments.replay, *_taste(arguments)]))
    is_demo = arguments.demo or arguments.tour
    words = ["--tour" if arguments.tour else "--demo"] if is_demo else []
    words += [] if arguments.record is None else ["--record", arguments.record]
    if context.server is not None and not is_demo:
        return Nothing(frontend("tui")([*words, *_taste(arguments)], server=context.server))
    if context.config is not None and not is_demo:
        words.append(context.config.data_dir)
        if context.config.master_key_file:
            words += ["--master-key-file", context.config.master_key_file]
    return Nothing(frontend("tui")([*words, *_taste(arguments)]))


def _taste(arguments: Namespace) -> list[str]:
    """How somebody wants the explorer, handed on."""
    named = ((f"--{name}", getattr(arguments, name)) for name in ("theme", "keymap"))
    words = [word for name, given in named if given is not None for word in (name, given)]
    return [*words, "--fresh"] if arguments.fresh else words


def explain(context: Context, arguments: Namespace) -> Result:
    """Explain a command, or list all of them."""
    from .helptext import topic_help

    return Words(topic_help(" ".join(arguments.topic), Where.SHELL if context.in_shell else Where.COMMAND_LINE))


def leave(_: Context, __: Namespace) -> Result:
    """Nothing to do: the shell knows the command."""
    return Nothing()


def _source(kind: str) -> Callable[[str], tuple[str, str]]:
    def source(text: str) -> tuple[str, str]:
        return kind, text

    return source


_SOURCES: dict[str, Any] = {"dest": "sources", "action": "append"}

COMMANDS = (
    Command(
        "repl",
        "Start the shell, or run a script.",
        repl,
        (
            option(
                *("-c", "--command"),
                metavar="LINE",
                help="Run a line. Can be repeated.",
                type=_source("line"),
                **_SOURCES,
            ),
            option(
                *("-f", "--file"),
                metavar="FILE",
                help="Run the lines of a file (- for standard input). Can be repeated; -c and -f run in their order.",
                completes=Completes.FILE,
                type=_source("file"),
                **_SOURCES,
            ),
            option(
                "--on-error",
                metavar="DO",
                choices=("stop", "continue"),
                default="stop",
                help="What a script does after a line that failed: stop (as it does by itself) or continue.",
            ),
            flag("--read-only", help="Open the database to read only."),
            option(
                "--theme",
                metavar="NAME",
                help="Colours of the shell; else BLOCKDB_THEME names them.",
                completes=Completes.THEME,
            ),
            flag("--vi", help="Edit lines as vi does; else as ~/.inputrc says, else as emacs does."),
        ),
        details="On a terminal it is a shell with completion, history and help. Elsewhere, and with -c or -f, it runs "
        "lines: standard output is data and nothing else, words go to standard error, a line that fails is named by "
        "its number. Empty lines and lines that begin with # are left out. --format sets the format of every command "
        "that has it.\n\n"
        "If another process writes the database, the shell opens it to read and says so. With --url it works on a "
        r"server; when that goes away it says so, and goes on by itself. \connect goes on with another database.",
        examples=(
            ("repl", "The shell"),
            ('repl -c "put a 1" -c "get a"', "Two lines"),
            ("repl -f setup.txt --on-error continue", "A script, to its end"),
        ),
        aliases=("interactive",),
        need=Need.NOTHING,
        where=Where.COMMAND_LINE,
        formats=FORMATS,
    ),
    Command(
        "tui",
        "Open the explorer, a full-screen view of the database.",
        tui,
        (
            flag("--demo", help="Explore a demonstration database with a live writer."),
            option(
                "--replay",
                metavar="FILE",
                help="Show a recording again: figures and events, no records.",
                completes=Completes.FILE,
            ),
            option(
                "--record",
                metavar="FILE",
                help="Record figures and events into a new file.",
                completes=Completes.FILE,
            ),
            flag("--tour", help="Explore the demonstration, and begin its guided tour at once."),
            option("--theme", metavar="NAME", help="Colours of the explorer.", completes=Completes.THEME),
            option(
                "--keymap",
                metavar="FILE",
                help="Keys of your own; else those of $XDG_CONFIG_HOME/blockdb/keys.toml.",
                completes=Completes.FILE,
            ),
            flag("--keys", help="Print every key, by the name that a keymap calls it, and end."),
            flag("--fresh", help="Begin anew, not where the last visit ended."),
        ),
        details="The same as blockdb-tui, on the database that -d or --url names. A directory is opened to read only.",
        examples=(("tui", "Explore the database"), ("tui --demo", "Look around")),
        need=Need.NOTHING,
        where=Where.COMMAND_LINE,
        formats=("table",),
    ),
    Command(
        "help",
        "Explain a command, or list all of them.",
        explain,
        (positional("topic", "A command.", Completes.COMMAND, nargs="*", metavar="COMMAND"),),
        examples=(("help", "All commands"), ("help scan", "One of them")),
        need=Need.NOTHING,
        formats=("table",),
    ),
    Command(
        "exit",
        "Leave the shell.",
        leave,
        examples=(("exit", "Leave"),),
        aliases=("quit",),
        need=Need.NOTHING,
        where=Where.SHELL,
        formats=("table",),
    ),
)
