"""`blockdb-tui [PATH|URL]`: reads the arguments, sees that there is a terminal, and runs the explorer."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import blockdb
import blockdb_themes
from blockdb.commands.alerts import lookout
from blockdb.commands.colour import default_theme
from blockdb.commands.display import printable
from blockdb.commands.locating import locate
from blockdb.commands.opening import secrets_beforehand
from blockdb.commands.servers import Server, is_url

if TYPE_CHECKING:
    from blockdb.commands.locating import Location

    from .cluster.scene import Scene, Stage
    from .origin import Origin

__all__ = ["main"]

PATH_HELP = (
    "directory of the database, or the URL of a server that has it; else BLOCKDB_DATA_DIR, else what blockdb.toml "
    "says, else ./blockdb_data. "
    "With --demo: where to keep the demonstration; else it is gone afterwards"
)
DONE, WRONG_USAGE, CANNOT_OPEN = 0, 2, 3
SWITCH_S = 0.0005
"""How long a thread that searches keeps others from running: a key passes through the loop several times."""


def main(arguments: Sequence[str] | None = None, server: Server | None = None, stage: Stage | None = None) -> int:
    """Runs the explorer until it is left. Returns the exit code: 0 done, 2 wrong usage, 3 cannot open.

    `server` is where the database is, if somebody has found that out already; with `stage` it is that of a
    demonstration, in which faults can be done to the nodes of a cluster.
    """
    asked = _parser().parse_args(arguments)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return _refuse("UsageError", "the explorer needs a terminal; off one, use the blockdb commands", WRONG_USAGE)
    try:
        theme = blockdb_themes.load(asked.theme or default_theme()).name
        if asked.demo:
            return _run(_demo(asked.path), theme)
        if asked.replay is not None:
            return _replay(Path(asked.replay), theme)
        location = server or _location(asked)
    except (blockdb_themes.ThemeError, blockdb.BlockDBError) as error:
        return _refuse(type(error).__name__, str(error), WRONG_USAGE)
    if isinstance(location, Server):
        return _run(_served(location), theme) if stage is None else _staged(location, stage, theme)
    path = Path(location.data_dir)
    if (reason := _not_a_database(path)) is not None:
        return _refuse("DatabaseNotFound", reason, CANNOT_OPEN)
    return _run(_attached(path, secrets_beforehand(location)), theme)


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
    parser.add_argument("--replay", metavar="FILE", help="show a recording that was saved in the view of a cluster")
    parser.add_argument("--theme", metavar="NAME", help=f"one of {themes}; else BLOCKDB_THEME names it")
    parser.add_argument("--master-key-file", metavar="FILE", help="the master key of an encrypted database")
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


def _replay(path: Path, theme: str) -> int:
    from .cluster.scene import Scene
    from .origin import Recorded

    try:
        scene = Scene.replayed(path)
    except OSError as error:
        return _refuse("OSError", f"{path} cannot be read: {error.strerror}", CANNOT_OPEN)
    except blockdb.InvalidData as error:
        return _refuse(type(error).__name__, str(error), CANNOT_OPEN)
    return _run(Recorded(path), theme, scene)


def _staged(server: Server, stage: Stage, theme: str) -> int:
    """The explorer on a demonstration: it begins with the cluster."""
    import time

    from .cluster.scene import Scene
    from .origin import Served

    origin = Served(server)
    return _run(origin, theme, Scene.live(origin.nodes(), lambda: int(time.time() * 1000), stage))


def _run(origin: Origin, theme: str, scene: Scene | None = None) -> int:
    from .app import HANGUP_CODE, ClusterExplorer, Explorer
    from .hangup import watch_for_hangup

    if not sys.stderr.isatty():  # textual draws there, and would draw into the file or the pipe that it is
        sys.__stderr__ = sys.__stdout__  # type: ignore[misc]
    sys.setswitchinterval(SWITCH_S)
    kind = Explorer if scene is None else ClusterExplorer
    explorer = kind(origin, theme=theme, lookout=lookout(), scene=scene)
    watch_for_hangup(sys.stdin.fileno(), explorer.leave_from_thread, HANGUP_CODE)
    try:
        explorer.run()
    finally:
        explorer.laboratory.close()
        if explorer.scene is not None:
            explorer.scene.close()
        origin.close()
    if explorer.refused is not None:
        return _refuse(type(explorer.refused).__name__, str(explorer.refused), CANNOT_OPEN)
    return explorer.return_code or DONE


if __name__ == "__main__":
    sys.exit(main())
