"""What the shell and the plain reader share: a database, and lines that are run on it one by one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING

from blockdb.commands.asking import asking
from blockdb.commands.context import Context
from blockdb.commands.failures import DONE, CannotOpen, exit_code
from blockdb.commands.invocation import Invocation, parse_line
from blockdb.commands.line import is_blank
from blockdb.commands.output import Output
from blockdb.commands.render import render
from blockdb.commands.results import Nothing

if TYPE_CHECKING:
    from blockdb import Collection, Database, Transaction
    from blockdb.config import DatabaseConfig

__all__ = ["Session"]


class Session:
    """Runs lines. `left` is true once a line said `exit`; `latency_s` is how long the last command took.

    `collection` is the one that a line said to `use`, None for the default one; `transaction` the one that is open.
    """

    def __init__(
        self,
        open_database: Callable[[], Database],
        output: Output,
        config: DatabaseConfig,
        *,
        format: str | None,
        in_script: bool,
    ) -> None:
        self.output = output
        self.left = False
        self.latency_s: float | None = None
        self._format = format
        self._in_script = in_script
        self.collection: str | None = None
        self.transaction: Transaction | None = None
        self._context = Context(
            open_database,
            progress=output.progress,
            in_shell=True,
            config=config,
            use=self._use,
            ask=None if in_script else asking(),
            keep=self._keep,
        )

    def _use(self, name: str | None) -> None:
        self.collection = name

    def _keep(self, transaction: Transaction | None) -> None:
        self.transaction = transaction

    def leave(self) -> str | None:
        """Abort the transaction that is still open at the end, and say so; None where there is none."""
        transaction, self.transaction = self.transaction, None
        if transaction is None:
            return None
        transaction.abort()
        return f"transaction {transaction.id} was still open at the end, and is aborted: nothing of it is stored"

    def target(self) -> Database | Collection:
        """The collection that lines are about, the database for the default one. Raises `CollectionNotFound`."""
        database = self._context.database
        return database if self.collection is None else database.collection(self.collection)

    def execute(self, line: str) -> int:
        """Run a line, show its result or what went wrong, and give its exit code.

        Raises `KeyboardInterrupt`, `CannotOpen`, and `BrokenPipeError` when nobody reads the output any more.
        """
        if is_blank(line):
            return DONE
        try:
            return self._run(parse_line(line))
        except (BrokenPipeError, CannotOpen):
            raise
        except Exception as error:
            self.output.failure(error)
            return exit_code(error)

    def _run(self, invocation: Invocation) -> int:
        if invocation.command.name == "exit":
            self.left = True
            return DONE
        shape = self._shape(invocation)
        on_screen = self.output.on_terminal and not self._in_script and shape in (None, "table")
        started = perf_counter()
        result = invocation.run(
            replace(self._context, on_screen=on_screen, collection=self.collection, transaction=self.transaction)
        )
        render(result, self.output, shape)
        self.output.flush()
        self.latency_s = perf_counter() - started
        if isinstance(result, Nothing) and result.reason and self._in_script:
            self.output.error(f"Error: NotFound: {result.reason}")
        return result.exit_code

    def _shape(self, invocation: Invocation) -> str | None:
        """The format that the line asks for; else the session's, if the command has it; else the command's own."""
        if invocation.format:
            return invocation.format
        return self._format if self._format in invocation.command.formats else invocation.command.default_format
