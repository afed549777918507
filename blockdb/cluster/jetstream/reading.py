"""Reading the stream: what was read is committed, each message once, in order, and none is passed over unseen.

A consumer without memory of its own (pushed to, never acknowledged) is made from the message that is wanted next, and
another one whenever anything is not as it should be: its own count jumps, a heartbeat tells of more than came or does
not come, the connection was lost. A number that is missing in the stream itself was trimmed, or is lost: then a copy of
another node's database takes its place.
"""

from __future__ import annotations

from asyncio import Event, sleep
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Final

from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from blockdb.cluster.jetstream.numbering import PLACES, index_of, whole_messages
from blockdb.cluster.jetstream.pieces import WINDOW, Assembly
from blockdb.errors import Unavailable
from blockdb.format import stream_message
from blockdb.format.consensus import Entry, Kind
from blockdb.format.frame import BadFrame
from blockdb.format.raft_log import wrap
from blockdb.format.stream_message import Message, Sort

if TYPE_CHECKING:
    from blockdb.cluster.jetstream.driving import Driver

__all__ = ["Reading"]

_HEARTBEAT_S: Final = 0.5
_SILENT_S: Final = 1.6
"""Heartbeats that do not come for so long come no more."""
_PAUSE_S: Final = 0.1
_INACTIVE_S: Final = 5.0
_MOST_GAPS: Final = 3
"""A number that was missing so often is not there: not on the server of one consumer alone."""
_MOST_WAITING_BYTES: Final = 16 << 20
"""Who has so much to apply lets no more come."""


