"""The service: what all doors share. A door translates; who may do what, and what is done, is decided here."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any, Protocol

from blockdb.database.collection import Collection
from blockdb.database.database import Database
from blockdb.database.transactions.transaction import Transaction
from blockdb.errors import CollectionNotFound, Forbidden
from blockdb.security.roles import ANONYMOUS, RIGHTS, Principal, Reach, Role, authorize
from blockdb.server.transactions import OpenTransactions
from blockdb.wire.operation import DEFAULT_COLLECTION, Message, Operation

__all__ = ["Authenticator", "Call", "Hook", "Service", "Session"]


class Authenticator(Protocol):
    """Knows who is asking."""

    def principal(self, secret: str | None) -> Principal:
        """Who has this secret; None: nothing was said. Raises Unauthenticated."""


class Everybody:
    """Whoever asks may do everything: for loopback addresses where there are no tokens."""

    def principal(self, secret: str | None) -> Principal:
        """The anonymous administrator."""
        return ANONYMOUS


@dataclass(slots=True)
class Call:
    """One request, and who asks it."""

    operation: Operation
    principal: Principal
    request_id: str
    peer: str = ""
    door: str = "http"
    idempotency_key: str | None = None
    is_cancelled: Callable[[], bool] = bool
    """Whether nobody waits for the answer any more."""
    reach: Reach | None = None
    """What it touches, once that is known; collections by name."""


class Hook(Protocol):
    """Somebody who is told of each call once it is decided what becomes of it, before it is answered."""

    def __call__(self, call: Call, error: BaseException | None, seconds: float) -> None:
        """`error` is None where it was done. What this raises is the answer instead."""


class Session:
    """What a handler works with: the database, and who is asking."""

    __slots__ = ("call", "database", "service")

    def __init__(self, service: Service, call: Call) -> None:
        self.service = service
        self.database = service.database
        self.call = call

    @property
    def principal(self) -> Principal:
        """Who is asking."""
        return self.call.principal

    def collection(self, name_or_id: str) -> Collection:
        """A collection. Raises CollectionNotFound."""
        return self.service.collection(name_or_id)

    def transaction(self, id_: int, *, is_last: bool = False) -> AbstractContextManager[Transaction]:
        """A transaction that whoever is asking began, for one thing to be done in it. Raises TransactionClosed."""
        return self.service.transactions.using(self.principal, id_, is_last=is_last)

    def may_see(self, name: str) -> bool:
        """Whether whoever is asking may touch anything of the collection of that name."""
        allowed = self.principal.collections
        return allowed is None or name in allowed


class Service:
    """Safe for threads."""

    def __init__(self, database: Database, authenticator: Authenticator | None = None) -> None:
        from blockdb.server.handlers.table import HANDLERS, require_complete

        require_complete()
        self.database = database
        self.authenticator = authenticator or Everybody()
        self.transactions = OpenTransactions(database)
        self.nobody = Principal("nobody", Role.READER)
        """Who asks what everybody may ask."""
        self.node_id = "node1"
        self.address = ""
        """Where it is reached, once that is known."""
        self.is_stopping = False
        """Set when it is about to stop: streams end then."""
        self._started = time.monotonic()
        self.hooks: list[Hook] = []
        self._handlers = HANDLERS
        self._is_forced = database.config.wal_sync_interval == 0

    def collection(self, name_or_id: str) -> Collection:
        """A collection by its name or id. Raises CollectionNotFound."""
        return self.database if name_or_id == DEFAULT_COLLECTION else self.database.collection(name_or_id)

    def call(self, call: Call, request: Message) -> Message:
        """The answer to a request. Raises BlockDBError."""
        begun = time.perf_counter()
        try:
            self.permit(call, request)
            answer: Message = self._handlers[call.operation.name](Session(self, call), request)
        except BaseException as error:
            self.told(call, error, begun)
            raise
        self.told(call, None, begun)
        return answer

    def stream(self, call: Call, request: Any) -> Iterator[Any]:
        """The answers to a request, as they come; the first one is waited for here. Raises BlockDBError."""
        begun = time.perf_counter()
        try:
            self.permit(call, request)
            answers: Iterator[Any] = self._handlers[call.operation.name](Session(self, call), request)
        except BaseException as error:
            self.told(call, error, begun)
            raise
        self.told(call, None, begun)
        return answers

    def permitted(self, call: Call, requests: Iterator[Any]) -> Iterator[Any]:
        """Requests of a stream, each of which has to be allowed. Raises Forbidden."""
        for request in requests:
            self.permit(call, request)
            yield request

    def take_in(self, call: Call, requests: Iterator[Any]) -> Message:
        """The one answer to a stream of requests. Raises BlockDBError."""
        begun = time.perf_counter()
        try:
            answer: Message = self._handlers[call.operation.name](Session(self, call), requests)
        except BaseException as error:
            self.told(call, error, begun)
            raise
        self.told(call, None, begun)
        return answer

    @contextmanager
    def at_once(self, request: Any) -> Iterator[bool]:
        """Whether a quick request waits neither for the disk nor for a transaction, as long as this is open."""
        if not hasattr(request, "value"):
            yield True
        elif self._is_forced or getattr(request, "sync", False) or request.collection != DEFAULT_COLLECTION:
            yield False
        else:
            with self.transactions.held_off() as is_quiet:
                yield is_quiet

    def permit(self, call: Call, request: Any) -> None:
        """Raise Forbidden unless whoever asks may. Who may not touch a collection is not told whether there is it."""
        operation, principal = call.operation, call.principal
        if operation.right is None:
            return
        reach = operation.reach(request)
        if reach is None:
            if operation.right not in RIGHTS[principal.role]:
                authorize(principal, operation.right, Reach(None))
            return
        call.reach = reach if reach.collection is None else self._named(reach, principal)
        authorize(principal, operation.right, call.reach)

    def _named(self, reach: Reach, principal: Principal) -> Reach:
        """With the collection's name, whether its name or its id was given."""
        asked = reach.collection
        if asked == DEFAULT_COLLECTION or asked is None:
            return reach
        try:
            return replace(reach, collection=self.database.collection(asked).name)
        except CollectionNotFound:
            if principal.collections is not None and asked not in principal.collections:
                raise Forbidden(f"'{principal.name}' may not touch collection '{asked}'.") from None
            raise

    def told(self, call: Call, error: BaseException | None, begun: float) -> None:
        """Tell those who want to know what became of a call."""
        seconds = time.perf_counter() - begun
        for hook in self.hooks:
            hook(call, error, seconds)

    def uptime(self) -> str:
        """How long it has been up, as people write it: `2h 45m 30s`."""
        seconds = int(time.monotonic() - self._started)
        hours, rest = divmod(seconds, 3600)
        return f"{hours}h {rest // 60}m {rest % 60}s"

    def now(self) -> str:
        """The time, as in `2027-01-15T10:30:00Z`."""
        return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"

    def close(self) -> None:
        """End what is under way; the database stays open. Raises nothing."""
        self.is_stopping = True
        self.transactions.abort_all()


def new_request_id() -> str:
    """A name for a request that did not bring one."""
    return token_hex(8)
