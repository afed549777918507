"""Where the database on screen comes from: a directory that somebody may be writing, or the demo's own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import blockdb
from blockdb.commands.command import Need
from blockdb.commands.failures import CannotOpen
from blockdb.commands.opening import open_database

from .keytext import Target

if TYPE_CHECKING:
    from blockdb import AnyDatabase, Progress, Report
    from blockdb.commands.servers import Server

    from .cluster.asked import ServedNode
    from .cluster.scene import Scene

__all__ = ["Attached", "DemoDirectory", "Origin", "Recorded", "Served", "advice_for"]


ATTEMPTS = 2
"""How often a server is asked before it is told that no answer came; it is asked again anyway."""


IMPATIENT: dict[str, float] = {"attempts": 1, "timeout_s": 5.0, "connect_timeout_s": 1.0, "read_timeout_s": 3.0}
"""How long a node is waited for that is asked again anyway. An event stream says once a second that it is there."""


class Origin(Protocol):
    """Opens the database and lets it go. Both may wait, so both are called off the event loop."""

    name: str
    """What the header calls it."""
    writes_here: bool
    """Whether the records come from this process."""
    is_server: bool
    """Whether a server has the database, which may be slow to answer, go away, and come back."""
    is_verified: bool
    """Whether what the server tells has to be proven."""
    collection: str | None
    """The collection to begin in, if it is not the default one."""

    @property
    def server(self) -> Server | None:
        """How the server is reached, where there is one."""

    @property
    def target(self) -> Target:
        """What the commands that can be copied are about."""

    def open(self) -> AnyDatabase:
        """The database, ready to read. Raises `BlockDBError` or `OSError`; may be called again after that."""

    def to_write(self) -> AbstractContextManager[AnyDatabase]:
        """The database, ready to write, while something is done to it. Raises `BlockDBError` or `OSError`."""

    def scene(self, database: AnyDatabase, clock_ms: Callable[[], int], /) -> Scene | None:
        """The cluster that the database is of; None where it is of none. Raises `BlockDBError` or `OSError`."""

    def close(self) -> None:
        """Lets the database go. Does nothing where none is open."""

    def verify(self, progress: Callable[[Progress], None], cancel: Callable[[], bool], /) -> Report:
        """Looks through the files without opening the database, so also where that is not possible."""


class _Directory:
    """What a directory is, whoever writes it."""

    name: str
    is_server = is_verified = False
    collection: str | None = None
    server: Server | None = None

    @property
    def target(self) -> Target:
        return Target(self.name)

    def scene(self, database: AnyDatabase, clock_ms: Callable[[], int], /) -> None:
        return None


class Attached(_Directory):
    """A directory, opened read-only beside whoever writes it."""

    writes_here = False

    def __init__(self, path: Path, **secrets: Any) -> None:
        """`secrets` are what `blockdb.open` is told of the master key."""
        self.name = str(path)
        self._path = path
        self._secrets = secrets
        self._database: AnyDatabase | None = None

    def open(self) -> AnyDatabase:
        self._database = blockdb.open(self._path, read_only=True, create=False, **self._secrets)
        return self._database

    def to_write(self) -> AbstractContextManager[AnyDatabase]:
        """A second opening for as long as something is done: nobody else is kept from writing in between."""
        return blockdb.open(self._path, create=False, **self._secrets)

    def verify(self, progress: Callable[[Progress], None], cancel: Callable[[], bool], /) -> Report:
        return blockdb.verify(self._path, progress, cancel, **self._secrets)

    def close(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            database.close()


class Served:
    """A database that a server has."""

    writes_here = False
    is_server = True

    def __init__(self, server: Server) -> None:
        self.server = server
        self.name = server.url
        self.collection = server.collection
        self.is_verified = server.verified
        self._database: AnyDatabase | None = None

    @property
    def target(self) -> Target:
        profile = self.server.profile
        return Target(self.name, option="--url") if profile is None else Target(profile, option="--profile")

    def open(self) -> AnyDatabase:
        try:
            self._database = open_database(self.server, Need.READ, attempts=ATTEMPTS)
        except CannotOpen as error:
            raise (error.__cause__ if isinstance(error.__cause__, Exception) else error) from None
        return self._database

    def to_write(self) -> AbstractContextManager[AnyDatabase]:
        """The connection that there is: the server decides what the token may do."""
        if self._database is None:
            raise blockdb.Unavailable("There is no connection to the server.")
        return nullcontext(self._database)

    def scene(self, database: AnyDatabase, clock_ms: Callable[[], int], /) -> Scene | None:
        """A scene for which each address that was given is asked for itself."""
        from .cluster.asked import is_clustered
        from .cluster.scene import Scene

        return Scene.live(self.nodes(), clock_ms) if is_clustered(database) else None

    def nodes(self) -> list[ServedNode]:
        """The servers, each to be asked for itself."""
        from .cluster.asked import ServedNode

        servers = [replace(self.server, urls=(url,)) for url in self.server.urls]
        return [ServedNode(partial(open_database, server, Need.READ, **IMPATIENT)) for server in servers]

    def verify(self, progress: Callable[[Progress], None], cancel: Callable[[], bool], /) -> Report:
        raise blockdb.Unavailable("There is no connection to the server, and its files are not here to be looked at.")

    def close(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            database.close()


class Recorded(_Directory):
    """A recording: there is no database."""

    writes_here = False

    def __init__(self, path: Path) -> None:
        self.name = str(path)

    def open(self) -> AnyDatabase:
        raise self._refusal()

    def to_write(self) -> AbstractContextManager[AnyDatabase]:
        raise self._refusal()

    def verify(self, progress: Callable[[Progress], None], cancel: Callable[[], bool], /) -> Report:
        raise self._refusal()

    def _refusal(self) -> blockdb.DatabaseNotFound:
        return blockdb.DatabaseNotFound(f"{self.name} is a recording, and no database.")

    def close(self) -> None:
        pass


class DemoDirectory(_Directory):
    """The demo: its database is made if need be, and a gentle writer fills it while one looks."""

    writes_here = True

    def __init__(self, directory: Path | None) -> None:
        self.name = "demo" if directory is None else str(directory)
        self._directory = directory
        self._held = ExitStack()
        self._database: AnyDatabase | None = None

    def open(self) -> AnyDatabase:
        from .demo import open_demo

        with ExitStack() as stack:
            demo = stack.enter_context(open_demo(self._directory))
            demo.start()
            stack.callback(demo.stop)
            self._held = stack.pop_all()
        self.name = str(demo.database.path)
        self._database = demo.database
        return demo.database

    def to_write(self) -> AbstractContextManager[AnyDatabase]:
        """The one that is open: the demo's own writer has it."""
        assert self._database is not None
        return nullcontext(self._database)

    def verify(self, progress: Callable[[Progress], None], cancel: Callable[[], bool], /) -> Report:
        return blockdb.verify(self.name, progress, cancel)

    def close(self) -> None:
        self._held.close()


