"""Where the database on screen comes from: a directory that somebody may be writing, or the demo's own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import blockdb

if TYPE_CHECKING:
    from blockdb import Database, Progress, Report

__all__ = ["Attached", "DemoDirectory", "Origin", "advice_for"]


class Origin(Protocol):
    """Opens the database and lets it go. Both may wait, so both are called off the event loop."""

    name: str
    """What the header calls it."""
    writes_here: bool
    """Whether the records come from this process."""

    def open(self) -> Database:
        """The database, ready to read. Raises `BlockDBError` or `OSError`; may be called again after that."""

    def close(self) -> None:
        """Lets the database go. Does nothing where none is open."""

    def verify(self, progress: Callable[[Progress], None], cancel: Callable[[], bool], /) -> Report:
        """Looks through the files without opening the database, so also where that is not possible."""


class Attached:
    """A directory, opened read-only beside whoever writes it."""

    writes_here = False

    def __init__(self, path: Path, **secrets: Any) -> None:
        """`secrets` are what `blockdb.open` is told of the master key."""
        self.name = str(path)
        self._path = path
        self._secrets = secrets
        self._database: Database | None = None

    def open(self) -> Database:
        self._database = blockdb.open(self._path, read_only=True, create=False, **self._secrets)
        return self._database

    def verify(self, progress: Callable[[Progress], None], cancel: Callable[[], bool], /) -> Report:
        return blockdb.verify(self._path, progress, cancel, **self._secrets)

    def close(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            database.close()


class DemoDirectory:
    """The demo: its database is made if need be, and a gentle writer fills it while one looks."""

    writes_here = True

    def __init__(self, directory: Path | None) -> None:
        self.name = "demo" if directory is None else str(directory)
        self._directory = directory
        self._held = ExitStack()

    def open(self) -> Database:
        from .demo import open_demo

        with ExitStack() as stack:
            demo = stack.enter_context(open_demo(self._directory))
            demo.start()
            stack.callback(demo.stop)
            self._held = stack.pop_all()
        self.name = str(demo.database.path)
        return demo.database

    def verify(self, progress: Callable[[Progress], None], cancel: Callable[[], bool], /) -> Report:
        return blockdb.verify(self.name, progress, cancel)

    def close(self) -> None:
        self._held.close()


_ADVICE: tuple[tuple[type[Exception], str], ...] = (
    (
        blockdb.DatabaseNotFound,
        "It is looked for again every second.\nTo see the explorer on real records: blockdb-tui --demo",
    ),
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
