"""A collection at one moment, as a query sees it, and a record as a filter sees it."""

from __future__ import annotations

from functools import cached_property

from blockdb.documents.document import Details
from blockdb.query.access import ALWAYS, Window
from blockdb.storage.history import History
from blockdb.storage.reader import Reader
from blockdb.storage.sources import NOTHING, Horizon
from blockdb.types import AsOf


class Moment:
    """What was stored by the time of the call, or by a moment before, and had not expired: from `low` to `high`."""

    def __init__(self, reader: Reader, as_of: AsOf | None = None) -> None:
        """Raises BlockNotFound, InvalidData."""
        self._reader = reader
        self.chain = reader.chain
        self.view = reader.view
        self.high = reader.acknowledged(False)
        self.low = reader.expired()
        self.is_now = as_of is None
        if as_of is not None:
            self.high = self.history.horizon(as_of)
            self.low = reader.expired_as_of(as_of, self.high)

    @cached_property
    def history(self) -> History:
        """The chain: at the moment, and perhaps a little further."""
        return self._reader.history()

    def borders(self, window: Window) -> tuple[Horizon, Horizon]:
        """Between which borders the records are that are in a window too. O(log blocks + records in a block)."""
        if window == ALWAYS:
            return self.low, self.high
        low = max(self.low, self._border(window.first), self._border_at(window.first_ms))
        high = self.high if window.stop is None else min(self.high, self._border(window.stop))
        return low, high if window.stop_ms is None else min(high, self._border_at(window.stop_ms))

    def before(self, place: int) -> Horizon:
        """The border before the record at a place. O(log blocks + records in a block)."""
        return Horizon(self.history.sequence_at(place), place)

    def after(self, place: int) -> Horizon:
        """The border after the record at a place. O(log blocks + records in a block)."""
        return Horizon(self.history.sequence_at(place) + 1, place + self.chain.record_at(place).size)

    def details(self, place: int, sequence: int | None) -> Details:
        """What is known of the record at a place. O(1) where its sequence number is known."""
        number = self.history.sequence_at(place) if sequence is None else sequence
        self._reader.follow_metadata()
        versions = reversed(self._reader.metadata.schemas)
        version = next((entry.version for entry in versions if entry.first_sequence <= number), None)
        return Details(number, self.chain.record_at(place).time_ms, version)

    def details_of(self, key: bytes) -> Details:
        """The same of the record of a key that is stored."""
        found = self.view.find(key)
        assert found is not None, "nothing that is stored goes away"
        return self.details(found[0], None)

    def _border(self, sequence: int) -> Horizon:
        """The border before the record of that number."""
        if sequence <= 0:
            return NOTHING
        return self.high if sequence >= self.high.records else self.history.horizon(AsOf(sequence=sequence - 1))

    def _border_at(self, time_ms: int) -> Horizon:
        """The border before the first record of that time or later."""
        return NOTHING if time_ms <= 0 else self.history.horizon(AsOf(time_ms=time_ms - 1))


class Origin:
    """A record besides its value: `key`, `place`, and what takes a look into the chain, looked up when asked for."""

    __slots__ = ("_moment", "_sequence", "key", "place")

    def __init__(self, moment: Moment, key: bytes, place: int, sequence: int | None) -> None:
        self._moment = moment
        self._sequence = sequence
        self.key = key
        self.place = place

    @property
    def sequence(self) -> int:
        """Its place in commit order, counted in records."""
        return self._moment.history.sequence_at(self.place) if self._sequence is None else self._sequence

    @property
    def time_ms(self) -> int:
        """When it was stored: Unix time in milliseconds."""
        return self._moment.chain.record_at(self.place).time_ms
