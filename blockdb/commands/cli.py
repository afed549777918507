"""The command line: words in, exit code out."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from functools import partial
from typing import Any

from blockdb.config import DatabaseConfig

from .asking import asking
from .command import FOR_PEOPLE, Command, Need, Where
from .context import Context
from .entering import run_and_enter
from .failures import DONE, INTERRUPTED, USAGE, exit_code
from .locating import Location, configuration, locate, refuse_server
from .opening import Door
from .output import Output
from .parsing import HelpWanted, VersionWanted, parse_arguments, parse_globals
from .servers import Server
from .table import members, take

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
        _say(output, lambda: output.error("Interrupted."))
        return INTERRUPTED
    except Exception as error:
        _say(output, partial(output.failure, error))
        return exit_code(error)
    finally:
        _close(output)


def _say(output: Output, words: Callable[[], None]) -> None:
    """A last word, where nobody may be there to hear it."""
    with suppress(Exception):
        output.flush()
    with suppress(Exception):
        words()


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


def _help(topic: str) -> str:
    from .helptext import topic_help

    return topic_help(topic, Where.COMMAND_LINE)


def _location(command: Command, given: Mapping[str, Any]) -> Location:
    if command.need is Need.CONFIGURATION:
        refuse_server(given, command.name)
        return DatabaseConfig()
    return locate(given, directory_only=command.name if command.directory_only else None)


def _run(words: Sequence[str], output: Output) -> int:
    topic = ""
    try:
        before, words = parse_globals(words)
        if not words:
            output.note(_help(topic))
            return USAGE
        topic = words[0]
        if words[1:2] in (["-h"], ["--help"]) and members(topic, Where.COMMAND_LINE):
            raise HelpWanted
        command, rest = take(words, Where.COMMAND_LINE)
        topic = command.name
        arguments = parse_arguments(command, rest, before, globals=True)
    except VersionWanted:
        output.line(version_text())
        output.flush()
        return DONE
    except HelpWanted:
        from .pager import paged

        with paged(output):
            output.line(_help(topic))
        return DONE
    given = vars(arguments)
    if given.get("no_pager"):
        from .pager import OFF

        os.environ["BLOCKDB_PAGER"] = OFF  # the shell and whatever else is begun from here know it by that
    sources = configuration(*map(given.get, ("config", "data_dir", "key_file", "master_key_file")))
    location = _location(command, given)
    server = location if isinstance(location, Server) else None
    asked = given.get("format")
    with closing(Door(location, command.need_of(arguments))) as door:
        context = Context(
            door,
            announce=output.announce if asked in FOR_PEOPLE else lambda _: None,
            progress=output.progress,
            stdin=None if sys.stdin is None else sys.stdin.buffer,
            on_screen=output.on_terminal and asked in FOR_PEOPLE,
            config=None if isinstance(location, Server) else location,
            server=server,
            collection=None if server is None else server.collection,
            sources=sources,
            format=asked,
            ask=asking(),
        )
        result = run_and_enter(command, context, arguments)
        from .pager import paged  # here: the shell and the explorer begin without it
        from .render import render

        with suppress(BrokenPipeError):  # whoever reads the output has seen enough; what was done was done
            with paged(output):
                render(result, output, asked or command.default_format)
            output.flush()
    return result.exit_code
