"""What the shell and the plain reader share: a database, and lines that are run on it one by one."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING

from blockdb.commands.asking import asking
from blockdb.commands.command import Need
from blockdb.commands.context import Context
from blockdb.commands.failures import DONE, CannotOpen, exit_code
from blockdb.commands.invocation import Invocation, parse_line
from blockdb.commands.line import is_blank
from blockdb.commands.locating import title_of
from blockdb.commands.output import Output
from blockdb.commands.render import render
from blockdb.commands.results import Nothing, Result
from blockdb.commands.servers import Server
from blockdb.errors import BlockDBError, TransactionClosed, TransactionTimeout

from .connection import Connection

if TYPE_CHECKING:
    from blockdb import AnyCollection, AnyDatabase, AnyTransaction

__all__ = ["Session"]

_ANY_KEY = b"\0"


class Session:
    """Runs lines. `left` is true once a line said `exit`; `latency_s` is how long the last command took.

    `collection` is the one that a line said to `use`, None for the default one; `transaction` the one that is open.
    """

    def __init__(self, connection: Connection, output: Output, *, format: str | None, in_script: bool) -> None:
        self.output = output
        self.left = False
        self.latency_s: float | None = None
        self._connection = connection
        self._format = format
        self._in_script = in_script
        self.collection: str | None = None
        self.transaction: AnyTransaction | None = None
        self._context = Context(
            connection,
            progress=output.progress,
            in_shell=True,
            use=self._use,
            ask=None if in_script else asking(),
            keep=self._keep,
            connect=self._connect,
        )
        self._arrive()

    def _arrive(self) -> None:
        """Take over what the location says, at the beginning and after each connect."""
        location = self._connection.location
        if isinstance(location, Server):
            self._context = replace(self._context, config=None, server=location)
            self.collection = location.collection
        else:
            self._context = replace(self._context, config=location, server=None)
            self.collection = None

    def _connect(self, where: str) -> str:
        title = self._connection.connect(where)
        self._arrive()
        return title

    def _use(self, name: str | None) -> None:
        self.collection = name

    def _keep(self, transaction: AnyTransaction | None) -> None:
        self.transaction = transaction

    def leave(self) -> str | None:
        """Abort the transaction that is still open at the end, and say so; None where there is none."""
        transaction, self.transaction = self.transaction, None
        if transaction is None:
            return None
        try:
            transaction.abort()
        except BlockDBError as error:  # a server that cannot be told lets it time out
            return f"transaction {transaction.id} was still open at the end, and could not be aborted: {error}"
        return f"transaction {transaction.id} was still open at the end, and is aborted: nothing of it is stored"

    def transaction_lost(self) -> str | None:
        """Let go of a transaction that the server does not know any more, and say so; None where there is none."""
        transaction = self.transaction
        if transaction is None or not _is_gone(transaction):
            return None
        self.transaction = None
        return f"Transaction {transaction.id} was lost with the connection: nothing of it is stored."

    def target(self) -> AnyDatabase | AnyCollection:
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
        try:
            result = self._result(invocation, on_screen)
            render(result, self.output, shape)
        except BlockDBError as error:
            if _asks(invocation):
                self._connection.missed(error)
            raise
        self.output.flush()
        self.latency_s = perf_counter() - started
        if isinstance(result, Nothing) and result.reason and self._in_script:
            self.output.error(f"Error: NotFound: {result.reason}")
        return result.exit_code

    def _result(self, invocation: Invocation, on_screen: bool) -> Result:
        if _asks(invocation) and not self._in_script and self._connection.lost_s is not None:
            self.output.note(f"Waiting for {title_of(self._connection.location)}; ^C gives up.", "warning")
            self._connection.await_server()
        return invocation.run(
            replace(self._context, on_screen=on_screen, collection=self.collection, transaction=self.transaction)
        )

    def _shape(self, invocation: Invocation) -> str | None:
        """The format that the line asks for; else the session's, if the command has it; else the command's own."""
        if invocation.format:
            return invocation.format
        return self._format if self._format in invocation.command.formats else invocation.command.default_format


def _asks(invocation: Invocation) -> bool:
    """Whether it asks the database for anything."""
    return invocation.command.need is not Need.NOTHING


def _is_gone(transaction: AnyTransaction) -> bool:
    try:
        transaction.exists(_ANY_KEY)
    except (TransactionClosed, TransactionTimeout):
        return True
    except BlockDBError:  # then nobody knows; whatever is done with it next will tell
        return False
    return not transaction.is_active
