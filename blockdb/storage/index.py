"""One index of an open collection: what reads it, and what adds to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from blockdb.documents.indexing import IndexDefinition
from blockdb.format.index import place_bytes
from blockdb.format.ordered import Value, decode_all
from blockdb.lsm.index_file import Entry, IndexFile
from blockdb.lsm.index_memory import IndexMemory
from blockdb.lsm.index_view import IndexView


class Index:
    """An index. Any number of threads may read it; who adds to it holds the write lock.

    For a plan: `definition.fields` are its paths. `blockdb.format.ordered.span` (and `text_span`) make the range of
    entries from values of the first fields and bounds of the next one; `scan` walks it up or down, in the order of
    all fields and, unless it is unique, of commit; each entry comes with the place of its record in the chain, whose
    value `reader.chain.item_at` gives, and `values_of` gives back what the fields are. A record that was redacted has
    no entries, one that `sparse` leaves out has none, and where a path goes through an array it may have several.
    """

    def __init__(self, definition: IndexDefinition, view: IndexView) -> None:
        self.definition = definition
        self.keyer = definition.keyer()
        self.is_unique = definition.unique
        self.see(view)
        self.is_ready = True
        """Whether it has the entries of all records; while it is being built, nothing is read from it."""
        self.lookups = 0
        self.is_damaged = False
        self.on_damage: Callable[[], None] = lambda: None
        """Called where a file turns out to be damaged while it is read."""

    @classmethod
    def of(
        cls, definition: IndexDefinition, files: tuple[IndexFile, ...] = (), records: int = 0, place: int = 0
    ) -> Index:
        """An index with these files, and nothing in memory from a record and its place on."""
        return cls(definition, IndexView((IndexMemory(records, place),), files, definition.unique))

    # Reading.

    def scan(self, start: bytes, stop: bytes | None, horizon: int, *, reverse: bool = False) -> Iterator[Entry]:
        """Entries of a range with the places of their records, those before the place `horizon`: see `IndexView`."""
        self.lookups += 1
        return self.view.scan(start, stop, horizon, reverse=reverse)

    def places(self, values: bytes, horizon: int) -> list[int]:
        """The places of the records whose fields are exactly these (`ordered.encode_all`), in commit order."""
        self.lookups += 1
        return self.view.places(values, horizon)

    def count(self, start: bytes, stop: bytes | None) -> int:
        """How many entries a range has now, without walking: for choosing between indexes. O(log n)."""
        return self.view.count(start, stop)

    def values_of(self, entry: bytes) -> tuple[Value, ...]:
        """The values that an entry has, one for each field (`MISSING` where there is none)."""
        return decode_all(entry, len(self.definition.fields))[0]

    def see(self, view: IndexView) -> None:
        """Have this view read from now on. Under the write lock."""
        self.view = view
        for file in view.files:
            file.on_damage = self._tell_damage

    def _tell_damage(self) -> None:
        self.is_damaged = True
        self.on_damage()

    # Under the write lock.

    def add(self, values: Sequence[bytes], place: int) -> None:
        """Add what the keyer made of the record at a place. O(values)."""
        memory = self.view.memories[0]
        if self.is_unique:
            memory.add(values, place)
        else:
            suffix = place_bytes(place)
            memory.add([value + suffix for value in values], place)

    def add_many(self, values: Sequence[Sequence[bytes]], places: Sequence[int]) -> None:
        """The same for many records. O(values)."""
        pairs = zip(values, places, strict=True)
        if self.is_unique:
            entries = {value: place for several, place in pairs for value in several}
        else:
            entries = {value + place_bytes(place): place for several, place in pairs for value in several}
        self.view.memories[0].update(entries)

    def freeze(self, sequence: int, place: int) -> None:
        """Let the memory be and begin another one, from a record and its place on."""
        memory = IndexMemory(sequence, place)
        self.see(replace(self.view, memories=(memory, *self.view.memories)))

    def forget(self, places: frozenset[int]) -> None:
        """Forget the entries of records at these places, as far as they are in memory. O(entries there)."""
        memories = tuple(
            memory.without(places) if places.intersection(memory.index.values()) else memory
            for memory in self.view.memories
        )
        self.see(replace(self.view, memories=memories))
