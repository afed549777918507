"""What makes the log of a partition run: its parts, what they share, and what is done now and then."""

from __future__ import annotations

import logging
from asyncio import Event, Lock, Task, sleep, to_thread, wait_for
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from blockdb.cluster.applying import Applying
from blockdb.cluster.barriers import Reads
from blockdb.cluster.jetstream.identity import hold_to
from blockdb.cluster.jetstream.numbering import whole_messages
from blockdb.cluster.jetstream.publishing import Publishing
from blockdb.cluster.jetstream.pulses import Pulses
from blockdb.cluster.jetstream.reading import Reading
from blockdb.cluster.jetstream.shared import Shared
from blockdb.cluster.jetstream.snapshots import Snapshots
from blockdb.cluster.jetstream.trimming import Trimming
from blockdb.cluster.jetstream.troubles import NOT_FOUND, ApiError
from blockdb.cluster.jetstream.watching import Watching
from blockdb.cluster.proposals import Proposals
from blockdb.errors import BlockDBError, Unavailable
from blockdb.format.consensus import NOBODY, Member, Members, Role
from blockdb.layout import RaftFiles
from blockdb.storage.door import Door

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from nats.aio.client import Client

__all__ = ["Driver", "Stream"]

_log = logging.getLogger("blockdb.cluster.jetstream")

_TICK_S: Final = 0.25
_GONE_S: Final = 10.0
"""A stream that is not there for so long, or holds less than was read of it, was removed: while servers start and
elect, one may be told so in error."""


class Stream(NamedTuple):
    """What the leader of the stream says of it."""

    first: int
    last: int
    leader: str
    created: str


