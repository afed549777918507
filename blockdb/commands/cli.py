"""The command line: words in, exit code out."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import closing, suppress

from .command import Command, Where
from .context import Context
from .failures import DONE, INTERRUPTED, USAGE, describe, exit_code
from .opening import Door, configuration
from .output import Output
from .parsing import HelpWanted, VersionWanted, parse_arguments, parse_globals
from .render import render
from .table import find

__all__ = ["run", "version_text"]


def version_text() -> str:
    """What `--version` says."""
    import blockdb

    return f"blockdb {blockdb.__version__}"


def run(words: Sequence[str], output: Output | None = None) -> int:
    """Run the program and give its exit code. Never raises: what goes wrong is said in one line."""
    output = output or Output()
    try:
        return _run(words, output)
    except BrokenPipeError:
        return DONE
    except KeyboardInterrupt:
        _say(output, "Interrupted.")
        return INTERRUPTED
    except Exception as error:
        _say(output, describe(error))
        return exit_code(error)
    finally:
        _close(output)


def _say(output: Output, text: str) -> None:
    """A last word, where nobody may be there to hear it."""
    with suppress(Exception):
        output.flush()
    with suppress(Exception):
        output.error(text)


def _close(output: Output) -> None:
    """Where output cannot be written, let it go nowhere, or the interpreter would stumble over it as it ends."""
    try:
        output.flush()
    except Exception:
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            for stream in (sys.stdout, sys.stderr):
                if stream is not None:
                    os.dup2(nowhere, stream.fileno())


def _help(command: Command | None) -> str:
    from .helptext import command_help, overview

    return command_help(command, Where.COMMAND_LINE) if command else overview(Where.COMMAND_LINE)


def _run(words: Sequence[str], output: Output) -> int:
    command: Command | None = None
    try:
        before, name, rest = parse_globals(words)
        if name is None:
            output.note(_help(None))
            return USAGE
        command = find(name, Where.COMMAND_LINE)
        arguments = parse_arguments(command, rest, before, globals=True)
    except VersionWanted:
        output.line(version_text())
        output.flush()
        return DONE
    except HelpWanted:
        output.line(_help(command))
        output.flush()
        return DONE
    given = vars(arguments)
    config = configuration(given.get("config"), given.get("data_dir"), given.get("master_key_file"))
    asked = given.get("format")
    with closing(Door(config, command.need)) as door:
        context = Context(
            door,
            announce=output.announce if asked in (None, "table") else lambda _: None,
            progress=output.progress,
            stdin=None if sys.stdin is None else sys.stdin.buffer,
            on_screen=output.on_terminal and asked in (None, "table"),
            config=config,
            format=asked,
        )
        result = command.run(context, arguments)
        with suppress(BrokenPipeError):  # whoever reads the output has seen enough; what was done was done
            render(result, output, asked or command.default_format)
            output.flush()
    return result.exit_code
