"""What a command runs in: the database, and the ways to speak while the command is at work."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

from .failures import UsageError
from .memory import Memory

if TYPE_CHECKING:
    from blockdb import AnyDatabase, AnyTransaction
    from blockdb.config import DatabaseConfig, Sources

    from .servers import Server

__all__ = ["NEEDS_DIRECTORY", "Context", "ProgressBar"]

NEEDS_DIRECTORY = (
    "{what} works on the directory of a database, and {url} is a server; give --data-dir, where the data is"
)

ProgressBar: TypeAlias = Callable[[str, "int | None", str], AbstractContextManager[Callable[[int], None]]]
"""`with bar(title, total, unit) as advance_to: advance_to(done)`; unit is "bytes" or "records"."""


def _silent(_: object) -> None:
    return None


def _stay(_: str | None) -> None:
    return None


def _no_bar(_title: str, _total: int | None, _unit: str) -> AbstractContextManager[Callable[[int], None]]:
    return nullcontext(_silent)


@dataclass
class Context:
    """What a command runs in.

    - `open_database()` gives the database; it is opened only when a command asks for it
    - `announce` says a line while the command runs, `progress` draws how far it is; both may do nothing
    - `stdin` is standard input where a command may read it, else None
    - `on_screen` tells that a person looks at the rows, so that a long listing should stop and say how to go on
    - `collection` is the one that the shell uses (None: the default one), and `use` makes it use another one
    - `transaction` is the one that the shell has open, and `keep` has it keep one from line to line (None: none)
    - `ask` puts a question to the person at the terminal and gives the answer; None where nobody is there
    - `config` says where the directory of the database is, and `server` the server that has it: one of them is None;
      `sources` is where `config` comes from
    - `format` is what a front end that a command starts is to use
    - `memory` is what the shell remembers of the lines before
    - `connect` has the shell go on with another database, by one word, and says which; None elsewhere
    """

    open_database: Callable[[], AnyDatabase]
    announce: Callable[[str], None] = _silent
    progress: ProgressBar = _no_bar
    stdin: BinaryIO | None = None
    on_screen: bool = False
    in_shell: bool = False
    config: DatabaseConfig | None = None
    server: Server | None = None
    sources: Sources | None = None
    format: str | None = None
    collection: str | None = None
    use: Callable[[str | None], None] = _stay
    ask: Callable[[str], str] | None = None
    transaction: AnyTransaction | None = None
    keep: Callable[[AnyTransaction | None], None] | None = None
    connect: Callable[[str], str] | None = None
    memory: Memory = field(default_factory=Memory)

    @property
    def database(self) -> AnyDatabase:
        """The open database. Raises `CannotOpen`."""
        return self.open_database()

    def insist_on_directory(self, what: str) -> None:
        """Refuse `what` can be done to the directory of a database alone. Raises `UsageError` where a server has it."""
        if self.server is not None:
            raise UsageError(NEEDS_DIRECTORY.format(what=what, url=self.server.url))
