"""Changes of who belongs and who leads: asked of any node, carried out by the leader, asked again until they are done.

A change that was carried out already is done, so asking twice does no harm.
"""

from __future__ import annotations

from asyncio import Task, ensure_future, sleep, wait
from collections.abc import Callable
from concurrent.futures import Future
from time import monotonic
from typing import TYPE_CHECKING, Final, Literal, TypeVar

import msgspec

from blockdb.cluster.waiting import answer, refuse, unanswered
from blockdb.errors import BlockDBError, InvalidData, Unavailable
from blockdb.format.consensus import Member, Members, Role
from blockdb.raft.errors import NotLeader, TooMuch

if TYPE_CHECKING:
    from blockdb.cluster.consensus.driving import Driver

__all__ = ["Admission", "Change", "Changes"]

_AGAIN_S: Final = 0.05
T = TypeVar("T", int, str)


class Change(msgspec.Struct, frozen=True):
    """What the leader is asked for."""

    kind: Literal["add", "admit", "remove", "transfer"]
    """`admit` is `add` that is done as soon as the newcomer gets the log, whether it counts or not."""
    member: Member
    """Of whom only the id counts but for `add`; where it is empty, the leader chooses its successor."""
    old_leader: str = ""
    """Who led when a successor was asked for."""


class Done(msgspec.Struct, frozen=True):
    """What came of it."""

    index: int = 0
    leader: str = ""


class Admission(msgspec.Struct, frozen=True):
    """What a node that joins is told."""

    cluster_id: str
    members: Members
    is_known: bool = False
    """There was a member of that id: a node that comes without a log has lost what it promised."""


_encode: Final = msgspec.msgpack.Encoder().encode
_decode_change: Final = msgspec.msgpack.Decoder(Change).decode
_decode_member: Final = msgspec.msgpack.Decoder(Member).decode
_decode_done: Final = msgspec.msgpack.Decoder(Done).decode


