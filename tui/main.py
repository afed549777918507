"""`blockdb-tui [PATH|URL]`: reads the arguments, sees that there is a terminal, and runs the explorer."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import blockdb
import blockdb_themes
from blockdb.commands.colour import default_theme
from blockdb.commands.display import printable
from blockdb.commands.history import LineHistory, history_path
from blockdb.commands.locating import locate
from blockdb.commands.opening import secrets_beforehand
from blockdb.commands.servers import Server, is_url

from .web.serving import NEVER_ARMED, add_arguments

if TYPE_CHECKING:
    from blockdb.commands.alerts import Lookout
    from blockdb.commands.locating import Location

    from .app import Explorer
    from .cluster.scene import Scene, Stage
    from .keymap import Keymap
    from .origin import Origin
    from .session import Memory

__all__ = ["main"]

PATH_HELP = (
    "directory of the database, or the URL of a server that has it; else BLOCKDB_DATA_DIR, else what blockdb.toml "
    "says, else ./blockdb_data. "
    "With --demo: where to keep the demonstration; else it is gone afterwards"
)
DONE, WRONG_USAGE, CANNOT_OPEN = 0, 2, 3
PAINTS_PER_S = "120"
"""A key that comes right behind a paint waits for the next one; textual's own 60 are more than a key may wait for."""
SWITCH_S = 0.0005
"""How long a thread that searches keeps others from running: a key passes through the loop several times."""


class _Wanted(NamedTuple):
    """How somebody wants it."""

    theme: str
    keymap: Path | None
    """A file of keys; None: the usual one, if it is there."""
    fresh: bool
    """Whether to begin anew, and not where the last visit ended."""
    any_theme: bool
    """Whether nobody named a theme, so that it may be the one that was worn last."""
    in_browser: str | None = None
    """Whether a browser, for which it runs, may arm it; None: it runs on a terminal."""
    record: str | None = None
    """A file to record into."""


def main(arguments: Sequence[str] | None = None, server: Server | None = None, stage: Stage | None = None) -> int:
    """Runs the explorer until it is left. Returns the exit code: 0 done, 2 wrong usage, 3 cannot open.

    `server` is where the database is, if somebody has found that out already; with `stage` it is that of a
    demonstration, in which faults can be done to the nodes of a cluster.
    """
    asked = _parser().parse_args(arguments)
    if asked.keys:
        return _print_keys()
    if asked.serve is not None:
        return _serve(asked, arguments)
    os.environ.setdefault("TEXTUAL_FPS", PAINTS_PER_S)
    gc.disable()  # nothing that is imported is garbage, and looking for some takes a sixth of the start
    try:
        return _explore(asked, server, stage)
    finally:
        gc.enable()


def _explore(asked: argparse.Namespace, server: Server | None, stage: Stage | None) -> int:
    if asked.in_browser is None and not (sys.stdin.isatty() and sys.stdout.isatty()):
        return _refuse("UsageError", "the explorer needs a terminal; off one, use the blockdb commands", WRONG_USAGE)
    try:
        # That the theme can be used is said before all else.
        theme = blockdb_themes.load(asked.theme or default_theme()).name
        any_theme = not (asked.theme or os.environ.get("BLOCKDB_THEME") or os.environ.get("NO_COLOR"))
        wanted = _Wanted(theme, _path(asked.keymap), asked.fresh, any_theme, asked.in_browser, asked.record)
        if asked.record is not None and (taken := _taken(asked)) is not None:
            return _refuse("UsageError", taken, WRONG_USAGE)
        if asked.demo or asked.tour:
            return _guided(_demo(asked.path), wanted, begins_at_once=asked.tour)
        if asked.replay is not None:
            return _replay(Path(asked.replay), wanted)
        location = server or _location(asked)
    except (blockdb_themes.ThemeError, blockdb.BlockDBError) as error:
        return _refuse(type(error).__name__, str(error), WRONG_USAGE)
    if isinstance(location, Server):
        if stage is not None:
            return _staged(location, stage, wanted)
        return _run(_served(location), wanted, memory=_memory(location.url, wanted, is_server=True))
    path = Path(location.data_dir)
    if (reason := _not_a_database(path)) is not None:
        return _refuse("DatabaseNotFound", reason, CANNOT_OPEN)
    return _run(_attached(path, secrets_beforehand(location)), wanted, memory=_memory(str(path), wanted))


