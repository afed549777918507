"""The service: what all doors share. A door translates; who may do what, and what is done, is decided here."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from typing import Any, Final, Protocol

from blockdb.cluster.replicated_log import ReplicatedLog
from blockdb.database.collection import Collection
from blockdb.database.database import Database
from blockdb.database.queries.giving_up import while_wanted
from blockdb.database.transactions.transaction import Transaction
from blockdb.errors import BlockDBError, CollectionNotFound
from blockdb.nodes import ClusterState
from blockdb.security.roles import Principal, Reach, Role, authorize, require_right
from blockdb.server.asking import Authenticator, Everybody, principal_of
from blockdb.server.concerns import Concerns
from blockdb.server.membership import state_of
from blockdb.server.monitor import Monitor
from blockdb.server.retrying import Retries
from blockdb.server.spread import Spread
from blockdb.server.tokens import TokenFile, Tokens
from blockdb.server.transactions import OpenTransactions
from blockdb.wire.operation import DEFAULT_COLLECTION, Message, Operation

__all__ = ["Call", "Guard", "Hook", "Service", "Session"]


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
    keys: int = 0
    """How many keys came in a stream of requests."""
    concern: str | None = None
    """Whether it has to see all that was acknowledged anywhere, where it says so itself: see `concerns`."""
    is_confirmed: bool = False
    """Whether this node has all that was acknowledged before it."""
    is_admitted: bool = False
    """Whether it was counted already, and is not too much."""


Outcome = tuple[Call, BaseException | None, float]
"""A call, the error that it ended with (None: it was done), and how many seconds it took."""


class Hook(Protocol):
    """Somebody who is told of each call once it is decided what becomes of it, before it is answered."""

    def __call__(self, call: Call, error: BaseException | None, seconds: float) -> None:
        """`error` is None where it was done. What this raises is the answer instead."""


class Guard(Protocol):
    """Somebody who is asked before anything is done."""

    def __call__(self, call: Call) -> None:
        """What this raises is the answer, and nothing is done."""


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


def whole_of(handle: Collection) -> str | None:
    """The name of the collection that a handle is a partition of; None: it is one of no other."""
    found: str | None = getattr(handle, "whole", None)
    return found


_AS_IT_IS: Final = nullcontext()


class Service:
    """Safe for threads."""

    def __init__(
        self, database: Database, authenticator: Authenticator | None = None, concerns: Concerns | None = None
    ) -> None:
        """`concerns` are those of a node of a cluster, where requests that come again are known to all nodes."""
        from blockdb.server.handlers.table import HANDLERS, require_complete

        require_complete()
        self.database = database
        self.authenticator = authenticator or Everybody()
        self.transactions = OpenTransactions(database)
        self.retries = None if database.read_only else Retries(database, is_of_node=concerns is not None)
        """Answers that are remembered for those who ask again."""
        self.nobody = Principal("nobody", Role.READER)
        """Who asks what everybody may ask, and who has not said yet who they are."""
        self.concerns = concerns
        """What requests wait for in a cluster."""
        self.log: ReplicatedLog | None = None if concerns is None else concerns.log
        """What the nodes of a cluster agree with; None where the server stands alone."""
        self.tokens: Tokens = TokenFile(database.path)
        """Where tokens are kept."""
        self.node_id = "node1"
        self.address = ""
        """Where it is reached, once that is known."""
        self.is_stopping = False
        """Set when it is about to stop: streams end then."""
        self.monitor = Monitor(database, lambda: self.is_stopping)
        self.spread: Spread | None = None
        """Where partitions are, in a cluster that has any."""
        self.monitor.cluster = self.cluster
        self.admit: Callable[[Call, Any], None] = _admit
        """Asked first of all whether a request is not too much."""
        self.guards: list[Guard] = []
        self.hooks: list[Hook] = []
        self.record: Callable[[Sequence[Outcome]], None] = _unrecorded
        """Enters what became of calls, after the hooks and before they are answered. What it raises is the answer."""
        self._handlers = HANDLERS
        self.is_forced = database.config.wal_sync_interval == 0
        """Whether each record is on the disk before it is acknowledged."""

    def cluster(self) -> ClusterState | None:
        """The cluster as this node sees it; None where the server stands alone."""
        if self.spread is not None:
            return self.spread.state()
        return None if self.log is None else state_of(self.log.status())

    def collection(self, name_or_id: str) -> Collection:
        """A collection by its name or id. Raises CollectionNotFound."""
        return self.database if name_or_id == DEFAULT_COLLECTION else self.database.collection(name_or_id)

    def identify(self, call: Call, authorization: str | None, certificate_name: str | None = None) -> None:
        """Put down who it is that asks (see `principal_of`). Raises Unauthenticated, which hooks are told."""
        if call.operation.right is None:
            return
        try:
            call.principal = principal_of(self.authenticator, authorization, certificate_name)
        except BlockDBError as error:
            self.told(call, error, self.begin())
            raise

    def _while_known(self, call: Call, answers: Iterator[Any]) -> Iterator[Any]:
        local = nullcontext() if self.concerns is None else self.concerns.around(call)
        with local, closing(answers) if isinstance(answers, Generator) else nullcontext():
            for answer in answers:
                self.authenticator.check(call.principal)
                yield answer

    def call(self, call: Call, request: Message) -> Message:
        """The answer to a request. Raises BlockDBError."""
        begun = self.begin()
        try:
            with self._prepared(call, request):
                self.permit(call, request)
                answer = self._answer(call, request)
        except BaseException as error:
            self.told(call, error, begun)
            raise
        self.told(call, None, begun)
        return answer

    def _answer(self, call: Call, request: Any) -> Message:
        """What a handler answers, or, to a request that came before under the same key, has answered."""
        session = Session(self, call)
        handler = self._handlers[call.operation.name]
        if self.concerns is not None and call.operation.name == "commit":
            handler = self.concerns.committing(handler)
        key = call.idempotency_key
        if key is None or self.retries is None or not self.retries.concern(call.operation):
            answer: Message
            if call.operation.is_quick:
                answer = handler(session, request)
            else:
                with while_wanted(call.is_cancelled):
                    answer = handler(session, request)
            return answer

        def written() -> Mapping[str, Sequence[bytes]]:
            with session.transaction(request.transaction) as transaction:
                return transaction.keys_written()

        return self.retries.run(
            call.principal, key, call.operation, request, lambda: handler(session, request), written
        )

    def stream(self, call: Call, request: Any) -> Iterator[Any]:
        """The answers to a request, as they come; the first one is waited for here. Raises BlockDBError."""
        begun = self.begin()
        try:
            with self._prepared(call, request):
                self.permit(call, request)
                answers: Iterator[Any] = self._handlers[call.operation.name](Session(self, call), request)
        except BaseException as error:
            self.told(call, error, begun)
            raise
        self.told(call, None, begun)
        return self._while_known(call, answers)

    def permitted(self, call: Call, requests: Iterator[Any]) -> Iterator[Any]:
        """Requests of a stream, each of which has to be allowed. Raises Forbidden."""
        for request in requests:
            self.authenticator.check(call.principal)
            self.permit(call, request)
            if call.reach is not None:
                call.keys += len(call.reach.keys or ())
            yield request

    def take_in(self, call: Call, requests: Iterator[Any], first: Message | None = None) -> Message:
        """The one answer to a stream of requests. Raises BlockDBError.

        `first` is what is known of them before one has come: where that is not allowed, none is waited for.
        """
        begun = self.begin()
        try:
            if call.operation.right is not None:
                require_right(call.principal, call.operation.right)
            if first is not None:
                self.permit(call, first)
            answer: Message = self._handlers[call.operation.name](Session(self, call), requests)
        except BaseException as error:
            self.told(call, error, begun)
            raise
        self.told(call, None, begun)
        return answer

    def _prepared(self, call: Call, request: Any) -> AbstractContextManager[object]:
        """What a request is done in. In a cluster it waits here, where it has not waited yet. Raises Unavailable."""
        if self.concerns is None:
            return _AS_IT_IS
        if self.concerns.waits(call, request):
            self.concerns.wait()
        return self.concerns.around(call)

    def at_once(self, call: Call, request: Any) -> bool:
        """Whether a quick request waits neither for the disk nor for others; single writes are for the `Gatherer`."""
        if self.concerns is not None:
            return self.concerns.is_at_once(call, request)
        return not hasattr(request, "value")

    def permit(self, call: Call, request: Any) -> None:
        """Raise Forbidden unless whoever asks may. Who may not touch a collection is not told whether there is it."""
        if not call.is_admitted:
            self.admit(call, request)
        for guard in self.guards:
            guard(call)
        operation, principal = call.operation, call.principal
        if operation.right is None:
            return
        require_right(principal, operation.right)
        reach = operation.reach(request)
        if reach is not None:
            call.reach = self._named(reach, principal)
            authorize(principal, operation.right, call.reach)

    def _named(self, reach: Reach, principal: Principal) -> Reach:
        """With the collection's name, whether its name or its id was given; as it was given, where it is not theirs."""
        asked, allowed = reach.collection, principal.collections
        if asked == DEFAULT_COLLECTION or asked is None:
            return reach
        try:
            found = self.database.collection(asked)
        except CollectionNotFound:
            if allowed is None or asked in allowed:
                raise
            return reach
        named = reach._replace(collection=found.name, whole=whole_of(found))
        return named if allowed is None or allowed & {named.collection, named.whole} else reach

    def begin(self) -> float:
        """A request has begun, of which `told` is to be called: gives the moment."""
        self.monitor.meters.in_flight.up()
        return time.perf_counter()

    def begun_in_vain(self) -> None:
        """It is begun anew elsewhere."""
        self.monitor.meters.in_flight.down()

    def told(self, call: Call, error: BaseException | None, begun: float) -> None:
        """Tell those who want to know what became of a call."""
        [became] = self.told_together([(call, error, time.perf_counter() - begun)])
        if became is not None and became is not error:
            raise became

    def told_together(self, outcomes: list[Outcome]) -> list[BaseException | None]:
        """Tell what became of calls. Gives the error that each is answered with: where telling failed, that."""
        for number, (call, error, seconds) in enumerate(outcomes):
            try:
                for hook in self.hooks:
                    hook(call, error, seconds)
            except Exception as failure:
                outcomes[number] = call, failure, seconds
        try:
            self.record(outcomes)
        except Exception as failure:
            outcomes = [(call, failure, seconds) for call, _, seconds in outcomes]
        for call, error, seconds in outcomes:
            self.monitor.count(call.operation.name, call.door, error, seconds)
        return [error for _, error, _ in outcomes]

    def now_ms(self) -> int:
        """The time, in milliseconds since 1970."""
        return int(time.time() * 1000)

    def close(self) -> None:
        """End what is under way; the database stays open. Raises nothing."""
        self.is_stopping = True
        self.monitor.close()
        self.transactions.abort_all()
        if self.retries is not None:
            self.retries.close()
        if self.concerns is not None:
            self.concerns.close()


def _admit(_call: Call, _request: Any) -> None:
    """Nothing is too much."""


def _unrecorded(_outcomes: Sequence[Outcome]) -> None:
    """Nobody keeps a record."""