class Changes:
    """Belongs to the loop but for `ask`."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._tasks: dict[Task[None], Future[Done]] = {}

    def ask(self, change: Change) -> Future[Done]:
        """Have a change made: from any thread."""
        future: Future[Done] = unanswered()
        self._driver.on_loop(lambda: self._begin(change, future))
        return future

    def stop(self, error: BlockDBError) -> None:
        """Refuse those that are under way."""
        for task, future in list(self._tasks.items()):
            refuse(future, error)
            task.cancel()

    async def on_ask(self, name: str, body: bytes) -> bytes:
        """What another node asks for. Raises InvalidData, Unavailable."""
        try:
            if name == "join":
                member = _decode_member(body)
                is_known = member.id in self._driver.members
                await self._until_done(Change("admit", member))
                return _encode(Admission(self._driver.settings.cluster_id, self._driver.members, is_known))
            return _encode(await self._lead(_decode_change(body)))
        except msgspec.DecodeError as error:
            raise InvalidData(f"A node asked for a change in words that are not understood: {error}.") from None
        except (NotLeader, TooMuch) as error:
            raise Unavailable(str(error)) from None

    def _begin(self, change: Change, future: Future[Done]) -> None:
        async def carry_out() -> None:
            try:
                answer(future, await self._until_done(change))
            except BlockDBError as error:
                refuse(future, error)

        task = self._driver.loop.create_task(carry_out())
        self._tasks[task] = future
        task.add_done_callback(lambda task: self._tasks.pop(task, None) and None)

    async def _until_done(self, change: Change) -> Done:
        """Ask whoever leads until it is done. Raises InvalidData, Unavailable."""
        deadline = monotonic() + self._driver.settings.change_timeout_s
        asked = 0
        while True:
            try:
                asked += 1
                return await self._once(change, deadline)
            except (NotLeader, TooMuch, Unavailable) as error:
                if monotonic() > deadline:
                    raise Unavailable(f"The change could not be made in time: {error}") from None
            except InvalidData:
                if change.kind == "remove" and asked > 1 and change.member.id not in self._driver.members:
                    return Done(self._driver.members_index)
                raise
            await sleep(_AGAIN_S)

    async def _once(self, change: Change, deadline: float) -> Done:
        driver = self._driver
        if driver.raft.is_leader:
            return await self._lead(change)
        leader = driver.raft.leader
        if not leader or driver.peers is None:
            raise Unavailable("There is no leader.")
        timeout_s = max(0.1, deadline - monotonic())
        asked = ensure_future(driver.peers.ask(leader, "change", _encode(change), timeout_s))
        try:
            while not (await wait({asked}, timeout=driver.settings.tick_s))[0]:
                if driver.raft.leader != leader:  # it may be dead, or be the very node that wants to join
                    raise Unavailable(f"'{leader}' leads no longer.")
            return _decode_done(asked.result())
        finally:
            asked.cancel()

    async def _lead(self, change: Change) -> Done:
        """Carry a change out, as the leader. Raises NotLeader, TooMuch, InvalidData, Unavailable."""
        if change.kind == "transfer":
            return await self._transfer(change.member.id, change.old_leader)
        if not self._driver.raft.is_leader:
            raise NotLeader(self._driver.raft.leader)
        if change.kind == "remove":
            return await self._remove(change.member.id)
        return await self._add(change.member, must_count=change.kind == "add")

    async def _add(self, member: Member, must_count: bool) -> Done:
        raft = self._driver.raft
        there = raft.members.get(member.id)
        comes_as = member if member.role is Role.REPLICA else msgspec.structs.replace(member, role=Role.LEARNER)
        if there not in (member, comes_as):
            raft.add(member)
            self._driver.wake()

        def is_in() -> bool:
            found = self._driver.members.get(member.id)
            return found == member or (found == comes_as and not must_count)

        await self._until(is_in)
        return Done(self._driver.members_index)

    async def _remove(self, id_: str) -> Done:
        raft = self._driver.raft
        if raft.members.get(id_) is None and id_ in self._driver.members:
            pass  # it is under way
        elif raft.members.get(id_) is None:
            raise InvalidData(f"There is no member '{id_}'; there are {_ids(raft.members)}.")
        elif raft.members.voters == {id_}:
            raise InvalidData(f"'{id_}' is the last voter: a cluster without one could decide nothing any more.")
        else:
            raft.remove(id_)
            self._driver.wake()
        await self._until(lambda: id_ not in self._driver.members)
        return Done(self._driver.members_index)

    async def _transfer(self, to: str, old_leader: str) -> Done:
        raft, own = self._driver.raft, self._driver.settings.own.id
        if to and to not in raft.members.voters:
            raise InvalidData(
                f"There is no voter '{to}' that could lead; there are {', '.join(_voters(raft.members))}."
            )
        if raft.leader and (raft.leader == to or (not to and raft.leader != old_leader)):
            return Done(leader=raft.leader)
        if not raft.is_leader:
            raise NotLeader(raft.leader)
        target = to or self._furthest()
        if target == own:
            return Done(leader=own)
        raft.transfer(target)
        self._driver.wake()
        await self._until(lambda: bool(raft.leader) and raft.leader != own, while_leader=False)
        if to and raft.leader != to:
            raise Unavailable(f"Now '{raft.leader}' leads, not '{to}'.")
        return Done(leader=raft.leader)

    def _furthest(self) -> str:
        """The voter that is best prepared to lead; this node itself where there is no other."""
        raft = self._driver.raft
        progress = raft.status().progress
        able = [id_ for id_ in raft.members.voters if id_ in progress and progress[id_].is_active]
        return max(able, key=lambda id_: (progress[id_].match, id_), default=self._driver.settings.own.id)

    async def _until(self, condition: Callable[[], bool], while_leader: bool = True) -> None:
        """Wait for a condition; for a while, and only as long as this node leads, where it must."""
        settings = self._driver.settings
        wait_s = settings.change_timeout_s if while_leader else 4 * settings.election_ms / 1000
        deadline = monotonic() + wait_s
        while not condition():
            if while_leader and not self._driver.raft.is_leader:
                raise NotLeader(self._driver.raft.leader)
            if monotonic() > deadline:
                raise Unavailable(f"It was not done within {wait_s:g} s; it may be later.")
            await sleep(settings.tick_s)


def _ids(members: Members) -> str:
    return ", ".join(member.id for member in members.all) or "none"


def _voters(members: Members) -> list[str]:
    return sorted(members.voters)