def _memory(name: str, wanted: _Wanted, *, is_server: bool = False) -> Memory | None:
    """Where somebody was last; in a browser it may be anybody, so nobody is remembered."""
    from .session import Memory, ident_of

    if wanted.in_browser is not None:
        return None
    return Memory(ident_of(name, is_server=is_server), fresh=wanted.fresh)


def _serve(asked: argparse.Namespace, arguments: Sequence[str] | None) -> int:
    from .web.serving import serve

    try:
        blockdb_themes.load(asked.theme or default_theme())
        location = None if asked.demo or asked.replay is not None else _location(asked)
        path = None if location is None or isinstance(location, Server) else Path(location.data_dir)
        if path is not None and (reason := _not_a_database(path)) is not None:
            return _refuse("DatabaseNotFound", reason, CANNOT_OPEN)
        serve(asked, arguments)
    except (blockdb_themes.ThemeError, blockdb.BlockDBError, OSError) as error:
        words = (error.strerror if isinstance(error, OSError) else None) or str(error)
        return _refuse(type(error).__name__, words, CANNOT_OPEN if isinstance(error, OSError) else WRONG_USAGE)
    return DONE


def _path(name: str | None) -> Path | None:
    return None if name is None else Path(name).expanduser()


def _print_keys() -> int:
    from .bindings import as_text

    sys.stdout.write(as_text())
    return DONE


def _location(asked: argparse.Namespace) -> Location:
    """Where the database is. Raises `UsageError` and `ConfigError`."""
    given = {name: getattr(asked, name) for name in ("master_key_file", "url", "profile", "token_file", "ca")}
    if asked.path is None:
        return locate(given)
    return locate({**given, "url" if is_url(asked.path) and asked.url is None else "data_dir": asked.path})


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(WRONG_USAGE, f"Error: UsageError: {printable(message)}; see blockdb-tui --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="blockdb-tui",
        description="Explore a BlockDB database: its records, its chain of blocks, and what its engine is doing. "
        "A directory is opened read-only, beside any process that writes it. A server is waited for when it is away.",
    )
    themes = ", ".join(blockdb_themes.names())
    parser.add_argument("path", nargs="?", metavar="PATH|URL", help=PATH_HELP)
    parser.add_argument("--url", metavar="URL", help="address of a server that has the database; else BLOCKDB_URL")
    parser.add_argument("--profile", metavar="NAME", help="server of a profile (`blockdb profile list` shows them)")
    parser.add_argument("--token-file", metavar="FILE", help="the token that the server is shown; else BLOCKDB_TOKEN")
    parser.add_argument("--ca", metavar="FILE", help="the authority that the server's certificate is checked with")
    parser.add_argument("--demo", action="store_true", help="explore a demonstration database with a live writer")
    parser.add_argument("--tour", action="store_true", help="the same, and begin its guided tour at once")
    parser.add_argument("--replay", metavar="FILE", help="show a recording again: figures and events, no records")
    parser.add_argument("--record", metavar="FILE", help="record figures and events into a new file")
    parser.add_argument(
        "--theme",
        metavar="NAME",
        help=f"one of {themes}; else BLOCKDB_THEME names it, docs/THEMES.md says how to make one",
    )
    parser.add_argument("--keymap", metavar="FILE", help="keys of your own; else $XDG_CONFIG_HOME/blockdb/keys.toml")
    parser.add_argument("--keys", action="store_true", help="print every key, by the name that a keymap calls it")
    parser.add_argument("--fresh", action="store_true", help="begin anew, not where the last visit ended")
    parser.add_argument("--master-key-file", metavar="FILE", help="the master key of an encrypted database")
    add_arguments(parser)
    parser.add_argument("--version", action="version", version=f"blockdb-tui {blockdb.__version__}")
    return parser


def _refuse(kind: str, words: str, code: int) -> int:
    sys.stderr.write(f"Error: {kind}: {printable(words)}\n")
    return code


def _not_a_database(path: Path) -> str | None:
    """Why nothing at `path` can be explored, as far as a glance tells."""
    advice = "make one with `blockdb -d PATH put KEY VALUE`, or look at the demo with --demo"
    if not path.is_dir():
        return f"{path} is {'not a directory' if path.exists() else 'not there'}; {advice}"
    if not any(path.iterdir()):
        return f"{path} is empty; {advice}"
    return None


def _attached(path: Path, secrets: Mapping[str, Any]) -> Origin:
    from .origin import Attached

    return Attached(path, **secrets)


def _served(server: Server) -> Origin:
    from .origin import Served

    return Served(server)


