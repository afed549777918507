"""Records that have to be on the disk before they are acknowledged: those that come together are stored together.

While one group waits for the disk, the next one gathers on the event loop. So a force is shared by all who wait, and a
thread is woken once for each group; one for each writer would cost more than the force.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any, Final

from blockdb.cluster.database.collection import ReplicatedCollection
from blockdb.database.collection import Collection
from blockdb.server.concerns import name_of
from blockdb.server.retrying import STORING
from blockdb.server.service import Call, Service

__all__ = ["ALONE", "Gatherer"]

MOST: Final = 1_000
"""So many are in a group at the most."""

ALONE: Final = object()
"""The answer to what has to wait for others, and so must not keep a group waiting."""

Asked = tuple[Call, Any]


class Gatherer:
    """Used on one event loop."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._thread = ThreadPoolExecutor(1, "blockdb-group")
        self._waiting: list[tuple[Asked, asyncio.Future[Any]]] = []
        self._is_at_it = False

    def takes(self, call: Call, request: Any) -> bool:
        """Whether a quick request is one that waits for the disk, or for the cluster."""
        if self._service.concerns is not None:
            return hasattr(request, "value")
        is_write = hasattr(request, "value") and call.idempotency_key is None
        return is_write and (self._service.is_forced or request.sync)

    async def call(self, call: Call, request: Any) -> Any:
        """The answer to a request, or `ALONE`. Raises BlockDBError."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        self._waiting.append(((call, request), answer))
        if not self._is_at_it:
            self._is_at_it = True
            loop.call_soon(self._begin, loop)  # whoever comes in this turn goes along
        return await answer

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        group, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
        work = loop.run_in_executor(self._thread, self._together, [asked for asked, _ in group])
        work.add_done_callback(lambda done: self._end(loop, [answer for _, answer in group], done))

    def _end(
        self,
        loop: asyncio.AbstractEventLoop,
        waiting: Sequence[asyncio.Future[Any]],
        done: asyncio.Future[list[Any]],
    ) -> None:
        if self._waiting:
            self._begin(loop)
        else:
            self._is_at_it = False
        error = done.exception()
        for answer, found in zip(waiting, [error] * len(waiting) if error else done.result(), strict=True):
            if answer.done():  # nobody waits for it any more
                continue
            if isinstance(found, BaseException):
                answer.set_exception(found)
            else:
                answer.set_result(found)

    # In the thread.

    def _together(self, group: Sequence[Asked]) -> list[Any]:
        """What becomes of each of a group."""
        concerns = self._service.concerns
        with nullcontext() if concerns is None else concerns.together():
            return self._answers(group)

    def _answers(self, group: Sequence[Asked]) -> list[Any]:
        answers: list[Any] = [None] * len(group)
        by_collection: defaultdict[Collection, list[int]] = defaultdict(list)
        begun = [self._service.begin() for _ in group]
        for number, (call, request) in enumerate(group):
            try:
                self._service.permit(call, request)
                _name_of(call)
                by_collection[self._service.collection(request.collection)].append(number)
            except Exception as error:
                answers[number] = self._told(call, error, begun[number])
        for collection, numbers in by_collection.items():
            for number, stored in zip(numbers, _stored(collection, [group[each] for each in numbers]), strict=True):
                answers[number] = self._answer(group[number], collection.name, stored, begun[number])
        return answers

    def _answer(self, asked: Asked, name: str, stored: int | Exception | None, begun: float) -> Any:
        call, request = asked
        if stored is None:
            self._service.begun_in_vain()
            return ALONE
        if isinstance(stored, Exception):
            return self._told(call, stored, begun)
        failure = self._told(call, None, begun)
        sequences = {name: range(stored, stored + 1)}
        return failure or STORING[call.operation.name].answer(request, sequences)

    def _told(self, call: Call, error: Exception | None, begun: float) -> Exception | None:
        """Tell what became of a call; gives the error that is the answer."""
        try:
            self._service.told(call, error, begun)
        except Exception as failure:
            return failure
        return error

    def close(self) -> None:
        """Wait for the group that is under way."""
        self._thread.shutdown()


def _stored(collection: Collection, asked: Sequence[Asked]) -> Sequence[int | Exception | None]:
    """What became of each; a bug is everybody's answer."""
    items = [(request.key, request.value) for _, request in asked]
    try:
        if isinstance(collection, ReplicatedCollection):
            return collection.put_each(items, [_name_of(call) for call, _ in asked])
        return collection.put_each(items)
    except Exception as error:
        return [error] * len(items)


def _name_of(call: Call) -> bytes | None:
    """Under which its command is known to all nodes. Raises InvalidData."""
    key = call.idempotency_key
    return None if key is None else name_of(call.principal, key, call.operation)