class Reading:
    """Belongs to the loop. Entries go to `driver.applying`, barriers of this node to `driver.publishing`."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self.next = 0
        """The sequence number that is wanted next; 0: the one behind what the machine has."""
        self._assembly = Assembly()
        self._begun = 0
        """Where reading began: pieces of commands that are complete from there on may lie before it."""
        self._knows_pieces = self._looks_back = False
        """Whether these are known; whether the consumer is to begin with them."""
        self._gap = self._gaps = 0
        """The last number that came in the place of an earlier one; and how often it did."""
        self._broken = Event()
        self._place = 0
        """How many messages came of the consumer."""
        self._heard_at = 0.0
        self._entries: list[Entry] = []
        self._given_bytes = 0
        """How many bytes were handed over to be applied."""
        self._held = ""
        """Where the server waits for an answer before it sends more."""

    @property
    def is_held(self) -> bool:
        """Whether the server waits until more was applied."""
        return bool(self._held)

    async def run(self) -> None:
        """Read, for ever."""
        while True:
            try:
                await self._follow()
            except (NatsError, TimeoutError, OSError, Unavailable) as error:
                self._driver.publishing.trouble = str(error) or repr(error)
            await sleep(_PAUSE_S)

    def break_off(self) -> None:
        """Read with another consumer, from the message on that is wanted next."""
        self._broken.set()

    async def _follow(self) -> None:
        """Read with one consumer, as long as all is well."""
        driver = self._driver
        first = (await driver.look()).first
        if driver.mending is not None:
            await self._replace(first - 1)
            driver.mended()
        elif not self.next:
            self._begin(driver.applying.machine.applied_index)
        if self._gaps >= _MOST_GAPS:
            first = max(first, self._gap)
        if first > self.next:
            what = f"is needed: message {self.next} is wanted, and the stream goes on with {first}"
            driver.tell("snapshot", index=index_of(self.next), what=what)
            await self._replace(first - 1)
        start = max(self._begun - WINDOW + 1, 1) if self._looks_back else self.next
        if start < first:
            await self._replace(self.next)
            start = self.next
        await self._consume(start)

    def _begin(self, index: int) -> None:
        """Go on behind what the machine has; of a message that was applied in part, the rest."""
        self.next = self._begun = whole_messages(index) + 1
        self._knows_pieces, self._looks_back = self.next == 1, False
        self._gap = self._gaps = 0
        self._assembly = Assembly()
        self._given_bytes = self._driver.applying.bytes

    async def _replace(self, at_least: int) -> None:
        """Get a copy of another node's database that has so many messages, and go on behind it."""
        self._begin(await self._driver.snapshots.fetch(index_of(at_least)))
        self._driver.publishing.publish_again()

    async def _consume(self, start: int) -> None:
        driver = self._driver
        inbox = driver.client.new_inbox()
        self._broken.clear()
        self._place, self._held = 0, ""
        subscription = await driver.subscribe(inbox, self._on_message)
        name = ""
        try:
            name = await self._make_consumer(inbox, start)
            self._heard_at = monotonic()
            driver.is_reading = True
            driver.publishing.wanted.set()
            await self._broken.wait()
        finally:
            driver.is_reading = False
            self._hand_over()
            await driver.unsubscribe(subscription)
            with suppress(NatsError):
                if name and driver.is_reachable:
                    await driver.client.publish(f"$JS.API.CONSUMER.DELETE.{driver.stream}.{name}")

    async def _make_consumer(self, inbox: str, start: int) -> str:
        config = ConsumerConfig(
            deliver_subject=inbox,
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=start,
            ack_policy=AckPolicy.NONE,
            max_deliver=1,
            flow_control=True,
            idle_heartbeat=_HEARTBEAT_S,
            inactive_threshold=_INACTIVE_S,
            num_replicas=1,
            mem_storage=True,
        )
        made = await self._driver.shared.connection.streams.add_consumer(self._driver.stream, config)
        return made.name

    # ── what comes ───────────────────────────────────────────────────────────────────────────────────────────────

    async def _on_message(self, message: Msg) -> None:
        if self._broken.is_set():
            return
        self._heard_at = monotonic()
        headers = message.headers
        if headers and "Status" in headers:
            self._on_status(message, headers)
            return
        sequence, place = _numbers(message.reply)
        if place != self._place + 1:
            self._broken.set()
            return
        self._place = place
        try:
            self._on_sequence(sequence, message.data)
        except Exception as error:
            is_damaged = isinstance(error, BadFrame)
            what = f"message {sequence} of {self._driver.stream} cannot be read: {error}"
            self._driver.fail(Unavailable(what) if is_damaged else error)
            self._broken.set()

    def _on_sequence(self, sequence: int, data: bytes) -> None:
        if sequence > self.next:
            self._gaps = self._gaps + 1 if self._gap == sequence else 1
            self._gap = sequence
            self._broken.set()
            return
        message = stream_message.decode(data)
        if sequence < self.next:
            self._assembly.add(sequence, message)
            return
        if self._looks_back:
            self._knows_pieces, self._looks_back = True, False
        if message.pieces > 1 and not self._knows_pieces and sequence < self._begun + WINDOW:
            self._looks_back = True
            self._broken.set()
            return
        self.next = sequence + 1
        if not self._entries:
            self._driver.loop.call_soon(self._hand_over)
        self._take(sequence, message)

    def _take(self, sequence: int, message: Message) -> None:
        """A message is to be applied."""
        driver, index = self._driver, index_of(sequence)
        is_own = message.origin == driver.origin
        if message.sort is Sort.BARRIER:
            if is_own:
                driver.publishing.seen_barrier(message.number, sequence)
            self._entries.append(Entry(index, driver.term, Kind.BEGINNING))
            return
        data = self._assembly.add(sequence, message)
        commands = list(stream_message.commands_in(data)) if data is not None else []
        if not 0 < len(commands) <= PLACES:
            if data is not None:
                raise BadFrame(f"it has {len(commands)} commands, and not 1 to {PLACES}")
            self._entries.append(Entry(index, driver.term, Kind.BEGINNING))
            return
        base, term = index - len(commands) + 1, driver.term
        self._entries += [
            Entry(base + at, term, Kind.COMMAND, wrap(message.origin, message.number + at, command))
            for at, command in enumerate(commands)
        ]
        if is_own:
            driver.publishing.seen(message.number)

    def _hand_over(self) -> None:
        """Have applied what came in this turn."""
        entries, self._entries = self._entries, []
        if entries:
            self._given_bytes += sum(len(entry.data) for entry in entries)
            self._driver.applying.put(entries)

    def _on_status(self, message: Msg, headers: dict[str, str]) -> None:
        """A heartbeat, or the server wants to know whether more may come."""
        if "FlowControl" in headers.get("Description", ""):
            self._held = message.reply
        elif int(headers.get("Nats-Last-Consumer", self._place)) != self._place:
            self._broken.set()
        else:
            self._held = headers.get("Nats-Consumer-Stalled", "") or self._held
        self.go_on()

    def go_on(self) -> None:
        """Let more come, if that was held up and there is room."""
        if self._held and self._given_bytes - self._driver.applying.bytes < _MOST_WAITING_BYTES:
            held, self._held = self._held, ""
            self._driver.begin(self._driver.client.publish(held))

    def tick(self) -> None:
        """Look whether heartbeats come."""
        if self._driver.is_reading and monotonic() - self._heard_at > _SILENT_S:
            self._broken.set()


def _numbers(reply: str) -> tuple[int, int]:
    """The sequence number of a message in the stream, and its place among those of the consumer.

    `$JS.ACK.<stream>.<consumer>.<deliveries>.<sequence>.<place>.<time>.<pending>`, or with domain and account.
    """
    words = reply.split(".")
    at = 5 if len(words) == 9 else 7
    return int(words[at]), int(words[at + 1])
