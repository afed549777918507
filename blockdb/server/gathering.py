"""Single writes of several clients: those that come together are stored together, with one write and one force.

What waits for nothing is done on the event loop, with whatever comes in the same turn of it. What has to be on the disk
before it is acknowledged is done in a thread: while one group waits for the disk, the next one gathers. So a force is
shared by all who wait, and a thread is woken once for each group; one for each writer would cost more than the force.

Most of those who were answered ask again at once. Without them the next group would begin with the other half of the
writers, and so on in turns: twice as many groups as are needed. So it waits for them for a moment.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from time import perf_counter
from typing import Any, Final

from blockdb.cluster.database.collection import ReplicatedCollection
from blockdb.cluster.partitions.collection import PartitionedCollection
from blockdb.database.collection import Collection
from blockdb.errors import BlockDBError
from blockdb.server.retrying import ALONE, STORING, Keyed
from blockdb.server.service import Call, Service
from blockdb.wire.operation import DEFAULT_COLLECTION

__all__ = ["ALONE", "Gatherer"]

MOST: Final = 1_000
"""So many are in a group at the most."""
SHARE: Final = 0.5
"""Those who were answered are waited for so long, as a share of what their group took. Without that they would have to
wait for another group after their own, which takes longer."""
LONGEST_S: Final = 0.005
"""But never longer than that."""

NAMING: Final = (ReplicatedCollection, PartitionedCollection)
"""What stores records under the names of their requests."""

Settle = Callable[[Any], None]
"""Is told what became of a request: its answer, an error, or `ALONE`. It raises nothing."""
Asked = tuple[Call, Any, Settle]


class Gatherer:
    """Used on one event loop."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._thread = ThreadPoolExecutor(1, "blockdb-group")
        self._here: list[Asked] = []
        """Those that wait for nothing,"""
        self._waiting: list[Asked] = []
        """and the others."""
        self._is_at_it = False
        self._expected = 0
        """So many write at a time, as far as the last group tells,"""
        self._until_s = 0.0
        """and until then they are waited for,"""
        self._timer: asyncio.TimerHandle | None = None
        """with this, if some are there."""

    def takes(self, call: Call, request: Any) -> bool:
        """Whether a quick request stores one record, which may be done together with others."""
        if not hasattr(request, "value"):
            return False
        concerns = self._service.concerns
        return concerns is None or concerns.may_gather(call)

    def waits(self, request: Any) -> bool:
        """Whether a request that it takes waits for the disk, or for others."""
        service = self._service
        if service.concerns is not None or service.is_forced or request.sync:
            return True
        return request.collection != DEFAULT_COLLECTION and not self._has_room({request.collection})

    def _has_room(self, names: Iterable[str]) -> bool:
        """Whether writes to all these collections would wait for nothing."""
        try:
            return all(self._service.collection(name).has_room for name in names)
        except BlockDBError:
            return False

    async def call(self, call: Call, request: Any) -> Any:
        """The answer to a request, or `ALONE`. Raises BlockDBError."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.submit(call, request, partial(_settle, answer))
        return await answer

    def submit(self, call: Call, request: Any, settle: Settle) -> None:
        """Have a request done together with others; what became of it is told on this event loop, in a later turn."""
        if self.waits(request):
            self._waiting.append((call, request, settle))
            self._go_on()
            return
        if not self._here:
            asyncio.get_running_loop().call_soon(self._do_here)
        self._here.append((call, request, settle))

    def _do_here(self) -> None:
        group, self._here = self._here, []
        answers: list[Any] | None = None
        if self._has_room({request.collection for _, request, _ in group}):
            with self._service.transactions.held_off() as is_free:
                answers = self._answers(group) if is_free else None
        if answers is None:  # a transaction has the lock, or a memtable no room: that is waited for in the thread
            self._waiting += group
            self._go_on()
        else:
            _settle_all(group, answers)

    def _go_on(self) -> None:
        """Have the next group begin, if it is time: whoever comes in this turn goes along."""
        if self._is_at_it:
            return
        loop = asyncio.get_running_loop()
        left_s = self._until_s - loop.time()
        if len(self._waiting) >= self._expected or left_s <= 0:
            self._is_at_it = True
            loop.call_soon(self._begin, loop)
        elif self._timer is None:
            self._timer = loop.call_later(left_s, self._waited)

    def _waited(self) -> None:
        self._timer, self._expected = None, 0
        self._go_on()

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        group, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
        work = loop.run_in_executor(self._thread, self._together, group)
        work.add_done_callback(partial(self._end, loop, group, loop.time()))

    def _end(
        self,
        loop: asyncio.AbstractEventLoop,
        group: Sequence[Asked],
        began_s: float,
        done: asyncio.Future[list[Any]],
    ) -> None:
        now_s = loop.time()
        self._is_at_it = False
        self._expected = min(MOST, len(group) + len(self._waiting))
        self._until_s = now_s + min(SHARE * (now_s - began_s), LONGEST_S)
        if self._waiting:
            self._go_on()
        error = done.exception()
        _settle_all(group, [error] * len(group) if error else done.result())

    def _together(self, group: Sequence[Asked]) -> list[Any]:
        """In the thread: what becomes of each of a group."""
        concerns = self._service.concerns
        with nullcontext() if concerns is None else concerns.together():
            return self._answers(group)

    def _answers(self, group: Sequence[Asked]) -> list[Any]:
        answers: list[Any] = [None] * len(group)
        begun = [self._service.begin() for _ in group]
        retries = self._service.retries
        keyed = None if retries is None else retries.together()
        try:
            for collection, numbers in self._to_store(group, answers, keyed).items():
                became = self._stored(collection, [group[each] for each in numbers])
                for number, stored in zip(numbers, became, strict=True):
                    answers[number] = _answer(group[number], collection.name, stored)
        finally:
            if keyed is not None:
                keyed.end(answers)
        self._tell(group, answers, begun)
        return answers

    def _to_store(
        self, group: Sequence[Asked], answers: list[Any], keyed: Keyed | None
    ) -> Mapping[Collection, Sequence[int]]:
        """The numbers of those that are to be stored, by collection; all others have their answers then."""
        service, concerns = self._service, self._service.concerns
        by_collection: defaultdict[Collection, list[int]] = defaultdict(list)
        for number, (call, request, _) in enumerate(group):
            try:
                service.permit(call, request)
                if concerns is not None:
                    concerns.name_in_group(call)
                collection = service.collection(request.collection)
                if keyed is not None and call.idempotency_key is not None:
                    answers[number] = keyed.begin(number, call.principal, call.idempotency_key, call.operation, request)
                if answers[number] is None:
                    by_collection[collection].append(number)
            except Exception as error:
                answers[number] = error
        if keyed is not None:
            for collection, numbers in by_collection.items():
                refused = keyed.intend(collection, {number: group[number][1].key for number in numbers})
                for number, refusal in refused.items():
                    answers[number] = refusal
                    numbers.remove(number)
        return by_collection

    def _stored(self, collection: Collection, asked: Sequence[Asked]) -> Sequence[int | Exception | None]:
        """What became of each; a bug is everybody's answer."""
        items = [(request.key, request.value) for _, request, _ in asked]
        concerns = self._service.concerns
        try:
            if concerns is not None and isinstance(collection, NAMING):
                return collection.put_each(items, [concerns.name_in_group(call) for call, _, _ in asked])
            return collection.put_each(items, sync=any(request.sync for _, request, _ in asked))
        except Exception as error:
            return [error] * len(items)

    def _tell(self, group: Sequence[Asked], answers: list[Any], begun: Sequence[float]) -> None:
        """Tell what became of all of them; where that fails, the failure is the answer."""
        now = perf_counter()
        told = []
        for number, answer in enumerate(answers):
            if answer is ALONE:  # it is begun anew, and counted once
                group[number][0].is_admitted = True
                self._service.begun_in_vain()
            else:
                told.append(number)
        failures = self._service.told_together(
            [
                (group[number][0], answer if isinstance(answer := answers[number], Exception) else None, now - at)
                for number, at in zip(told, [begun[each] for each in told], strict=True)
            ]
        )
        for number, failure in zip(told, failures, strict=True):
            answers[number] = failure or answers[number]

    def close(self) -> None:
        """Wait for the group that is under way."""
        self._thread.shutdown()


def _answer(asked: Asked, name: str, stored: int | Exception | None) -> Any:
    if stored is None:
        return ALONE
    if isinstance(stored, Exception):
        return stored
    call, request, _ = asked
    return STORING[call.operation.name].answer(request, {name: range(stored, stored + 1)})


def _settle(answer: asyncio.Future[Any], found: Any) -> None:
    """For who waits with `await`."""
    if answer.done():  # nobody waits for it any more
        return
    if isinstance(found, BaseException):
        answer.set_exception(found)
    else:
        answer.set_result(found)


def _settle_all(group: Sequence[Asked], answers: Sequence[Any]) -> None:
    for (_, _, settle), answer in zip(group, answers, strict=True):
        settle(answer)
