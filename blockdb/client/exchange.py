"""One request and its answer: which server is asked, what is tried again, and what is told in the end. Pure.

`exchange` is a generator: what it yields (an attempt, or a pause) somebody does for it, waiting as they like. So
whoever waits in threads and whoever waits on an event loop follow the same rules.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Final, Generic, TypeGuard, TypeVar

from blockdb.client.addresses import Node
from blockdb.client.policy import Policy
from blockdb.errors import BlockDBError, RequestTimeout, Unavailable

__all__ = ["Asked", "Attempt", "Failure", "Nodes", "Pause", "Reply", "exchange"]

TOO_MANY: Final = 429
STOPPING: Final = 503
NO_CONTENT: Final = 204
FROM_BETWEEN: Final = (502, 504)
"""What a proxy says of a server that it could not reach, or that did not answer it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, to whichever server."""

    method: str
    target: str
    """Path and query."""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = field(default=None, repr=False)
    key: str | None = None
    """Its Idempotency-Key, under which it is done once."""
    is_repeatable: bool = True
    """Whether it can be sent again, though it may have been done: it reads, or has an idempotency key."""
    is_write: bool = False
    """Whether it makes a difference that it may have been done."""
    is_long: bool = False
    """Whether it takes as long as it takes."""
    may_be_silent: bool = False
    """Whether nothing may come for as long as that."""
    is_packable: bool = False
    """Whether its body and its answer may be compressed."""
    accept: Collection[str] = ("application/msgpack",)
    """What an answer may be; anything else does not come from a BlockDB server."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """Have this server asked."""

    node: Node
    asked: Asked
    deadline: float
    """By the clock that `exchange` was given."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Have some time pass."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def content_type(self) -> str:
        """The kind of the body, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def retry_after_s(self) -> float | None:
        """When it says to ask again."""
        text = self.headers.get("retry-after", "")
        return float(text) if text.isascii() and text.isdecimal() and len(text) < 9 else None


@dataclass(frozen=True, slots=True)
class Failure:
    """There is no answer."""

    what: str
    was_sent: bool = False
    """Whether the request may have reached the server, which may have done it."""
    is_late: bool = False
    is_lasting: bool = False
    """Whether it makes no sense to ask this server again."""


class Nodes:
    """The servers, and which of them answered last. Safe for threads."""

    def __init__(self, nodes: Collection[Node]) -> None:
        self.all = tuple(nodes)
        self._failures = dict.fromkeys(self.all, 0)
        self._last = self.all[0]
        self._lock = Lock()

    def best(self, without: Collection[Node] = ()) -> Node | None:
        """The one that failed the fewest times since another one answered; the last that did, rather than another."""
        last = self._last
        if last not in without and not self._failures[last]:
            return last
        with self._lock:
            left = [node for node in self.all if node not in without]
            return min(left, key=lambda node: (self._failures[node], node != self._last), default=None)

    def answered(self, node: Node) -> None:
        """Ask it again."""
        if self._last is node and not self._failures[node]:
            return
        with self._lock:
            self._failures = {other: min(1, count) for other, count in self._failures.items()}
            self._failures[node] = 0
            self._last = node

    def failed(self, node: Node) -> None:
        """Ask others rather."""
        with self._lock:
            self._failures[node] += 1


R = TypeVar("R", bound=Reply)

Steps = Generator[Attempt | Pause, R | Failure | None, R]
"""What `exchange` wants done; an attempt is answered with what came of it."""


def exchange(
    asked: Asked, nodes: Nodes, policy: Policy, clock: Callable[[], float], chance: Callable[[], float]
) -> Steps[R]:
    """The answer to a request, from whichever server gives one. `clock` is in seconds, `chance` from 0 up to 1.

    Raises Unavailable where none does, and RequestTimeout where one may have done it, or was too slow. An answer that
    tells of an error is an answer; so is one that asks for a longer wait than there is time for.
    """
    tries: _Tries[R] = _Tries(asked)
    deadline = float("inf") if asked.is_long else clock() + policy.timeout_s
    rounds = 0
    for number in range(1, policy.attempts * len(nodes.all) + 1):
        node = nodes.best(tries.hopeless)
        if node is None or clock() >= deadline:
            break
        outcome = _judged((yield Attempt(node, asked, deadline)), asked)
        if _is_final(outcome):
            nodes.answered(node)
            return outcome
        wait_s = tries.note(node, outcome, nodes)
        if tries.is_over:
            break
        if wait_s or number % len(nodes.all) == 0:
            pause_s = max(wait_s, policy.pause_s(rounds, chance()))
            rounds += 1
            if clock() + pause_s >= deadline:
                break
            yield Pause(pause_s)
    return tries.outcome()


class _Tries(Generic[R]):
    """What came of the attempts so far."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._failures: dict[Node, Failure] = {}
        self._refusal: R | None = None
        """The last answer, if that was not to be taken for the last word."""
        self._may_be_done = False
        self.hopeless: set[Node] = set()
        self.is_over = False

    def note(self, node: Node, outcome: R | Failure, nodes: Nodes) -> float:
        """Take an outcome down; how long the server wants to be left alone (seconds)."""
        if isinstance(outcome, Failure):
            nodes.failed(node)
            self._refusal = None
            self._failures[node] = outcome
            self._may_be_done |= outcome.was_sent
            self.is_over = outcome.was_sent and not self._asked.is_repeatable
            if outcome.is_lasting:
                self.hopeless.add(node)
            return 0
        self._refusal = outcome
        if outcome.status == STOPPING:
            nodes.failed(node)
            return 0 if len(nodes.all) > 1 else outcome.retry_after_s or 0
        return outcome.retry_after_s or 1

    def outcome(self) -> R:
        """The last refusal. Raises RequestTimeout or Unavailable where the last outcome was none."""
        if self._refusal is not None:
            return self._refusal
        raise self._no_answer()

    def _no_answer(self) -> BlockDBError:
        told = "; ".join(f"{node}: {failure.what}" for node, failure in self._failures.items()) or "there was no time"
        if self._asked.is_write and self._may_be_done:
            return RequestTimeout(f"Nobody can say whether it was done: {told}. Look, or try it again.")
        if any(failure.is_late for failure in self._failures.values()):
            return RequestTimeout(f"There was no answer in time: {told}.")
        return Unavailable(f"No server answers: {told}. Check the address, and whether a server runs there.")


def _is_final(outcome: R | Failure) -> TypeGuard[R]:
    return not isinstance(outcome, Failure) and outcome.status not in (TOO_MANY, STOPPING)


def _judged(outcome: R | Failure | None, asked: Asked) -> R | Failure:
    """The answer, if it can be one of a BlockDB server; it is not followed to wherever it leads."""
    assert outcome is not None, "an attempt is answered with what came of it"
    if isinstance(outcome, Failure):
        return outcome
    if 300 <= outcome.status < 400:
        what = "it sends requests elsewhere, which is not followed; give the address that it moved to"
        return Failure(what, is_lasting=True)
    if outcome.content_type in asked.accept or outcome.status == NO_CONTENT:
        return outcome
    kind = f"status {outcome.status} and {outcome.content_type[:40] or 'no type of content'}"
    is_between = outcome.status in FROM_BETWEEN or outcome.status == STOPPING
    return Failure(f"it answers with {kind}, as no BlockDB server does", was_sent=True, is_lasting=not is_between)
