"""Commits over several partitions, in two phases, and the end of those whose coordinator is gone.

All that was written or read is prepared in its partitions; the home, the first that is written to, decides in its own
log; then the others are told. Each part of that is a generator of rounds of questions, which gets their answers and
knows neither threads nor time: `run` waits for them, and simulations do as they like. Whatever is asked may be asked
again by anybody, since the ids of the commands follow from that of the transaction.

(J. Gray, "Notes on data base operating systems", 1978; the decision in a replicated log makes it one that does not
block: J. Gray, L. Lamport, "Consensus on transaction commit", 2006.)
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from hashlib import sha256
from os import urandom
from threading import Event
from time import monotonic, time_ns
from typing import Any, Final, NamedTuple, TypeVar

from blockdb.cluster.machine.commands import (
    ID_BYTES,
    SEED_BYTES,
    Commit,
    CommitPart,
    CommitRead,
    Decide,
    Finish,
    Prepare,
    encode,
)
from blockdb.cluster.machine.deciding import YES
from blockdb.cluster.machine.pending import Pending
from blockdb.cluster.machine.refusals import REFUSALS
from blockdb.errors import BlockDBError, CollectionNotFound, RateLimited, Unavailable

__all__ = [
    "IN_DOUBT_S",
    "PAUSE_S",
    "Answer",
    "Ask",
    "Asking",
    "Crossed",
    "InDoubt",
    "Round",
    "Share",
    "Steps",
    "close",
    "commit",
    "id_of",
    "resolve",
    "run",
]

IN_DOUBT_S: Final = 5.0
"""Whoever holds a part of a transaction that is older than this asks its home to end it."""

PAUSE_S: Final = 0.05
"""What was not answered is asked again so much later."""

T = TypeVar("T")


class Share(NamedTuple):
    """What a transaction has to do with one partition."""

    parts: tuple[CommitPart, ...] = ()
    reads: tuple[CommitRead, ...] = ()

    @property
    def writes(self) -> bool:
        """Whether it stores something there."""
        return any(part.items for part in self.parts)


def id_of(transaction: bytes, kind: type[Prepare | Decide | Finish | Commit]) -> bytes:
    """The id of a command of a transaction."""
    return sha256(transaction + kind.__name__.lower().encode()).digest()[:ID_BYTES]


class Ask(NamedTuple):
    """A command for a partition. Its id follows from the transaction and from what it is."""

    partition: str
    content: Prepare | Decide | Finish | Commit
    transaction: bytes

    def encoded(self, time_ms: int, seed: bytes) -> bytes:
        """The command, as it is appended to the log."""
        id_ = id_of(self.transaction, type(self.content))
        return encode(id_, time_ms, seed if isinstance(self.content, (Prepare, Commit)) else b"", self.content)


class Round(NamedTuple):
    """Questions that are asked at the same time."""

    asks: tuple[Ask, ...]
    is_awaited: bool = True
    """Whether their answers matter; else it goes on at once, without any."""
    patience_s: float | None = None
    """So long it may take at the most."""


Answer = Any | BlockDBError
"""The outcome of a command; Unavailable where nobody can tell it, CollectionNotFound where the partition is gone."""

Steps = Generator[Round, Sequence[Answer], T]
Stored = list[list[Any]]
"""Of each collection its name, the first sequence number, and how many records were stored."""

Asking = Callable[[str, bytes], "Future[Any]"]
"""Has a command decided in a partition; gives its outcome, or what refuses it."""


class Crossed(BlockDBError):
    """It was ended for no reason that would be one the next time: nothing was stored, and it may be tried anew."""

    def __init__(self, transaction: Any, what: str = "was in the way") -> None:
        super().__init__(f"Transaction {transaction.hex()} {what}. Run it again.")


# What coordinators do.


def commit(transaction: bytes, work: Mapping[str, Share]) -> Steps[dict[str, Stored]]:
    """Store all shares, or nothing; gives what was stored in each partition that is written to.

    Raises what refuses it and Crossed, and nothing was stored then; Unavailable where nobody can tell.
    """
    if len(work) == 1:
        return (yield from _alone(transaction, work))
    home, others = _roles(work)
    votes = yield Round(tuple(_prepares(transaction, home, others, work)), patience_s=IN_DOUBT_S)
    refusal = _refusal(votes)
    if votes[0] == YES or (isinstance(votes[0], BlockDBError) and not isinstance(votes[0], REFUSALS)):
        (decision,) = yield Round((_ask(home, Decide(transaction, commit=refusal is None)),))
        if isinstance(decision, BlockDBError):
            raise _uncertain(transaction, decision)
        is_committed, stored = decision
    else:
        is_committed, stored = False, []  # the home has refused it, which is for good
    finishes = tuple(_ask(other, Finish(transaction, is_committed)) for other in others)
    if not is_committed:
        yield Round(finishes, is_awaited=False)
        raise refusal or Crossed(transaction, "took too long and was ended")
    results = yield Round(finishes)
    late = next((each for each in results if isinstance(each, BlockDBError)), None)
    if late is not None:
        raise Unavailable(
            f"Transaction {transaction.hex()} was committed, but a partition does not answer yet, which will store its "
            f"part as soon as it can: {late}"
        )
    yield Round((_ask(home, Finish(transaction, commit=True)),), is_awaited=False)
    found = {home: stored, **dict(zip(others, results, strict=True))}
    return {name: found[name] for name in work if work[name].writes}


def _alone(transaction: bytes, work: Mapping[str, Share]) -> Steps[dict[str, Stored]]:
    """One partition needs no phases."""
    [(name, share)] = work.items()
    (stored,) = yield Round((Ask(name, Commit(*share), transaction),))
    if isinstance(stored, BlockDBError):
        raise stored
    return {name: stored}


def resolve(transaction: bytes, home: str, partition: str) -> Steps[None]:
    """End a transaction that a partition holds a part of, as its home has decided, or decides now."""
    (decision,) = yield Round((_ask(home, Decide(transaction, commit=False)),))
    if isinstance(decision, CollectionNotFound):
        decision = [False, []]
    if not isinstance(decision, BlockDBError) and home != partition:
        yield Round((_ask(partition, Finish(transaction, decision[0])),))


def close(transaction: bytes, home: str, others: Sequence[str]) -> Steps[None]:
    """Tell all others that a transaction was committed, and have the home forget it once they know."""
    results = yield Round(tuple(_ask(other, Finish(transaction, commit=True)) for other in others))
    if not any(map(_is_open, results)):
        yield Round((_ask(home, Finish(transaction, commit=True)),))


def _ask(partition: str, content: Prepare | Decide | Finish) -> Ask:
    return Ask(partition, content, content.transaction)


def _roles(work: Mapping[str, Share]) -> tuple[str, tuple[str, ...]]:
    home = min(name for name, share in work.items() if share.writes)
    return home, tuple(sorted(name for name in work if name != home))


def _prepares(transaction: bytes, home: str, others: tuple[str, ...], work: Mapping[str, Share]) -> Iterator[Ask]:
    """That of the home first."""
    yield _ask(home, Prepare(transaction, "", others, *work[home]))
    for other in others:
        yield _ask(other, Prepare(transaction, home, (), *work[other]))


def _refusal(votes: Sequence[Answer]) -> BlockDBError | None:
    """Why not all have agreed: rather what will be so the next time too."""
    errors = [each for each in votes if isinstance(each, BlockDBError)]
    if errors:
        return next((error for error in errors if isinstance(error, REFUSALS)), errors[0])
    crossing = [each for each in votes if each != YES]
    return Crossed(crossing[0]) if crossing else None


def _is_open(answer: Answer) -> bool:
    """Whether a partition that is still there may not know it yet."""
    return isinstance(answer, BlockDBError) and not isinstance(answer, CollectionNotFound)


def _uncertain(transaction: bytes, error: BlockDBError) -> Unavailable:
    return Unavailable(
        f"Nobody can tell yet whether transaction {transaction.hex()} was committed: the partition that decides does "
        f"not answer ({error}). Ask again with the same Idempotency-Key, or look."
    )


# Doing it.


def run(steps: Steps[T], asking: Asking, until_s: float) -> T:
    """Take all steps; what is not answered is asked again until then, as `monotonic` tells it. Raises as they do."""
    answers: Sequence[Answer] = ()
    try:
        asked = next(steps)
        while True:
            answers = _answers(asked, asking, until_s)
            asked = steps.send(answers)
    except StopIteration as stop:
        result: T = stop.value
        return result


def _answers(asked: Round, asking: Asking, until_s: float) -> list[Answer]:
    now_ms, seed = time_ns() // 1_000_000, urandom(SEED_BYTES)
    commands = [(ask.partition, ask.encoded(now_ms, seed)) for ask in asked.asks]
    futures = [_begun(asking, *command) for command in commands]
    if not asked.is_awaited:
        return []
    if asked.patience_s is not None:
        until_s = min(until_s, monotonic() + asked.patience_s)
    answers = [_answer(future, until_s) for future in futures]
    while again := [number for number, answer in enumerate(answers) if isinstance(answer, (Unavailable, RateLimited))]:
        if monotonic() + PAUSE_S >= until_s:
            break
        Event().wait(PAUSE_S)
        begun = [(number, _begun(asking, *commands[number])) for number in again]
        for number, future in begun:
            answers[number] = _answer(future, until_s)
    return answers


def _begun(asking: Asking, partition: str, command: bytes) -> Future[Any]:
    try:
        return asking(partition, command)
    except BlockDBError as error:
        refused: Future[Any] = Future()
        refused.set_exception(error)
        return refused


def _answer(future: Future[Any], until_s: float) -> Answer:
    try:
        return future.result(max(until_s - monotonic(), 0))
    except NotYet:
        return Unavailable("It was not answered in time.")
    except BlockDBError as error:
        return error


# The end of those whose coordinator is gone.


class InDoubt:
    """What of a partition's transactions is older than it should be. For one thread."""

    def __init__(self, partition: str, age_s: float = IN_DOUBT_S) -> None:
        self._partition = partition
        self._age_s = age_s
        self._since: dict[bytes, float] = {}

    def due(self, pending: Pending, now_s: float, *, more_s: float = 0.0) -> list[Steps[None]]:
        """What is to be done about those that have been there for too long, or even longer, as of now. O(n)."""
        homes, decided = pending.homes(), pending.decided()
        self._since = {each: self._since.get(each, now_s) for each in (*homes, *decided)}
        late = {each for each, since in self._since.items() if now_s - since >= self._age_s + more_s}
        own = self._partition
        ended = [resolve(each, home or own, own) for each, home in homes.items() if each in late]
        return ended + [close(each, own, others) for each, others in decided.items() if each in late]