_ADVICE: tuple[tuple[type[Exception], str], ...] = (
    (
        blockdb.DatabaseNotFound,
        "It is looked for again every second.\nTo see the explorer on real records: blockdb-tui --demo",
    ),
    (
        blockdb.Unavailable,
        "It is tried again every second.\nSee whether the server runs, and whether this is its address.",
    ),
    (blockdb.Unauthenticated, "Give the token in a profile, with --token-file, or as BLOCKDB_TOKEN."),
    (blockdb.Forbidden, "Ask for a token that may read (`blockdb token create` on the server)."),
    (
        blockdb.HistoryConflict,
        "What the server tells is not what was seen of it before.\nBelieve nothing of it; ask whoever runs it.",
    ),
    (blockdb.InvalidProof, "What the server tells is not proven. Believe nothing of it."),
    (blockdb.DatabaseLocked, "Another writer has it. It is tried again every second."),
    (
        blockdb.Corruption,
        "v looks through all files and names every place that is damaged.\nPut those files back from a copy.",
    ),
    (blockdb.UnsupportedFormat, "Open it with the version of BlockDB that wrote it, or a newer one."),
    (OSError, "Look at the directory's permissions and at the disk. It is tried again every second."),
)


def advice_for(error: Exception) -> str:
    """What somebody can do about a database that does not open."""
    return next((words for kind, words in _ADVICE if isinstance(error, kind)), "It is tried again every second.")