def _demo(path: str | None) -> Origin:
    from .origin import DemoDirectory

    return DemoDirectory(None if path is None else Path(path))


def _guided(origin: Origin, wanted: _Wanted, *, begins_at_once: bool) -> int:
    """The explorer on the demonstration, which has a tour."""
    from .tour.guided import Guided

    make = partial(Guided, origin, lookout=_lookout, record_into=wanted.record, begins_at_once=begins_at_once)
    return _shown(make if begins_at_once else partial(make, start="dashboard"), wanted)


def _taken(asked: argparse.Namespace) -> str | None:
    """Why nothing can be recorded into the file, as far as a glance tells."""
    if asked.replay is not None:
        return "--record and --replay exclude each other"
    return f"{asked.record} is there already; a recording is a new file" if Path(asked.record).exists() else None


def _replay(path: Path, wanted: _Wanted) -> int:
    from .replay import Replay

    try:
        replay = Replay.of_file(path)
    except OSError as error:
        return _refuse("OSError", f"{path} cannot be read: {error.strerror}", CANNOT_OPEN)
    except blockdb.InvalidData as error:
        return _refuse(type(error).__name__, str(error), CANNOT_OPEN)
    from .replayer import Replayer

    return _shown(partial(Replayer, replay), wanted)


def _staged(server: Server, stage: Stage, wanted: _Wanted) -> int:
    """The explorer on a demonstration: it begins with the cluster."""
    import time

    from .cluster.scene import Scene
    from .origin import Served

    origin = Served(server)
    return _run(origin, wanted, Scene.live(origin.nodes(), lambda: int(time.time() * 1000), stage))


def _lookout() -> Lookout:
    """Made once the database is open: the first paint waits for nothing that it does not show."""
    from blockdb.commands.alerts import lookout

    return lookout()


def _keymap(path: Path | None) -> Keymap:
    from .keymap import load_keymap  # as above

    return load_keymap(path)


def _collect_again() -> None:
    """Looks for garbage from now on, but not among all that the start has made: that would hold up a key for long."""
    gc.freeze()
    gc.enable()


def _theme(wanted: _Wanted, memory: Memory | None) -> str:
    """The theme that was named, else the one that was worn last, if it is still there."""
    if memory is not None and memory.place.theme and wanted.any_theme:
        with suppress(blockdb_themes.ThemeError):
            return blockdb_themes.load(memory.place.theme).name
    return wanted.theme


def _run(origin: Origin, wanted: _Wanted, scene: Scene | None = None, memory: Memory | None = None) -> int:
    from .app import ClusterExplorer, Explorer

    if scene is not None:
        return _shown(
            partial(ClusterExplorer, origin, lookout=_lookout, scene=scene, record_into=wanted.record), wanted
        )
    make = partial(Explorer, origin, lookout=_lookout, record_into=wanted.record, memory=memory, start="dashboard")
    return _shown(make, wanted, memory)


def _shown(make: Callable[..., Explorer], wanted: _Wanted, memory: Memory | None = None) -> int:
    """Makes an explorer, runs it until it is left, and lets go of all that it holds."""
    from .app import HANGUP_CODE
    from .hangup import watch_for_hangup

    if wanted.in_browser is None and not sys.stderr.isatty():
        # textual draws there, and would draw into the file or the pipe that it is
        sys.__stderr__ = sys.__stdout__  # type: ignore[misc]
    if not os.environ.get("NO_COLOR"):  # empty it means nothing, but not to textual
        os.environ.pop("NO_COLOR", None)
    sys.setswitchinterval(SWITCH_S)
    explorer = make(theme=_theme(wanted, memory), keymap=partial(_keymap, wanted.keymap))
    explorer.may_be_armed = wanted.in_browser != NEVER_ARMED
    explorer.lines = LineHistory(history_path())
    explorer.when_painted = _collect_again
    watch_for_hangup(sys.stdin.fileno(), explorer.leave_from_thread, HANGUP_CODE)
    try:
        explorer.run()
    finally:
        if memory is not None:
            memory.keep()
        explorer.recorder.close()
        explorer.close_tour()
        explorer.laboratory.close()
        if explorer.scene is not None:
            explorer.scene.close()
        explorer.origin.close()
    if explorer.refused is not None:
        return _refuse(type(explorer.refused).__name__, str(explorer.refused), CANNOT_OPEN)
    return explorer.return_code or DONE


if __name__ == "__main__":
    sys.exit(main())
