"""Whether all nodes have the same chains. A node whose chain is not that of the others stops serving.

Chains are compared by whoever is at least as far; the first block that differs is found by asking the other node for
more hashes.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, run_coroutine_threadsafe, to_thread
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol, TypeAlias
from uuid import UUID

import msgspec

from blockdb.cluster.replicated_log import Histories, StateMachine
from blockdb.errors import BlockDBError, InvalidData

__all__ = ["NO_HEAD", "Comparing", "Head", "shown"]

Head: TypeAlias = Mapping[bytes, tuple[int, bytes]]
"""By the 16 bytes of a collection's id: number and hash of its newest sealed block."""

NO_HEAD: Final[Head] = {}
_MOST_HASHES: Final = 1_000


class Question(msgspec.Struct, frozen=True, array_like=True):
    """Hashes of so many blocks of a collection from one on; with no count, those of the records of that block."""

    collection: bytes
    block: int
    count: int


_encode: Final = msgspec.msgpack.Encoder().encode
_decode_question: Final = msgspec.msgpack.Decoder(Question).decode
_decode_hashes: Final = msgspec.msgpack.Decoder(list[bytes]).decode


class Surroundings(Protocol):
    """What the log gives to who compares."""

    @property
    def machine(self) -> StateMachine:
        """Whose chains are compared."""

    @property
    def loop(self) -> AbstractEventLoop:
        """Where it is done."""

    @property
    def tell(self) -> Callable[..., None]:
        """Told what happened: kind, index, other node, words."""

    def ask_hashes(self, other: str, question: bytes) -> Coroutine[Any, Any, bytes]:
        """Have another node answer a question (`Comparing.answer`). Raises Unavailable, and what it raises there."""

    def rebuild(self, why: str) -> None:
        """Serve nobody, until the machine has a copy of another's."""


class Comparing:
    """Belongs to the loop; chains are looked at in threads."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._around = surroundings
        self.agrees: dict[str, bool | None] = {}
        """Whether another node has the same; None: not compared yet."""
        self.diverged = ""
        """Where this node's chain is another one than that of the others."""
        self.head: Head = NO_HEAD
        """The newest blocks of this node."""
        self._head_index = -1
        """What was applied when the head was looked up last."""

    @property
    def shown(self) -> str:
        """This node's head in words."""
        return shown(self.head)

    @property
    def _histories(self) -> Histories | None:
        """How the machine's chains are looked at, if it has chains."""
        return getattr(self._around.machine, "heads", None)

    async def look_up_head(self, index: int) -> None:
        """Look which blocks are the newest, if something was applied since: up to that index."""
        histories = self._histories
        if histories is not None and index != self._head_index:
            try:
                self.head, self._head_index = await to_thread(histories.head), index
            except (BlockDBError, LookupError):
                return  # the machine has stopped, or its database is only just being made

    async def compare(self, heads: Mapping[str, Head]) -> None:
        """Hold the heads of all other members against the own chains.

        Who disagrees with most of all members is wrong. Where it stands one against one nobody can tell: both say so.
        """
        histories = self._histories
        if histories is None:
            return
        found = None
        for id_, head in heads.items():
            if not head:
                self.agrees[id_] = None  # it has nothing yet, or something else than before
            if not _is_as_far(self.head, head):
                continue
            try:
                difference = await to_thread(histories.compare, head)
            except BlockDBError:
                return
            if difference is not None and self.agrees.get(id_) is not False:
                self._around.tell("diverged", other=id_, what=f"{difference} is not what '{id_}' has")
            self.agrees[id_] = difference is None
            found = found if difference is None else (id_, difference)
        against = [id_ for id_ in heads if self.agrees.get(id_) is False]
        if 2 * len(against) > len(heads) + 1 and found is not None:
            await self._diverge(histories, *found)

    def agree(self) -> None:
        """The chains are another's now."""
        self.diverged, self.head, self._head_index = "", NO_HEAD, -1
        self.agrees.clear()

    async def _diverge(self, histories: Histories, other: str, difference: object) -> None:
        with suppress(BlockDBError, msgspec.DecodeError):  # it is known that they differ, if not where
            difference = await to_thread(self._first, histories, other, difference)
        self.diverged = str(difference)
        diverge = getattr(self._around.machine, "diverge", None)
        if diverge is not None:
            await to_thread(diverge, difference)
        self._around.tell("diverged", other=other, what=self.diverged)
        self._around.rebuild(f"from {self.diverged} on its history is another one than that of the cluster")

    def _first(self, histories: Histories, other: str, difference: object) -> object:
        """Where the chains part: in a thread."""

        def ask(collection: bytes, first: int, count: int) -> Sequence[bytes]:
            return self._hashes_of(other, Question(collection, first, count))

        def ask_leaves(collection: bytes, block: int) -> Sequence[bytes]:
            return self._hashes_of(other, Question(collection, block, 0))

        return histories.first_difference(difference, ask, ask_leaves)

    def _hashes_of(self, other: str, question: Question) -> Sequence[bytes]:
        asking = self._around.ask_hashes(other, _encode(question))
        return _decode_hashes(run_coroutine_threadsafe(asking, self._around.loop).result())

    async def answer(self, body: bytes) -> bytes:
        """Another node's question about this one's chains. Raises InvalidData, and what looking at them raises."""
        try:
            question = _decode_question(body)
        except msgspec.DecodeError as error:
            raise InvalidData(f"A node asked for hashes in words that are not understood: {error}.") from None
        histories = self._histories
        if histories is None:
            return _encode([])
        if not question.count:
            return _encode(await to_thread(histories.leaf_hashes, question.collection, question.block))
        count = min(question.count, _MOST_HASHES)
        return _encode(await to_thread(histories.block_hashes, question.collection, question.block, count))


def _is_as_far(own: Head, other: Head) -> bool:
    """Whether there is a block of the other's head that one has too."""
    return any(number <= own[collection][0] for collection, (number, _) in other.items() if collection in own)


def shown(head: Head) -> str:
    """`<collection id> <block number> <hash>` of the collection with the most blocks; empty where there is none."""
    if not head:
        return ""
    collection, (number, hash_) = max(head.items(), key=lambda item: (item[1][0], item[0]))
    return f"col_{UUID(bytes=collection)} {number} {hash_.hex()}"