class Driver:
    """One holder's part in the log of a partition. Belongs to the connection's loop, but for `wake_from_outside`."""

    def __init__(
        self,
        shared: Shared,
        partition: str,
        files: RaftFiles,
        applying: Applying,
        proposals: Proposals,
        reads: Reads,
        tell: Callable[..., None],
        fail: Callable[[BaseException], None],
    ) -> None:
        self.shared, self.partition, self.settings = shared, partition, shared.settings
        self.own: Member = shared.settings.own
        self.stream, self.subject = shared.names.stream(partition), shared.names.subject("log", partition)
        self.applying, self.origin = applying, proposals.origin
        self.tell, self.fail = tell, fail
        self.is_reading = False
        """Whether a consumer gives what is new."""
        self.first, self.last_told = 1, 0
        """Where the stream begins and ends, as its leader said last."""
        self.server = ""
        """The server that leads the stream."""
        self.mending: BlockDBError | None = None
        """Why nobody is served, until the machine has a copy of another's."""
        self.watching = Watching(self)
        self.publishing = Publishing(self, proposals, reads)
        self.reading = Reading(self)
        self.pulses = Pulses(self)
        self.snapshots = Snapshots(self)
        self.trimming = Trimming(self)
        self._files = files
        self._proposals, self._reads = proposals, reads
        self._wrong_since = 0.0
        self._created = ""
        """When the stream was made: another one is another log."""
        self._is_woken = False
        self._knowing = Lock()
        self._look = Event()
        self._tasks: set[Task[Any]] = set()
        self._endings: list[Callable[[], None]] = []
        self._subscriptions: set[Subscription] = set()

    # ── what the parts share ─────────────────────────────────────────────────────────────────────────────────────

    @property
    def loop(self) -> AbstractEventLoop:
        """The connection's."""
        return self.shared.connection.loop

    @property
    def client(self) -> Client:
        """The connection's."""
        return self.shared.connection.client

    @property
    def max_payload(self) -> int:
        """How many bytes a message may have, with its headers."""
        return self.shared.connection.max_payload

    @property
    def is_reachable(self) -> bool:
        """Whether there is a connection."""
        return self.shared.connection.is_connected

    @property
    def applied(self) -> int:
        """Up to which index all was applied."""
        return max(self.applying.index, self.applying.reached.index)

    @property
    def last(self) -> int:
        """The last message that is known of."""
        return max(self.last_told, self.reading.next - 1, whole_messages(self.applied))

    @property
    def source_lag(self) -> int:
        """How many messages the stream here is behind the one that it is a mirror of."""
        group = self.shared.group(self.partition) if self.settings.mirror_of else None
        return (group.mirror_lag or 0) if group is not None else 0

    @property
    def members(self) -> Members:
        """Who holds the partition, as far as this node knows."""
        return self.shared.rosters.all().get(self.partition, NOBODY)

    @property
    def others(self) -> list[str]:
        """The ids of the other holders."""
        return [member.id for member in self.members.all if member.id != self.own.id]

    @property
    def leader(self) -> str:
        """Who leads; nobody does in a read-only copy, whose commands come from elsewhere."""
        return "" if self.settings.mirror_of else self.keeper

    @property
    def keeper(self) -> str:
        """The holder whose server leads the stream; where that is none's, the first voter stands for it."""
        if not self.server or self.server in self.members:
            return self.server
        return min(self.members.voters, default="")

    @property
    def term(self) -> int:
        """The term of the group that keeps the stream, as far as it is known; at least 1."""
        group = self.shared.group(self.partition)
        return max(1, group.term if group is not None else 0)

    @property
    def state(self) -> str:
        """What this node is, as `MemberStatus` calls it."""
        member = self.members.get(self.own.id)
        if self.mending is not None:
            return "Mending"
        if not self._created:
            return "Starting"
        if member is None:
            return "Removed"
        if member.role is Role.LEARNER:
            return "Learner"
        if member.role is Role.REPLICA or self.settings.mirror_of:
            return "Replica"
        return "Leader" if self.leader == self.own.id else "Follower"

    async def ask(self, id_: str, kind: str, body: bytes, timeout_s: float) -> bytes:
        """Have another holder answer a question. Raises Unavailable."""
        return await self.pulses.ask(id_, kind, body, timeout_s)

    async def subscribe(self, subject: str, callback: Callable[[Msg], Awaitable[None]]) -> Subscription:
        """Have what is said there, without a limit to what waits: the server holds back, or it is little."""
        made = await self.client.subscribe(subject, cb=callback, pending_msgs_limit=0, pending_bytes_limit=0)
        self._subscriptions.add(made)
        return made

    async def unsubscribe(self, subscription: Subscription) -> None:
        """Hear no more of it."""
        self._subscriptions.discard(subscription)
        with suppress(NatsError):
            await subscription.unsubscribe()

    def begin(self, work: Coroutine[Any, Any, Any]) -> None:
        """Have something done beside all else; what the connection cannot do just now is left undone."""
        self._run(work, (NatsError, TimeoutError, OSError, Unavailable))

    def _run(self, work: Coroutine[Any, Any, Any], bears: tuple[type[Exception], ...] = ()) -> None:
        def ended(task: Task[Any]) -> None:
            self._tasks.discard(task)
            error = None if task.cancelled() else task.exception()
            if error is not None and not isinstance(error, bears):
                self.fail(error)

        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(ended)

    # ── beginning and end ────────────────────────────────────────────────────────────────────────────────────────

    async def start(self) -> None:
        """Begin to take part."""
        connection, advisory = self.shared.connection, f"$JS.EVENT.ADVISORY.STREAM.LEADER_ELECTED.{self.stream}"
        self._endings += [connection.watch(self._on_connection), self.shared.rosters.watch(self._on_roster)]
        await self.pulses.start()
        await self.subscribe(advisory, self._on_leader)
        if getattr(self.applying.machine, "needs_copy", False):
            self.rebuild("its database is damaged")
        for work in (self.publishing.run(), self.reading.run(), self._tick(), self._beat()):
            self._run(work)

    async def stop(self) -> None:
        """End everything that is under way here."""
        for end in self._endings:
            end()
        for task in list(self._tasks):
            task.cancel()
        await self.snapshots.close()
        for subscription in list(self._subscriptions):
            await self.unsubscribe(subscription)

    def wake_from_outside(self) -> None:
        """Something was applied, or is to be published: from any thread."""
        if not self._is_woken:
            self._is_woken = True
            with suppress(RuntimeError):
                self.loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._is_woken = False
        self.publishing.wanted.set()
        self.reading.go_on()

    def _on_connection(self, is_there: bool) -> None:
        self.reading.break_off()
        if is_there:
            self.publishing.publish_again()
            self._look.set()

    def _on_roster(self) -> None:
        self.watching.look()

    async def _on_leader(self, _: Msg) -> None:
        self.look_soon()

    def look_soon(self) -> None:
        """Ask who leads the stream now."""
        self._look.set()

    # ── the stream ───────────────────────────────────────────────────────────────────────────────────────────────

    async def look(self) -> Stream:
        """Ask the leader of the stream about it. Raises Unavailable, and errors of NATS where nobody answers."""
        call, limit_s = f"STREAM.INFO.{self.stream}", self.settings.request_timeout_s
        try:
            answer = await self.shared.connection.api(call, timeout_s=limit_s)
        except ApiError as error:
            if error.number in NOT_FOUND:
                self._wrong(f"the stream {self.stream} was removed")
            raise Unavailable(f"The stream {self.stream} is not there: {error}.") from None
        state, cluster = answer["state"], answer.get("cluster") or {}
        stream = Stream(state["first_seq"], state["last_seq"], cluster.get("leader", ""), answer["created"])
        async with self._knowing:
            if not self._created:
                is_empty = not self.applied and self.mending is None
                await to_thread(hold_to, Door(), self._files, self.stream, stream.created, is_empty=is_empty)
                self._created = stream.created
        self._check(stream)
        self._take(stream)
        return stream

    def _check(self, stream: Stream) -> None:
        if stream.created != self._created:
            what = f"the stream {self.stream} was removed, and made again at {stream.created}"
            self.fail(Unavailable(what))
            raise Unavailable(what)
        applied = whole_messages(self.applied)
        if stream.last < applied:
            what = f"the stream {self.stream} ends with message {stream.last}, and {applied} was applied here"
            self._wrong(what)
            raise Unavailable(what)
        self._wrong_since = 0.0

    def _wrong(self, what: str) -> None:
        """Something is not as it can be: stop, unless it passes."""
        now = monotonic()
        self._wrong_since = self._wrong_since or now
        if now - self._wrong_since > _GONE_S:
            self.fail(Unavailable(what))

    def _take(self, stream: Stream) -> None:
        self.first, self.last_told = max(stream.first, 1), max(self.last_told, stream.last)
        if stream.leader != self.server:
            self.server = stream.leader
            if self.server:
                self.publishing.publish_again()
        self.watching.look()

    # ── now and then ─────────────────────────────────────────────────────────────────────────────────────────────

    async def _tick(self) -> None:
        while True:
            self._look.clear()
            with suppress(TimeoutError):
                await wait_for(self._look.wait(), _TICK_S)
                with suppress(NatsError, TimeoutError, Unavailable):
                    await self.look()
            self.publishing.tick()
            self.reading.tick()

    async def _beat(self) -> None:
        while True:
            with suppress(NatsError, TimeoutError, Unavailable):
                await self.look()
            try:
                self.snapshots.tick()
                await self.pulses.beat()
                await self.trimming.look()
                await self._promote()
            except Exception:
                _log.exception("%s: the pulse of '%s' failed.", self.stream, self.own.id)
            await sleep(self.settings.pulse_s)

    async def _promote(self) -> None:
        """Count, once this node has caught up."""
        member = self.members.get(self.own.id)
        is_near = self.is_reading and self.mending is None and whole_messages(self.applied) >= self.last_told
        if member is not None and member.role is Role.LEARNER and is_near:
            await to_thread(self.shared.rosters.change, self.partition, self._as_voter)

    def _as_voter(self, roster: Members | None) -> Members | None:
        member = roster.get(self.own.id) if roster is not None else None
        if roster is None or member is None or member.role is not Role.LEARNER:
            return roster
        return roster.with_member(Member(member.id, member.address, member.peer_address))

    # ── when this node needs a copy ──────────────────────────────────────────────────────────────────────────────

    def rebuild(self, why: str) -> None:
        """Serve nobody, until the machine has a copy of another's."""
        if self.mending is None:
            self.mending = Unavailable(f"This node does not serve: {why}. It gets a copy of another; ask that one.")
            self.applying.hold()
            self._proposals.stop(self.mending)
            self._reads.stop(self.mending)
            self.reading.break_off()
            self.watching.look()

    def mended(self) -> None:
        """The machine has taken a copy over: go on behind that."""
        error, self.mending = self.mending, None
        if error is not None:
            self.pulses.comparing.agree()
            self._proposals.go_on(error)
            self._reads.go_on(error)
            self.applying.go_on()
            self.tell("mended", what="a copy took the place of what was here")
            self.watching.look()
