"""What the shell and the plain reader share: a database, and lines that are run on it one by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from time import monotonic, perf_counter
from typing import TYPE_CHECKING

from blockdb.commands import table as table_of_commands
from blockdb.commands.asking import asking
from blockdb.commands.command import FOR_PEOPLE, Need, Where
from blockdb.commands.context import Context
from blockdb.commands.display import human_duration, plural
from blockdb.commands.failures import DONE, USAGE, CannotOpen, UsageError, describe, exit_code
from blockdb.commands.invocation import Invocation, parse_line
from blockdb.commands.line import has_variables, is_blank, split
from blockdb.commands.locating import title_of
from blockdb.commands.output import Output
from blockdb.commands.results import Nothing, Result, Words
from blockdb.commands.servers import Server
from blockdb.errors import BlockDBError, TransactionClosed, TransactionTimeout

from . import piping
from .connection import Connection
from .multiline import Block, blocks
from .past import go_back

if TYPE_CHECKING:
    from blockdb import AnyCollection, AnyDatabase, AnyTransaction
    from blockdb.commands.standing import Bygone

    from .terminal import Terminal

__all__ = ["Session"]

_ANY_KEY = b"\0"


class Session:
    """Runs lines. `left` is true once a line said `exit`; `latency_s` is how long the last command took.

    - `collection` is the one that a line said to `use`, None for the default one; `transaction` the one that is open
    - `format` is the one of all results that can have it (None: each command's own), `timing` has the time of each said
    - `paging` shows long output a page at a time, on a terminal
    - `notices` says how much of what happens meanwhile is told: `on`, `off`, `all`
    - `bygone` is the moment of the past that lines read, None for now
    - `variables` are what `:{name}` in a line stands for, and `arguments`, in a saved query, the words behind its name
    - `proven` says how far the history was verified in this session, by a command; empty where it was not
    - `depth` is how many saved queries have run each other; `terminal` is where the shell is, None in a script
    """

    def __init__(self, connection: Connection, output: Output, *, format: str | None, in_script: bool) -> None:
        self.output = output
        self.left = False
        self.latency_s: float | None = None
        self._connection = connection
        self.format = format
        self.timing = False
        self.paging = True
        self.notices = "on"
        self.bygone: Bygone | None = None
        self.variables: dict[str, str] = {}
        self.arguments: dict[str, str] = {}
        self.depth = 0
        self.terminal: Terminal | None = None
        self.in_script = in_script
        self.collection: str | None = None
        self.transaction: AnyTransaction | None = None
        self._begun_s = 0.0
        self.proven = ""
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
        self.bygone = None

    def _connect(self, where: str) -> str:
        title = self._connection.connect(where)
        self.proven = ""
        self._arrive()
        return title

    def _use(self, name: str | None) -> None:
        self.collection = name

    def _keep(self, transaction: AnyTransaction | None) -> None:
        self.transaction, self._begun_s = transaction, monotonic()

    @property
    def transaction_age_s(self) -> float | None:
        """For how long the transaction has been open; None where there is none."""
        return None if self.transaction is None else monotonic() - self._begun_s

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

    def name_of(self, collection: str | None) -> str:
        """The name of a collection that a line names by its name or id, or of the one that lines are about."""
        return self.target().name if collection is None else self._context.database.collection(collection).name

    def execute(self, line: str) -> int:
        """Run a line, show its result or what went wrong, and give its exit code.

        Raises `KeyboardInterrupt`, `CannotOpen`, and `BrokenPipeError` when nobody reads the output any more.
        """
        if is_blank(line):
            return DONE
        try:
            return self.perform(line)
        except (BrokenPipeError, CannotOpen):
            raise
        except Exception as error:
            self.output.failure(error)
            return exit_code(error)

    def perform(self, line: str) -> int:
        """The same; what goes wrong is raised, and not shown."""
        from .directives import table  # here, and so below: the first prompt does not wait for what runs a line

        found = table.take(line)
        if found is None:
            command, program = piping.cut(line)
            if program is not None:
                return piping.run_into(self, command, program)
            return self._run(parse_line(line, self.known()))
        directive, text = found
        arguments = directive.understand(text)
        if directive.on_terminal:
            self.insist_on_terminal(directive.name)
        code = directive.run(self, arguments)
        self.output.flush()
        return code

    def understand(self, line: str) -> None:
        """Find out whether a line can be run, and run nothing. Raises `UsageError`."""
        from .directives import table

        if is_blank(line):
            return
        found = table.take(line)
        if found is None:
            command = piping.cut(line)[0]
            if has_variables(command):  # whose values come later
                table_of_commands.take(split(command), Where.SHELL)
            else:
                parse_line(command)
            return
        directive, text = found
        directive.understand(text)
        if (inner := directive.command(text)) is not None:
            self.understand(inner)

    def run_block(self, text: str) -> int:
        """Run what was typed or pasted: of several commands none unless all can be understood. Gives the exit code."""
        found = list(blocks(text))
        if len(found) == 1:
            return self.execute(found[0].command)
        before = self.output.place
        code = DONE
        try:
            if not self._all_understood(found):
                return USAGE
            for block in found:
                self.output.place = f"line {block.first + 1}"
                code = self.execute(block.command)
                if self.left or code != DONE:
                    break
        finally:
            self.output.place = before
        return code

    def _all_understood(self, found: list[Block]) -> bool:
        for block in found:
            try:
                self.understand(block.command)
            except BlockDBError as error:
                self.output.place = f"line {block.first + 1}"
                self.output.error(describe(error))
                last = found[-1]
                self.output.note(f"None of the {last.first + 1 + last.typed.count(chr(10))} lines was run.", "warning")
                return False
        return True

    # What directives work with.

    def known(self) -> Mapping[str, str]:
        """What `:{name}` stands for at the moment."""
        return {**self.variables, **self.arguments} if self.arguments else self.variables

    def insist_on_terminal(self, what: str = "this") -> Terminal:
        """The terminal. Raises `UsageError` where there is none."""
        if self.terminal is None:
            raise UsageError(f"\\{what} is for the shell on a terminal")
        return self.terminal

    @contextmanager
    def showing_on(self, output: Output) -> Iterator[None]:
        """Show results, and words, somewhere else meanwhile, and a whole result, not a page at a time."""
        before, paging = self.output, self.paging
        self.output, self.paging = output, False
        try:
            yield
        finally:
            self.output, self.paging = before, paging

    @contextmanager
    def deeper(self, arguments: dict[str, str]) -> Iterator[None]:
        """Within a saved query that runs with these arguments."""
        before = self.arguments
        self.arguments, self.depth = arguments, self.depth + 1
        try:
            yield
        finally:
            self.arguments, self.depth = before, self.depth - 1

    def format_among(self, formats: tuple[str, ...], usual: str | None = None) -> str | None:
        """The session's format if it is one of these, else the usual one."""
        return self.format if self.format in formats else usual

    # Commands of the database.

    def _run(self, invocation: Invocation) -> int:
        from blockdb.commands.pager import paged
        from blockdb.commands.render import render

        if invocation.command.name == "exit":
            self.left = True
            return DONE
        shape = self._shape(invocation)
        on_screen = self.output.on_terminal and not self.in_script and shape in FOR_PEOPLE
        started = perf_counter()
        context = replace(self._context, on_screen=on_screen, collection=self.collection, transaction=self.transaction)
        try:
            result = self._result(invocation, context)
            with paged(self.output, wanted=self.paging and not self.in_script):
                render(result, self.output, shape)
                self.latency_s = perf_counter() - started
        except BlockDBError as error:
            if _asks(invocation):
                self._connection.missed(error)
            raise
        except KeyboardInterrupt:
            from .interrupted import told_of

            words, role = told_of(invocation, context)
            if role != "muted" or not self.in_script:  # there the end of the script is told
                self.output.note(words, role)
            raise
        self.output.flush()
        if self.timing and self.latency_s is not None:
            self.output.note(f"Time: {human_duration(self.latency_s)}", "muted")
        if invocation.command.name == "verify" and isinstance(result, Words):
            self.proven = f"{plural(result.data['blocks'], 'block')}" if result.data.get("valid") else "✗ failed"
        if isinstance(result, Nothing) and result.reason and self.in_script:
            self.output.error(f"Error: NotFound: {result.reason}")
        return result.exit_code

    def _result(self, invocation: Invocation, context: Context) -> Result:
        if invocation.command.name == "help" and (explained := _help(invocation)) is not None:
            return explained
        if _asks(invocation) and not self.in_script and self._connection.lost_s is not None:
            self.output.note(f"Waiting for {title_of(self._connection.location)}; ^C gives up.", "warning")
            self._connection.await_server()
        if self.bygone is not None:
            go_back(self, self.bygone, invocation)
        return invocation.run(context)

    def _shape(self, invocation: Invocation) -> str | None:
        """The format that the line asks for; else the session's, if the command has it; else the command's own."""
        if invocation.format:
            return invocation.format
        return self.format_among(invocation.command.formats, invocation.command.default_format)


def _help(invocation: Invocation) -> Words | None:
    """Help on a directive, and help on everything, which names them too; None where it is about a command."""
    from blockdb.commands.helptext import topic_help

    from .directives import helping, table

    topic = invocation.arguments.topic
    if not topic:
        return Words(f"{topic_help('', Where.SHELL)}\n\\? lists the backslash commands, which are about the shell.")
    if len(topic) == 1 and topic[0].startswith("\\") and topic[0] not in table_of_commands.names(Where.SHELL):
        return Words(helping.directive_help(table.find(topic[0])))
    return None


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
