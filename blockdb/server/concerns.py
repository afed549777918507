"""What a request in a cluster waits for before it is answered, and under which name its commands are decided."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from blockdb.cluster.database.context import already_confirmed, as_request, request_of_key
from blockdb.cluster.replicated_log import ReplicatedLog
from blockdb.errors import InvalidData, RequestTimeout, TransactionClosed, Unavailable
from blockdb.security.roles import Principal, Right
from blockdb.server.idempotency import MAX_KEY_CHARACTERS
from blockdb.server.retrying import STORING
from blockdb.wire.messages import transactions
from blockdb.wire.operation import DEFAULT_COLLECTION, Operation

if TYPE_CHECKING:
    from blockdb.cluster.database.database import ReplicatedDatabase
    from blockdb.server.service import Call, Session

__all__ = ["LINEARIZABLE", "LOCAL", "Concerns", "concern_of", "name_of"]

LINEARIZABLE: Final = "Linearizable"
LOCAL: Final = "Local"
PATIENCE_S: Final = 8.0
"""How long it is waited until it is known what is up to date, and until this node has it."""

READING: Final = frozenset((Right.READ, Right.AUDIT))
OF_THE_NODE: Final = frozenset(
    (
        "about", "alerts", "anchors", "audit", "audit_collection", "audit_log", "check_anchors", "database_statistics",
        "metrics", "server_statistics", "statistics", "stats", "transactions", "verify", "verify_collection", "whoami",
    )
)  # fmt: skip
"""What is asked of this one node, and answered also where nobody leads."""
IN_TRANSACTIONS: Final = frozenset(
    (
        "abort", "begin", "commit", "transaction_exists", "transaction_find", "transaction_get", "transaction_put",
        "transaction_scan",
    )
)  # fmt: skip
"""What a transaction has read is looked at again when it is committed, so nothing is waited for before."""
AS_OF_NOW: Final = frozenset(("backup", "backup_since"))
"""What is to have all that was acknowledged before it, though it is no read."""


def concern_of(text: str | None) -> str | None:
    """What a request asks for; None: it does not say. Raises InvalidData."""
    if text is None:
        return None
    for known in (LINEARIZABLE, LOCAL):
        if text.strip().lower() == known.lower():
            return known
    raise InvalidData(f"read_concern: it should be {LINEARIZABLE} or {LOCAL}, not {text!r}.")


def name_of(principal: Principal, key: str, operation: Operation) -> bytes:
    """16 bytes under which the commands of a request are decided once, whichever nodes it is sent to.

    A node that passes one on gives the name that it has. Raises InvalidData for what cannot be a key.
    """
    if principal.is_node:
        return request_of_key(key)[0]
    if not 0 < len(key) <= MAX_KEY_CHARACTERS:
        raise InvalidData(f"An Idempotency-Key has 1 to {MAX_KEY_CHARACTERS} characters; this one has {len(key)}.")
    parts = (principal.token_id or "", principal.name, operation.name, key)
    return sha256("\0".join(parts).encode()).digest()[:16]


class Concerns:
    """Says what a request waits for, and waits for it: in a thread, or on an event loop. Safe for threads."""

    def __init__(
        self,
        log: ReplicatedLog,
        database: ReplicatedDatabase,
        default: str = LINEARIZABLE,
        applied: Callable[[], int] | None = None,
    ) -> None:
        """`default` is what holds where nobody says anything; `applied` tells how far this node is."""
        self.log = log
        """What the nodes agree with."""
        self._database = database
        self._default = default
        self._applied = applied or (lambda: log.status().applied)
        self._thread = ThreadPoolExecutor(1, "blockdb-catching-up")
        self._shared: asyncio.Future[None] | None = None

    def is_local(self, call: Call, request: Any) -> bool:
        """Whether a request is content with what this node has, and reads."""
        return self._reads(call) and self._concern(call, request) == LOCAL

    def waits(self, call: Call, request: Any) -> bool:
        """Whether a request has to see all that was acknowledged before it, and cannot yet be known to."""
        if call.is_confirmed or call.operation.is_monitoring:
            return False
        if self._reads(call):
            return self._concern(call, request) == LINEARIZABLE
        return call.operation.name in AS_OF_NOW or self._is_unknown(request)

    def is_at_once(self, call: Call, request: Any) -> bool:
        """Whether a quick request waits for nobody."""
        return not hasattr(request, "value") and not self.waits(call, request)

    def may_gather(self, call: Call) -> bool:
        """Whether a write may be stored together with those of others."""
        return True

    def name_in_group(self, call: Call) -> bytes | None:
        """Under which the command of a write that is stored with others is known to all nodes. Raises InvalidData."""
        key = call.idempotency_key
        return None if key is None else name_of(call.principal, key, call.operation)

    @staticmethod
    def _reads(call: Call) -> bool:
        operation = call.operation
        return operation.right in READING and operation.name not in OF_THE_NODE | IN_TRANSACTIONS

    def _concern(self, call: Call, request: Any) -> str:
        """What the request says, or what its collection demands, or what holds here."""
        if call.concern is not None or self._default == LINEARIZABLE:
            return call.concern or self._default
        name = getattr(request, "collection", DEFAULT_COLLECTION)
        if name == DEFAULT_COLLECTION or self._is_unknown(request):
            return self._default
        return self._demanded_by(name)

    def _demanded_by(self, collection: str) -> str:
        """What the settings of a collection say."""
        with already_confirmed():
            return self._database.collection(collection).describe().settings.read_concern

    def _is_unknown(self, request: Any) -> bool:
        """Whether it names a collection that this node does not know: another one may have made it just now."""
        name = getattr(request, "collection", None)
        if name is None or name == DEFAULT_COLLECTION:
            return False
        return not self._database.knows(name)

    # Waiting.

    def wait(self) -> None:
        """In a thread: until this node has all that was acknowledged before. Raises Unavailable."""
        try:
            index = self.log.barrier().result(PATIENCE_S)
        except NotYet:
            raise _too_late() from None
        self.log.wait_applied(index, PATIENCE_S)

    async def prepare(self, call: Call, request: Any) -> None:
        """On an event loop: wait for whatever a request has to wait for. Raises Unavailable."""
        if self.waits(call, request):
            await self._wait_together()
            call.is_confirmed = True

    async def _wait_together(self) -> None:
        """Those who come in the same turn of the loop have one answer."""
        loop = asyncio.get_running_loop()
        shared = self._shared
        if shared is None:
            shared = self._shared = loop.create_future()
            loop.call_soon(self._begin, loop, shared)
        try:
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.shield(shared)
        except TimeoutError:
            raise _too_late() from None

    def _begin(self, loop: asyncio.AbstractEventLoop, shared: asyncio.Future[None]) -> None:
        self._shared = None
        shared.add_done_callback(_look_at)
        try:
            barrier = self.log.barrier()
        except Exception as error:
            shared.set_exception(error)
            return
        barrier.add_done_callback(lambda done: _on(loop, self._decided, loop, shared, done))

    def _decided(self, loop: asyncio.AbstractEventLoop, shared: asyncio.Future[None], done: Future[int]) -> None:
        if (error := done.exception()) is not None:
            shared.set_exception(error)
        elif self._applied() >= done.result():
            shared.set_result(None)
        else:
            work = loop.run_in_executor(self._thread, self.log.wait_applied, done.result(), PATIENCE_S)
            work.add_done_callback(lambda ended: _pass_on(ended, shared))

    # Doing.

    @contextmanager
    def around(self, call: Call) -> Iterator[None]:
        """What is done in here is done for a request which has waited."""
        with ExitStack() as stack:
            stack.enter_context(already_confirmed())
            if call.idempotency_key is not None:
                stack.enter_context(as_request(name_of(call.principal, call.idempotency_key, call.operation)))
            yield

    def committing(self, commit: Callable[[Session, Any], Any]) -> Callable[[Session, Any], Any]:
        """Of a commit that is asked for again after its node is gone, what became of it is looked up."""

        def committed(session: Session, request: transactions.Commit) -> Any:
            call = session.call
            try:
                return commit(session, request)
            except TransactionClosed:
                if call.idempotency_key is None or session.service.transactions.is_of_here(request.transaction):
                    raise
            stored = self._database.found_commit(name_of(call.principal, call.idempotency_key, call.operation))
            if stored is not None:
                return STORING["commit"].answer(request, stored)
            raise RequestTimeout(
                f"Transaction {request.transaction} was not begun at this node, so nobody here can tell whether it was "
                "committed. Look, or run it again."
            )

        return committed

    @staticmethod
    def together() -> AbstractContextManager[None]:
        """What is done in here is done for several requests, which have waited."""
        return already_confirmed()

    def told(self, call: Call, request: Any) -> list[tuple[bytes, bytes]]:
        """Headers that say how far this node was, of an answer that may be behind what others have."""
        if not self.is_local(call, request):
            return []
        applied = self._applied()
        lag = max(0, self.log.status().commit - applied)
        told = (("read-concern", LOCAL), ("blockdb-applied", str(applied)), ("blockdb-lag", str(lag)))
        return [(name.encode(), value.encode()) for name, value in told]

    def close(self) -> None:
        """Wait for nothing any more."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def _too_late() -> Unavailable:
    return Unavailable(
        f"The cluster did not say within {PATIENCE_S:g} s what is up to date: perhaps nobody leads. Try again, ask "
        "another node, or read what this one has (Read-Concern: Local)."
    )


def _on(loop: asyncio.AbstractEventLoop, do: Callable[..., None], *arguments: Any) -> None:
    """Have something done on a loop; one that has ended has nobody who waits."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(do, *arguments)


def _pass_on(ended: asyncio.Future[None], shared: asyncio.Future[None]) -> None:
    if ended.cancelled():
        shared.set_exception(Unavailable("The server is about to stop."))
    elif (error := ended.exception()) is not None:
        shared.set_exception(error)
    else:
        shared.set_result(None)


def _look_at(shared: asyncio.Future[None]) -> None:
    """Whoever waited may have gone."""
    if not shared.cancelled():
        shared.exception()
