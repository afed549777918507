"""Commands and barriers of this node on their way into the stream.

What waits while a few messages are under way goes into one message together. What was published is recognised when it
is read again: then it is decided. Whatever was not seen is published again after a reconnect, a change of the leader,
an error, or some seconds, as it was and with the same `Nats-Msg-Id`: the stream takes it once, and says where it has
it. That is how commands are found that never are read, since a copy of another node's database took their place.
"""

from __future__ import annotations

import json
from asyncio import Event
from time import monotonic
from typing import TYPE_CHECKING, Final

from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from blockdb.cluster.barriers import Reads
from blockdb.cluster.jetstream.numbering import PLACES, index_of
from blockdb.cluster.jetstream.pieces import WINDOW
from blockdb.cluster.proposals import Proposals
from blockdb.format import stream_message
from blockdb.format.stream_message import Message, Sort

if TYPE_CHECKING:
    from blockdb.cluster.jetstream.driving import Driver

__all__ = ["ASK_AGAIN_S", "RESEND_S", "Publishing"]

RESEND_S: Final = 4.0
"""What was published and not seen for so long is published again."""
ASK_AGAIN_S: Final = 2.0
_PAUSE_S: Final = 0.1
"""After an error it is tried again so much later."""
_HEADER_ROOM_BYTES: Final = 512
_TOGETHER_BYTES: Final = 256 << 10
"""So many bytes of commands go into one message; of a command that is longer, as much as the server takes."""
_MOST_UNDER_WAY: Final = 4
"""So many groups of commands are under way at a time: what comes meanwhile gathers."""
_MOST_BARRIERS: Final = 2
"""So many are under way at a time; who comes meanwhile shares the next one."""
_ID: Final = "Nats-Msg-Id"


class _Group:
    """Commands that were published together."""

    def __init__(self, count: int, messages: list[bytes]) -> None:
        self.count = count
        self.messages = messages
        self.published_at = monotonic()
        self.places: dict[int, int] = {}
        """Where the stream has which piece, as far as it said so."""


class Publishing:
    """Belongs to the loop."""

    def __init__(self, driver: Driver, proposals: Proposals, reads: Reads) -> None:
        self._driver = driver
        self._proposals = proposals
        self._reads = reads
        self.wanted = Event()
        """Set whenever there may be something to publish."""
        self.trouble = ""
        """What the stream said last that was no acknowledgement."""
        self._groups: dict[int, _Group] = {}
        """What is under way, by the number of the first command; the oldest first."""
        self._is_lost = False
        """Whether all of it may be lost."""
        self._not_before = 0.0
        self._barriers: dict[int, float] = {}
        """Those that are under way, by the numbers of their groups: since when."""
        self._inbox = ""

    async def run(self) -> None:
        """Publish what there is, for ever."""
        driver = self._driver
        self._inbox = driver.client.new_inbox()
        await driver.subscribe(f"{self._inbox}.>", self._on_answer)
        while True:
            await self.wanted.wait()
            self.wanted.clear()
            if driver.is_reachable and monotonic() >= self._not_before:
                try:
                    await self._publish_all()
                except (NatsError, OSError, TimeoutError) as error:
                    self._failed(f"publishing failed: {error!r}")

    async def _publish_all(self) -> None:
        limit = monotonic() - RESEND_S
        is_lost, self._is_lost = self._is_lost, False
        for number, group in list(self._groups.items()):
            if is_lost or group.published_at < limit:
                await self._publish_again(number, group)
        while len(self._groups) < _MOST_UNDER_WAY:
            number, commands = self._proposals.take_numbered(_TOGETHER_BYTES, PLACES)
            if not commands:
                break
            room = self._driver.max_payload - _HEADER_ROOM_BYTES
            messages = stream_message.encode_commands(self._proposals.origin, number, commands, room)
            self._groups[number] = _Group(len(commands), messages)
            await self._publish(number, self._groups[number])
        await self._publish_barriers()

    async def _publish_again(self, number: int, group: _Group) -> None:
        if self._proposals.waits_for(number, group.count):
            group.published_at = monotonic()
            await self._publish(number, group)
        else:
            self._groups.pop(number, None)

    async def _publish(self, number: int, group: _Group) -> None:
        driver, name = self._driver, f"{self._proposals.origin.hex()}-{number}"
        for piece, data in enumerate(group.messages):
            reply = f"{self._inbox}.{number}.{piece}"
            await driver.client.publish(driver.subject, data, reply=reply, headers={_ID: f"{name}-{piece}"})

    async def _publish_barriers(self) -> None:
        driver = self._driver
        while self._reads.is_waiting and len(self._barriers) < _MOST_BARRIERS:
            number = self._reads.take()
            self._barriers[number] = monotonic()
            data = stream_message.encode(Message(Sort.BARRIER, 0, 1, self._proposals.origin, number, b""))
            await driver.client.publish(driver.subject, data, reply=f"{self._inbox}.barrier")

    # ── what is heard of it ──────────────────────────────────────────────────────────────────────────────────────

    async def _on_answer(self, message: Msg) -> None:
        """The stream has taken a message, or says why not."""
        if message.headers and message.headers.get("Status") == "503":
            self._failed("the stream has no leader")
            return
        try:
            answer = json.loads(message.data)
        except ValueError:
            return
        if error := answer.get("error"):
            self._failed(str(error.get("description", error)))
        elif answer.get("duplicate") and not message.subject.endswith(".barrier"):
            number, piece = map(int, message.subject.split(".")[-2:])
            self._has_place(number, piece, answer["seq"])

    def _has_place(self, number: int, piece: int, sequence: int) -> None:
        """The stream has a piece there. If all of them are part of what was applied here, the group is decided."""
        group = self._groups.get(number)
        if group is None:
            return
        group.places[piece] = sequence
        first, last = min(group.places.values()), max(group.places.values())
        is_whole = len(group.places) == len(group.messages) and last - first < WINDOW
        if is_whole and index_of(last) <= self._driver.applied:
            base = index_of(last) - group.count + 1
            self._proposals.decided([(number + at, base + at) for at in range(group.count)])
            self.seen(number)

    def _failed(self, trouble: str) -> None:
        """Publish again, a little later, what was not seen."""
        self.trouble = trouble
        self._not_before = monotonic() + _PAUSE_S
        self.publish_again()

    def publish_again(self) -> None:
        """What is under way may be lost."""
        self._is_lost = True
        self._reads.ask_again(everything=True)
        self._barriers.clear()
        self.wanted.set()

    def seen(self, number: int) -> None:
        """Commands of this node were read, the first of which has that number."""
        if self._groups.pop(number, None) is not None and self._proposals.has_unsent:
            self.wanted.set()

    def seen_barrier(self, number: int, sequence: int) -> None:
        """A barrier of this node was read."""
        if self._barriers.pop(number, None) is not None:
            self._reads.confirmed(number, index_of(sequence))
            if self._reads.is_waiting:
                self.wanted.set()

    def tick(self) -> None:
        """See to what waits too long."""
        self._proposals.give_up_late()
        self._reads.give_up_late()
        self._reads.ask_again()
        limit = monotonic() - ASK_AGAIN_S
        self._barriers = {number: since for number, since in self._barriers.items() if since > limit}
        if self._groups or self._proposals.has_unsent or self._reads.is_waiting:
            self.wanted.set()
